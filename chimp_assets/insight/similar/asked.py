"""The question of an address: which tracks are examples, of what is wanted and of what is not.

Belongs here: reading the words of an address and writing them again. Does not belong here: answering (`answer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, get_args
from urllib.parse import urlencode

from chimp_assets.errors import ChimpError

Spread = Literal["video", "day", "none"]
"""At most one track of each video, of each day, or as many as there are."""
Status = Literal["named", "unnamed"]
STATUSES: tuple[Status, ...] = get_args(Status)
SPREADS: tuple[Spread, ...] = get_args(Spread)
MOST_EXAMPLES = 20
_LARGEST = 2**62


class AskedError(ChimpError):
    """An address with a word that has no meaning here."""


@dataclass(frozen=True)
class Where:
    """Which tracks may be found. cameras: site/camera, any of them (none: all); since, until: days, both included;
    status: named or unnamed by a person, None for both. A video without a day passes no bound of days."""

    cameras: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    status: Status | None = None

    def words(self) -> list[tuple[str, str]]:
        """The words of the address, without defaults."""
        days = [(name, day.isoformat()) for name, day in (("since", self.since), ("until", self.until)) if day]
        return [*(("cam", one) for one in self.cameras), *days, *([("status", self.status)] if self.status else [])]


@dataclass(frozen=True)
class SimilarAsked:
    """wanted, unwanted: track_ids, at most MOST_EXAMPLES each, none in both; the address is all of the state."""

    wanted: tuple[int, ...] = ()
    unwanted: tuple[int, ...] = ()
    spread: Spread = "video"
    where: Where = field(default_factory=Where)

    def query(self, *further: tuple[str, str]) -> str:
        """The query of the permanent address, without defaults. further: words that are no part of the question."""
        parts = [("to", ",".join(map(str, self.wanted)))] if self.wanted else []
        if self.unwanted:
            parts.append(("not", ",".join(map(str, self.unwanted))))
        if self.spread != "video":
            parts.append(("spread", self.spread))
        return urlencode([*parts, *self.where.words(), *further], safe=",!/")

    def with_wanted(self, track_id: int) -> SimilarAsked:
        """With a track as an example of what is wanted; as it was if there is no room for it."""
        if track_id not in self.wanted and len(self.wanted) >= MOST_EXAMPLES:
            return self
        return replace(self.without(track_id), wanted=(*(one for one in self.wanted if one != track_id), track_id))

    def with_unwanted(self, track_id: int) -> SimilarAsked:
        """With a track as an example of what is not wanted; as it was if there is no room for it."""
        if track_id not in self.unwanted and len(self.unwanted) >= MOST_EXAMPLES:
            return self
        left = self.without(track_id)
        return replace(left, unwanted=(*left.unwanted, track_id))

    def without(self, track_id: int) -> SimilarAsked:
        """Without a track among the examples."""
        return replace(
            self,
            wanted=tuple(one for one in self.wanted if one != track_id),
            unwanted=tuple(one for one in self.unwanted if one != track_id),
        )


def read_asked(to: Sequence[str], unwanted: Sequence[str], spread: str, where: Where | None = None) -> SimilarAsked:
    """The question of the words `to`, `not` and `spread`; each of the first two may be repeated or hold commas.

    Raises AskedError that names the word which is no track, the list that is too long, or the spread nobody knows.
    """
    wanted, other = _tracks("to", to), _tracks("not", unwanted)
    both = sorted(set(wanted) & set(other))
    if both:
        raise AskedError(f"Track {both[0]} is both in to and in not.", "Take it out of one of them.")
    known = next((one for one in SPREADS if one == spread), None)
    if known is None:
        raise AskedError(f"spread: {spread[:40]!r} is not one of {', '.join(SPREADS)}.", "Correct the address.")
    return SimilarAsked(wanted, other, known, where or Where())


def read_where(cameras: Sequence[str], since: str, until: str, status: str) -> Where:
    """The filters of an address; empty words are no filter. Raises AskedError that names the word without a meaning.

    Whether there is such a camera is not known here (`places`).
    """
    first, last = _day("since", since), _day("until", until)
    if first is not None and last is not None and last < first:
        raise AskedError(f"until: {last} is before since, {first}.", "Swap the two days.")
    known = next((one for one in STATUSES if one == status), None)
    if status and known is None:
        raise AskedError(f"status: {status[:40]!r} is not one of {', '.join(STATUSES)}.", "Correct the address.")
    return Where(tuple(dict.fromkeys(one for one in cameras if one)), first, last, known)


def _day(name: str, word: str) -> date | None:
    try:
        return date.fromisoformat(word.strip()) if word.strip() else None
    except ValueError:
        raise AskedError(
            f"{name}: {word[:40]!r} is not a day like 2013-05-06.", "Correct the address, or leave the day out."
        ) from None


def _tracks(name: str, texts: Sequence[str]) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for word in (part.strip() for text in texts for part in text.split(",")):
        if not word:
            continue
        if not (word.isascii() and word.isdigit() and len(word) < 20 and int(word) < _LARGEST):
            raise AskedError(f"{name}: {word[:40]!r} is not the number of a track.", "Correct the address.")
        found[int(word)] = None
    if len(found) > MOST_EXAMPLES:
        raise AskedError(
            f"{name} names {len(found)} tracks, and {MOST_EXAMPLES} are the most.", "Leave some of them out."
        )
    return tuple(found)
