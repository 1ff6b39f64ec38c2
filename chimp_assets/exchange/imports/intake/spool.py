"""A file of annotations on disk, in order of its media, once all of it was read and looked at.

Belongs here: keeping what a reader yields in a temporary database, row by row, and the faults of single rows. Does not
belong here: reading a format, finding videos (`matching`).

Two reasons for the disk: nothing may be stored before the last row was read, and boxes of one medium may lie anywhere.
"""

from __future__ import annotations

import math
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

from chimp_assets.database.texts import fault_of
from chimp_assets.exchange.imports.annotations import Box, ImportFileError, Medium, Reading

_ROWS = 5_000
_LATEST_S = 1e7
_LATEST_FRAME = 2**40
_FARTHEST = 1e7
_MOST_FAULTS = 1_000
"""Faults that are kept; a file with more is no file of this format."""
_MEDIUM = (
    "key", "path", "width", "height", "fps", "n_frames", "recorded_at", "content_hash", "site", "camera", "recorded_on",
)  # fmt: skip
_BOX = (
    "medium", "time_s", "frame", "x", "y", "w", "h", "unit", "score", "track", "individual", "category", "outside",
    "place", "annotator",
)  # fmt: skip
_PLAIN = "b.unit = 'fraction' AND b.x IS NOT NULL AND (b.time_s IS NOT NULL OR b.frame IS NULL)"
_SCHEMA = """
CREATE TABLE medium (no INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, width, height, fps, n_frames, recorded_at,
    content_hash, site, camera, recorded_on);
CREATE TABLE box (n INTEGER PRIMARY KEY, medium TEXT, time_s, frame, x, y, w, h, unit, score, track, individual,
    category, outside, place, annotator);
CREATE TABLE row (uri TEXT PRIMARY KEY, video_id INTEGER, bundle_id INTEGER, state TEXT, bytes INTEGER,
    content_hash TEXT, copy_of INTEGER, exact TEXT, folded TEXT, own_id INTEGER, own_bundle INTEGER);
CREATE TABLE match (no INTEGER PRIMARY KEY, uri TEXT, how TEXT, depth INTEGER);
CREATE TABLE miss (no INTEGER PRIMARY KEY, why TEXT, candidates TEXT);
"""


@dataclass(frozen=True)
class MatchedMedium:
    """A medium and its file in the archive. number: of the medium in the file; row_id: of the file's row of `video`;
    state: of that row, which may be retired: a copy, or a picture of a burst."""

    number: int
    row_id: int
    bundle_id: int
    uri: str
    state: str
    medium: Medium


_values_of = attrgetter(*_BOX)


class Spool:
    """Media and boxes of one file, and the archive's rows that they are matched with. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chimp-import-")
        self.db = sqlite3.connect(Path(self._folder.name) / "spool.db", isolation_level=None)
        # Nothing here outlives the process: no journal, no waiting for the disk.
        self.db.execute("PRAGMA journal_mode=OFF")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA temp_store=FILE")
        self.db.executescript(_SCHEMA)
        self.faults: list[str] = []
        self.n_faults = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.db.close()
        self._folder.cleanup()

    def fill(self, reading: Reading) -> None:
        """Everything that a reader yields. Rows that cannot be are faults and are left out. Raises ImportFileError."""
        self.db.execute("BEGIN")
        media = (row for number, medium in enumerate(reading.media) for row in self._medium_row(number, medium))
        self._insert("OR IGNORE INTO medium", ("no", *_MEDIUM), media)
        boxes = (row for box in reading.boxes for row in self._box_row(box))
        self._insert("INTO box", _BOX, boxes)
        self.db.execute("COMMIT")
        for fault in reading.faults:
            self.fault(fault)
        self.db.execute("CREATE INDEX box_medium ON box (medium, n)")
        stray = self.db.execute(
            "SELECT place, medium FROM box WHERE medium NOT IN (SELECT key FROM medium) ORDER BY n LIMIT 20"
        ).fetchall()
        for place, medium in stray:
            self.fault(_at(place, f"it is about {medium[:80]!r}, which the file does not list"))

    def fault(self, sentence: str) -> None:
        """Notes a row that cannot be taken in. Raises ImportFileError where there are more than any file has."""
        self.n_faults += 1
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(sentence)

    def media(self) -> Iterator[tuple[int, Medium]]:
        """All media with their numbers, in the order of the file."""
        for row in self.db.execute(f"SELECT no, {', '.join(_MEDIUM)} FROM medium ORDER BY no"):  # noqa: S608  our names
            yield row[0], _medium(row[1:])

    def matched(self, by_bundle: bool = False) -> Iterator[MatchedMedium]:
        """Media that have a row of the archive, in the order of the file; or by bundle, each copy as its original."""
        columns = ", ".join(f"m.{name}" for name in _MEDIUM)
        order = "r.own_bundle, m.no" if by_bundle else "m.no"
        row = "r.own_id, r.own_bundle" if by_bundle else "r.video_id, r.bundle_id"
        statement = (
            f"SELECT m.no, {row}, r.uri, r.state, {columns} FROM match x"  # noqa: S608  our names
            f" JOIN medium m ON m.no = x.no JOIN row r ON r.uri = x.uri ORDER BY {order}"
        )
        for row in self.db.execute(statement):
            number, row_id, bundle_id, uri, state = row[:5]
            yield MatchedMedium(number, row_id, bundle_id, uri, state, _medium(row[5:]))

    def boxes(self, medium: Medium) -> list[Box]:
        """The boxes of one medium, in the order of the file."""
        rows = self.db.execute(
            f"SELECT {', '.join(_BOX)} FROM box WHERE medium = ? ORDER BY n",  # noqa: S608  our names
            (medium.key,),
        )
        found = []
        for row in rows:
            values = dict(zip(_BOX, row, strict=True))
            values["outside"] = bool(values["outside"])
            found.append(Box(**values))
        return found

    def plain_boxes(self, bundle_id: int) -> list[tuple[Any, ...]]:
        """(row of `video`, seconds, x, y, w, h, score, category, outside) of the boxes of a bundle's media that need no
        more to be placed: fractions, with a time or in a picture."""
        return self.db.execute(
            "SELECT r.own_id, coalesce(b.time_s, 0), b.x, b.y, b.w, b.h, coalesce(b.score, 1), b.category, b.outside"  # noqa: S608
            f" FROM row r JOIN match x ON x.uri = r.uri JOIN medium m ON m.no = x.no JOIN box b ON b.medium = m.key"
            f" WHERE r.own_bundle = ? AND {_PLAIN}",
            (bundle_id,),
        ).fetchall()

    def is_plain(self, medium: Medium) -> bool:
        """Whether all boxes of a medium are in `plain_boxes`."""
        other = self.db.execute(f"SELECT 1 FROM box b WHERE b.medium = ? AND NOT ({_PLAIN}) LIMIT 1", (medium.key,))  # noqa: S608
        return other.fetchone() is None

    def names(self) -> list[tuple[str, int]]:
        """Individuals that boxes of matched media name, as written, with the number of boxes."""
        return self.db.execute(
            "SELECT individual, count(*) FROM box WHERE individual IS NOT NULL AND medium IN"
            " (SELECT key FROM medium WHERE no IN (SELECT no FROM match)) GROUP BY individual ORDER BY individual"
        ).fetchall()

    def annotators(self) -> list[tuple[str, int]]:
        """Who named individuals, as the file says, with the number of boxes."""
        return self.db.execute(
            "SELECT annotator, count(*) FROM box WHERE annotator IS NOT NULL AND individual IS NOT NULL"
            " GROUP BY annotator ORDER BY annotator"
        ).fetchall()

    def _insert(self, into: str, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        rows = iter(rows)
        statement = f"INSERT {into} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        try:
            while part := list(islice(rows, _ROWS)):
                self.db.executemany(statement, part)
        except (sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError, UnicodeError) as error:
            raise ImportFileError(
                f"The file holds a value that is no text or number of this format: {error}.", "Look at its rows."
            ) from None

    def _medium_row(self, number: int, medium: Medium) -> Iterator[tuple[Any, ...]]:
        fault = _fault_of_medium(medium)
        if fault is not None:
            self.fault(f"{str(medium.path)[:80]!r}: {fault}")
            return
        values = [getattr(medium, name) for name in _MEDIUM]
        yield (number, *(v.isoformat() if isinstance(v, date) else v for v in values))

    def _box_row(self, box: Box) -> Iterator[tuple[Any, ...]]:
        fault = _fault_of_box(box)
        if fault is not None:
            self.fault(_at(box.place, fault))
            return
        yield _values_of(box)


def _medium(row: Any) -> Medium:
    values = dict(zip(_MEDIUM, row, strict=True))
    if values["recorded_at"] is not None:
        values["recorded_at"] = datetime.fromisoformat(values["recorded_at"])
    if values["recorded_on"] is not None:
        values["recorded_on"] = date.fromisoformat(values["recorded_on"])
    return Medium(**values)


def _at(place: str, sentence: str) -> str:
    return f"{place}: {sentence}" if place else sentence[0].upper() + sentence[1:]


def _text_fault(what: str, text: str | None, longest: int) -> str | None:
    if text is None or (type(text) is str and len(text) <= longest and text.isascii() and "\x00" not in text):
        return None  # nearly all: the rest takes ten times as long
    if not isinstance(text, str):
        return f"{what} is no text"
    wrong = fault_of(text, longest)
    return f"{what} {wrong}" if wrong else None


def _fault_of_medium(medium: Medium) -> str | None:
    wrong = (
        _text_fault("its name", medium.path, 2_000)
        or _text_fault("its key", medium.key, 2_000)
        or _text_fault("the site", medium.site, 100)
        or _text_fault("the camera", medium.camera, 100)
        or _text_fault("the hash", medium.content_hash, 200)
    )
    if wrong:
        return wrong
    if not medium.path.strip():
        return "it has no name"
    for what, number in (("width", medium.width), ("height", medium.height), ("number of frames", medium.n_frames)):
        if number is not None and not 0 <= number <= _LATEST_FRAME:
            return f"its {what} is {number}"
    if medium.fps is not None and not 0 < medium.fps <= 10_000:
        return f"it has {medium.fps} frames a second"
    return None


def _fault_of_box(box: Box) -> str | None:
    """Why a row cannot be true of any video, to follow its place; None if it can."""
    wrong = (
        _text_fault("the track", box.track, 190)
        or _text_fault("the individual", box.individual, 200)
        or _text_fault("the category", box.category, 500)
        or _text_fault("the place", box.place, 500)
        or _text_fault("who named it", box.annotator, 500)
    )
    if wrong:
        return wrong
    x, y, w, h = box.x, box.y, box.w, box.h
    for number in (x, y, w, h, box.time_s, box.score):
        if number is not None and (type(number) is bool or not math.isfinite(number)):
            return "a number is missing or is none"
    if x is None or y is None or w is None or h is None:
        if not (x is None and y is None and w is None and h is None):
            return "a box needs x, y, width and height"
    elif not (w > 0 and h > 0):
        return f"a box of {w:g} x {h:g} holds nothing"
    elif not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST and w <= _FARTHEST and h <= _FARTHEST):
        return "the box lies far outside of any picture"
    if box.time_s is not None and not 0 <= box.time_s <= _LATEST_S:
        return f"{box.time_s:g} s is no time in a video"
    if box.frame is not None and not 0 <= box.frame <= _LATEST_FRAME:
        return f"frame {box.frame} is none: the first is 0 once the base is taken away (--frame-base)"
    if box.score is not None and not 0 <= box.score <= 1:
        return f"a score of {box.score:g} is no share"
    return None
