"""Node-label permutation: do individuals of one group associate more among themselves, or more in all, than others?

Labels are exchanged among individuals and the network stays as it is. The data stream is never permuted: that asks
another question, and errs in up to half of cases (Weiss et al. 2021, Methods in Ecology and Evolution 12; Farine 2017).

Belongs here: two statistics of a weighted network with one label a node, and their permutation tests. Does not belong
here: counting networks (`insight.association`), which labels there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import F64Array, I64Array

DRAWS = 5_000
_SMALL = 8
"""Individuals of a group whose pairs are looked up one by one."""
_AT_A_TIME = 500
"""Permutations in memory at once."""
FEWEST = 3
"""Individuals of a group; of fewer nothing is said."""


@dataclass(frozen=True)
class PermutationTest:
    """observed: the statistic; low, high: where 95 % of the permutations lie; p: two-sided, never 0 (Phipson and Smyth
    2010); n: individuals with a label."""

    observed: float
    low: float
    high: float
    p: float
    n: int


def within_groups(weight: F64Array, label: I64Array, draws: int = DRAWS, seed: int = 0) -> PermutationTest | None:
    """Mean weight of pairs of one label less the mean of other pairs. weight: symmetric f64 [n, n], its diagonal is not
    read; label: i64 [n], below 0 for none. None with fewer than two groups, or without a group of FEWEST.
    """
    weight, label = _labelled(weight, label)
    if not _tells(label):
        return None
    whole = weight - np.diag(np.diag(weight))
    total, sizes = whole.sum() / 2, np.bincount(label)
    same = int((sizes * (sizes - 1) // 2).sum())
    others = len(label) * (len(label) - 1) // 2 - same
    large = np.flatnonzero(sizes > _SMALL)
    # Members of small groups are looked up pair by pair: in order of labels they lie at the same places in each draw.
    of_place = np.sort(label)
    one, other = np.nonzero(np.triu(of_place[:, None] == of_place, 1) & (sizes[of_place] <= _SMALL)[:, None])

    def statistic(labels: I64Array) -> F64Array:
        found = np.zeros(len(labels))
        for group in large:
            inside = (labels == group).astype(np.float64)
            found += ((inside @ whole) * inside).sum(1) / 2
        if len(one):
            order = np.argsort(labels, axis=1, kind="stable")
            found += whole[order[:, one], order[:, other]].sum(1)
        return found / same - (total - found) / others

    return _tested(statistic, label, draws, seed)


def strength_of_groups(
    weight: F64Array, label: I64Array, group: int, draws: int = DRAWS, seed: int = 0
) -> PermutationTest | None:
    """Mean strength (sum of the weights of an individual) of a group less that of all others. None where the group or
    the others have fewer than FEWEST."""
    weight, label = _labelled(weight, label)
    member = label == group
    if min(int(member.sum()), int((~member).sum())) < FEWEST:
        return None
    strength = weight.sum(axis=1) - np.diag(weight)

    def statistic(labels: I64Array) -> F64Array:
        inside = labels == group
        many = inside.sum(1)
        mine = (inside * strength).sum(1)
        return np.asarray(mine / many - (strength.sum() - mine) / (len(strength) - many))

    return _tested(statistic, label, draws, seed)


def _labelled(weight: F64Array, label: I64Array) -> tuple[F64Array, I64Array]:
    known = np.flatnonzero(label >= 0)
    return weight[np.ix_(known, known)], label[known]


def _tells(label: I64Array) -> bool:
    sizes = np.unique(label, return_counts=True)[1]
    return len(sizes) >= 2 and int(sizes.max()) >= FEWEST and bool((sizes >= 2).any())


def _tested(statistic: Callable[[I64Array], F64Array], label: I64Array, draws: int, seed: int) -> PermutationTest:
    """statistic: of labels i64 [draws, n], f64 [draws]."""
    rng = np.random.default_rng(seed)
    observed = float(statistic(label[None])[0])
    parts = [min(_AT_A_TIME, draws - start) for start in range(0, draws, _AT_A_TIME)]
    drawn = np.concatenate([statistic(np.stack([rng.permutation(label) for _ in range(n)])) for n in parts])
    middle = float(drawn.mean())
    # As far from the middle as what was observed; ties of a discrete distribution count.
    extreme = int((np.abs(drawn - middle) >= abs(observed - middle) - 1e-10).sum())
    low, high = np.quantile(drawn, (0.025, 0.975))
    return PermutationTest(observed, float(low), float(high), (extreme + 1) / (draws + 1), len(label))
