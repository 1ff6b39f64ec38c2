"""Promises about names: a sample of frozen names, and what its answers say.

"At most x of the named frames carry a wrong name" is tested on names that nobody changes meanwhile. Tracks that a
person named alone are taken as right; of the others, a share q of the named frames, tracks are drawn with chances in
proportion to their frames, with replacement. So each draw is wrong with the share of wrong frames, whatever long
tracks, clips or camera-days have in common. The promise holds if at most x/q of them are.

Each look at new frozen names may err: look k with (1 - confidence) / 2^k, so that all looks together err with less than
1 - confidence.

Belongs here: levels, draws, verdicts, as arithmetic on arrays. Does not belong here: bets (`statistics.betting`), when
names are frozen and which answers count (`chimp_assets.loop`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.arrays import BoolArray, F64Array, I64Array
from chimp_assets.statistics.betting import RarityVerdict, answers_to_rarity, rarity_verdict

MOST_DRAWS = 400
"""Of one look: more are never asked. Being well below the error is cheaper than proving to be a little below it."""


def alpha_of(look_no: int, confidence: float) -> float:
    """How often look k, from 1, may say that a promise holds which does not: (1 - confidence) / 2^k.

    Raises ValueError for a number below 1 or a confidence that is none.
    """
    if look_no < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"look {look_no} at a confidence of {confidence:g}: looks count from 1, a confidence is a share"
        )
    return (1 - confidence) / 2.0**look_no


def draws(frames: F64Array, n: int, rng: np.random.Generator) -> I64Array:
    """Rows i64 [n] of tracks, drawn with chances in proportion to frames f64 [m], with replacement.

    More draws prolong fewer: with the same frames and a generator of the same seed draw i is the same, however many are
    asked for. Raises ValueError where no track has frames.
    """
    ends = np.cumsum(np.asarray(frames, np.float64))
    if not len(ends) or ends[-1] <= 0:
        raise ValueError("there are no frames to draw from")
    rows = np.searchsorted(ends, rng.random(n) * ends[-1], side="right")
    return np.minimum(rows, len(ends) - 1).astype(np.int64)


def allowed_error(goal: Goal, tested: float) -> float:
    """Largest share of the tested frames that may be wrong, x / q; 1 where even that keeps the promise.

    tested: q, share of the named frames whose name is tested, the others being right.
    """
    return min(1.0, goal.error / tested) if tested > 0 else 1.0


def verdict(wrong: BoolArray, goal: Goal, tested: float, alpha: float, most: int = MOST_DRAWS) -> RarityVerdict:
    """What the answers to the first n draws say, in the order of the draws. wrong: bool [n]; tested: q.

    It may be asked after each answer: kept is said of names that break the promise with probability alpha at most, over
    all answers together. A draw that comes again counts again, with the same answer. most: draws of a look. The bound
    is one of the error of all named frames.
    """
    said = rarity_verdict(wrong, allowed_error(goal, tested), alpha, most)
    return replace(said, bound=min(1.0, tested) * said.bound)


def expected_draws(expected_error: float, goal: Goal, tested: float, alpha: float) -> float:
    """Draws that a look needs if the error is what is expected; inf where it is too large.

    expected_error: of all named frames.
    """
    limit = allowed_error(goal, tested)
    if limit >= 1:
        return 0.0
    return answers_to_rarity(min(1.0, expected_error / tested), limit, 1 / alpha)
