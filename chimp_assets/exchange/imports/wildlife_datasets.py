"""Tables of the WildlifeDatasets library: a picture a row, with path and identity.

Belongs here: its columns (wildlife-datasets 1.x, `WildlifeDataset.df`). Does not belong here: how tables are read
(`tables`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chimp_assets.database.csv_sheets import InvalidValue, Row
from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Reading, ReadOptions
from chimp_assets.exchange.imports.tables.cells import numbers_of
from chimp_assets.exchange.imports.tables.columns import TableForm, checked_path, read_form, time_facts

_COLUMNS = {
    "path": "path", "identity": "identity", "bbox": "bbox", "date": "date", "datetime": "date", "species": "species",
    "segmentation": "segmentation", "video": "video", "imageid": "image_id",
}  # fmt: skip
_NONE = frozenset({"", "nan", "none", "nat", "unknown"})


def read(file: Path, options: ReadOptions) -> Reading:
    """A CSV file with path and identity. bbox: x, y, width, height in pixels; segmentation: polygons (COCO), whose
    bounds are taken where there is no bbox; identity `unknown` names nobody. Raises ImportFileError."""
    form = TableForm(_COLUMNS, ("path", "identity"), _boxes, lambda row: checked_path(row, "path"), _facts)
    reading, there = read_form(file, form)
    if "segmentation" in there:
        reading.notes.append("of segmentations only the bounds of polygons are taken in, where there is no bbox")
    return reading


def _facts(row: Row) -> dict[str, Any]:
    text = row.cells.get("date")
    return {} if text is None or text.strip().lower() in _NONE else time_facts(row)


def _boxes(row: Row, path: str) -> Iterator[Box]:
    identity = row.cells.get("identity") or ""
    sides = _bbox(row) or _bounds(row)
    individual = None if identity.strip().lower() in _NONE else identity
    if individual is None and sides is None:
        return
    x, y, w, h = sides or (None, None, None, None)
    species = row.cells.get("species")
    yield Box(path, x=x, y=y, w=w, h=h, individual=individual, category=species, place=f"line {row.line}")


def _bbox(row: Row) -> tuple[float, float, float, float] | None:
    text = row.cells.get("bbox")
    if text is None or text.strip().lower() in _NONE:
        return None
    try:
        numbers = numbers_of(text)
    except ValueError as error:
        raise InvalidValue("bbox", str(error)) from None
    if len(numbers) != 4:
        raise InvalidValue("bbox", f"a box has x, y, width and height; here are {len(numbers)} numbers")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _bounds(row: Row) -> tuple[float, float, float, float] | None:
    """Bounds of the polygons of a segmentation; None for masks in other forms, which are files or run lengths."""
    text = row.cells.get("segmentation")
    if text is None or not text.strip().startswith("["):
        return None
    try:
        polygons = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidValue("segmentation", f"{text[:40]!r} is no list of polygons") from None
    if polygons and all(isinstance(one, int | float) for one in polygons):
        polygons = [polygons]
    points = [n for one in polygons if isinstance(one, list) for n in one]
    if not points or len(points) % 2 or not all(isinstance(n, int | float) and abs(n) < 1e9 for n in points):
        raise InvalidValue("segmentation", f"{text[:40]!r} is no list of polygons")
    xs, ys = points[::2], points[1::2]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    return (min(xs), min(ys), wide, high) if wide > 0 and high > 0 else None


IMPORT = ImportFormat("A table of WildlifeDatasets: path, identity; also bbox, date.", (".csv",), read)
