"""A plan in the making: who asks what, one after the other, so that no track is asked twice.

An asker is a function that looks at what is left and adds its items: a promise that is tested, volunteers, pages, the
lanes of single questions, pairs, doubts. Each takes what it asks from those behind it.

Belongs here: the record that askers share, the order of the items in a round. Does not belong here: the askers
themselves and their order (`plan`), rows in SQL (`database.work.queue`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chimp_assets.acquisition.pool import TrackPool
from chimp_assets.arrays import I64Array, rows_of
from chimp_assets.database.work.pages import PageOfMany

PLACES = ("promise", "names", "doubts", "pairs", "is_it")
"""Whose items come first in a round."""


@dataclass(frozen=True)
class Items:
    """Columns of some items of a round, row by row. other: the second track of a pair; individual: whom "is this X?" is
    about."""

    track: Sequence[int]
    lane: Sequence[str]
    propensity: Sequence[float]
    reason: Sequence[str]
    other: Sequence[int | None] = ()
    individual: Sequence[int | None] = ()

    def __len__(self) -> int:
        return len(self.track)


@dataclass
class Asking:
    """pool: what is left to those that follow; alone: i64, rows that are asked one by one and are not taken out of the
    pool, since their copies must not be asked either; items: by PLACES; pages: of many tracks."""

    pool: TrackPool
    alone: I64Array = field(default_factory=lambda: np.empty(0, np.int64))
    items: dict[str, Items] = field(default_factory=dict)
    pages: list[PageOfMany] = field(default_factory=list)
    _promised: set[int] = field(default_factory=set)

    def take(self, track_ids: Iterable[int]) -> None:
        """Nobody behind asks about these tracks."""
        self.pool = self.pool.without(track_ids)

    def add_promise(self, items: Items) -> None:
        """Draws of a promise: what else would have been asked of their tracks is not."""
        self.items["promise"] = items
        self._promised = set(items.track)
        self.take(items.track)

    def add_pages(self, pages: Sequence[PageOfMany]) -> None:
        """Pages of many tracks."""
        self.pages = [*self.pages, *pages]
        self.take(track_id for page in pages for track_id in page.track_ids)

    def n(self, place: str) -> int:
        """How many items an asker has added."""
        return len(self.items.get(place, ()))

    @property
    def rows(self) -> I64Array:
        """Rows about which somebody is asked by itself, without those of the promise: i64."""
        volunteers = self.items.get("is_it")
        asked = np.array(volunteers.track if volunteers is not None else (), np.int64)
        return np.concatenate([self.alone, rows_of(self.pool.track, asked)])

    def columns(self) -> dict[str, list[Any]]:
        """The columns of the round's items, in their order."""
        found: dict[str, list[Any]] = {
            name: []
            for name in ("track_ids", "other_track_ids", "individual_ids", "lanes", "propensity", "reasons")
        }  # fmt: skip
        for place in PLACES:
            some = self.items.get(place)
            if some is None or not len(some):
                continue
            n = len(some)
            other, individual = some.other or [None] * n, some.individual or [None] * n
            for row in zip(some.track, other, individual, some.lane, some.propensity, some.reason, strict=True):
                if place == "promise" or not self._promised & {row[0], row[1]}:
                    for column, value in zip(found.values(), row, strict=True):
                        column.append(value)
        return found

    def lanes(self) -> dict[str, int]:
        """Items of each lane that asks for names."""
        asked = [
            lane
            for place in ("promise", "names")
            if (some := self.items.get(place)) is not None
            for track_id, lane in zip(some.track, some.lane, strict=True)
            if place == "promise" or track_id not in self._promised
        ]
        return {lane: asked.count(lane) for lane in sorted(set(asked))}


Asker = Callable[[Asking], None]
"""Adds what it asks, and takes it from those behind it."""
