"""How earlier forecasts came true: what makes a range out of the minutes that are expected to be left.

`goal.to_go` supposes that answers teach nothing, so that it says too much, by an amount that differs between archives.
Each earlier forecast shows by how much: between it and a later one, `spent` minutes were answered, and the minutes to
go fell by so many. Their ratio is the pace; 1 would be an archive whose answers teach nothing.

Belongs here: paces and the range, as arithmetic. Does not belong here: storing forecasts (`chimp_assets.loop.minutes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import F64Array

LEAST_SPENT_S = 120.0
"""Seconds of answers between two forecasts that are compared; nearer ones differ by chance."""
LEAST_PACES = 3
NEWEST_PACES = 10
SLOWEST, FASTEST = 0.5, 4.0
"""A pace beyond is a change of something else, and counts as this."""


@dataclass(frozen=True)
class PaceRange:
    """How many minutes of a forecast one minute of answers took away: slow and fast, of n comparisons."""

    slow: float
    fast: float
    n: int

    def of(self, seconds: float) -> tuple[float, float]:
        """The range of seconds that are left, least first, of a forecast that knows of no learning."""
        return seconds / self.fast, seconds / self.slow


def paces(spent: F64Array, to_go: F64Array) -> F64Array:
    """The pace of each stretch of at least LEAST_SPENT_S between forecasts, oldest first: f64 [m].

    spent, to_go: f64 [n], seconds, of forecasts in their order; stretches do not overlap. Forecasts without an end
    (inf) are passed over.
    """
    known = np.isfinite(to_go) & np.isfinite(spent)
    found, last = [], -1
    for i in np.flatnonzero(known).tolist():
        if last >= 0 and spent[i] - spent[last] < LEAST_SPENT_S:
            continue
        if last >= 0:
            found.append((to_go[last] - to_go[i]) / (spent[i] - spent[last]))
        last = i
    return np.array(found, np.float64)


def pace_range(found: F64Array) -> PaceRange | None:
    """The range that the newest paces show: the middle four fifths of them; None with fewer than LEAST_PACES."""
    if len(found) < LEAST_PACES:
        return None
    slow, fast = np.quantile(np.clip(found[-NEWEST_PACES:], SLOWEST, FASTEST), [0.1, 0.9])
    return PaceRange(float(slow), float(fast), min(len(found), NEWEST_PACES))
