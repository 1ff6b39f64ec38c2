"""What every format is read into: media, and boxes on them, as the file says them.

Belongs here: the records, the description of a format, its errors. Does not belong here: reading one format (a module
of this folder each), finding the videos (`matching`), rows (`writing`).

Readers stream: a file of 100,000 pictures or a million boxes is never held as objects at once. They refuse what is
damaged, too deep or of wrong types with one sentence that names the place, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from chimp_assets.errors import ChimpError


class ImportFileError(ChimpError):
    """A file of annotations cannot be read, or says what cannot be true."""


@dataclass(frozen=True)
class ReadOptions:
    """What a person states about a file. frame_base: number of the first frame; None: as the format or the file says.

    fps: of videos whose frames are numbered and whose rate neither the file nor the archive tells. video: name or path
    of the one video that the file is about, where the file names none (MOT, DIVE, frames called frame_000012.png).
    """

    frame_base: Literal[0, 1] | None = None
    fps: float | None = None
    annotator: str | None = None
    video: str | None = None


@dataclass(frozen=True)
class Medium:
    """A video or picture that a file speaks of. key: its name for boxes of the same file, unique in it; path: as the
    file names it, with forward slashes; width, height: pixels of the picture that boxes were drawn on; content_hash:
    blake2b-256, where the file knows it; recorded_on: where only the day is known. A recorded_at without a zone is on
    the cameras' clock. None: the file does not say.
    """

    key: str
    path: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    n_frames: int | None = None
    recorded_at: datetime | None = None
    content_hash: str | None = None
    site: str | None = None
    camera: str | None = None
    recorded_on: date | None = None


@dataclass(frozen=True)
class Box:
    """One annotation. medium: key of its medium.

    time_s: seconds since the first picture; frame: index of the picture in the file, from 0 (readers subtract the base
    of their format); at least one of them for a video, none for a picture. x, y, w, h: fractions of the displayed
    picture where `unit` is fraction, else pixels of it; None: the whole picture, or the whole medium where neither
    time nor frame is given. score: in [0, 1]. track: the number that the file gives the animal's track in this medium.
    individual: a name or code of an individual, as written. category: what kind of thing it is. outside: the animal is
    not visible here, although its track goes on. annotator: who the file says has named it. place: line or element of
    the file, for people.
    """

    medium: str
    time_s: float | None = None
    frame: int | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    unit: Literal["fraction", "pixel"] = "pixel"
    score: float | None = None
    track: str | None = None
    individual: str | None = None
    category: str | None = None
    outside: bool = False
    place: str = ""
    annotator: str | None = None


@dataclass
class Reading:
    """One file as it is read. media: all of it, in any order, before boxes; boxes: in the order of the file, those of
    one medium together wherever the format has them so. frame_base, said_by: which convention, and who said it.
    notes: what the file holds that is not taken in, in words; complete when boxes are exhausted. faults: rows that
    cannot be taken in, each with its place; the others may be taken in without them (--skip-bad). What makes the whole
    file unreadable is an ImportFileError instead.
    """

    media: Iterator[Medium]
    boxes: Iterator[Box]
    frame_base: int = 0
    said_by: Literal["format", "file", "person"] = "format"
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ImportFormat:
    """One format. what: a sentence for people; suffixes: of its files; read: raises ImportFileError.

    is_detections: its boxes are proposals of a network, without tracks: they are linked by our tracker.
    """

    what: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Reading]
    is_detections: bool = False
