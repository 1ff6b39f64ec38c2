"""Association indices with intervals that hold errors of names and days that resemble their neighbours.

Days are resampled in blocks of consecutive ones (Kuensch 1989), answers of the audit one by one, so an interval is wide
where either says little. Percentiles are stretched from the value by the t quantile of the number of blocks, as in
`blocks`. `benchmarks.association` prints bias, coverage and false changes.

Belongs here: estimates of pairs, their change, its power. Does not belong here: counts (`unit_counts`), the
misclassification matrix (`misclassification`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special

from chimp_assets.statistics.association.misclassification import AuditedNames, inverted
from chimp_assets.statistics.association.unit_counts import BlockSums, UnitCounts, sums
from chimp_assets.statistics.shares import CONFIDENCE

RESAMPLES = 1_000
AUDIT_DRAWS = 40
MANY = 100
"""Individuals above which the answers' part of the spread is taken from the linear correction of sums, since the whole
one takes a second for each draw. Where units hold many clips it is a little too wide."""
_DRAWN = 12_000_000
"""Draws of all pairs together; of more pairs there are fewer resamples, 300 at least."""
_POWER_DRAWS = 400
NEIGHBOURS = 1.05
"""Blocks that follow each other resemble each other at their ends: changes are told by so much wider intervals, so that
at a correlation of 0.3 from day to day at most 5 % are false."""
_AT_A_TIME = 4_000
"""Pairs whose draws are in memory at once: 1,000 draws of 4 bytes each."""


@dataclass(frozen=True)
class Sampled:
    """Counts with what repeated sampling would make of them. x, n: f64 [p], names as they are; value: f64 [p], the
    corrected index, not yet cut to 0 .. 1; blocks: f64 [p], effective number of blocks; by_block: corrected sums;
    errors: f64 [draws, p], what other answers of the audit would add to the value."""

    x: np.ndarray
    n: np.ndarray
    value: np.ndarray
    blocks: np.ndarray
    by_block: BlockSums
    errors: np.ndarray

    def drawn(self, times: np.ndarray, pairs: slice, rng: np.random.Generator, floor: bool) -> np.ndarray:
        """Draws of the index: f64 [resamples, pairs]. times: f32 [resamples, blocks], how often each block counts.

        floor: no smaller spread than independent units have, which few units or none together may hide.
        """
        x, n = (one[:, pairs].astype(np.float32) for one in (self.by_block.x, self.by_block.n))
        drawn = _ratio(times @ x, times @ n)
        if floor:
            missing = np.sqrt(np.maximum(0.0, self.least(pairs) - drawn.var(0)))
            drawn = drawn + rng.standard_normal(drawn.shape, dtype=np.float32) * missing.astype(np.float32)
        return drawn

    def least(self, pairs: slice) -> np.ndarray:
        """The variance that each index has at least, as of independent units: f64 [pairs]."""
        share = (np.clip(self.value[pairs], 0, 1) * self.n[pairs] + 1) / (self.n[pairs] + 2)
        return np.asarray(share * (1 - share) / (self.n[pairs] + 2))


@dataclass(frozen=True)
class Estimates:
    """Columns f64 [p]: the index without and with the correction, its 95 % interval, the Beta posterior's (BISoN's
    binary model, flat prior: Hart et al. 2023) on the names as they are; is_real: bool [p], whether low is above 0."""

    x: np.ndarray
    n: np.ndarray
    sri: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    beta_low: np.ndarray
    beta_high: np.ndarray

    @property
    def is_real(self) -> np.ndarray:
        """Whether the interval lies above 0."""
        return np.asarray(self.low > 0)


@dataclass(frozen=True)
class Changes:
    """Columns f64 [p]: index before and after, the difference with its 95 % interval, and the chance that a tie of half
    its strength before would have been found (power)."""

    before: np.ndarray
    after: np.ndarray
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    power: np.ndarray


def sampled(counts: UnitCounts, names: AuditedNames | None, seed: int, draws: int = AUDIT_DRAWS) -> Sampled:
    """What `estimates` and `changes` need. names: None where nothing is corrected."""
    raw = sums(counts)
    x, n = raw.x.sum(0), raw.n.sum(0)
    by_block, errors = raw, np.zeros((1, len(n)))
    if names is not None and not counts.by_persons:
        rng = np.random.default_rng(seed)
        strength = names.strength()
        by_block = sums(counts, inverted(names.matrix(strength)))
        value = _index(by_block)
        drawn = [inverted(names.matrix(strength, names.drawn(rng))) for _ in range(draws)]
        if counts.n <= MANY:
            errors = np.stack([_index(sums(counts, one)) - value for one in drawn])
        else:
            linear = _linear(counts, x)
            as_it_is = linear(inverted(names.matrix(strength)))
            errors = np.stack([linear(one) - as_it_is for one in drawn])
    square = (raw.n**2).sum(0)
    blocks = np.divide(n**2, square, out=np.ones_like(n), where=square > 0)
    return Sampled(x, n, _index(by_block), blocks, by_block, errors)


def estimates(
    counts: UnitCounts, names: AuditedNames | None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Estimates, Sampled]:
    """Indices of all pairs with intervals."""
    found = sampled(counts, names, seed)
    low, high = _limits([found], found.value, _stretch([found]), resamples, seed)
    level = (1 - CONFIDENCE) / 2
    beta = scipy.special.betaincinv
    a, b = found.x + 1, found.n - found.x + 1
    return Estimates(
        found.x, found.n, _ratio(found.x, found.n), np.clip(found.value, 0, 1), np.clip(low, 0, 1),
        np.clip(high, 0, 1), beta(a, b, level), beta(a, b, 1 - level),
    ), found  # fmt: skip


def changes(
    before: UnitCounts, after: UnitCounts, names: AuditedNames | None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Changes, Sampled, Sampled]:
    """What changed, pair by pair. before, after: of the same pairs of the same individuals, in the same order. The
    answers of the audit are drawn once for both, since both were named by the same errors."""
    old, new = sampled(before, names, seed), sampled(after, names, seed)
    difference = new.value - old.value
    wider = _stretch([old, new]) * NEIGHBOURS
    low, high = _limits([old, new], difference, wider, resamples, seed)
    chance = power(np.clip(old.value, 0, 1), old.n, new.n, _design(old), wider)
    return (
        Changes(np.clip(old.value, 0, 1), np.clip(new.value, 0, 1), difference, low, high, chance), old, new,
    )  # fmt: skip


def power(
    tie: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    design: np.ndarray,
    stretch: np.ndarray | float = 1.0,
    factor: float = 0.5,
    seed: int = 0,
) -> np.ndarray:
    """Chance that a tie which becomes `factor` times as strong is found changed, by drawing both periods: f64 [p].

    tie: index before; before, after: units in which at least one was seen; design: how much the variance of the index
    exceeds that of independent units (Kish 1965), so that fewer of them count; stretch: of the intervals.
    """
    rng = np.random.default_rng(seed)
    reach = scipy.special.ndtri(0.5 + CONFIDENCE / 2) * stretch
    found = np.zeros(len(tie))
    draws = _POWER_DRAWS if len(tie) < _AT_A_TIME else _POWER_DRAWS // 4
    many = [np.maximum(1, np.rint(n / np.maximum(design, 1.0))).astype(int) for n in (before, after)]
    chances = np.clip(tie, 0, 1), np.clip(tie * factor, 0, 1)
    for _ in range(draws):
        x, y = (rng.binomial(n, p) for n, p in zip(many, chances, strict=True))
        variance = sum(
            (one + 1) / (n + 2) * (1 - (one + 1) / (n + 2)) / (n + 2) for one, n in zip((x, y), many, strict=True)
        )
        found += np.abs(x / many[0] - y / many[1]) > reach * np.sqrt(variance)
    return np.where((tie > 0) & (before > 0) & (after > 0), found / draws, 0.0)


def _design(found: Sampled) -> np.ndarray:
    """Variance between blocks over that of independent units, pooled over pairs that met often: f64 [p]."""
    x, n, value = found.by_block.x, found.by_block.n, found.value
    total = n.sum(0)
    blocks = np.maximum(found.blocks, 1.0)
    between = ((x - value * n) ** 2).sum(0) / np.maximum(total, 1e-9) ** 2 * blocks / np.maximum(blocks - 1, 0.5)
    share = np.clip(value, 0, 1)
    alone = share * (1 - share) / np.maximum(total, 1e-9)
    often = (found.x >= 5) & (alone > 0)
    pooled = float(between[often].sum() / alone[often].sum()) if often.any() else 1.0
    return np.full(len(value), max(1.0, pooled))


def _limits(
    found: list[Sampled], value: np.ndarray, stretch: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of one index, or of the second less the first."""
    rng = np.random.default_rng(seed + 1)
    resamples = resamples_of(len(value), resamples)
    times = [block_times(len(one.by_block.n), resamples, rng) for one in found]
    signs = [1.0] if len(found) == 1 else [-1.0, 1.0]
    of_error = np.arange(resamples) % len(found[0].errors)
    low, high = np.zeros(len(value)), np.zeros(len(value))
    at = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    for start in range(0, len(value), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        drawn = np.zeros((resamples, len(value[part])), np.float32)
        for one, sign, weight in zip(found, signs, times, strict=True):
            drawn += sign * (one.drawn(weight, part, rng, len(found) > 1) + one.errors[of_error][:, part])
        low[part], high[part] = np.quantile(drawn, at, axis=0)
    low = np.minimum(low, value - stretch * (value - low))
    high = np.maximum(high, value + stretch * (high - value))
    return low, high


def _linear(counts: UnitCounts, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The index by an inverse that is applied to sums of units at once: f64 [n, n] to f64 [p]."""
    met = np.zeros((counts.n, counts.n))
    met[counts.a, counts.b] = met[counts.b, counts.a] = x
    seen = np.bincount(counts.member_who, counts.weight[counts.member_unit], counts.n)

    def index(inverse: np.ndarray) -> np.ndarray:
        together = (inverse.T @ met @ inverse)[counts.a, counts.b]
        alone = seen @ inverse
        return _ratio(together, np.maximum(alone[counts.a] + alone[counts.b] - together, 0))

    return index


def resamples_of(pairs: int, resamples: int) -> int:
    """How many resamples of so many pairs fit into memory and patience."""
    return max(300, min(resamples, _DRAWN // max(1, pairs)))


def block_times(blocks: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each block counts in each resample: f32 [resamples, blocks]."""
    if not blocks:
        return np.zeros((resamples, 0), np.float32)
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), resamples).astype(np.float32)


def _stretch(found: list[Sampled]) -> np.ndarray:
    return stretch([one.least(slice(None)) for one in found], [one.blocks for one in found])


def stretch(variance: list[np.ndarray], blocks: list[np.ndarray]) -> np.ndarray:
    """How much wider percentiles must be for so few blocks (t instead of normal; Welch 1947 for two periods): f64
    [p]. variance, blocks: f64 [p] of each period."""
    total = np.maximum(sum(variance), 1e-12)
    free = sum(v**2 / np.maximum(many - 1, 0.5) for v, many in zip(variance, blocks, strict=True))
    df = np.clip(np.divide(total**2, free, out=np.full_like(total, 1e6), where=free > 0), 1.0, 1e6)
    few = sum(v * many / np.maximum(many - 1, 0.5) for v, many in zip(variance, blocks, strict=True)) / total
    quantile = 0.5 + CONFIDENCE / 2
    t = scipy.special.stdtrit(df, quantile) / scipy.special.ndtri(quantile)
    return np.asarray(t * np.sqrt(np.maximum(few, 1.0)))


def _index(by_block: BlockSums) -> np.ndarray:
    return _ratio(by_block.x.sum(0), by_block.n.sum(0))


def _ratio(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.divide(x, n, out=np.zeros_like(n), where=n > 0)
