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
_STEPS = 60
"""Counts over which the power of a pair is summed; of more every second, third ... is taken."""
_NEIGHBOURS = 1.05
"""Blocks that follow each other resemble each other at their ends: changes are told by so much wider intervals, so that
at a correlation of 0.3 from day to day at most 5 % are false."""
_AT_A_TIME = 4_000
"""Pairs whose draws are in memory at once: 1,000 draws of 4 bytes each."""


@dataclass(frozen=True)
class Sampled:
    """Counts with what repeated sampling would make of them. x, n: f64 [p], names as they are; value: f64 [p], the
    corrected index, not yet cut to 0 .. 1; blocks: f64 [p], effective number of blocks; by_block: corrected sums;
    errors: of some pairs (rows, i64 [r]) what other answers of the audit would add to the value, f64 [draws, r]."""

    x: np.ndarray
    n: np.ndarray
    value: np.ndarray
    blocks: np.ndarray
    by_block: BlockSums
    errors: Callable[[np.ndarray], np.ndarray]

    def drawn(self, times: np.ndarray, rows: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Draws of the index of some pairs: f64 [resamples, r]. times: f32 [resamples, blocks], how often each block
        counts; noise: f32 [resamples], normal, for a spread that is no smaller than that of independent units, which
        few units or none together may hide; None: the spread as it is."""
        x, n = (one[:, rows].astype(np.float32) for one in (self.by_block.x, self.by_block.n))
        drawn = _ratio(times @ x, times @ n)
        if noise is not None:
            value, units = self.value[rows], self.n[rows]
            share = (np.clip(value, 0, 1) * units + 1) / (units + 2)
            least = share * (1 - share) / (units + 2)
            missing = np.sqrt(np.maximum(0.0, least - drawn.var(0)))
            drawn = drawn + noise[:, None] * missing.astype(np.float32)
        return drawn


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


def audit_draws(names: AuditedNames, seed: int = 0, draws: int = AUDIT_DRAWS) -> np.ndarray:
    """Inverses of the misclassification matrix: as it is, then by draws of the answers: f64 [1 + draws, n, n].

    They depend on the answers alone: who keeps them need not invert again when names change.
    """
    rng, strength = np.random.default_rng(seed), names.strength()
    matrices = [names.matrix(strength), *(names.matrix(strength, names.drawn(rng)) for _ in range(draws))]
    return np.stack([inverted(one) for one in matrices])


def sampled(counts: UnitCounts, inverses: np.ndarray | None) -> Sampled:
    """What `estimates` and `changes` need. inverses: of `audit_draws`; None where nothing is corrected."""
    raw = sums(counts)
    x, n = raw.x.sum(0), raw.n.sum(0)
    by_block = raw
    errors: Callable[[np.ndarray], np.ndarray] = _no_errors
    if inverses is not None and not counts.by_persons:
        by_block = sums(counts, inverses[0])
        errors = _linear_errors(counts, x, inverses) if counts.n > MANY else _whole_errors(counts, by_block, inverses)
    square = (raw.n**2).sum(0)
    blocks = np.divide(n**2, square, out=np.ones_like(n), where=square > 0)
    return Sampled(x, n, _index(by_block), blocks, by_block, errors)


def estimates(found: Sampled, rows: np.ndarray | None = None, resamples: int = RESAMPLES, seed: int = 0) -> Estimates:
    """Indices of pairs with intervals, which are the same whichever other pairs are asked for. rows: None for all."""
    rows = np.arange(len(found.n)) if rows is None else rows
    low, high = _limits([found], found.value, _stretch([found]), rows, resamples, seed)
    level = (1 - CONFIDENCE) / 2
    beta = scipy.special.betaincinv
    x, n = found.x[rows], found.n[rows]
    a, b = x + 1, n - x + 1
    return Estimates(
        x, n, _ratio(x, n), np.clip(found.value[rows], 0, 1), np.clip(low, 0, 1), np.clip(high, 0, 1),
        beta(a, b, level), beta(a, b, 1 - level),
    )  # fmt: skip


def changes(
    old: Sampled, new: Sampled, rows: np.ndarray | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> Changes:
    """What changed, pair by pair. old, new: of the same pairs of the same individuals, in the same order, with the same
    inverses: the answers of the audit are drawn once for both, since both were named by the same errors. rows: of which
    pairs, None for all; what is said of one does not depend on which others are asked for."""
    rows = np.arange(len(old.n)) if rows is None else rows
    difference = new.value - old.value
    stretch = _stretch([old, new]) * _NEIGHBOURS
    low, high = _limits([old, new], difference, stretch, rows, resamples, seed)
    before, after = (np.clip(one.value[rows], 0, 1) for one in (old, new))
    chance = power(before, old.n[rows], new.n[rows], _design(old)[rows], stretch[rows])
    return Changes(before, after, difference[rows], low, high, chance)


def power(
    tie: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    design: np.ndarray,
    stretch: np.ndarray | float = 1.0,
    factor: float = 0.5,
) -> np.ndarray:
    """Chance that a tie which becomes `factor` times as strong is found changed, over all that may be counted: f64 [p].

    tie: index before; before, after: units in which at least one was seen; design: how much the variance of the index
    exceeds that of independent units (Kish 1965), so that fewer of them count; stretch: of the intervals.
    """
    reach = np.broadcast_to(scipy.special.ndtri(0.5 + CONFIDENCE / 2) * stretch, tie.shape)
    units = [np.maximum(1, np.rint(n / np.maximum(design, 1.0))) for n in (before, after)]
    found = np.zeros(len(tie))
    asked = np.flatnonzero((tie > 0) & (before > 0) & (after > 0))
    for start in range(0, len(asked), _AT_A_TIME):
        part = asked[start : start + _AT_A_TIME]
        found[part] = _found(np.clip(tie[part], 0, 1), factor, units[0][part], units[1][part], reach[part])
    return found


def _found(tie: np.ndarray, factor: float, n: np.ndarray, m: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Chance that shares x / n and y / m of binomial counts differ by more than `reach` standard errors, whose squares
    are s (1 - s) / (n + 2) with s = (x + 1) / (n + 2). x: at most _STEPS values within six standard deviations."""
    wide = 6 * np.sqrt(n * tie * (1 - tie)) + 1
    first, last = np.floor(np.maximum(0, n * tie - wide)), np.ceil(np.minimum(n, n * tie + wide))
    step = np.maximum(1, np.ceil((last - first) / _STEPS))
    x = first[:, None] + step[:, None] * np.arange(int(((last - first) // step).max(initial=0)) + 1)
    inside = x <= last[:, None]
    x = np.minimum(x, n[:, None])
    chance = _binomial(x, n[:, None], tie[:, None]) * inside
    chance /= np.maximum(chance.sum(1, keepdims=True), 1e-300)
    # It is found where a y^2 - b y + c > 0: outside of the roots.
    n, m, r = n[:, None], m[:, None], reach[:, None] ** 2
    s, k = (x + 1) / (n + 2), m + 2
    a = 1 / m**2 + r / k**3
    b = 2 * x / (n * m) + r * (k - 2) / k**3
    c = (x / n) ** 2 - r * (s * (1 - s) / (n + 2) + (k - 1) / k**3)
    root = np.sqrt(np.maximum(b**2 - 4 * a * c, 0))
    low, high = (b - root) / (2 * a), (b + root) / (2 * a)
    below = np.clip(np.ceil(low - 1e-9) - 1, -1, m)
    above = np.clip(np.floor(high + 1e-9), -1, m)
    return np.asarray(
        (chance * (_up_to(below, m, tie[:, None] * factor) + 1 - _up_to(above, m, tie[:, None] * factor))).sum(1)
    )


def _binomial(x: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    gammaln, xlogy, xlog1py = scipy.special.gammaln, scipy.special.xlogy, scipy.special.xlog1py
    ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    return np.asarray(np.exp(ways + xlogy(x, p) + xlog1py(n - x, -p)))


def _up_to(y: np.ndarray, m: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Chance of a binomial count up to y, -1 to m."""
    some = np.clip(y, 0, np.maximum(m - 1, 0))
    return np.asarray(np.where(y < 0, 0.0, np.where(y >= m, 1.0, scipy.special.betaincc(some + 1, m - some, p))))


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
    found: list[Sampled], value: np.ndarray, stretch: np.ndarray, rows: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of one index, or of the second less the first, of some pairs."""
    rng = np.random.default_rng(seed + 1)
    resamples = max(300, min(resamples, _DRAWN // max(1, len(value))))
    times = [_times(len(one.by_block.n), resamples, rng) for one in found]
    noise = [_normal(resamples, rng) if len(found) > 1 else None for _ in found]
    signs = [1.0] if len(found) == 1 else [-1.0, 1.0]
    low, high = np.zeros(len(rows)), np.zeros(len(rows))
    at = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    for start in range(0, len(rows), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        drawn = np.zeros((resamples, len(rows[part])), np.float32)
        for one, sign, weight, z in zip(found, signs, times, noise, strict=True):
            errors = one.errors(rows[part])
            drawn += sign * (one.drawn(weight, rows[part], z) + errors[np.arange(resamples) % len(errors)])
        low[part], high[part] = np.quantile(drawn, at, axis=0)
    value, stretch = value[rows], stretch[rows]
    low = np.minimum(low, value - stretch * (value - low))
    high = np.maximum(high, value + stretch * (high - value))
    return low, high


def _normal(many: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal numbers, f32: its quantiles in some order, since all pairs share them."""
    return np.asarray(rng.permutation(scipy.special.ndtri((np.arange(many) + 0.5) / many)).astype(np.float32))


def _no_errors(rows: np.ndarray) -> np.ndarray:
    return np.zeros((1, len(rows)))


def _whole_errors(counts: UnitCounts, by_block: BlockSums, inverses: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Errors by the whole correction of each draw, reckoned when they are first asked for."""
    made: list[np.ndarray] = []

    def errors(rows: np.ndarray) -> np.ndarray:
        if not made:
            made.append(np.stack([_index(sums(counts, one)) for one in inverses[1:]]) - _index(by_block))
        return np.asarray(made[0][:, rows])

    return errors


def _linear_errors(counts: UnitCounts, x: np.ndarray, inverses: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Errors by inverses that are applied to sums of units at once."""
    met = np.zeros((counts.n, counts.n))
    met[counts.a, counts.b] = met[counts.b, counts.a] = x
    seen = np.bincount(counts.member_who, counts.weight[counts.member_unit], counts.n)

    def errors(rows: np.ndarray) -> np.ndarray:
        # Who is in most of these pairs goes first: of one individual's pairs one row of the product is enough.
        one, other = counts.a[rows], counts.b[rows]
        often = np.bincount(np.concatenate([one, other]), minlength=counts.n)
        turned = often[other] > often[one]
        one, other = np.where(turned, other, one), np.where(turned, one, other)
        first, place = np.unique(one, return_inverse=True)
        index = np.zeros((len(inverses), len(rows)))
        for draw, inverse in enumerate(inverses):
            together = (inverse[:, first].T @ met @ inverse)[place, other]
            alone = seen @ inverse
            index[draw] = _ratio(together, np.maximum(alone[one] + alone[other] - together, 0))
        return index[1:] - index[0]

    return errors


def _times(blocks: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    if not blocks:
        return np.zeros((resamples, 0), np.float32)
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), resamples).astype(np.float32)


def _stretch(found: list[Sampled]) -> np.ndarray:
    """How much wider percentiles must be for so few blocks (t instead of normal; Welch 1947 for two periods): f64
    [p]."""
    variance = [_between(one) for one in found]
    total = np.maximum(sum(variance), 1e-12)
    free = sum(v**2 / np.maximum(one.blocks - 1, 0.5) for v, one in zip(variance, found, strict=True))
    df = np.clip(np.divide(total**2, free, out=np.full_like(total, 1e6), where=free > 0), 1.0, 1e6)
    few = sum(v * one.blocks / np.maximum(one.blocks - 1, 0.5) for v, one in zip(variance, found, strict=True)) / total
    quantile = 0.5 + CONFIDENCE / 2
    t = scipy.special.stdtrit(df, quantile) / scipy.special.ndtri(quantile)
    return np.asarray(t * np.sqrt(np.maximum(few, 1.0)))


def _between(found: Sampled) -> np.ndarray:
    share = (np.clip(found.value, 0, 1) * found.n + 1) / (found.n + 2)
    return np.asarray(share * (1 - share) / (found.n + 2))


def _index(by_block: BlockSums) -> np.ndarray:
    return _ratio(by_block.x.sum(0), by_block.n.sum(0))


def _ratio(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.divide(x, n, out=np.zeros_like(n), where=n > 0)
