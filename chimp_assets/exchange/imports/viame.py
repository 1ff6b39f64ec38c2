"""VIAME's CSV, which DIVE writes too: a row for each box of a track.

Belongs here: track id, video or picture, frame, two corners, confidence, length, pairs of species and confidence,
attributes (`(atr)`, `(trk-atr)`). Does not belong here: DIVE's own JSON, KWCOCO (`coco`).

Frames are counted from 0. DIVE counts them at the rate of its annotation, which its head tells (`# metadata,fps: 5`)
and which need not be the video's: such a file is read by its times, and its frames are no frames of the video. Where
the second column names pictures, boxes lie on those. How damage is found: the file is read to its end for the media,
again for the boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.reading.gaps import LookedAt
from chimp_assets.exchange.imports.reading.rows import csv_rows
from chimp_assets.exchange.imports.reading.sources import Source, broken, file_source
from chimp_assets.exchange.imports.reading.values import (
    INDIVIDUAL,
    PICTURES,
    EntryError,
    LeftOut,
    attribute,
    clock_seconds,
    convention,
    frame_of,
    has_size,
    path_of,
    plain,
    rate_of,
    suffix_of,
    text_of,
    written_number,
)

_FPS = re.compile(r"fps:\s*\"?(-?\d{1,6}(?:\.\d{1,12})?)", re.IGNORECASE | re.ASCII)
_ATTRIBUTE = re.compile(r"\((atr|trk-atr)\) (.*?)\s(.+)", re.DOTALL)
_COLUMNS = 9
_KEY = "video"


@dataclass(frozen=True)
class _Row:
    """A row, taken apart. time_s: of its video, where the file tells times."""

    line: int
    track: str
    medium: Medium
    frame: int | None
    time_s: float | None
    cells: list[str]


class _File:
    """One file: names of individuals may stand in one row of their track, so they are known when it has been read."""

    def __init__(self, source: Source, stem: str, options: ReadOptions, base: int, notes: list[str]) -> None:
        self._source, self._options, self._base, self._notes = source, options, base, notes
        self._stem = stem
        self._names: dict[str, str] | None = None
        self._looked = LookedAt()

    def media(self) -> Iterator[Medium]:
        seen: set[str] = set()
        names: dict[str, str] = {}
        looked = LookedAt()
        for row in self._rows():
            try:
                named = attribute(_attributes(row.cells)["trk-atr"], INDIVIDUAL, "the attribute")
            except EntryError as error:
                raise broken(self._source.name, f"line {row.line}", str(error)) from None
            if named is not None:
                names[row.track] = named
            at = row.frame if row.time_s is None else row.time_s
            if at is not None:
                looked.add(row.medium.key, at)
                looked.follow(row.medium.key, row.track, at)
            if row.medium.key not in seen:
                seen.add(row.medium.key)
                yield row.medium
        self._names, self._looked = names, looked

    def boxes(self) -> Iterator[Box]:
        if self._names is None:
            for _ in self.media():
                pass
        left = LeftOut()
        for row in self._rows(self._notes):
            try:
                box = self._box(row, left)
            except EntryError as error:
                raise broken(self._source.name, f"line {row.line}", str(error)) from None
            if box is not None:
                yield from self._looked.before(box)
                yield box
        self._notes += left.sentences()

    def _rows(self, notes: list[str] | None = None) -> Iterator[_Row]:
        fps: float | None = None
        empty = True
        for line, cells in csv_rows(self._source, notes):
            if cells[0].lstrip().startswith("#"):
                told = _FPS.search(",".join(cells))
                rate = rate_of(float(told[1])) if told else None
                fps, empty = rate or fps, False
                continue
            empty = False
            try:
                yield self._row(line, cells, fps)
            except EntryError as error:
                raise broken(self._source.name, f"line {line}", str(error)) from None
        if empty:
            raise broken(self._source.name, "", "the file is empty", "Export it again.")

    def _row(self, line: int, cells: list[str], fps: float | None) -> _Row:
        if len(cells) < _COLUMNS:
            raise EntryError(f"it has {len(cells)} cells, a row of VIAME has at least {_COLUMNS}")
        track = text_of(cells[0].strip(), "the track id")
        if track is None:
            raise EntryError("the track id is missing")
        frame = frame_of(cells[2], self._base)
        named = cells[1].strip()
        time_s = clock_seconds(named)
        if named and time_s is None and suffix_of(named) in PICTURES:
            path = path_of(named, "the name of the picture")
            return _Row(line, track, Medium(path, path), None, None, cells)
        if time_s is None and fps:
            time_s = frame / fps
        path = self._options.video or self._stem
        if named and clock_seconds(named) is None:
            path = path_of(named, "the name of the video")
        key = _KEY if path in (self._options.video, self._stem) else path
        return _Row(line, track, Medium(key, path), None if time_s is not None else frame, time_s, cells)

    def _box(self, row: _Row, left: LeftOut) -> Box | None:
        place = f"line {row.line}"
        x, y, right, bottom, sure, length = (
            written_number(cell, what)
            for cell, what in zip(row.cells[3:9], ("TL_x", "TL_y", "BR_x", "BR_y", "confidence", "length"), strict=True)
        )
        if not has_size(right - x, bottom - y):
            left.add("boxes without width or height", place)
            return None
        if length > 0:
            left.add("lengths of animals", place)
        if any(cell.startswith(("(poly)", "(kp)")) for cell in row.cells[_COLUMNS:]):
            left.add("outlines and key points", place)
        pairs = _pairs(row.cells)
        said = _attributes(row.cells)
        individual = attribute(said["trk-atr"], INDIVIDUAL, "the attribute") or attribute(
            said["atr"], INDIVIDUAL, "the attribute"
        )
        return Box(
            row.medium.key,
            time_s=row.time_s,
            frame=row.frame,
            x=x,
            y=y,
            w=right - x,
            h=bottom - y,
            score=sure if 0 <= sure <= 1 else None,
            track=row.track,
            individual=individual or (self._names or {}).get(row.track),
            category=max(pairs, key=lambda pair: pair[1])[0] if pairs else None,
            place=place,
        )


def _pairs(cells: list[str]) -> list[tuple[str, float]]:
    """Species and their confidences."""
    pairs = []
    for at in range(_COLUMNS, len(cells) - 1, 2):
        if cells[at].startswith("("):
            break
        species = text_of(cells[at], "the species")
        if species is not None:
            pairs.append((species, written_number(cells[at + 1], f"the confidence of {species}")))
    return pairs


def _attributes(cells: list[str]) -> dict[str, dict[str, str]]:
    """Attributes of the box and of the track, by plain name."""
    found: dict[str, dict[str, str]] = {"atr": {}, "trk-atr": {}}
    for cell in cells[_COLUMNS:]:
        said = _ATTRIBUTE.fullmatch(cell) if cell.startswith("(") else None
        if said:
            found[said[1]][plain(said[2])] = said[3]
    return found


def _read(path: Path, options: ReadOptions) -> Reading:
    base, said_by = convention(options, 0)
    notes: list[str] = []
    file = _File(file_source(path), path.stem, options, base, notes)
    return Reading(file.media(), file.boxes(), base, said_by, notes)


IMPORT = ImportFormat(
    "VIAME's or DIVE's CSV: tracks of a video or of numbered pictures, with species and attributes.", (".csv",), _read
)
