"""How far a head's probabilities are true: a line through their logits, fitted on answers nobody chose by them.

A head is calibrated on what taught it and on the audit. Which answers came first was chosen by the head, so that a fit
on those alone can turn round (sure names asked only where they were wrong). Here the slope is never below 0, a prior
holds it near 1, and each answer of the audit weighs as what it is: drawn at random.

Belongs here: the fit. Does not belong here: which answers there are (`chimp_assets.loop`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from chimp_assets.arrays import BoolArray, F64Array

EDGE = 1e-4
PRIOR_SHIFT, PRIOR_SLOPE = 0.7, 0.35
"""Standard deviations of the shift and of the slope before an answer is seen: ten answers hardly move them."""


@dataclass(frozen=True)
class ChanceLine:
    """chance = sigmoid(shift + slope x logit(p)); the same as p with shift 0 and slope 1."""

    shift: float = 0.0
    slope: float = 1.0

    def of(self, p: F64Array) -> F64Array:
        """The chance that a name is right which the head gives with probability p. f64, the shape of p."""
        chance: F64Array = 1 / (1 + np.exp(-(self.shift + self.slope * _logit(p))))
        return chance

    def back(self, chance: float) -> float:
        """The head's probability at which the chance is reached; above 1 where none does."""
        if self.slope <= 0 or not 0 < chance < 1:
            return 2.0 if self.of(np.array([1.0]))[0] < chance else 0.0
        needed = (np.log(chance / (1 - chance)) - self.shift) / self.slope
        return float(1 / (1 + np.exp(-needed)))


def fit(p: F64Array, right: BoolArray, weight: F64Array | None = None) -> ChanceLine:
    """The line that answers show. p: f64 [n], of the head's first names; right: bool [n]; weight: f64 [n] or None.

    The largest posterior under N(0, PRIOR_SHIFT) for the shift and N(1, PRIOR_SLOPE), cut at 0, for the slope. Without
    answers p itself.
    """
    if not len(p):
        return ChanceLine()
    x, y = _logit(p), right.astype(float)
    w = np.ones(len(p)) if weight is None else weight

    def loss(line: F64Array) -> tuple[float, F64Array]:
        shift, slope = line
        z = shift + slope * x
        error = w * (1 / (1 + np.exp(-z)) - y)
        value = float((w * (np.logaddexp(0, z) - y * z)).sum())
        value += 0.5 * ((shift / PRIOR_SHIFT) ** 2 + ((slope - 1) / PRIOR_SLOPE) ** 2)
        slopes = np.array([error.sum() + shift / PRIOR_SHIFT**2, (error * x).sum() + (slope - 1) / PRIOR_SLOPE**2])
        return value, slopes

    found = scipy.optimize.minimize(
        loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=((None, None), (0, None))
    )
    return ChanceLine(float(found.x[0]), float(found.x[1]))


def _logit(p: F64Array) -> F64Array:
    kept = np.clip(np.asarray(p, np.float64), EDGE, 1 - EDGE)
    logit: F64Array = np.log(kept / (1 - kept))
    return logit
