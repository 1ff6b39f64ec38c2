"""Tables of annotations, a row an animal: columns by many names, media gathered, faults named by line.

Belongs here: reading such a table in two passes (media first, then boxes), so that none is held in memory. Does not
belong here: which columns a format has (its module), single cells (`cells`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from chimp_assets.database.csv_sheets import Fault, InvalidValue, Row, Sheet, TableFileError, open_sheet, plain, rows_of
from chimp_assets.exchange.imports.annotations import Box, ImportFileError, Medium, Reading
from chimp_assets.exchange.imports.tables.cells import moment_of, path_of


@dataclass(frozen=True)
class TableForm:
    """A format that is a table. columns: our names by plain header; needs: ours that must be there; medium: what a row
    says of its medium; boxes: what it says of animals, none or several. Both raise InvalidValue.
    """

    columns: Mapping[str, str]
    needs: tuple[str, ...]
    boxes: Callable[[Row, str], Iterator[Box]]
    path: Callable[[Row], str]
    facts: Callable[[Row], dict[str, Any]] = field(default=lambda row: {})


def read_form(file: Path, form: TableForm) -> tuple[Reading, frozenset[str]]:
    """A table as a Reading, and our names of the columns that it has. Raises ImportFileError."""
    try:
        sheet = open_sheet(file, lambda name: plain(name) in form.columns, lambda name: False)
    except TableFileError as error:
        raise ImportFileError(error.sentence, error.remedy) from None
    kept, left = _columns(sheet, form)
    reading = Reading(iter(()), iter(()), notes=[*sheet.notes])
    if left:
        reading.notes.append(f"columns that are not taken in: {', '.join(left[:20])}")
    reading.media = _media(sheet, kept, form, reading)
    reading.boxes = _boxes(sheet, kept, form)
    return reading, frozenset(kept)


def _columns(sheet: Sheet, form: TableForm) -> tuple[dict[str, int], list[str]]:
    kept: dict[str, int] = {}
    left: list[str] = []
    for place, name in enumerate(sheet.header):
        if not name or (place == 0 and sheet.index):
            continue
        ours = form.columns.get(plain(name))
        if ours is None or ours in kept:
            left.append(name[:60])  # of two columns that mean the same the first counts
        else:
            kept[ours] = place
    missing = [ours for ours in form.needs if ours not in kept]
    if missing:
        raise ImportFileError(
            f"{sheet.file}, line {sheet.header_line}: there is no column {missing[0]}.",
            f"Needed: {', '.join(form.needs)}; may be there: "
            f"{', '.join(dict.fromkeys(ours for ours in form.columns.values() if ours not in form.needs))}.",
        )
    return kept, left


def _rows(sheet: Sheet, kept: Mapping[str, int]) -> Iterator[Row | Fault]:
    try:
        yield from rows_of(sheet, kept, {})
    except TableFileError as error:
        raise ImportFileError(error.sentence, error.remedy) from None


def _media(sheet: Sheet, kept: Mapping[str, int], form: TableForm, reading: Reading) -> Iterator[Medium]:
    """Each path once. What rows of one medium say of it must agree, else it is a fault of the later row."""
    seen: dict[str, tuple[int, dict[str, Any]]] = {}
    for row in _rows(sheet, kept):
        if isinstance(row, Fault):
            reading.faults.append(str(row))
            continue
        try:
            path = form.path(row)
            facts = {name: value for name, value in form.facts(row).items() if value is not None}
            for _ in form.boxes(row, path):
                pass
        except InvalidValue as wrong:
            reading.faults.append(f"line {row.line}, {wrong.column}: {wrong}")
            continue
        line, before = seen.setdefault(path, (row.line, {}))
        for name, value in facts.items():
            if name in before and not _is_same(before[name], value):
                what = name.replace("_", " ")
                reading.faults.append(f"line {row.line}: {what} {value} of {path[:80]}, {before[name]} on line {line}")
            before.setdefault(name, value)
    for path, (_, facts) in seen.items():
        yield Medium(path, path, **facts)


def _boxes(sheet: Sheet, kept: Mapping[str, int], form: TableForm) -> Iterator[Box]:
    """Boxes of rows that are no faults; those are named when media are read."""
    for row in _rows(sheet, kept):
        if isinstance(row, Fault):
            continue
        try:
            path = form.path(row)
            form.facts(row)
            yield from form.boxes(row, path)
        except InvalidValue:
            continue


def _is_same(one: Any, other: Any) -> bool:
    """Rows of one video may each say when the animal came: of one day they do not contradict each other."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one.date() == other.date()
    return bool(one == other)


def checked_path(row: Row, column: str = "file") -> str:
    """The path of a row. Raises InvalidValue if there is none."""
    text = path_of(row.cells.get(column) or "")
    if not text:
        raise InvalidValue(column, "no file is named")
    return text


def time_facts(row: Row, column: str = "date") -> dict[str, Any]:
    """recorded_at or recorded_on of a row. Raises InvalidValue."""
    text = row.cells.get(column)
    if not text:
        return {}
    try:
        found = moment_of(text)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(column, str(error)) from None
    if isinstance(found, datetime):
        return {"recorded_at": found}
    assert isinstance(found, date)
    return {"recorded_on": found}


def number_in(row: Row, column: str) -> float | None:
    """A number with a point or, alone, a comma. Raises InvalidValue."""
    text = row.cells.get(column)
    if not text:
        return None
    try:
        value = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        raise InvalidValue(column, f"{text[:40]!r} is not a number") from None
    if not abs(value) < 1e12:
        raise InvalidValue(column, f"{text[:40]!r} is no number of a picture")
    return value
