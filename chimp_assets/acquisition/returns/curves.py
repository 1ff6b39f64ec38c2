"""Learning curves: accuracy against labels, fitted, read backwards and carried on, with what they do not know.

Two families are fitted, because beyond the last measured point they disagree, and that disagreement belongs to the
interval: a power law with a ceiling (Cortes 1993, Figueroa 2012: acc = a - b n^-c, a <= 1) and a line of the logit over
the logarithm of n, which has no ceiling below 1.

Belongs here: the families. Does not belong here: whose curve it is (`savings`, `stopping`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chimp_assets.acquisition.pool import F64Array

EXPONENTS = np.geomspace(0.05, 2.0, 32)
EDGE = 1e-3
"""Accuracies are kept so far from 0 and 1 where a logit is taken."""


class Curve(Protocol):
    """A fitted learning curve."""

    def at(self, n: float) -> float:
        """Expected accuracy with n labels."""
        ...

    def labels_for(self, accuracy: float) -> float:
        """Labels at which the curve reaches an accuracy; inf where it never does."""
        ...


@dataclass(frozen=True)
class PowerCurve:
    """accuracy = ceiling - drop * n ** -exponent."""

    ceiling: float
    drop: float
    exponent: float

    def at(self, n: float) -> float:
        """Expected accuracy with n labels, in [0, 1]."""
        return float(np.clip(self.ceiling - self.drop * max(n, 1e-9) ** -self.exponent, 0, 1))

    def labels_for(self, accuracy: float) -> float:
        """Labels at which the curve reaches an accuracy; inf where its ceiling is not above it."""
        if accuracy >= self.ceiling or self.drop <= 0:
            return float("inf") if accuracy >= self.ceiling else 0.0
        return float(min((self.drop / (self.ceiling - accuracy)) ** (1 / self.exponent), 1e15))


@dataclass(frozen=True)
class LogitCurve:
    """logit(accuracy) = intercept + slope * ln(n)."""

    intercept: float
    slope: float

    def at(self, n: float) -> float:
        """Expected accuracy with n labels, in (0, 1)."""
        return float(1 / (1 + np.exp(-(self.intercept + self.slope * np.log(max(n, 1e-9))))))

    def labels_for(self, accuracy: float) -> float:
        """Labels at which the curve reaches an accuracy; inf where it does not rise."""
        if self.slope <= 0:
            return float("inf") if accuracy > self.at(1) else 0.0
        p = min(max(accuracy, EDGE), 1 - EDGE)
        exponent = (np.log(p / (1 - p)) - self.intercept) / self.slope
        return float(np.exp(min(exponent, 34.5)))


def fit_power(n: F64Array, accuracy: F64Array, weight: F64Array) -> PowerCurve:
    """Weighted least squares: for each exponent of a grid a line, its ceiling at most 1, its drop at least 0."""
    x = -np.power(n[None, :], -EXPONENTS[:, None])  # [grid, points]
    w = weight / weight.sum()
    mean_x, mean_y = x @ w, float(accuracy @ w)
    dx, dy = x - mean_x[:, None], accuracy - mean_y
    drop = np.maximum(0, (dx * dy) @ w / np.maximum((dx * dx) @ w, 1e-30))
    ceiling = mean_y - drop * mean_x
    above = ceiling > 1  # then through (n = inf, 1)
    drop = np.where(above, np.maximum(0, (x * (accuracy - 1)) @ w / np.maximum((x * x) @ w, 1e-30)), drop)
    ceiling = np.minimum(ceiling, 1)
    error = ((ceiling[:, None] + drop[:, None] * x - accuracy) ** 2) @ w
    best = int(np.argmin(error))
    return PowerCurve(float(ceiling[best]), float(drop[best]), float(EXPONENTS[best]))


def fit_logit(n: F64Array, accuracy: F64Array, weight: F64Array) -> LogitCurve:
    """Weighted least squares of the logit, points near 0 and 1 counting less, as their logits are less certain."""
    p = np.clip(accuracy, EDGE, 1 - EDGE)
    w = weight * p * (1 - p)
    w = w / w.sum()
    x, y = np.log(n), np.log(p / (1 - p))
    dx = x - x @ w
    slope = max(0.0, float((dx * (y - y @ w)) @ w) / max(float((dx * dx) @ w), 1e-30))
    return LogitCurve(float(y @ w) - slope * float(x @ w), slope)


FAMILIES: tuple[Callable[[F64Array, F64Array, F64Array], Curve], ...] = (fit_power, fit_logit)
