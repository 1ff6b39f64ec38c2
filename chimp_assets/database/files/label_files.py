"""Labels as CSV files: the way in for labels that exist already, and the way out for everybody else's tools.

Belongs here: reading and writing the file, and saying which line and column is wrong. Does not belong here: what an
event may say (`events`). The columns are described in `sql/README.md`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_cells import KEY, GuardedWriter, Number, unguarded
from chimp_assets.database.csv_sheets import Fault, InvalidValue, Row, Sheet, TableFileError, open_sheet, rows_of
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import LabelEvent, record_in
from chimp_assets.database.labels.provenance import note_import
from chimp_assets.database.people.names import code_of
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

_BATCH = 500
_BETWEEN = "\x1f"
_RULES = dict.fromkeys(("track_id", "other_track_id", "video_id", "frame_no"), KEY) | dict.fromkeys(
    ("propensity", "seconds", "x", "y", "w", "h"), Number()
)
_TEXTS = ("kind", "anim_id", "name", "annotator", "lane", "note", "supersedes")


class LabelFileError(ChimpError):
    """A file of labels cannot be read or written, or says something that cannot be stored."""


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's rows: stored, already there, left out. notes: what was assumed about the file."""

    stored: int = 0
    duplicates: int = 0
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list, compare=False)


def export_labels(db: Database, file: Path, all_events: bool = False) -> int:
    """Write the effective answers, or every event there ever was, as CSV (UTF-8) in order of seq; returns the rows.

    Texts that a spreadsheet would take for formulas begin with an apostrophe; `import_labels` takes it away.
    The file appears when it is complete. Raises LabelFileError where it cannot be written.
    """
    names = EVENT_COLUMNS if all_events else COLUMNS
    part = file.with_name(file.name + ".part")
    n = 0
    try:
        with part.open("w", encoding="utf-8", newline="") as out, db.read() as conn:
            writer = GuardedWriter(out)
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
    """Store the rows of a CSV file as label events, all in one transaction; `csv_tables` says how it may be written.

    annotator: who said so, for rows that do not name one. A second import of the same rows stores nothing. Raises
    LabelFileError naming line and column of the first bad rows, and then nothing is stored; with skip_bad the good rows
    are stored and the bad ones are returned.
    """

    def work(conn: sa.Connection) -> ImportReport:
        stored = duplicates = 0
        seqs: list[int] = []
        skipped: list[Fault] = []
        for batch in _batches(sheet, kept, annotator, skipped):
            results = record_in(conn, [event for _, event in batch])
            for (line, _), result in zip(batch, results, strict=True):
                stored += result.status == "stored"
                duplicates += result.status == "duplicate"
                if result.seq is not None:
                    seqs.append(result.seq)
                if result.status == "rejected":
                    skipped.append(Fault(line, result.field or "", result.reason or ""))
            if len(skipped) >= NAMED_BAD_ROWS and not skip_bad:
                break
        skipped.sort(key=lambda row: row.line)
        if skipped and not skip_bad:
            raise _bad_rows(sheet, skipped)
        note_import(conn, file.name, seqs)
        return ImportReport(stored, duplicates, skipped, list(sheet.notes))

    try:
        sheet, kept = _sheet_of(file)
        return db.transact(work)
    except TableFileError as error:
        raise LabelFileError(error.sentence, error.remedy) from None


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
    # In the words of its author: about the track that it was given about, once for all that took its place.
    return statement.where(annotation.c.annotation_id.in_(sa.select(answers.c.annotation_id)))


def _batches(
    sheet: Sheet, kept: Mapping[str, int], annotator: str | None, bad: list[Fault]
) -> Iterator[list[tuple[int, LabelEvent]]]:
    """Events with their lines, in batches; rows that are no events are added to bad."""
    batch: list[tuple[int, LabelEvent]] = []
    for row in rows_of(sheet, kept, _RULES):
        if isinstance(row, Fault):
            bad.append(Fault(row.line, _column_of(row.column), row.message))
            continue
        try:
            batch.append((row.line, _event(row, annotator)))
        except InvalidValue as cell:
            bad.append(Fault(row.line, cell.column, str(cell)))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch or bad:
        yield batch


def _column_of(header: str) -> str:
    """A name in a header as ours are spelt: `Track ID` and `TrackID` are track_id."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header.strip())
    return re.sub(r"[\s.-]+", "_", apart).lower()


def _sheet_of(file: Path) -> tuple[Sheet, dict[str, int]]:
    """The file, and the places of our columns in it."""
    sheet = open_sheet(file, lambda name: _column_of(name) in EVENT_COLUMNS, lambda name: _column_of(name) in _RULES)
    kept: dict[str, int] = {}
    for place, name in enumerate(sheet.header):
        if (place == 0 and sheet.index) or not name:
            continue
        ours = _column_of(name)
        if ours not in EVENT_COLUMNS:
            raise _of_another_kind(sheet, f"has an unknown column {name!r}")
        if ours in kept:
            raise _of_another_kind(sheet, "needs each column once, and track_id")
        kept[ours] = place
    if "track_id" not in kept:
        raise _of_another_kind(sheet, "needs each column once, and track_id")
    return sheet, kept


def _of_another_kind(sheet: Sheet, what: str) -> LabelFileError:
    return LabelFileError(
        f"{sheet.file}, line {sheet.header_line}: the file {what}.", f"Columns are {', '.join(EVENT_COLUMNS)}."
    )


def _event(row: Row, annotator: str | None) -> LabelEvent:
    values: dict[str, Any] = dict(row.cells)
    for name in _RULES:
        text = values.get(name)
        values[name] = None if text is None else int(text) if _RULES[name].whole else float(text)
    if values.get("client_time"):
        values["client_time"] = _moment(values["client_time"])
    values["kind"] = (values.get("kind") or "identify").lower()
    if values["kind"] == "identify" and code_of(values.get("anim_id") or "") == UNKNOWN_ANIM_ID:
        # SokweDB's row for an animal that nobody could name.
        values["kind"], values["anim_id"] = "unknown", None
    values["annotator"] = values.get("annotator") or annotator
    if not values["annotator"]:
        raise InvalidValue("annotator", "nobody is named as the one who said so")
    values["lane"] = values.get("lane") or "import"
    if values.get("annotation_id"):
        # An export of ours: these are what a person wrote, to the last blank.
        values |= {name: unguarded(row.raw[name]) or None for name in ("note", "name") if name in row.raw}
    else:
        # The id is that of the cells as they stand, as it has always been.
        said = {name: (row.raw[name].strip() or None) for name in _TEXTS if name in row.raw}
        values["annotation_id"] = str(uuid.uuid5(ROW_NAMESPACE, _content(values | _as_in_file(said, values))))
    return LabelEvent(**values)


def _as_in_file(said: Mapping[str, str | None], values: Mapping[str, Any]) -> dict[str, str | None]:
    """Texts as they stand where the file says something that the event says in the same way."""
    return {name: text for name, text in said.items() if text is not None and unguarded(text) == values.get(name)}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue("client_time", f"{text!r} is not a time like 2026-05-06T14:30:00Z") from None
    if moment.tzinfo is not None:
        try:
            moment.astimezone(UTC)
        except OverflowError:
            raise InvalidValue("client_time", f"{text!r} lies outside of the years 1 to 9999 in UTC") from None
    return moment


def _content(values: dict[str, Any]) -> str:
    """What a row without an id of its own says: two rows that differ must not get one id."""
    said = {name: values.get(name) for name in EVENT_COLUMNS if name != "annotation_id"}
    if any(isinstance(cell, str) and (cell == "None" or _BETWEEN in cell) for cell in said.values()):
        return json.dumps(said, default=str)  # a time
    # Files that were imported long ago must find their rows again: as ids were always made.
    return _BETWEEN.join(f"{name}={cell}" for name, cell in said.items())


def _bad_rows(sheet: Sheet, bad: list[Fault]) -> LabelFileError:
    named = "; ".join(f"line {row.line}, column {row.column}: {row.message}" for row in bad[:NAMED_BAD_ROWS])
    return LabelFileError(
        f"{sheet.file} cannot be imported: {named}." + "".join(f" {note}." for note in sheet.notes),
        "Mend these and import it again (nothing was stored), or leave out bad rows with --skip-bad.",
    )
