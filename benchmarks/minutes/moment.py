"""What a policy may look at when it chooses, and what it answers with.

Belongs here: `Moment`, `Ask`. Does not belong here: the policies (`policies`), the loop that asks them (`replay`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.minutes.guesses import Guesses
from chimp_assets.acquisition.minutes.goal import ArchiveNames, Goal, Reach
from chimp_assets.acquisition.minutes.prices import Prices


@dataclass(frozen=True)
class Ask:
    """One question: a track by itself, or a page of tracks of which those of one individual are to stay.

    rows: i64 [m]; individual: of a page, -1 of single tracks (m questions then); audit: nothing is proposed, and the
    answer teaches nobody; forgotten: what is taken out of the page is not kept.
    """

    rows: np.ndarray
    individual: int = -1
    audit: bool = False
    forgotten: bool = False


@dataclass(frozen=True)
class Moment:
    """n tracks. vectors, group, frames: as in `Archive`; open_rows: i64, entered and not named; reserve: bool [n], for
    the audit alone; named: i64 [n], by people, -1; taught: i64, rows that taught the head; audited: i64; guesses: None
    before there are two individuals; names, reach: as the product sees them; truth: only the oracle looks."""

    vectors: np.ndarray
    group: np.ndarray
    frames: np.ndarray
    open_rows: np.ndarray
    reserve: np.ndarray
    named: np.ndarray
    denied: np.ndarray
    taught: np.ndarray
    audited: np.ndarray
    guesses: Guesses | None
    names: ArchiveNames
    reach: Reach
    goal: Goal
    prices: Prices
    rng: np.random.Generator
    truth: np.ndarray

    @property
    def trainable(self) -> np.ndarray:
        """Open rows outside the reserve: i64."""
        return np.asarray(self.open_rows[~self.reserve[self.open_rows]])

    def worth(self, rows: np.ndarray) -> np.ndarray:
        """Frames a second of each row: f64 [m]."""
        from chimp_assets.acquisition.minutes.goal import worth

        return worth(self.frames[rows], self.names.chance[rows], self.reach.threshold, self.prices)
