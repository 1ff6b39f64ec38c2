"""Who is taken for whom: the misclassification matrix from audited names, shrunk towards its mean, and its inverse.

A few hundred answers say little about each individual, so each row is drawn towards the mean of all, as far as
individuals are alike (beta-binomial, `pooling`); who is taken for whom is drawn towards how often each name is wrong.

Belongs here: the matrix, its draws over answers, its inverse. Does not belong here: reading answers
(`insight.association.errors`), counts of pairs (`unit_counts`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.statistics.pooling import pooled

NO_NAME = -1
FEWEST_ANSWERS = 30
"""Fewer answers say too little about errors."""
LEAST_ACCURACY = 0.4
"""Below it the inverse says more about noise than about animals."""
_STRENGTH = (2.0, 500.0)
_CONFUSIONS = 5.0
"""Wrong names that the mean counts for in each row."""


@dataclass(frozen=True)
class AuditedNames:
    """Answers of the audit beside the names of the model. true: i64 [k], 0 .. n - 1; named: i64 [k], NO_NAME where the
    model gave none."""

    n: int
    true: np.ndarray
    named: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of the given names that are right; nan without one."""
        given = self.named != NO_NAME
        return float((self.named == self.true)[given].mean()) if given.any() else float("nan")

    @property
    def says_enough(self) -> bool:
        """Whether names can be corrected with it."""
        enough = len(self.true) >= FEWEST_ANSWERS
        return enough and float((self.named == self.true).mean()) >= LEAST_ACCURACY

    def strength(self) -> float:
        """Answers that the mean counts for in each row."""
        answers = np.bincount(self.true, minlength=self.n)
        right = np.bincount(self.true[self.named == self.true], minlength=self.n)
        return float(np.clip(pooled(right, answers).strength, *_STRENGTH)) if len(self.true) else _STRENGTH[1]

    def matrix(self, strength: float, weight: np.ndarray | None = None) -> np.ndarray:
        """Chance of each name (column) of each individual (row): f64 [n, n]; rows sum to the chance of any name.

        weight: f64 [k], how often each answer counts (a draw of the bootstrap).
        """
        n, weight = self.n, np.ones(len(self.true)) if weight is None else weight
        given = self.named != NO_NAME
        count = np.zeros((n, n))
        np.add.at(count, (self.true[given], self.named[given]), weight[given])
        answers, total = np.bincount(self.true, weight, n), max(float(weight.sum()), 1e-9)
        right = count.diagonal().copy()
        wrong = count.sum(1) - right
        keep = (right + strength * right.sum() / total) / (answers + strength)
        err = (wrong + strength * wrong.sum() / total) / (answers + strength)
        np.fill_diagonal(count, 0.0)
        mean = (count.sum(0) + 1.0) / (count.sum() + n)
        taken = count + _CONFUSIONS * mean
        np.fill_diagonal(taken, 0.0)
        matrix = taken / np.maximum(taken.sum(1, keepdims=True), 1e-12) * err[:, None]
        np.fill_diagonal(matrix, np.maximum(keep, LEAST_ACCURACY / 2))
        return matrix

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """A draw of the bootstrap over answers, as weights for `matrix`."""
        k = len(self.true)
        return rng.multinomial(k, np.full(k, 1 / k)).astype(float) if k else np.zeros(0)


def inverted(matrix: np.ndarray) -> np.ndarray:
    """The inverse W: f64 [n, n]; each row sums to what its names stand for."""
    return np.linalg.inv(matrix) if len(matrix) else matrix
