"""Node-label permutation: do individuals of one group associate more among themselves, or more in all, than others?

Labels are exchanged among individuals and the network stays as it is. The data stream is never permuted: that asks
another question, and errs in up to half of cases (Weiss et al. 2021, Methods in Ecology and Evolution 12; Farine 2017).

Belongs here: two statistics of a weighted network with one label a node, and their permutation tests. Does not belong
here: counting networks (`insight.association`), which labels there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import F64Array, I64Array

DRAWS = 5_000
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
    a, b = np.triu_indices(len(label), 1)
    pairs = weight[a, b]

    def statistic(labels: I64Array) -> float:
        same = labels[a] == labels[b]
        return float(pairs[same].mean() - pairs[~same].mean())

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

    def statistic(labels: I64Array) -> float:
        inside = labels == group
        return float(strength[inside].mean() - strength[~inside].mean())

    return _tested(statistic, label, draws, seed)


def _labelled(weight: F64Array, label: I64Array) -> tuple[F64Array, I64Array]:
    known = np.flatnonzero(label >= 0)
    return weight[np.ix_(known, known)], label[known]


def _tells(label: I64Array) -> bool:
    sizes = np.unique(label, return_counts=True)[1]
    return len(sizes) >= 2 and int(sizes.max()) >= FEWEST and bool((sizes >= 2).any())


def _tested(statistic: object, label: I64Array, draws: int, seed: int) -> PermutationTest:
    assert callable(statistic)
    rng = np.random.default_rng(seed)
    observed = statistic(label)
    drawn = np.array([statistic(rng.permutation(label)) for _ in range(draws)])
    middle = float(drawn.mean())
    # As far from the middle as what was observed; ties of a discrete distribution count.
    extreme = int((np.abs(drawn - middle) >= abs(observed - middle) - 1e-12).sum())
    low, high = np.quantile(drawn, (0.025, 0.975))
    return PermutationTest(observed, float(low), float(high), (extreme + 1) / (draws + 1), len(label))
