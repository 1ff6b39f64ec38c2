"""Cells of annotations: times in a video, moments, days, boxes in brackets, paths.

Belongs here: one cell at a time, as people and programs write it. Does not belong here: which column it is of
(`columns`). What can be read in two ways is refused with a sentence.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from chimp_assets.database.csv_cells import date_of

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,6})?)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_BETWEEN = re.compile(r"[\s,;|]+")


def seconds_of(text: str) -> float:
    """Seconds since the first picture: `12.5`, `0:12.5`, `1:02:03`. Raises ValueError with a sentence."""
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3].replace(",", "."))
        if (minutes < 60 or clock[1] is None) and seconds < 60:
            return hours * 3600 + minutes * 60 + seconds
        raise ValueError(f"{text!r} is no time like 1:02:03.5")
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no time in a video, like 12.5 or 1:02:03")
    value = float(text.strip())  # of all that Unicode calls blank; float() takes off less
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{text!r} is no time in a video")
    return value


def moment_of(text: str) -> datetime | date:
    """A moment or a day, as ISO or a spreadsheet writes it. Raises ValueError with a sentence."""
    body = text.strip()
    try:
        return date_of(body)
    except ValueError as error:
        why = error
    for form in (body, body.replace("/", "-", 2), body.replace(":", "-", 2)):  # EXIF writes 2024:05:06 07:08:09
        try:
            found = datetime.fromisoformat(form)
        except ValueError:
            continue
        if found.tzinfo is not None:
            found.utctimetuple()  # raises OverflowError at the ends of the calendar
        return found
    if body.isdecimal() and 10 <= len(body) <= 13:
        raise ValueError(f"{text!r} is a number; write a time like 2024-05-06 07:08:09")
    raise ValueError(str(why))


def numbers_of(text: str) -> list[float]:
    """Numbers in brackets: `[10, 20, 30.5, 40]`, `10 20 30 40`. Raises ValueError with a sentence."""
    body = text.strip().strip("[](){}").strip()
    parts = [part for part in _BETWEEN.split(body) if part]
    if not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError(f"{text[:60]!r} is no list of numbers")
    values = [float(part) for part in parts]
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{text[:60]!r} holds a number without end")
    return values


def path_of(text: str) -> str:
    """A path with forward slashes."""
    return text.strip().replace("\\", "/")
