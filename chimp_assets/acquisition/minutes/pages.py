"""Pages on which many tracks of one individual are confirmed at once: which tracks, and whether a page is worth it.

A page costs less for each track than asking alone, and what is taken out is asked alone as well. So it pays for tracks
whose name is likely but not so likely that the machine carries it for nothing; and only where it names more frames a
second than the best single questions do.

Belongs here: choosing pages, as arithmetic on arrays. Does not belong here: which tracks may be asked
(`chimp_assets.loop.minutes.pages`), rows of pages (`database.work.pages`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.minutes.goal import worth
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.arrays import BoolArray, F64Array, I64Array

MOST_TRACKS, LEAST_TRACKS = 24, 6
"""Of one page: more do not fit a screen, fewer save nothing."""
HIDDEN = 2
"""Tracks of others that look like the individual, among those of each page: without them careful and careless people
look the same. What they cost belongs to the page."""
SINGLES = 20
"""A page is compared with so many single questions: about as long as a page of 24 takes."""


@dataclass(frozen=True)
class AskableTracks:
    """Tracks that may be asked, n of them, row by row.

    frames: f64 [n], boxes that a name would name; chance: f64 [n], that the first name is right (0: there is none);
    individual: i64 [n], of that name, below 0 without; on_page: bool [n], may be shown on a page (a copy of another
    track is not). Raises ValueError where the lengths differ.
    """

    frames: F64Array
    chance: F64Array
    individual: I64Array
    on_page: BoolArray | None = None

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.frames, self.chance, self.individual)}
        lengths |= set() if self.on_page is None else {len(self.on_page)}
        if len(lengths) > 1:
            raise ValueError(f"columns of tracks differ in length: {sorted(lengths)}")


@dataclass(frozen=True)
class TrackPage:
    """One page. rows: i64 [m] of the tracks, most frames x chance first; frames: all of theirs; seconds: that a person
    is expected to need; rate: frames that the page is expected to name, a second."""

    individual: int
    rows: I64Array
    chance: F64Array
    frames: float
    seconds: float
    rate: float


def pages_worth_asking(
    tracks: AskableTracks,
    prices: Prices,
    threshold: float,
    most_pages: int,
    most: int = MOST_TRACKS,
    least: int = LEAST_TRACKS,
) -> list[TrackPage]:
    """At most `most_pages` pages, the most frames a second first; none that names fewer than the best single questions.

    A page of m tracks holds chances from `prices.least_chance_on_a_page(m)` to below the threshold (with
    `worth.NO_NAMES` to 1), of the most frames x chance. A track is on one page at most, and tracks of pages chosen
    before are no singles any more.
    """
    singles = _Singles(tracks, prices, threshold, most_pages * most)
    left = _by_individual(tracks, prices, threshold, most)
    offers = {who: page for who, rows in left.items() if (page := _page(tracks, who, rows, prices, most, least))}
    chosen: list[TrackPage] = []
    while offers and len(chosen) < most_pages:
        page = max(offers.values(), key=lambda one: (one.rate, -one.individual))
        if page.rate <= singles.rate():
            break  # other pages name fewer, and the singles stay as they are
        chosen.append(page)
        singles.take(page.rows)
        who = page.individual
        left[who] = left[who][~np.isin(left[who], page.rows)]
        again = _page(tracks, who, left[who], prices, most, least)
        offers = {**offers, who: again} if again else {key: one for key, one in offers.items() if key != who}
    return chosen


def singles_rate(tracks: AskableTracks, prices: Prices, threshold: float) -> float:
    """Frames that the best SINGLES single questions name, a second; 0 without a track."""
    return _Singles(tracks, prices, threshold, 0).rate()


class _Singles:
    """The single questions worth most, while pages take tracks away."""

    def __init__(self, tracks: AskableTracks, prices: Prices, threshold: float, most_taken: int) -> None:
        rate = worth(tracks.frames, tracks.chance, threshold, prices)
        n = min(len(rate), SINGLES + most_taken)
        best = np.argpartition(-rate, n - 1)[:n] if n else np.empty(0, np.int64)
        self._rows = best[np.argsort(-rate[best], kind="stable")]
        self._seconds = prices.of_tracks(tracks.chance[self._rows])
        self._gained = rate[self._rows] * self._seconds

    def take(self, rows: I64Array) -> None:
        kept = ~np.isin(self._rows, rows)
        self._rows, self._seconds, self._gained = self._rows[kept], self._seconds[kept], self._gained[kept]

    def rate(self) -> float:
        seconds = float(self._seconds[:SINGLES].sum())
        return float(self._gained[:SINGLES].sum()) / seconds if seconds > 0 else 0.0


def _by_individual(tracks: AskableTracks, prices: Prices, threshold: float, most: int) -> dict[int, I64Array]:
    """Rows that a page may hold, by individual, most frames x chance first."""
    fits = (tracks.individual >= 0) & (tracks.chance >= prices.least_chance_on_a_page(most))
    fits &= (tracks.chance < threshold) & (tracks.frames > 0)
    if tracks.on_page is not None:
        fits &= tracks.on_page
    rows = np.flatnonzero(fits)
    rows = rows[np.lexsort((rows, -tracks.frames[rows] * tracks.chance[rows], tracks.individual[rows]))]
    who, first = np.unique(tracks.individual[rows], return_index=True)
    return dict(zip(who.tolist(), np.split(rows, first[1:]), strict=True)) if len(rows) else {}


def _page(tracks: AskableTracks, who: int, rows: I64Array, prices: Prices, most: int, least: int) -> TrackPage | None:
    """The best page of these rows, most frames x chance first; None if too few are likely enough for one."""
    rows = rows[:most]
    while len(rows) >= least:
        # The fewer tracks share the price of a page, the likelier each must be.
        likely = tracks.chance[rows] >= prices.least_chance_on_a_page(len(rows))
        if likely.all():
            chance = tracks.chance[rows]
            frames, seconds = float(tracks.frames[rows].sum()), prices.of_page(chance, HIDDEN)
            return TrackPage(who, rows, chance, frames, seconds, float((tracks.frames[rows] * chance).sum()) / seconds)
        rows = rows[likely]
    return None
