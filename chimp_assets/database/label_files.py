"""Labels as CSV files: the way in for labels that exist already, and the way out for everybody else's tools.

Belongs here: reading and writing the file, and saying which line and column is wrong. Does not belong here: what an
event may say (`events`). The columns are described in `sql/README.md`.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.engine import Database
from chimp_assets.database.events import LabelEvent, effective_answers, record_in
from chimp_assets.database.provenance import note_import
from chimp_assets.database.schema import annotation, app_user, individual
from chimp_assets.errors import ChimpError

COLUMNS = (
    "annotation_id",
    "track_id",
    "kind",
    "anim_id",
    "name",
    "annotator",
    "lane",
    "propensity",
    "note",
    "seconds",
    "client_time",
    "supersedes",
)
# What only the export of all events needs: pairs, splits and boxes.
EVENT_COLUMNS = (*COLUMNS, "other_track_id", "video_id", "frame_no", "x", "y", "w", "h")
NAMED_BAD_ROWS = 10
# Of rows without annotation_id: the same content gets the same id in every home.
ROW_NAMESPACE = uuid.UUID("5f2c2f0e-9d0a-5a57-8a53-0c7a51b6f1de")
UNKNOWN_ANIM_ID = "UNK"

_BATCH = 500
_BETWEEN = "\x1f"
_INTEGERS = ("track_id", "other_track_id", "video_id", "frame_no")
_NUMBERS = ("propensity", "seconds", "x", "y", "w", "h")


class LabelFileError(ChimpError):
    """A file of labels cannot be read or written, or says something that cannot be stored."""


@dataclass(frozen=True)
class BadRow:
    """A row that was not stored: its line in the file (the header is line 1), the column at fault and why."""

    line: int
    column: str
    message: str


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's rows: stored, already there, left out."""

    stored: int = 0
    duplicates: int = 0
    skipped: list[BadRow] = field(default_factory=list)


def export_labels(db: Database, file: Path, all_events: bool = False) -> int:
    """Write the effective answers, or every event there ever was, as CSV (UTF-8) in order of seq; returns the rows.

    The file appears when it is complete. Raises LabelFileError where it cannot be written.
    """
    names = EVENT_COLUMNS if all_events else COLUMNS
    part = file.with_name(file.name + ".part")
    n = 0
    try:
        with part.open("w", encoding="utf-8", newline="") as out, db.read() as conn:
            writer = csv.writer(out)
            writer.writerow(names)
            rows = conn.execution_options(yield_per=2_000).execute(_events_to_export(names, all_events))
            for row in rows:
                writer.writerow([value.isoformat() if isinstance(value, datetime) else value for value in row])
                n += 1
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LabelFileError(f"{file} cannot be written: {error.strerror}.", "Check the folder and its room.") from None
    return n


def import_labels(db: Database, file: Path, annotator: str | None = None, skip_bad: bool = False) -> ImportReport:
    """Store the rows of a CSV file as label events, all in one transaction.

    annotator: who said so, for rows that do not name one. A second import of the same rows stores nothing. Raises
    LabelFileError naming line and column of the first bad rows, and then nothing is stored; with skip_bad the good rows
    are stored and the bad ones are returned.
    """

    def work(conn: sa.Connection) -> ImportReport:
        stored = duplicates = 0
        seqs: list[int] = []
        skipped: list[BadRow] = []
        for batch in _batches(file, annotator, skipped):
            results = record_in(conn, [event for _, event in batch])
            for (line, _), result in zip(batch, results, strict=True):
                stored += result.status == "stored"
                duplicates += result.status == "duplicate"
                if result.seq is not None:
                    seqs.append(result.seq)
                if result.status == "rejected":
                    skipped.append(BadRow(line, result.field or "", result.reason or ""))
            if len(skipped) >= NAMED_BAD_ROWS and not skip_bad:
                break
        skipped.sort(key=lambda row: row.line)
        if skipped and not skip_bad:
            raise _bad_rows(file, skipped)
        note_import(conn, file.name, seqs)
        return ImportReport(stored, duplicates, skipped)

    try:
        return db.transact(work)
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read: {error.strerror}.", "Check the path.") from None
    except UnicodeDecodeError:
        raise LabelFileError(f"{file} is not UTF-8 text.", "Save it as CSV UTF-8 and import it again.") from None
    except csv.Error as error:
        raise LabelFileError(
            f"{file} is not a CSV file: {error}.", "Save it as CSV UTF-8 and import it again."
        ) from None


def _events_to_export(names: tuple[str, ...], all_events: bool) -> sa.Select[Any]:
    elsewhere: dict[str, sa.ColumnElement[Any]] = {
        "anim_id": individual.c.anim_id,
        "name": individual.c.name,
        "annotator": app_user.c.name,
    }
    if not all_events:
        # What an answer replaced is not in the file.
        elsewhere["supersedes"] = sa.null()
    columns = [elsewhere[name] if name in elsewhere else annotation.c[name] for name in names]
    statement = (
        sa.select(*columns)
        .join(app_user, app_user.c.user_id == annotation.c.annotator_id)
        .outerjoin(individual, individual.c.individual_id == annotation.c.individual_id)
        .order_by(annotation.c.seq)
    )
    if all_events:
        return statement
    answers = effective_answers().subquery("answers")
    return statement.join(answers, answers.c.annotation_id == annotation.c.annotation_id)


def _batches(file: Path, annotator: str | None, bad: list[BadRow]) -> Iterator[list[tuple[int, LabelEvent]]]:
    """Events with their lines, in batches; rows that are no events are added to bad."""
    batch: list[tuple[int, LabelEvent]] = []
    for line, cells in _rows(file):
        try:
            batch.append((line, _event(cells, annotator)))
        except _BadCell as cell:
            bad.append(BadRow(line, cell.column, str(cell)))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch or bad:
        yield batch


class _BadCell(Exception):
    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        text.seek(0)
        # Spreadsheets of many countries write semicolons.
        reader = csv.reader(text, delimiter=max(",;\t", key=first.count), strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        unknown = [name for name in header if name not in EVENT_COLUMNS]
        if unknown or "track_id" not in header or len(set(header)) < len(header):
            what = f"has an unknown column {unknown[0]!r}" if unknown else "needs each column once, and track_id"
            raise LabelFileError(f"{file}, line 1: the file {what}.", f"Columns are {', '.join(EVENT_COLUMNS)}.")
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, dict(zip(header, cells, strict=False)) | {"": str(len(header) - len(cells))}
            line = reader.line_num + 1


def _event(cells: dict[str, str], annotator: str | None) -> LabelEvent:
    missing = int(cells.pop(""))
    if missing:
        word = "less" if missing > 0 else "more"
        raise _BadCell(list(cells)[-1], f"the row has {abs(missing)} cells {word} than the header")
    values: dict[str, Any] = {name: cell.strip() or None for name, cell in cells.items()}
    for name in _INTEGERS:
        values[name] = _number(name, values.get(name), int)
    for name in _NUMBERS:
        values[name] = _number(name, values.get(name), float)
    if values.get("client_time"):
        try:
            values["client_time"] = datetime.fromisoformat(values["client_time"])
        except ValueError:
            raise _BadCell(
                "client_time", f"{values['client_time']!r} is not a time like 2026-05-06T14:30:00Z"
            ) from None
    values["kind"] = (values.get("kind") or "identify").lower()
    if values["kind"] == "identify" and (values.get("anim_id") or "").upper() == UNKNOWN_ANIM_ID:
        # SokweDB's row for an animal that nobody could name.
        values["kind"], values["anim_id"] = "unknown", None
    values["annotator"] = values.get("annotator") or annotator
    if not values["annotator"]:
        raise _BadCell("annotator", "nobody is named as the one who said so")
    values["lane"] = values.get("lane") or "import"
    if not values.get("annotation_id"):
        values["annotation_id"] = str(uuid.uuid5(ROW_NAMESPACE, _content(values)))
    return LabelEvent(**values)


def _content(values: dict[str, Any]) -> str:
    """What a row without an id of its own says: two rows that differ must not get one id."""
    said = {name: values.get(name) for name in EVENT_COLUMNS if name != "annotation_id"}
    if any(isinstance(cell, str) and (cell == "None" or _BETWEEN in cell) for cell in said.values()):
        return json.dumps(said, default=str)  # a time
    # Files that were imported long ago must find their rows again: as ids were always made.
    return _BETWEEN.join(f"{name}={cell}" for name, cell in said.items())


def _number(column: str, text: str | None, kind: type[int] | type[float]) -> int | float | None:
    if text is None:
        return None
    try:
        value = kind(text)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise _BadCell(column, f"{text!r} is not {what}") from None
    return value


def _bad_rows(file: Path, bad: list[BadRow]) -> LabelFileError:
    named = "; ".join(f"line {row.line}, column {row.column}: {row.message}" for row in bad[:NAMED_BAD_ROWS])
    return LabelFileError(
        f"{file} cannot be imported: {named}.",
        "Mend these and import it again (nothing was stored), or leave out bad rows with --skip-bad.",
    )
