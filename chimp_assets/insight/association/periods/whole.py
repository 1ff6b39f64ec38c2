"""What changed in the whole network between two periods: its mean strength, its pattern, the strength of individuals.

Belongs here: who is compared, what is said of each. Does not belong here: the methods (`statistics.association`), pairs
one by one (`comparison`).

Only individuals that were seen in both periods are compared, and only their ties to each other: whoever was born or
died in between would else change the strength of everybody it was with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.insight.association.estimates import FEWEST_BLOCKS, TwoPeriods
from chimp_assets.insight.association.together import TOO_FEW
from chimp_assets.statistics.association.label_permutation import DRAWS, PermutationTest, outstanding, same_pattern
from chimp_assets.statistics.association.strengths import strength_changes

FEWEST_DRAWS = 999
_MOST = 60_000_000
"""Pairs looked at in all draws together: a second. Of more than 150 individuals there are fewer draws than DRAWS."""


@dataclass(frozen=True)
class StrengthChange:
    """The strength (sum of indices) of one individual, or the mean of all (key None). p: share of individuals whose
    change lies as far from the mean change as its own, None where it is not told; changed: whether 0 lies outside of
    the 95 % interval low to high; too_few: too little was sampled to say anything."""

    key: int | None
    before: float
    after: float
    difference: float
    low: float
    high: float
    changed: bool
    too_few: bool
    days_before: int
    days_after: int
    p: float | None = None


@dataclass(frozen=True)
class WholeChange:
    """mean: of the strengths of all; pattern: correlation of both networks against exchanged labels, None with too few
    individuals; individuals: of whom enough was sampled first, then by size of the change."""

    mean: StrengthChange
    pattern: PermutationTest | None
    individuals: list[StrengthChange]

    def of(self, key: int | None) -> StrengthChange | None:
        """What is said of one individual, if it was seen in both periods."""
        return next((one for one in self.individuals if one.key == key), None) if key is not None else None


def whole_change(of: TwoPeriods, draws: int = DRAWS) -> WholeChange:
    """What changed in all."""
    shared = np.flatnonzero((of.days > 0).all(0))
    place = np.full(len(of.keys), -1, np.int64)
    place[shared] = np.arange(len(shared))
    n, a, b = len(shared), place[of.a], place[of.b]
    found = strength_changes(of.old, of.new, a, b, n)
    days = np.append(of.days[:, shared], of.days[:, shared].max(1, initial=0)[:, None], 1)
    few = (days < TOO_FEW).any(0) | (found.blocks < FEWEST_BLOCKS).any(0)
    changed = ((found.low > 0) | (found.high < 0)) & ~few
    p = np.full(n + 1, np.nan)
    told = np.flatnonzero(~few[:n])
    p[told] = outstanding(found.difference[told])
    columns = zip(
        [*of.keys[shared].tolist(), None], found.before.tolist(), found.after.tolist(),
        found.difference.tolist(), found.low.tolist(), found.high.tolist(), changed.tolist(), few.tolist(),
        *days.tolist(), (None if np.isnan(one) else float(one) for one in p), strict=True,
    )  # fmt: skip
    *individuals, mean = (StrengthChange(*row) for row in columns)
    individuals.sort(key=lambda one: (one.too_few, not one.changed, -abs(one.difference), one.key or 0))
    weights = [np.zeros((n, n)) for _ in ("before", "after")]
    inside = (a >= 0) & (b >= 0)
    for weight, period in zip(weights, (of.old, of.new), strict=True):
        weight[a[inside], b[inside]] = weight[b[inside], a[inside]] = period.value[inside]
    pairs = max(1, n * (n - 1) // 2)
    return WholeChange(
        mean, same_pattern(weights[0], weights[1], max(FEWEST_DRAWS, min(draws, _MOST // pairs))), individuals
    )
