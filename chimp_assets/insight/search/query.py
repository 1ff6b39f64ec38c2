"""What is searched for, as the address says it.

Belongs here: reading and writing the words of an address. Does not belong here: finding (`columns`), pages.

A repeated word means or, different words mean and; `!` before a name means not. A word that is not known is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

import numpy as np

from chimp_assets.database.footage.light import LIGHTS
from chimp_assets.errors import ChimpError

SORTS = ("new", "old", "doubt", "sure", "quality")
NAMED, UNNAMED = "named", "unnamed"
KINDS = (NAMED, "unlabelled", "unknown", "cannot_tell", "not_animal", "bad_box")
"""What is known of a track: each is exactly one of these, as in v_track_identity."""
STATUSES = (*KINDS, UNNAMED)
"""unnamed: all but named."""
SOURCES = ("person", "volunteers", "model")
SEXES = ("F", "M", "U")
FLAGGED = "1"
MOST_WORDS = 40
_LISTS: dict[str, tuple[str, ...] | None] = {
    "who": None,
    "with": None,
    "cam": None,
    "status": STATUSES,
    "by": SOURCES,
    "sex": SEXES,
    "age": None,
    "light": LIGHTS,
    "flag": (FLAGGED,),
}


class SearchError(ChimpError):
    """A word of the address that nothing can be searched by."""


@dataclass(frozen=True)
class SearchQuery:
    """who: codes, with `!` before those that are left out; beside: codes, of whom one is in the same video; cameras as
    site/camera; status: words of STATUSES; sources: who gave the name; ages: age classes on the day of the video;
    lights: of the video; flag: only tracks that a reviewer is asked to look at; p, quality: from, to, both inside;
    hour: first and last hour of the day, UTC; after: (key, track) of the order behind which a page begins, so that a
    track that no longer matches loses no page; at: last decision, head and number of tracks of the moment at which the
    address was kept. The last two are no part of what is searched for."""

    who: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ()
    ages: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    flag: tuple[str, ...] = ()
    p: tuple[float, float] | None = None
    quality: tuple[float, float] | None = None
    hour: tuple[int, int] | None = None
    since: date | None = None
    until: date | None = None
    video: int | None = None
    sort: str = "new"
    after: tuple[float, int] | None = None
    at: tuple[int, int, int] | None = None

    def words(self) -> list[tuple[str, str]]:
        """The canonical words of the address, without defaults: `parse` of them gives this again."""
        found: list[tuple[str, str]] = []
        for key, name in _FIELDS.items():
            found += [(key, value) for value in getattr(self, name)]
        for key in ("p", "quality", "hour"):
            pair = getattr(self, key)
            if pair is not None:
                found.append((key, "-".join(map(_written, pair))))
        for key in ("since", "until", "video"):
            value = getattr(self, key)
            if value is not None:
                found.append((key, str(value)))
        return found if self.sort == "new" else [*found, ("sort", self.sort)]

    def address(self, *more: tuple[str, Any]) -> str:
        """The query of the permanent address."""
        return urlencode([*self.words(), *more])

    def without(self, key: str, value: str) -> SearchQuery:
        """The same without one word."""
        if key in _FIELDS:
            name = _FIELDS[key]
            return self._with(name, tuple(one for one in getattr(self, name) if one != value))
        return self._with(key, "new" if key == "sort" else None)

    def toggled(self, key: str, value: str) -> SearchQuery:
        """The same with one more word of a list, or without it where it is there."""
        name = _FIELDS[key]
        there = getattr(self, name)
        kept = tuple(one for one in there if one != value) if value in there else (*there, value)
        return self._with(name, kept)

    def _with(self, name: str, value: Any) -> SearchQuery:
        changed: dict[str, Any] = {"after": None, "at": None, name: value}
        return replace(self, **changed)


_FIELDS = {
    "who": "who", "with": "beside", "cam": "cameras", "status": "status", "by": "sources", "sex": "sexes",
    "age": "ages", "light": "lights", "flag": "flag",
}  # fmt: skip


def parse(words: Iterable[tuple[str, str]]) -> SearchQuery:
    """Reads the words of an address. Raises SearchError that names the word that is not known."""
    lists: dict[str, list[str]] = {}
    given: dict[str, Any] = {}
    for n, (key, raw) in enumerate(words):
        value = raw.strip()
        if n >= MOST_WORDS:
            raise SearchError(f"More than {MOST_WORDS} words are searched for.", "Leave some out.")
        if not value:
            continue
        if key in _LISTS:
            allowed = _LISTS[key]
            if allowed is not None and value not in allowed:
                raise SearchError(f"{key}: {value[:40]!r} is not known.", f"There are {', '.join(allowed)}.")
            if len(value) > 250:
                raise SearchError(f"{key}: {value[:40]!r} is too long.", "Name one that there is.")
            value = value.upper() if key in ("who", "with") else value  # as codes are written
            if value not in lists.setdefault(_FIELDS[key], []):
                lists[_FIELDS[key]].append(value)
        elif key in ("p", "quality"):
            given[key] = read_range(key, value)
        elif key == "hour":
            low, high = read_range(key, value, 23.0)
            if low % 1 or high % 1:
                raise SearchError(f"hour: {value[:40]!r} is no range of whole hours like 6-9.", "Say from and to.")
            given[key] = (int(low), int(high))
        elif key in ("since", "until"):
            given[key] = _day(key, value)
        elif key == "video":
            given[key] = _number(key, value)
        elif key == "after":
            given[key] = _place(value)
        elif key == "at":
            given[key] = _moment(value)
        elif key == "sort":
            if value not in SORTS:
                raise SearchError(f"sort: {value[:40]!r} is not known.", f"There are {', '.join(SORTS)}.")
            given[key] = value
        else:
            raise SearchError(f"{key[:40]!r} is nothing to search by.", f"There are {', '.join(KEYS)}.")
    given |= {name: tuple(values) for name, values in lists.items()}
    return SearchQuery(**given)


KEYS = (*_LISTS, "p", "quality", "hour", "since", "until", "video", "sort")


def read_range(key: str, value: str, most: float = 1.0) -> tuple[float, float]:
    """From and to of a word like 0.5-0.9, 0.5- or 7. Raises SearchError for what is no such range from 0 to most."""
    low, dash, high = value.partition("-")
    try:
        first = float(low) if low else 0.0
        last = float(high) if high else (most if dash else first)
    except ValueError:
        raise SearchError(f"{key}: {value[:40]!r} is no range like 0.5-0.9.", "Say from and to.") from None
    if not 0 <= first <= last <= most:
        raise SearchError(f"{key}: {value[:40]!r} is no range from 0 to {most:g}.", "Say from and to.")
    return first, last


def _day(key: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise SearchError(f"{key}: {value[:40]!r} is not a day like 2013-05-06.", "Correct it.") from None


def _written(value: float) -> str:
    """A number that reads back as itself, without an exponent, whose sign would be taken for "to"."""
    return np.format_float_positional(value, trim="-")


def _place(value: str) -> tuple[float, int]:
    key, mark, track = value.partition("~")
    try:
        found = float(key)
    except ValueError:
        found = math.nan
    if not mark or not math.isfinite(found):
        raise SearchError(f"after: {value[:40]!r} is no place in the order.", "Take it from a link.")
    return found, _number("after", track)


def _moment(value: str) -> tuple[int, int, int]:
    parts = value.split(".")
    if len(parts) != 3:
        raise SearchError(f"at: {value[:40]!r} is no moment.", "Take it from a link.")
    seq, head, n = (_number("at", part) for part in parts)
    return seq, head, n


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise SearchError(f"{key}: {value[:40]!r} is no number.", "Take it from a link.")
    return int(value)
