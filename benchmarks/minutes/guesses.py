"""What the machine thinks of every track, after each refit of its head, and how far that is true.

Belongs here: the head (the product's ridge), its calibrated chances. Does not belong here: what is asked with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.label_efficiency.strategies import SHARPNESS
from chimp_assets.acquisition.minutes.calibration import ChanceLine, fit
from chimp_assets.acquisition.ridge import PENALTY, Ridge, fit_ridge


@dataclass(frozen=True)
class Guesses:
    """ridge; p: f64 [n, C], probabilities of its classes, 0 for who was denied; first: i64 [n], the individual with the
    largest; raw: f64 [n], that probability; line: how chances follow from it; chance: f64 [n]."""

    ridge: Ridge
    p: np.ndarray
    first: np.ndarray
    raw: np.ndarray
    line: ChanceLine
    chance: np.ndarray

    def proposed(self, row: int, k: int = 5) -> np.ndarray:
        """The k likeliest individuals of a track, likeliest first. i64."""
        return np.asarray(self.ridge.classes[np.argsort(-self.p[row], kind="stable")[:k]])

    def margins(self) -> np.ndarray:
        """f64 [n], of the probabilities."""
        if self.p.shape[1] < 2:
            return np.ones(len(self.p))
        two = np.partition(self.p, -2, axis=1)[:, -2:]
        return np.asarray(two[:, 1] - two[:, 0])


def chances(scores: np.ndarray) -> np.ndarray:
    """Softmax of ridge scores, f64 [n, C]."""
    logits = SHARPNESS * scores
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def guess(
    vectors: np.ndarray,
    taught: np.ndarray,
    names: np.ndarray,
    denied: np.ndarray,
    audited: np.ndarray,
    said: np.ndarray,
    audit_weight: float = 1.0,
    shuffle: np.random.Generator | None = None,
) -> Guesses:
    """Refit on the taught tracks (rows i64 [m], names i64 [m]) and look at all.

    denied: bool [n, individuals], who a track does not show; audited: rows that taught nothing, with their names
    `said`. The line is fitted on what the head would have said of each taught track without it (ridge: in closed form)
    and on the audit. shuffle: the control, chances in random order.
    """  # fmt: skip
    ridge = fit_ridge(vectors[taught], names)
    scores = ridge.scores(vectors)
    p = chances(scores)
    shown = np.where(denied[:, ridge.classes], 0.0, p)
    first_at = shown.argmax(axis=1)
    raw = shown[np.arange(len(shown)), first_at]
    left = chances(_left_out(vectors[taught], names, ridge))
    at = left.argmax(axis=1)
    x = [left[np.arange(len(left)), at], p[audited].max(axis=1)]
    y = [ridge.classes[at] == names, ridge.classes[p[audited].argmax(axis=1)] == said]
    weight = np.concatenate([np.ones(len(taught)), np.full(len(audited), audit_weight)])
    line = fit(np.concatenate(x), np.concatenate(y), weight)
    if shuffle is not None:
        raw = shuffle.permutation(raw)
    return Guesses(ridge, shown, ridge.classes[first_at], raw, line, line.of(raw))


def _left_out(x: np.ndarray, y: np.ndarray, ridge: Ridge) -> np.ndarray:
    """Scores of each taught track by a ridge without it: f - h (y - f) / (1 - h), with h its leverage. f64 [m, C]."""
    index = np.searchsorted(ridge.classes, y)
    weight = 1 / np.bincount(index)[index]
    design = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1).astype(np.float64)
    normal = (design * weight[:, None]).T @ design
    normal[np.diag_indices_from(normal)] += PENALTY * len(ridge.classes)
    h = weight * np.einsum("ij,ji->i", design, np.linalg.solve(normal, design.T))
    target = np.full((len(x), len(ridge.classes)), -1 / max(1, len(ridge.classes) - 1))
    target[np.arange(len(x)), index] = 1
    fitted = ridge.scores(x)
    h = np.minimum(h, 1 - 1e-6)[:, None]
    return np.asarray((fitted - h * target) / (1 - h))
