"""Individuals from a CSV file: who may be named, with SokweDB's column names where it has one.

Belongs here: reading the file and naming what is wrong in it. Does not belong here: life-history rules across rows.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.engine import Database
from chimp_assets.database.people import upsert_individuals
from chimp_assets.errors import ChimpError

DATES = ("birth_date", "bd_min", "bd_max", "entry_date", "depart_date")
PARENTS = {"mom": "mom_id", "dad": "dad_id"}
COLUMNS = ("anim_id", "name", "sex", *DATES, "depart_type", *PARENTS)


class IndividualFileError(ChimpError):
    """A CSV of individuals has a fault: the file, the line and the column are named and nothing is stored."""


def import_individuals(database: Database, file: Path) -> tuple[int, int]:
    """Adds or changes individuals by anim_id; a column that the file lacks is left as it is. One transaction.

    Columns: anim_id, name, sex (F, M, U), birth_date, bd_min, bd_max, entry_date, depart_date (YYYY-MM-DD),
    depart_type (D, E, P, O), mom, dad (anim_id, in the file or in the database).
    Returns (added, changed). Raises IndividualFileError.
    """
    rows = _read(file)
    with database.read() as conn:
        known = set(conn.scalars(sa.select(t.individual.c.anim_id)))
    named = known | {row["anim_id"] for _, row in rows}
    for line, row in rows:
        for column in PARENTS:
            if row.get(column) and row[column] not in named:
                raise _fault(file, line, column, f"{row[column]} is neither in the file nor in the database")
    upsert_individuals(database, [row for _, row in rows])
    added = sum(row["anim_id"] not in known for _, row in rows)
    return added, len(rows) - added


def _read(file: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            unknown = [column for column in columns if column not in COLUMNS]
            if "anim_id" not in columns or unknown:
                wrong = f"does not know the column {unknown[0]!r}" if unknown else "has no column anim_id"
                raise IndividualFileError(f"{file} {wrong}.", f"Its columns may be {', '.join(COLUMNS)}.")
            return [(reader.line_num, _row(file, reader.line_num, raw)) for raw in reader]
    except OSError as error:
        raise IndividualFileError(f"{file} cannot be read: {error.strerror}.", "Say where the CSV file is.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise IndividualFileError(f"{file} is not a CSV file in UTF-8: {error}.", "Save it as CSV UTF-8.") from None


def _row(file: Path, line: int, raw: dict[str, Any]) -> dict[str, Any]:
    if None in raw:
        raise _fault(file, line, "the last", "there are more cells than columns")
    row: dict[str, Any] = {column: (cell or "").strip() or None for column, cell in raw.items()}
    if row["anim_id"] is None:
        raise _fault(file, line, "anim_id", "it is empty")
    for column in ("anim_id", *PARENTS):
        if row.get(column):
            row[column] = row[column].upper()
    if "sex" in row:
        row["sex"] = (row["sex"] or "U").upper()
        if row["sex"] not in t.SEXES:
            raise _fault(file, line, "sex", f"{row['sex']} is none of {', '.join(t.SEXES)}")
    if row.get("depart_type") and row["depart_type"] not in t.DEPART_TYPES:
        raise _fault(file, line, "depart_type", f"{row['depart_type']} is none of {', '.join(t.DEPART_TYPES)}")
    for column in DATES:
        if row.get(column):
            try:
                row[column] = date.fromisoformat(row[column])
            except ValueError:
                raise _fault(file, line, column, f"{row[column]} is not a date like 1971-03-01") from None
    return row


def _fault(file: Path, line: int, column: str, what: str) -> IndividualFileError:
    return IndividualFileError(
        f"{file}, line {line}, column {column}: {what}. Nothing of the file was stored.",
        "Mend the row and import again.",
    )
