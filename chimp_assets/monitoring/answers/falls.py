"""Whether a share of right answers has fallen, at a time that nobody knows, from a value that nobody knows.

Belongs here: the evidence, and when and how far it fell. Does not belong here: whose answers (`model_drift`,
`annotators`), betting itself (`statistics.anytime`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chimp_assets.arrays import BoolArray, F64Array, I64Array
from chimp_assets.statistics.anytime import block_means, fall_evidence

PROOF = 80.0
"""Evidence from which a fall is reported: against one reference it is ever reached without one in 1 of 80 at most."""
LEAST_BEFORE, LEAST_AFTER = 50, 10
"""Answers that make a reference, and answers after a fall: of fewer nobody would believe it."""
_GROWTH = 2.0
DOUBT = 1.5
"""Standard errors that a measured reference is lowered by: simulated, `benchmarks.model_drift`."""


@dataclass(frozen=True)
class Fall:
    """before, after: shares of right answers; start: index of the first answer after the change."""

    evidence: float
    before: float
    after: float
    start: int


def find_fall(right: BoolArray, block: I64Array | None = None) -> Fall | None:
    """How sure it is that the share of right answers fell at some time; None where there are too few.

    right: bool [n], in the order in which the answers came; block: i64 [n], answers that are not independent of each
    other (a camera-day), None: each for itself. The reference is the share of earlier answers, less 1.5 standard errors
    because it is not known better: of the first 50, the first 100, the first 200, ... blocks, each against all that
    came after. Evidence is that of the best of them; betting on it is any-time valid for one reference
    (`statistics.anytime.fall_evidence`). What this makes of all together: `benchmarks.model_drift`.
    """
    x = right.astype(np.float64) if block is None else block_means(right, block)
    evidence = fall_path(x)
    if not len(evidence):
        return None
    start = _most_likely_start(right)
    return Fall(float(evidence.max()), float(right[:start].mean()), float(right[start:].mean()), start)


def fall_path(x: F64Array) -> F64Array:
    """Evidence after each block, 0 while there is no reference: f64 [n]; empty where there are too few. x: f64 [n]."""
    starts = _starts(len(x))
    if not starts:
        return np.empty(0)
    evidence = np.zeros(len(x))
    for start in starts:
        evidence[start:] = np.maximum(evidence[start:], fall_evidence(x[start:], reference_of(x[:start])))
    return evidence


def reference_of(x: F64Array) -> float:
    """The share of earlier answers f64 [n], less 1.5 standard errors; in ]0, 1[, also where all were right."""
    share = (float(x.sum()) + 1) / (len(x) + 2)
    return max(0.01, share - DOUBT * math.sqrt(share * (1 - share) / len(x)))


def _starts(n: int) -> list[int]:
    """Lengths of a reference: fixed in advance, so that none depends on an answer that it is compared with."""
    found, length = [], float(LEAST_BEFORE)
    while length + LEAST_AFTER <= n:
        found.append(int(length))
        length *= _GROWTH
    return found


def _most_likely_start(right: BoolArray) -> int:
    """Where two shares describe the answers best, the second one lower."""
    n = len(right)
    hits = np.cumsum(right)[:-1]
    first = np.arange(1, n)
    one, two = hits / first, (right.sum() - hits) / (n - first)
    gain = first * (n - first) * np.where(two < one, one - two, 0.0) ** 2
    gain[: LEAST_AFTER - 1] = gain[n - LEAST_AFTER :] = -1.0
    return int(gain.argmax()) + 1
