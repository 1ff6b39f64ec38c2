"""Made archives of animals that are seen together, and names that are sometimes wrong.

Belongs here: worlds. Does not belong here: what is measured of them (`__main__`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.statistics.association.columns import Appearances, Meetings, unit_counts
from chimp_assets.statistics.association.unit_counts import UnitCounts

GROUPS = 5


def clips(rng: np.random.Generator, n: int, days: int, a_day: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tracks of clips: individual, clip, day, i64 each. Who shares a group with the first comes with 0.45, others
    0.02."""
    group = np.arange(n) // max(1, n // GROUPS)
    day = np.repeat(np.arange(days), rng.poisson(a_day, days))
    first = rng.integers(n, size=len(day))
    there = rng.random((len(day), n)) < np.where(group == group[first][:, None], 0.45, 0.02)
    there[np.arange(len(day)), first] = True
    clip, who = np.nonzero(there)
    return who, clip, day[clip]


def confusion(rng: np.random.Generator, n: int, accuracy: float) -> np.ndarray:
    """A misclassification matrix whose rows differ: f64 [n, n]."""
    right = np.clip(rng.normal(accuracy, 0.03, n), 0.5, 0.995)
    wrong = rng.dirichlet(np.full(n, 0.3), n)
    np.fill_diagonal(wrong, 0)
    matrix = wrong / wrong.sum(1, keepdims=True) * (1 - right)[:, None]
    matrix[np.arange(n), np.arange(n)] = right
    return np.asarray(matrix)


def named(rng: np.random.Generator, who: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A name for each track."""
    chance = matrix.cumsum(1)
    chance[:, -1] = 1.0
    return (rng.random(len(who))[:, None] > chance[who]).sum(1)


def counts(n: int, who: np.ndarray, clip: np.ndarray, day: np.ndarray, unit: str, by_model: bool) -> UnitCounts:
    """Counts of pairs that share a clip, by unit clip or day."""
    order = np.argsort(clip, kind="stable")
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(order)):
        same = clip[order[step:]] == clip[order[:-step]]
        if not same.any():
            break
        ones.append(order[:-step][same])
        others.append(order[step:][same])
    pair = np.stack([np.concatenate(ones), np.concatenate(others)])
    person = np.full(len(who), not by_model)
    of_unit = day if unit == "day" else clip
    return unit_counts(
        np.tile([0, 10**6], (n, 1)),
        Appearances(who, of_unit, day, person, np.ones(len(who))),
        Meetings(pair, who[pair], person[pair], of_unit[pair[1]], day[pair[1]], clip[pair[1]]),
    )


def clustered(
    rng: np.random.Generator, pairs: int, days: int, tie: float, seen: float, alike: float, first_day: int = 0
) -> tuple[np.ndarray, ...]:
    """Two individuals, many times over: tracks of days on which at least one was seen (chance `seen`). Whether they are
    together (chance `tie`) goes on from one day to the next with the correlation `alike`. As `clips`."""
    met = np.zeros((days, pairs), bool)
    met[0] = rng.random(pairs) < tie
    for today in range(1, days):
        fresh = rng.random(pairs) < tie
        met[today] = np.where(rng.random(pairs) < alike, met[today - 1], fresh)
    there = rng.random((days, pairs)) < seen
    only_a = rng.random((days, pairs)) < 0.5
    day, pair = np.nonzero(there)
    together, a_alone = met[day, pair], only_a[day, pair]
    clip = (day + first_day) * pairs + pair
    a, b = together | a_alone, together | ~a_alone
    who = np.concatenate([2 * pair[a], 2 * pair[b] + 1])
    return who, np.concatenate([clip[a], clip[b]]), np.concatenate([day[a], day[b]]) + first_day
