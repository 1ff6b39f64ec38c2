"""The question of an address: which tracks are examples, of what is wanted and of what is not, and which may be found.

Belongs here: reading the words of an address and writing them again. Does not belong here: the words that narrow what
may be found (`insight.search.query`), answering (`answer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args
from urllib.parse import urlencode

from chimp_assets.errors import ChimpError
from chimp_assets.insight.search.query import SearchQuery, parse

Spread = Literal["video", "day", "none"]
"""At most one track of each video, of each day, or as many as there are."""
SPREADS: tuple[Spread, ...] = get_args(Spread)
MOST_EXAMPLES = 20
OWN = ("to", "not", "spread", "show")
"""Words of the address that are not those of a search."""
_LARGEST = 2**62


class AskedError(ChimpError):
    """An address with a word that has no meaning here."""


@dataclass(frozen=True)
class SimilarAsked:
    """wanted, unwanted: track_ids, at most MOST_EXAMPLES each, none in both; where: what a search for them would find;
    the address is all of the state."""

    wanted: tuple[int, ...] = ()
    unwanted: tuple[int, ...] = ()
    spread: Spread = "video"
    where: SearchQuery = field(default_factory=SearchQuery)

    def query(self, *further: tuple[str, str]) -> str:
        """The query of the permanent address, without defaults. further: words that are no part of the question."""
        parts = [("to", ",".join(map(str, self.wanted)))] if self.wanted else []
        if self.unwanted:
            parts.append(("not", ",".join(map(str, self.unwanted))))
        if self.spread != "video":
            parts.append(("spread", self.spread))
        return urlencode([*parts, *self.where.words(), *further], safe=",!/")

    def narrowed(self, where: SearchQuery) -> SimilarAsked:
        """The same examples among what another search would find."""
        return replace(self, where=where)

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


def read_asked(
    to: Sequence[str], unwanted: Sequence[str], spread: str, where: SearchQuery | None = None
) -> SimilarAsked:
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
    return SimilarAsked(wanted, other, known, where or SearchQuery())


def read_where(words: Iterable[tuple[str, str]]) -> SearchQuery:
    """Which tracks may be found, by the words of a search. Raises SearchError or AskedError that names the word without
    a meaning.

    Whether there is such a camera or individual is not known here (`insight.search.known`).
    """
    given = [(key, value) for key, value in words if key not in OWN]
    for key, _ in given:
        if key in ("sort", "after", "at"):
            raise AskedError(f"{key}: what is most alike comes first, and as of now.", "Leave it out.")
    where = parse(given)
    if where.since is not None and where.until is not None and where.until < where.since:
        raise AskedError(f"until: {where.until} is before since, {where.since}.", "Swap the two days.")
    return where


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
