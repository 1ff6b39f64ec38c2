"""Single values as files write them: numbers, frames, times, names; and what was left out.

Belongs here: rules that hold in every format. Does not belong here: places in files (whoever reads an entry catches
EntryError and says where).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from chimp_assets.database.texts import is_storable
from chimp_assets.exchange.imports.annotations import Box, ReadOptions
from chimp_assets.exchange.imports.reading.sources import shown

MOST_PIXELS = 1e7
MOST_FRAMES = 2**31 - 1
MOST_SECONDS = 1e7
MOST_TEXT = 1000
_MOST_NAME = 100
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}(?:\.0*)?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,4}):([0-5]?\d):([0-5]?\d(?:\.\d{1,9})?)", re.ASCII)
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".heif", ".webp", ".bmp", ".gif"})
VIDEOS = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".m2ts", ".webm", ".asf", ".3gp", ".flv"}
)

INDIVIDUAL = ("individual", "individualid", "individualname", "identity", "name", "animid", "animalid", "id")
TRACK = ("trackid", "track", "instanceid", "trackingid")
CATEGORY = ("species", "category", "class", "label", "type")


class EntryError(Exception):
    """An entry of a file says what cannot be: a sentence without a full stop. Whoever reads it adds the place."""


class LeftOut:
    """What a file holds that is not taken in: kinds, counts and the first place of each."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, place: str) -> None:
        """kind: what, in the plural, with the reason: "lines and points, which have no box"."""
        count, first = self._kinds.get(kind, (0, place))
        self._kinds[kind] = count + 1, first

    def sentences(self) -> list[str]:
        """One for each kind, without a full stop."""
        return [f"Not taken in: {n} {kind} (first: {place})" for kind, (n, place) in self._kinds.items()]


def number(value: Any, what: str, most: float = MOST_PIXELS) -> float:
    """A number of JSON. Raises EntryError for texts, truth values, NaN and what is beyond `most`."""
    if (type(value) is float or type(value) is int) and -most <= value <= most:
        return float(value)
    raise EntryError(f"{what} is {shown(value)}, not a number that can be")


def written_number(text: str, what: str, most: float = MOST_PIXELS) -> float:
    """A number as text, with a decimal point. Raises EntryError."""
    body = text.strip()  # of all that Unicode calls blank; float() takes off less
    if len(text) <= 400 and _NUMBER.fullmatch(body):
        value = float(body)
        if -most <= value <= most:
            return value
    raise EntryError(f"{what} is {shown(text)}, not a number that can be")


def whole(value: Any, what: str) -> int:
    """A whole number of JSON or of a text; 12.0 counts as 12, as programs in R write it. Raises EntryError."""
    if type(value) is int and abs(value) <= MOST_FRAMES:
        return value
    if type(value) is float and value.is_integer() and abs(value) <= MOST_FRAMES:
        return int(value)
    if type(value) is str and _WHOLE.fullmatch(value.strip()):
        found = int(value.strip().split(".")[0])
        if abs(found) <= MOST_FRAMES:
            return found
    raise EntryError(f"{what} is {shown(value)}, not a whole number that can be")


def frame_of(value: Any, base: int, what: str = "the frame") -> int:
    """The index of a picture from 0, of a number that begins with `base`. Raises EntryError if it lies before."""
    found = whole(value, what) - base
    if found < 0:
        raise EntryError(
            f"{what} is {found + base}, but frames begin with {base} here: say so with --frame-base if they do not"
        )
    return found


def text_of(value: Any, what: str) -> str | None:
    """A text or a number as text; None where there is none. Raises EntryError for what no database holds."""
    if value is None or value == "":
        return None
    if type(value) is int or type(value) is float:
        value = str(value)
    if type(value) is not str:
        raise EntryError(f"{what} is {shown(value)}, not a text")
    if len(value) > MOST_TEXT:
        raise EntryError(f"{what} has {len(value)} characters: {shown(value)}")
    if "\x00" in value or not (value.isascii() or is_storable(value)):
        raise EntryError(f"{what} holds characters that no database takes: {shown(value)}")
    return value.strip() or None


def path_of(value: Any, what: str) -> str:
    """The path or name of a file, with forward slashes. Raises EntryError where there is none."""
    found = text_of(value, what)
    if found is None:
        raise EntryError(f"{what} is missing")
    return found.replace("\\", "/")


def suffix_of(path: str) -> str:
    """The ending of a file's name, in small letters, with the dot."""
    name = path.rsplit("/", 1)[-1]
    return f".{name.rsplit('.', 1)[1].lower()}" if "." in name else ""


def share(value: Any, what: str) -> float:
    """A number in [0, 1]; rounding may leave a little more. Raises EntryError."""
    found = number(value, what)
    if -1e-6 <= found <= 1.000_001:
        return min(max(found, 0.0), 1.0)
    raise EntryError(f"{what} is {shown(value)}, not between 0 and 1")


def corners(value: Any, what: str = "its bbox") -> tuple[float, float, float, float]:
    """Four numbers of JSON. Raises EntryError."""
    if type(value) is not list or len(value) != 4:
        raise EntryError(f"{what} is {shown(value)}, not a list of four numbers")
    x, y, w, h = value
    return number(x, what), number(y, what), number(w, what), number(h, what)


def has_size(w: float, h: float) -> bool:
    """Whether a box holds anything. Raises EntryError where it ends before it begins."""
    if w < 0 or h < 0:
        raise EntryError(f"the box ends before it begins (width {w:g}, height {h:g})")
    return w > 0 and h > 0


def size_of(value: Any, what: str) -> int | None:
    """A number of pixels; None where the file does not say, or says 0 or -1. Raises EntryError."""
    if value is None or value == "":
        return None
    found = whole(value, what)
    if found > MOST_PIXELS:
        raise EntryError(f"{what} is {found}, not a number of pixels that can be")
    return found if found > 0 else None


def rate_of(value: Any, what: str = "the frame rate") -> float | None:
    """Frames a second; None where the file does not say, or says 0. Raises EntryError."""
    if value is None or value == "":
        return None
    found = written_number(value, what, 1e5) if type(value) is str else number(value, what, 1e5)
    return found if found > 0 else None


def clock_seconds(text: str) -> float | None:
    """Seconds of 00:01:02.5; None if the text is no such time."""
    found = _CLOCK.fullmatch(text.strip())
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def moment_of(text: str | None, what: str) -> datetime | None:
    """A time (ISO 8601), in UTC where it has a zone; one without is on the cameras' clock. Raises EntryError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise EntryError(f"{what} is {shown(text)}, not a time as 2013-05-06T07:08:00Z") from None


def seconds_of(moment: datetime) -> float:
    """Seconds since 1970, as if every clock showed UTC: for differences between times of one file."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def plain(name: str) -> str:
    """A name of an attribute without case, spaces, underscores and hyphens; "" for one that is no name but a text."""
    return _plain(name) if len(name) <= _MOST_NAME else ""


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).lower()


def attribute(attributes: Mapping[str, Any], names: Iterable[str], what: str) -> str | None:
    """The first of these attributes that says something, as text. attributes: with plain names. Raises EntryError."""
    for name in names:
        if name in attributes and type(attributes[name]) is not bool:
            found = text_of(attributes[name], f"{what} {name}")
            if found is not None:
                return found
    return None


def convention(options: ReadOptions, base: int, said_by: Literal["format", "file"] = "format") -> tuple[int, Any]:
    """Number of the first frame, and who says so: a person wins."""
    return (base, said_by) if options.frame_base is None else (options.frame_base, "person")


def sized(box: Box, left: LeftOut) -> bool:
    """Whether a box holds anything; what does not is counted. Raises EntryError where it ends before it begins."""
    if box.w is None or box.h is None or has_size(box.w, box.h):
        return True
    left.add("boxes without width or height", box.place)
    return False
