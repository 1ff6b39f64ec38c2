"""A plain table, as spreadsheets hold it: file, individual; where wanted time or frame, box, track, date.

Belongs here: its columns. Does not belong here: how tables are read (`tables`). The name of the module is that of the
format; imports here are absolute, so that Python's own `csv` is never meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chimp_assets.database.csv_sheets import InvalidValue, Row
from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Reading, ReadOptions
from chimp_assets.exchange.imports.tables.cells import path_of, seconds_of
from chimp_assets.exchange.imports.tables.columns import TableForm, checked_path, number_in, read_form, time_facts

_COLUMNS = {
    "file": "file", "filename": "file", "filepath": "file", "path": "file", "media": "file", "medium": "file",
    "video": "file", "image": "file", "picture": "file", "photo": "file", "uri": "file", "filenames": "file",
    "individual": "individual", "individualid": "individual", "animid": "individual", "identity": "individual",
    "name": "individual", "label": "individual", "animal": "individual", "id": "individual", "who": "individual",
    "time": "time", "times": "time", "timesec": "time", "seconds": "time", "second": "time", "second(s)": "time",
    "frame": "frame", "frameno": "frame", "framenumber": "frame", "frameindex": "frame",
    "track": "track", "trackid": "track", "x": "x", "left": "x", "xmin": "x", "x1": "x", "y": "y", "top": "y",
    "ymin": "y", "y1": "y", "w": "w", "width": "w", "boxwidth": "w", "h": "h", "height": "h", "boxheight": "h",
    "xmax": "xmax", "x2": "xmax", "right": "xmax", "ymax": "ymax", "y2": "ymax", "bottom": "ymax",
    "date": "date", "datetime": "date", "recordedat": "date", "day": "date", "timestamp": "date",
    "site": "site", "camera": "camera", "score": "score", "confidence": "score", "category": "category",
    "species": "category", "hash": "content_hash", "contenthash": "content_hash",
    "imagewidth": "image_width", "imageheight": "image_height", "fps": "fps",
}  # fmt: skip
_OURS = tuple(dict.fromkeys(_COLUMNS.values()))


def read(file: Path, options: ReadOptions) -> Reading:
    """A CSV file with columns file and individual. time: seconds or h:mm:ss since the first picture; frame: from
    --frame-base, else 0; x, y, w, h (or xmax, ymax): pixels, or fractions where no number of any row is above 1. Raises
    ImportFileError.
    """
    base, largest = options.frame_base or 0, [0.0]

    def boxes(row: Row, path: str) -> Iterator[Box]:
        for box in _boxes(row, path, base):
            # Media are read first, and every row with them: then it is known whether all boxes are fractions.
            largest[0] = max(largest[0], *(side or 0.0 for side in (box.x, box.y, box.w, box.h)))
            yield replace(box, unit="fraction" if largest[0] <= 1 else "pixel")

    reading, there = read_form(file, TableForm(_COLUMNS, ("file",), boxes, checked_path, _facts))
    if "frame" in there:
        reading.frame_base = base
        reading.said_by = "format" if options.frame_base is None else "person"
    if {"x", "y"} <= there:
        reading.boxes = _with_note(reading.boxes, reading, largest)
    return reading


def _with_note(boxes: Iterator[Box], reading: Reading, largest: list[float]) -> Iterator[Box]:
    unit = "fractions of the picture" if largest[0] <= 1 else "pixels"
    reading.notes.append(f"boxes were read as {unit}")
    yield from boxes


def _facts(row: Row) -> dict[str, Any]:
    sizes = {ours: number_in(row, column) for ours, column in (("width", "image_width"), ("height", "image_height"))}
    facts: dict[str, Any] = {name: None if size is None else int(size) for name, size in sizes.items()}
    fps = number_in(row, "fps")
    texts = {name: row.cells.get(name) for name in ("site", "camera", "content_hash")}
    return {**facts, "fps": fps, **texts, **time_facts(row)}


def _boxes(row: Row, path: str, base: int) -> Iterator[Box]:
    sides = {name: number_in(row, name) for name in ("x", "y", "w", "h", "xmax", "ymax")}
    for low, size, high in (("x", "w", "xmax"), ("y", "h", "ymax")):
        begin, end = sides[low], sides[high]
        if sides[size] is None and begin is not None and end is not None:
            sides[size] = end - begin
    given = [name for name in ("x", "y", "w", "h") if sides[name] is not None]
    if given and len(given) < 4:
        raise InvalidValue(given[0], "a box needs x, y, w and h, or x, y, xmax and ymax")
    individual, track = row.cells.get("individual"), row.cells.get("track")
    if not given and individual is None and track is None:
        return  # a row of a file in which nobody is
    time_text, frame = row.cells.get("time"), number_in(row, "frame")
    if frame is not None and (frame != int(frame) or frame < base):
        raise InvalidValue("frame", f"{row.cells['frame']} is no frame where the first is {base}")
    try:
        time_s = None if time_text is None else seconds_of(time_text)
    except ValueError as error:
        raise InvalidValue("time", str(error)) from None
    yield Box(
        path_of(path), time_s, None if frame is None or time_s is not None else int(frame) - base,
        sides["x"], sides["y"], sides["w"], sides["h"], score=number_in(row, "score"), track=track,
        individual=individual, category=row.cells.get("category"), place=f"line {row.line}",
    )  # fmt: skip


IMPORT = ImportFormat("A table in CSV: file, individual; also time or frame, box, track, date.", (".csv", ".tsv"), read)
