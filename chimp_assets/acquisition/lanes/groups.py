"""The groups lane: more audit answers about groups of which the audit has too few, and the weights that make them fair.

A small group (infants, one matriline, one camera) gets few of the audit's random tracks. This lane draws from a part
of the audit reserve that the audit lane leaves alone, and prefers tracks whose proposed name, camera or hour says that
they are of such a group. Proposals are wrong exactly where it matters: an infant that the head takes for an adult is
not among the proposed infants. So half of the draws come from the whole part, each answer carries the chance of its
draw, and answers count by weights under which every track of the part is looked at alike (`lure_weights`).

Belongs here: the draws and the weights that undo them. Does not belong here: which groups lack answers
(`monitoring.groups`), what is computed from the answers.
"""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.lanes.draft import LanePicks
from chimp_assets.acquisition.pool import F64Array, I64Array, TrackPool

EVERYWHERE = 0.5
"""Share of draws from the whole part: with it no answer counts more than twice as much as one of the audit."""

MOST_GROUPS = 8
"""Groups of one plan: bits of `TrackPool.lacking`."""


def groups(pool: TrackPool, count: int, rng: np.random.Generator) -> LanePicks:
    """Draws one track after the other, without replacement.

    propensity: the chance of a track at its turn, q = EVERYWHERE / n + (1 - EVERYWHERE) x the mean over groups g that
    still have tracks of [it is of g] / n_g. Empty where no group lacks answers.
    """
    rows = np.flatnonzero(pool.may_examine())
    member = np.zeros((MOST_GROUPS, len(rows)), bool)
    if len(rows) and pool.lacking is not None:
        member = (pool.lacking[rows] >> np.arange(MOST_GROUPS, dtype=np.uint8)[:, None]) & 1 > 0
    drawn, chance = draw_in_turn(member, count, rng)
    # Neither the group nor its number: people would look for what the machine expects.
    reason = (
        f"Drawn to measure how well small groups are named: {len(drawn)} of {len(rows)} tracks that wait in their part"
        " of the audit reserve."
    )
    return LanePicks(rows[drawn], chance, [reason] * len(drawn))


def draw_in_turn(member: np.ndarray, count: int, rng: np.random.Generator) -> tuple[I64Array, F64Array]:
    """Places drawn one after the other, and the chance of each at its turn.

    member: bool [g, n], which group has which place; returns i64 [k], f64 [k], k = min(count, n), or 0 where no group
    has a place. Groups that run out leave their draws to the others.
    """
    n = member.shape[1]
    if not member.any():
        return np.empty(0, np.int64), np.empty(0)
    waits = np.ones(n, bool)
    drawn, chance = [], []
    for _ in range(min(count, n)):
        size = (member & waits).sum(1)
        some = np.flatnonzero(size)
        if len(some) and rng.random() >= EVERYWHERE:
            open_to_it = np.flatnonzero(member[rng.choice(some)] & waits)
        else:
            open_to_it = np.flatnonzero(waits)
        place = int(rng.choice(open_to_it))
        near = float((member[some, place] / size[some]).mean()) if len(some) else 0.0
        everywhere = EVERYWHERE if len(some) else 1.0
        drawn.append(place)
        chance.append(everywhere / int(waits.sum()) + (1 - everywhere) * near)
        waits[place] = False
    return np.array(drawn, np.int64), np.array(chance)


def lure_weights(chance: F64Array, waiting: F64Array) -> F64Array:
    """Weights of answers in the order in which they were drawn, of mean 1 in expectation: f64 [m].

    chance: f64 [m], of each at its turn; waiting: f64 [m], tracks that waited at its turn. Weighted means are unbiased
    for the whole part, also where the chances of later draws follow from earlier answers: the weights of LURE
    (Farquhar, Gal, Rainforth 2021, "On statistical bias in active learning", eq. 6), v = 1 + (N - M) / (N - m) x
    (1 / ((N - m + 1) q) - 1) with N - m + 1 waiting at turn m. A part that grows meanwhile is taken as it was at the
    turn.
    """
    m = np.arange(1, len(chance) + 1)
    left = np.maximum(0.0, waiting - 1 - (len(chance) - m))
    return 1 + left / np.maximum(1.0, waiting - 1) * (1 / (waiting * chance) - 1)
