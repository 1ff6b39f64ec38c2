"""How the strength of individuals changed: the sum of an individual's indices, with intervals over blocks of days.

Belongs here: sums of the draws of pairs, so that what pairs share is kept. Does not belong here: draws of pairs
(`intervals`), permutation of labels (`label_permutation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from chimp_assets.arrays import F64Array, I64Array
from chimp_assets.statistics.association.intervals import (
    NEIGHBOURS,
    Sampled,
    block_times,
    resamples_of,
    stretch,
)
from chimp_assets.statistics.shares import CONFIDENCE

DRAWS = 400
"""Resamples: what a network of 150 individuals can be told in a second. More would move limits by a hundredth."""
_AT_A_TIME = 4_000
"""Pairs whose draws are in memory at once."""


@dataclass(frozen=True)
class StrengthChanges:
    """Columns f64 [n + 1], a row for each individual and the last for the mean of all: strength before and after, the
    difference with its 95 % interval; blocks: f64 [2, n + 1], effective blocks of days of each period."""

    before: F64Array
    after: F64Array
    difference: F64Array
    low: F64Array
    high: F64Array
    blocks: F64Array


def strength_changes(
    old: Sampled, new: Sampled, a: I64Array, b: I64Array, n: int, resamples: int = DRAWS, seed: int = 0
) -> StrengthChanges:
    """What changed for each of n individuals. a, b: i64 [p], whose pairs `old` and `new` hold; below 0 for a pair that
    does not count."""
    sums = _sums(a, b, n)
    small = sums.astype(np.float32)
    rng = np.random.default_rng(seed + 1)
    resamples = resamples_of(len(a), resamples)
    drawn = [np.zeros((n + 1, resamples), np.float32) for _ in (old, new)]
    times = [block_times(len(one.by_block.n), resamples, rng) for one in (old, new)]
    for start in range(0, len(a), _AT_A_TIME):
        rows = np.arange(start, min(start + _AT_A_TIME, len(a)))
        for one, weight, strength in zip((old, new), times, drawn, strict=True):
            errors = one.errors(rows).astype(np.float32)
            pairs = one.drawn(weight, rows, None) + errors[np.arange(resamples) % len(errors)]
            strength += small[:, rows] @ pairs.T
    for one, strength in zip((old, new), drawn, strict=True):
        # No smaller spread than independent units have; what pairs share counts towards it.
        missing = np.sqrt(np.maximum(0.0, sums.power(2) @ one.least(np.arange(len(a))) - strength.var(1)))
        strength += rng.standard_normal(strength.shape, dtype=np.float32) * missing[:, None].astype(np.float32)
    before, after = sums @ old.value, sums @ new.value
    difference, of_difference = after - before, drawn[1] - drawn[0]
    blocks = np.stack([_blocks(sums, one) for one in (old, new)])
    wider = stretch([strength.var(1) for strength in drawn], list(blocks)) * NEIGHBOURS
    low, high = np.quantile(of_difference, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
    low = np.minimum(low, difference - wider * (difference - low))
    high = np.maximum(high, difference + wider * (high - difference))
    return StrengthChanges(before, after, difference, low, high, blocks)


def _sums(a: I64Array, b: I64Array, n: int) -> scipy.sparse.csr_matrix:
    """Which pairs each strength is the sum of, and their mean over individuals: f64 [n + 1, p]."""
    kept = np.flatnonzero((a >= 0) & (b >= 0))
    row = np.concatenate([a[kept], b[kept], np.full(len(kept), n)])
    value = np.concatenate([np.ones(2 * len(kept)), np.full(len(kept), 2 / max(1, n))])
    return scipy.sparse.csr_matrix((value, (row, np.tile(kept, 3))), (n + 1, len(a)))


def _blocks(sums: scipy.sparse.csr_matrix, of: Sampled) -> F64Array:
    """Effective number of blocks in which the pairs of each were sampled."""
    sampled = np.asarray(sums @ of.by_block.n.T)
    square = (sampled**2).sum(1)
    return np.divide(sampled.sum(1) ** 2, square, out=np.ones(len(square)), where=square > 0)
