"""What asking the right tracks has saved: labels that random asking would have needed for the same accuracy.

The audit lane asks tracks at random, so its answers are what a random policy would have learned from, and at the same
time the only fair examination. They are divided into folds, again and again: heads learn from more and more of the
other folds (the random policy), or from more and more of the training labels in the order in which they were given (the
real policy), and both name the tracks of the fold. Where the random curve reaches what the real one ends with is the
answer; where that lies beyond the audit labels the curve is carried on (`curves`). The interval is a bootstrap over
audit tracks, the same ones for both curves, over divisions and over families of curves.

Both policies use today's embedding. It was learned from labels that the real policy chose, so a random policy would
hardly have had a better one: the saving is understated rather than overstated. The labels of the real policy include
the audit ones, which taught nothing.

Belongs here: the estimate. Does not belong here: reading labels and fitting heads (`chimp_assets.loop.returns`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chimp_assets.acquisition.pool import F32Array, F64Array, I64Array
from chimp_assets.acquisition.returns.curves import FAMILIES
from chimp_assets.acquisition.returns.words import saving_in_words

Namer = Callable[[F32Array, I64Array, F32Array], I64Array]
"""Learns from vectors f32 [n, D] and individuals i64 [n], and names others f32 [m, D]: i64 [m]."""

FOLDS = 3
DIVISIONS = 20
POINTS = 7
LEAST_TAUGHT = 8
LEAST_AUDIT = 30
"""With fewer audit labels nothing is said."""
RESAMPLED = 400
CONFIDENCE = 0.95


@dataclass(frozen=True)
class AccuracyPoint:
    """One point of a measured curve: accuracy in [0, 1] with n labels, and its 95 % interval."""

    n: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Savings:
    """accuracy: of the real policy with n_labels (audit ones included); n_random: labels with which a random policy
    reaches it, median and 95 % interval, inf where no number does. real, random: measured points, the
    former by labels that taught. extrapolated: n_random lies beyond what was measured."""

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n_labels: int
    n_random: float
    n_random_low: float
    n_random_high: float
    real: list[AccuracyPoint]
    random: list[AccuracyPoint]
    extrapolated: bool

    @property
    def ratio(self) -> float:
        """Labels spent over labels that random asking would have needed; below 1 is a saving."""
        return self.n_labels / self.n_random if self.n_random > 0 else float("inf")

    def in_words(self, minutes: float) -> str:
        """The sentence that a person reads. minutes: what the labels took."""
        return saving_in_words(
            self.accuracy, self.n_labels, minutes, self.n_random, self.n_random_low, self.n_random_high
        )


def savings(
    taught: F32Array,
    taught_names: I64Array,
    audit: F32Array,
    audit_names: I64Array,
    name: Namer,
    seed: int,
    divisions: int = DIVISIONS,
) -> Savings | None:
    """The estimate, or None with fewer than LEAST_AUDIT audit labels or LEAST_TAUGHT others.

    taught: f32 [n, D], training tracks in the order in which they were answered; audit: f32 [a, D], any order. Same
    input and seed, same numbers. Fits 7 heads for each fold of each division.
    """
    n, a = len(taught_names), len(audit_names)
    if a < LEAST_AUDIT or n < LEAST_TAUGHT:
        return None
    rng = np.random.default_rng(seed)
    real_n, random_n = sizes(n), sizes(a - -(-a // FOLDS))
    real = np.stack([name(taught[:k], taught_names[:k], audit) == audit_names for k in real_n]).astype(float)
    random = np.empty((divisions, len(random_n), a))
    for d in range(divisions):
        for test in np.array_split(rng.permutation(a), FOLDS):
            teach = rng.permutation(np.setdiff1d(np.arange(a), test))
            for i, k in enumerate(random_n):
                random[d, i, test] = name(audit[teach[:k]], audit_names[teach[:k]], audit[test]) == audit_names[test]
    reached = np.empty(RESAMPLED)
    real_points, random_points = np.empty((RESAMPLED, len(real_n))), np.empty((RESAMPLED, len(random_n)))
    luck = _luck(random, random_n, a)
    for r in range(RESAMPLED):
        weight = rng.multinomial(a, np.full(a, 1 / a)) / a
        some = random[rng.integers(divisions, size=divisions)].mean(axis=0)
        real_points[r] = real @ weight
        random_points[r] = np.clip(some @ weight + luck * rng.standard_normal(), 0, 1)
        fit = FAMILIES[r % len(FAMILIES)]
        # The end of a curve counts most: that is where it is carried on.
        reached[r] = fit(random_n.astype(float), random_points[r], random_n.astype(float)).labels_for(
            real_points[r, -1]
        )
    low, middle, high = _quantiles(reached)
    final = real[-1]
    accuracy_low, accuracy_high = np.quantile(real_points[:, -1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Savings(
        accuracy=float(final.mean()),
        accuracy_low=float(accuracy_low),
        accuracy_high=float(accuracy_high),
        n_labels=n + a,
        n_random=middle,
        n_random_low=low,
        n_random_high=high,
        real=_points(real_n, real.mean(axis=1), real_points),
        random=_points(random_n, random.mean(axis=(0, 2)), random_points),
        extrapolated=bool(middle > random_n[-1]),
    )


def sizes(most: int) -> I64Array:
    """Numbers of labels at which a curve up to `most` is measured: evenly by their logarithm. i64 [<= POINTS]."""
    return np.unique(np.round(np.geomspace(min(LEAST_TAUGHT, most), most, POINTS)).astype(np.int64))


def _luck(random: F64Array, n: I64Array, a: int) -> float:
    """Standard deviation of the whole random curve over audits: others of the same size would have taught otherwise.

    From heads of few labels, which share few of them: their variance falls as 1 / k, and a / k of them can be taught
    by one audit without sharing any.
    """
    share = n / max(n[-1], 1)
    few = share <= 0.6
    one_head = FOLDS * random.mean(axis=2).var(axis=0, ddof=1)[few] / (1 - share[few])
    return float(np.sqrt(np.median(one_head * n[few]) / a))


def _points(n: I64Array, accuracy: F64Array, resampled: F64Array) -> list[AccuracyPoint]:
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return [
        AccuracyPoint(int(k), float(m), float(lo), float(hi))
        for k, m, lo, hi in zip(n, accuracy, low, high, strict=True)
    ]


def _quantiles(values: F64Array) -> tuple[float, float, float]:
    """2.5 %, 50 % and 97.5 %, of values among which there may be inf."""
    ordered = np.sort(values)
    at = [(1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2]
    places = [min(len(ordered) - 1, round(q * (len(ordered) - 1))) for q in at]
    return float(ordered[places[0]]), float(ordered[places[1]]), float(ordered[places[2]])
