"""What another embedder would save of the expert's minutes: the same goal, the same tracks, other chances.

Both embedders name tracks of days that neither learned from, each by a head fitted on the same labels; each head's
probabilities are calibrated on the days other than a track's own. These tracks stand for all that nobody has named yet:
each for as many as its frames make up. The difference between the two forecasts comes with an interval by blocks.

Labelled tracks are harder than the rest of an archive, because plans asked what was doubtful. That makes both forecasts
too long, and hardly favours one of them.

Belongs here: the comparison, as arithmetic. Does not belong here: vectors and labels (`chimp_assets.vision.embedding`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from chimp_assets.acquisition.minutes.calibration import fit
from chimp_assets.acquisition.minutes.goal import BY_A_PERSON, NOBODY_ASKED, ON_A_PAGE, ArchiveNames, Goal, to_go
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.acquisition.ridge import fit_ridge
from chimp_assets.arrays import BoolArray, F32Array, F64Array, I64Array
from chimp_assets.statistics.blocks import block_statistic

FOLDS = 5
SHARPNESS = 2.0 ** np.arange(1, 6)
"""Of which one makes probabilities out of a ridge's scores: the one under which the truth is likeliest."""
DRAWS = 400


@dataclass(frozen=True)
class RemainingWork:
    """What is to be named. n_frames: of tracks that nobody has named or looked at in vain; by_person, by_page: frames
    that have a name already."""

    goal: Goal
    n_frames: float
    by_person: float
    by_page: float


@dataclass(frozen=True)
class MinutesSaved:
    """Minutes to go with one embedder and with the other; low, high: limits of 95 in 100 of the difference."""

    before: float
    after: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Of the minutes before; 0 where nothing was left."""
        return (self.before - self.after) / self.before if self.before > 0 else 0.0


def held_out_chances(
    taught: F32Array, names: I64Array, asked: F32Array, truth: I64Array, block: I64Array, seed: int
) -> F64Array:
    """The calibrated chance of the first name of each asked track: f64 [k].

    taught: f32 [n, D], names i64 [n]: what the head learns from; asked: f32 [k, D], of the individuals truth i64 [k],
    in blocks i64 [k], none of which taught. A track's line is fitted on the other blocks.
    """
    ridge = fit_ridge(taught, names)
    scores = ridge.scores(asked)
    right = ridge.classes[scores.argmax(axis=1)] == truth
    known = np.isin(truth, ridge.classes)
    column = np.searchsorted(ridge.classes, np.where(known, truth, ridge.classes[0]))
    likely = [
        float(scipy.special.log_softmax(sharp * scores, axis=1)[known, column[known]].sum()) for sharp in SHARPNESS
    ]
    said = scipy.special.softmax(SHARPNESS[int(np.argmax(likely))] * scores, axis=1).max(axis=1)
    return _calibrated(said, right, block, seed)


def minutes_saved(
    before: F64Array,
    after: F64Array,
    frames: F64Array,
    block: I64Array,
    work: RemainingWork,
    prices: Prices,
    seed: int,
    draws: int = DRAWS,
) -> MinutesSaved | None:
    """The minutes to go by the chances f64 [k] of one embedder and of another, on the same tracks.

    frames: f64 [k], above 0; block: i64 [k], camera-days. None without tracks, or where nothing is left to be named.
    """
    if not len(frames) or work.n_frames <= 0:
        return None

    def minutes(chance: F64Array, rows: I64Array) -> float:
        return _minutes(chance[rows], frames[rows], work, prices)

    every = np.arange(len(frames))
    found = block_statistic(
        lambda rows: minutes(before, rows) - minutes(after, rows),
        block,
        np.random.default_rng(seed),
        draws,
        limits=None,
    )
    return MinutesSaved(minutes(before, every), minutes(after, every), found.low, found.high)


def _minutes(chance: F64Array, frames: F64Array, work: RemainingWork, prices: Prices) -> float:
    stands_for = work.n_frames / float(frames.sum())
    k = len(frames)
    asked = np.concatenate([np.full(k, NOBODY_ASKED, np.int8), np.array([BY_A_PERSON, ON_A_PAGE], np.int8)])
    names = ArchiveNames(
        np.concatenate([frames * stands_for, [work.by_person, work.by_page]]),
        np.concatenate([chance, [0.0, 0.0]]),
        asked,
    )
    return to_go(names, work.goal, prices).seconds * stands_for / 60


def _calibrated(said: F64Array, right: BoolArray, block: I64Array, seed: int) -> F64Array:
    blocks, of_row = np.unique(block, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(blocks))[of_row] % FOLDS
    chance = np.empty(len(said))
    for one in np.unique(fold).tolist():
        mine = fold == one
        chance[mine] = fit(said[~mine], right[~mine]).of(said[mine])
    return chance
