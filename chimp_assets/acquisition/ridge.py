"""A linear namer in closed form: what stands in for the head where hundreds must be fitted, or one within an answer.

Belongs here: fitting, and taking in one more answer. Does not belong here: the head that names the archive
(`chimp_assets.vision.identity.head`, logistic regression with calibrated chances).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import F32Array, F64Array, I64Array

PENALTY = 0.01
"""Of the squared weights, for unit vectors and classes that weigh 1 each: chosen once, on generated animals."""


@dataclass(frozen=True)
class Ridge:
    """scores = [x, 1] @ weight: f64 [D + 1, C]; classes: i64 [C], ascending."""

    weight: F64Array
    classes: I64Array

    def scores(self, x: F32Array) -> F64Array:
        """f64 [n, C], about 1 for the class and -1 / (C - 1) for others. x: f32 [n, D]."""
        found: F64Array = x @ self.weight[:-1] + self.weight[-1]
        return found

    def names(self, x: F32Array) -> I64Array:
        """The class of each vector: i64 [n]."""
        return self.classes[self.scores(x).argmax(axis=1)]


def fit_ridge(x: F32Array, y: I64Array, penalty: float = PENALTY) -> Ridge:
    """Ridge regression on indicators, every class weighing the same. x: f32 [n, D]; y: i64 [n], n >= 1."""
    classes, index = np.unique(y, return_inverse=True)
    weight = 1 / np.bincount(index)[index]
    design = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1).astype(np.float64)
    target = np.full((len(x), len(classes)), -1 / max(1, len(classes) - 1))
    target[np.arange(len(x)), index] = 1
    weighted = design * weight[:, None]
    normal = weighted.T @ design
    normal[np.diag_indices_from(normal)] += penalty * len(classes)
    return Ridge(np.linalg.solve(normal, weighted.T @ target), classes)


def name_by_ridge(x: F32Array, y: I64Array, others: F32Array) -> I64Array:
    """Learns from x, y and names others: the `Namer` of `savings`."""
    return fit_ridge(x, y).names(others)


class LiveRidge:
    """The same ridge, which takes in one answer after the other: sums for each class, C x D^2 numbers, no rows.

    After any answers in any order it names as `fit_ridge` of all of them would.
    """

    def __init__(self, dimensions: int, penalty: float = PENALTY) -> None:
        self.penalty = penalty
        self._dimensions = dimensions
        self._moment: dict[int, F64Array] = {}
        self._count: dict[int, int] = {}

    def take(self, x: F32Array, y: I64Array, times: int = 1) -> None:
        """Take in answers; times = -1 takes them back. x: f32 [n, D]; y: i64 [n]."""
        design = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1).astype(np.float64)
        for who in np.unique(y).tolist():
            mine = design[y == who]
            empty = np.zeros((self._dimensions + 1, self._dimensions + 1))
            self._moment[who] = self._moment.get(who, empty) + times * (mine.T @ mine)
            self._count[who] = self._count.get(who, 0) + times * len(mine)
            if self._count[who] == 0:
                del self._count[who], self._moment[who]

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self._count)

    def fitted(self) -> Ridge:
        """The namer of all answers so far. Raises ValueError without any."""
        if not self._count:
            raise ValueError("nothing has been answered")
        classes = np.array(sorted(self._count), np.int64)
        count = np.array([self._count[c] for c in classes.tolist()], float)
        normal = np.zeros((self._dimensions + 1, self._dimensions + 1))
        for c, n in zip(classes.tolist(), count, strict=True):
            normal += self._moment[c] / n
        # The last column of a class's moment is the sum of its rows: that is all a balanced target needs.
        mean = np.stack([self._moment[c][:, -1] / n for c, n in zip(classes.tolist(), count, strict=True)], axis=1)
        other = 1 / max(1, len(classes) - 1)
        target = mean * (1 + other) - other * mean.sum(axis=1, keepdims=True)
        normal[np.diag_indices_from(normal)] += self.penalty * len(classes)
        return Ridge(np.linalg.solve(normal, target), classes)
