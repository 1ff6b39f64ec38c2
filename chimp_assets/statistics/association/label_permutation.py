"""Node-label permutation: do individuals of one group associate more among themselves, or more in all, than others?

Labels are exchanged among individuals and the network stays as it is. The data stream is never permuted: that asks
another question, and errs in up to half of cases (Weiss et al. 2021, Methods in Ecology and Evolution 12; Farine 2017).

Belongs here: two statistics of a weighted network with one label a node, the likeness of two networks, and their
permutation tests. Does not belong here: counting networks (`insight.association`), which labels there are.
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
FEWEST_COMPARED = 6
"""Individuals in both of two networks: labels of five can be exchanged in too few ways."""


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


def same_pattern(before: F64Array, after: F64Array, draws: int = DRAWS, seed: int = 0) -> PermutationTest | None:
    """Correlation of two networks of the same individuals over their pairs, both symmetric f64 [n, n], and what it is
    when labels of the second are exchanged (quadratic assignment: Mantel 1967, Krackhardt 1988). None with fewer than
    FEWEST_COMPARED individuals, or where all pairs of a network are alike.
    """
    n = len(before)
    if n < FEWEST_COMPARED:
        return None
    a, b = np.triu_indices(n, 1)
    first, second = before[a, b], after[a, b]
    if np.ptp(first) < 1e-12 or np.ptp(second) < 1e-12:
        return None
    apart = (before - first.mean()) / (first.std() * second.std() * len(first) * 2)
    np.fill_diagonal(apart, 0.0)

    def statistic(labels: I64Array) -> F64Array:
        # One at a time: all draws together would hold their networks at once.
        return np.array([np.einsum("ij,ij->", apart, after.take(one, 0).take(one, 1)) for one in labels])

    return _tested(statistic, np.arange(n), draws, seed)


def outstanding(change: F64Array) -> F64Array:
    """For each individual the share of all whose change lies as far from the mean change as its own: f64 [n]. With
    labels exchanged in every way that is the exact p of an individual that was chosen beforehand."""
    far = np.abs(change - change.mean()) if len(change) else change
    order = np.sort(far)
    return np.asarray((len(far) - np.searchsorted(order, far - 1e-12)) / max(1, len(far)))


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
