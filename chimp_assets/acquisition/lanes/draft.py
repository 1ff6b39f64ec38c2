"""A plan in the making: what its training lanes share, so that none asks what another asks already.

Belongs here: the tracks still open, those taken, the result of the pass over the pool, caps in tracks.
Does not belong here: how a lane chooses (each in its own file), the shares (`policy`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from chimp_assets.acquisition.duplicates import AskedTracks
from chimp_assets.acquisition.policy import Policy
from chimp_assets.acquisition.pool import UNLABELLED, BoolArray, F64Array, I32Array, I64Array, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import ScoredRows, WorthyRows
from chimp_assets.acquisition.pool_pass.one_pass import PassResult

_Found = TypeVar("_Found", ScoredRows, WorthyRows)

MOST_CELLS = 512
"""TypiClust caps its clusters at 500: beyond, cells are too small for density to mean anything."""

COVERED_SAMPLE = 2_048
"""Tracks asked before that mark cells as covered."""

SPARE = 4
"""A lane looks at this many times more tracks than it asks, to replace those that drop out as duplicates."""


@dataclass(frozen=True)
class LanePicks:
    """What one lane asks, in its order: rows i64 [k], propensity f64 [k] in (0, 1], reasons [k]."""

    rows: I64Array
    propensity: F64Array
    reasons: list[str]


@dataclass
class Draft:
    """What the training lanes of one plan share.

    open: bool [N], rows that they may still ask, fewer after each lane; chosen: i64, rows that they ask already; asked:
    tracks of earlier plans; found: what the pass over the pool found (None: no lane of the plan needs it); anchors:
    i64, rows of named tracks whose neighbours the pass looked for.
    """

    pool: TrackPool
    head: LinearHead | None
    policy: Policy
    open: BoolArray
    found: PassResult | None
    anchors: I64Array
    chosen: I64Array
    asked: AskedTracks

    def take(self, rows: I64Array) -> None:
        """A lane asks these."""
        self.open[rows] = False
        self.chosen = np.concatenate([self.chosen, rows])

    def asked_already(self, rows: I64Array) -> BoolArray:
        """Which rows need no question of their own: bool [m]."""
        return self.asked.already(rows, self.policy.duplicate_likeness, self.chosen)

    def choosable(self, found: _Found) -> _Found:
        """The rows that no lane has taken and whose near-duplicates have not been asked, best first."""
        found = found.at(self.open[found.rows])
        return found.at(~self.asked_already(found.rows))

    def capped_groups(self, rows: I64Array, count: int) -> list[tuple[I32Array, int]]:
        """Camera and day, then video, of each row, and how many of `count` picks one of them may have."""
        kinds = ((self.pool.place, self.policy.place_cap), (self.pool.video, self.policy.video_cap))
        return [(group[rows], max(1, math.ceil(cap * count))) for group, cap in kinds if group is not None]

    def identity_cap(self, count: int) -> int:
        """How many of `count` picks one predicted individual may have."""
        return max(1, math.ceil(self.policy.identity_cap * count))


ChooseTracks = Callable[[Draft, int, np.random.Generator], LanePicks]
"""A training lane: at most `count` tracks of a draft, best first. The rng is the caller's: what it draws has a
propensity below 1; choices that are not random use `pool_rng`."""


def pool_rng(pool: TrackPool) -> np.random.Generator:
    """For choices that follow from the pool alone: other answers give other cells, the caller's seed does not."""
    return np.random.default_rng([20, len(pool), int(np.count_nonzero(pool.state != UNLABELLED))])
