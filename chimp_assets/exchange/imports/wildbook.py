"""Exports of Wildbook: an encounter a row, with its pictures, the individual and the day.

Belongs here: its columns (Wildbook's bulk import and export sheets). Does not belong here: how tables are read
(`tables`). Wildbook writes sheets of Excel: save them as CSV.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from chimp_assets.database.csv_sheets import InvalidValue, Row, TableFileError, open_sheet, plain
from chimp_assets.exchange.imports.annotations import Box, ImportFileError, ImportFormat, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.tables.cells import path_of
from chimp_assets.exchange.imports.tables.columns import TableForm, number_in, read_form, time_facts

_ASSET = re.compile(r"encounter\.?mediaasset(\d{1,3})(?:\.?(?:imageurl|filename))?", re.IGNORECASE)
_COLUMNS = {
    "encounterindividualid": "individual", "markedindividualindividualid": "individual", "name0value": "individual",
    "name0.value": "individual", "individualid": "individual", "encounteryear": "year", "encountermonth": "month",
    "encounterday": "day", "encounterhour": "hour", "encounterminutes": "minutes", "encounterdatetime": "moment",
    "encounterdate": "moment", "encounterspecificepithet": "species", "encounterlocationid": "site",
}  # fmt: skip


def read(file: Path, options: ReadOptions) -> Reading:
    """A CSV file with Encounter.mediaAsset0 (1, 2 ...: more pictures of the same encounter), the individual in
    Encounter.individualID or Name0.value, Encounter.year, month and day, and hour where it is known. Raises
    ImportFileError.
    """
    try:
        sheet = open_sheet(file, lambda name: plain(name) in _COLUMNS or bool(_ASSET.match(name)), lambda name: False)
    except TableFileError as error:
        raise ImportFileError(error.sentence, error.remedy) from None
    assets = {plain(name): f"asset{found[1]}" for name in sheet.header if (found := _ASSET.fullmatch(name.strip()))}
    columns = {**{plain(name): ours for name, ours in _COLUMNS.items()}, **assets}
    numbers = sorted(set(assets.values()))
    if "asset0" not in numbers:
        raise ImportFileError(
            f"{file}, line {sheet.header_line}: there is no column Encounter.mediaAsset0.",
            "Export encounters with their media, and save the sheet as CSV.",
        )
    readings = [_reading(file, columns, asset) for asset in numbers]
    first = readings[0]
    for other in readings[1:]:
        other.faults = first.faults  # the same rows
    return replace(
        first,
        media=_once(medium for reading in readings for medium in reading.media),
        boxes=(box for reading in readings for box in reading.boxes),
    )


def _reading(file: Path, columns: dict[str, str], asset: str) -> Reading:
    form = TableForm(columns, (asset,), _boxes, lambda row: path_of(row.cells.get(asset) or ""), _facts)
    return read_form(file, form)[0]


def _once(media: Iterator[Medium]) -> Iterator[Medium]:
    seen: set[str] = set()
    for medium in media:
        if medium.path and medium.path not in seen:
            seen.add(medium.path)
            yield medium


def _facts(row: Row) -> dict[str, Any]:
    parts = {name: number_in(row, name) for name in ("year", "month", "day", "hour", "minutes")}
    if any(value is not None and value != int(value) for value in parts.values()):
        raise InvalidValue("Encounter.year", "a part of the date is no whole number")
    site = row.cells.get("site")
    year, month, day, hour, minute = (None if value is None else int(value) for value in parts.values())
    if year is None or month is None or day is None:
        return {**(time_facts(row, "moment") if row.cells.get("moment") else {}), "site": site}
    try:
        if hour is None:
            return {"recorded_on": date(year, month, day), "site": site}
        return {"recorded_at": datetime(year, month, day, hour, minute or 0), "site": site}
    except (ValueError, OverflowError):
        raise InvalidValue("Encounter.day", f"there is no day {year}-{month}-{day}") from None


def _boxes(row: Row, path: str) -> Iterator[Box]:
    individual = row.cells.get("individual")
    if path and individual:
        yield Box(path, individual=individual, category=row.cells.get("species"), place=f"line {row.line}")


IMPORT = ImportFormat(
    "Encounters of Wildbook, its sheet saved as CSV: Encounter.mediaAsset0, Name0.value, Encounter.year.",
    (".csv",),
    read,
)
