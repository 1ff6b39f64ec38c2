"""Individuals from a CSV file: who may be named, with SokweDB's column names.

Belongs here: reading the file and naming its faulty line. Does not belong here: what may be said of an individual
(`people`), and life-history rules across individuals.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from chimp_assets.database.engine import Database
from chimp_assets.database.people import PeopleError, UpsertedIndividuals, upsert_individuals
from chimp_assets.errors import ChimpError

COLUMNS = (
    "anim_id", "name", "sex", "birth_date", "bd_min", "bd_max", "mom_id", "dad_id", "entry_date", "depart_date",
    "depart_type",
)  # fmt: skip


class IndividualFileError(ChimpError):
    """A CSV of individuals has a fault: it is named, and nothing of the file is stored."""


def import_individuals(database: Database, file: Path) -> UpsertedIndividuals:
    """Adds or changes individuals by anim_id; a column that the file lacks is left as it is. One transaction.

    Columns: anim_id; any of name, sex (F, M, U), birth_date, bd_min, bd_max, entry_date, depart_date (YYYY-MM-DD),
    depart_type (D, E, P, O), mom_id, dad_id (the anim_id of a row of the file or of the database).
    Raises IndividualFileError.
    """
    try:
        return upsert_individuals(database, _read(file))
    except PeopleError as error:
        raise IndividualFileError(
            f"{file}: {error.sentence} Nothing of the file was stored.",
            "Individuals are counted from the first line after the header; mend the row and import again.",
        ) from None


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            unknown = [column for column in columns if column not in COLUMNS]
            if "anim_id" not in columns or unknown:
                wrong = f"has the column {unknown[0]!r}, which is not known" if unknown else "has no column anim_id"
                raise IndividualFileError(f"{file} {wrong}.", f"Its columns may be {', '.join(COLUMNS)}.")
            rows = []
            for raw in reader:
                if None in raw or None in raw.values():
                    raise IndividualFileError(
                        f"{file}, line {reader.line_num}: there are not as many cells as columns.",
                        "Mend the line; nothing of the file was stored.",
                    )
                rows.append({column: cell.strip() or None for column, cell in raw.items()})
            return rows
    except OSError as error:
        raise IndividualFileError(f"{file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise IndividualFileError(f"{file} is not a CSV file in UTF-8: {error}.", "Save it as CSV UTF-8.") from None
