"""Rows of MOT tables: frame, id, left, top, width, height, confidence or flag, class or x, visibility or y, z.

Belongs here: what a row means (motchallenge.net/instructions; devkits MOT15 to MOT20). Does not belong here: which
tables there are (`sequences`).

Frames are counted from 1. Some programs wrote them from 0 (datumaro#560): a frame 0 proves it, so the first column is
read to its end by `read`. Left and top are taken as written, as CVAT does: MOT means the corner of the first pixel to
be (1, 1), and few programs follow. An id of -1 is a detection without a track.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from chimp_assets.exchange.imports.annotations import Box, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.mot.sequences import Sequence, sequences
from chimp_assets.exchange.imports.reading.gaps import LookedAt
from chimp_assets.exchange.imports.reading.rows import csv_rows
from chimp_assets.exchange.imports.reading.sources import broken
from chimp_assets.exchange.imports.reading.values import (
    EntryError,
    LeftOut,
    convention,
    frame_of,
    has_size,
    text_of,
    whole,
    written_number,
)

_TRUTH_COLUMNS = 9
_EDGES = ("left", "top", "width", "height")


def read(path: Path, options: ReadOptions) -> Reading:
    """A table or a zip of sequences. Raises ImportFileError."""
    found = sequences(path, options)
    base: int
    said: Literal["format", "file"]
    base, said = (0, "file") if options.frame_base is None and any(map(_has_frame_0, found)) else (1, "format")
    base, said_by = convention(options, base, said)
    notes: list[str] = []
    return Reading(_media(found), _boxes(found, base, notes), base, said_by, notes)


def _media(found: list[Sequence]) -> Iterator[Medium]:
    yield from (one.medium for one in found)


def _looked_at(found: list[Sequence], base: int) -> LookedAt:
    """The frames of each sequence: those of frames.csv, else those with any box."""
    looked = LookedAt()
    for sequence in found:
        key, times = sequence.medium.key, sequence.times
        for time_s in times.values():
            looked.add(key, time_s)
        for _, cells in csv_rows(sequence.table):
            try:
                number = whole(cells[0], "the frame")
                at = float(number - base) if not times else times[number]
                looked.follow(key, _track(cells[1]), at)
            except (EntryError, IndexError, KeyError):
                continue  # whoever reads the boxes says where
            if not times:
                looked.add(key, at)
    return looked


def _has_frame_0(sequence: Sequence) -> bool:
    return any(cells[0].strip() == "0" for _, cells in csv_rows(sequence.table))


def _boxes(found: list[Sequence], base: int, notes: list[str]) -> Iterator[Box]:
    left = LeftOut()
    looked = _looked_at(found, base)
    for sequence in found:
        ends: list[str] = []
        for line, cells in csv_rows(sequence.table, ends):
            try:
                box = _box(sequence, cells, base, left, f"line {line}")
            except EntryError as error:
                raise broken(sequence.table.name, f"line {line}", str(error)) from None
            if box is not None:
                yield from looked.before(box)
                yield box
        notes += [f"{sequence.table.name}: {note}" for note in ends]
    notes += left.sentences()


def _box(sequence: Sequence, cells: list[str], base: int, left: LeftOut, place: str) -> Box | None:
    if len(cells) < 6:
        raise EntryError(f"it has {len(cells)} cells, a row of MOT has at least 6, with commas between them")
    number = whole(cells[0], "the frame")
    time_s = sequence.times.get(number)
    frame = frame_of(number, base) if time_s is None else None
    if time_s is None and sequence.times:
        raise EntryError(f"frames.csv does not hold frame {number}")
    x, y, w, h = (written_number(cell, name) for cell, name in zip(cells[2:6], _EDGES, strict=True))
    if not has_size(w, h):
        left.add("boxes without width or height", place)
        return None
    score, category = None, None
    sure = written_number(cells[6], "the confidence") if len(cells) > 6 and cells[6].strip() else 1.0
    if sequence.is_truth and len(cells) == _TRUTH_COLUMNS:
        if sure == 0:
            left.add("boxes that the file says to ignore (a 0 in column 7)", place)
            return None
        category = _class_of(sequence, cells[7])
        if written_number(cells[8], "the visibility") < 1:
            left.add("shares of an animal that are visible", place)
    elif 0 <= sure <= 1:
        score = sure
    track = _track(cells[1])
    return Box(
        sequence.medium.key, time_s=time_s, frame=frame, x=x, y=y, w=w, h=h, score=score, track=track,
        individual=None if track is None else sequence.names.get(track), category=category, place=place,
    )  # fmt: skip


def _track(cell: str) -> str | None:
    """An id as text; None for -1. 3.0 is 3, as some programs write it."""
    written = cell.strip()
    head, point, tail = written.partition(".")
    if point and not tail.strip("0"):
        written = head
    if written == "-1":
        return None
    found = text_of(written, "the id")
    if found is None:
        raise EntryError("the id is missing")
    return found


def _class_of(sequence: Sequence, cell: str) -> str | None:
    """Name of a class, which are numbered from 1; its number where no labels.txt tells."""
    number = whole(cell.strip(), "the class")
    if 1 <= number <= len(sequence.labels):
        return sequence.labels[number - 1]
    return str(number) if number > 0 else None
