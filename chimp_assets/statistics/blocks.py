"""Intervals from answers that come in blocks: tracks of one clip, clips of one camera and day, depend on each other.

Four tracks a clip with a correlation of 0.5 make Wilson's 95 % cover 78 %. Here the block is what is counted as
independent: only sums over blocks enter. With one block, or with answers that are all alike, intervals are wide.

How a mean's interval was chosen (`benchmarks.intervals` prints coverage and foils): the variance between blocks with
each block's leverage taken out (the jackknife, CR3: Bell and McCaffrey 2002), as an effective number of answers in
Wilson's interval (Korn and Graubard 1998; Dean and Pagano 2015), with a t quantile whose degrees of freedom follow how
unequal the blocks are (Satterthwaite 1946). The percentile bootstrap covers 42 to 89 % where shares are near 1 and
blocks are few; the studentised bootstrap of shares is worse still, and is used for unbounded values alone.

Belongs here: intervals of means, gaps, paired gains and any statistic of rows in blocks. Does not belong here: bounds
that hold however often one looks (`anytime`), what a block is (`vision.evaluation.audit`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special
import scipy.stats

from chimp_assets.statistics.shares import CONFIDENCE

SHARE = (0.0, 1.0)
GAIN = (-1.0, 1.0)
DRAWS = 2000
Limits = tuple[float, float]
ValueAndLimits = tuple[float, float, float]


@dataclass(frozen=True)
class Interval:
    """A value with its limits, from n rows in `blocks` independent blocks. Without rows: nan, the widest limits."""

    value: float
    low: float
    high: float
    n: int
    blocks: int


@dataclass(frozen=True)
class _Mean:
    """A weighted mean and how far each block pulls at it. value in [0, 1] where values are bounded (scaled to their
    limits); pull: f64 [blocks], sums of weighted residuals over the sum of weights; variance: of the mean; df: of the
    variance; effective: rows that weigh the same."""

    value: float
    pull: np.ndarray
    variance: float
    df: float
    n: int
    blocks: int
    effective: float


def block_interval(
    values: np.ndarray,
    block: np.ndarray,
    rng: np.random.Generator,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    weight: np.ndarray | None = None,
    limits: Limits | None = SHARE,
) -> Interval:
    """Interval of the mean of values f64 [n] in blocks i64 [n]; weight f64 [n] (of a Horvitz-Thompson mean), above 0.

    limits: what a value can be at most: SHARE, GAIN (differences of shares), or None (seconds): then the studentised
    bootstrap over blocks with `draws` draws (Hall 1988). Raises ValueError if a value lies outside of the limits.
    """
    values, weight = _checked(values, weight, limits)
    if not len(values):
        low, high = limits or (-np.inf, np.inf)
        return Interval(np.nan, low, high, 0, 0)
    if limits is None:
        return _studentised(values, block, weight, rng, draws, confidence)
    start, width = limits[0], limits[1] - limits[0]
    mean = _mean((values - start) / width, block, weight)
    low, high = _wilson(mean, confidence)
    return Interval(start + width * mean.value, start + width * low, start + width * high, mean.n, mean.blocks)


def block_statistic(
    statistic: Callable[[np.ndarray], float],
    block: np.ndarray,
    rng: np.random.Generator,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    limits: Limits | None = SHARE,
) -> Interval:
    """Interval of any statistic of rows i64 [k] -> float, by resampling whole blocks; block: i64 [n].

    Limits of the percentile bootstrap, stretched from the value by the t quantile of the number of blocks; with fewer
    than two blocks, or without two draws that differ, the limits themselves. Draws without a value are skipped.
    """
    names, of_row = np.unique(np.asarray(block), return_inverse=True)
    n, blocks = len(of_row), len(names)
    widest = limits or (-np.inf, np.inf)
    value = float(statistic(np.arange(n))) if n else np.nan
    if blocks < 2:
        return Interval(value, *widest, n, blocks)
    order = np.argsort(of_row, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(of_row))[:-1])
    drawn = rng.integers(0, blocks, (draws, blocks))
    found = np.array([statistic(np.concatenate([rows[b] for b in one])) for one in drawn])
    found = found[np.isfinite(found)]
    if len(found) < 2 or not np.isfinite(value) or found.min() == found.max():
        return Interval(value, *widest, n, blocks)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    stretch = _t(confidence, blocks - 1) / scipy.special.ndtri(0.5 + confidence / 2) * np.sqrt(blocks / (blocks - 1))
    low, high = min(low, value - stretch * (value - low)), max(high, value + stretch * (high - value))
    return Interval(value, float(max(low, widest[0])), float(min(high, widest[1])), n, blocks)


def simultaneous(
    values: np.ndarray,
    block: np.ndarray,
    group: np.ndarray,
    rng: np.random.Generator,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    weight: np.ndarray | None = None,
    limits: Limits = SHARE,
) -> list[Interval]:
    """Intervals of the means of groups 0 .. group.max() that all hold together; group: i64 [n], -1: of none.

    max-t: the level of each is such that the largest of all deviations, with the correlation that shared blocks give
    them (Gaussian multipliers of blocks: Chernozhukov, Chetverikov and Kato 2013), stays inside in `confidence`.
    """
    means, start, width = _groups(values, block, group, weight, limits)
    level = _level([mean.pull for mean in means if mean is not None], rng, draws, confidence)
    found = []
    for mean in means:
        if mean is None:
            found.append(Interval(np.nan, *limits, 0, 0))
            continue
        low, high = (start + width * limit for limit in _wilson(mean, level))
        found.append(Interval(start + width * mean.value, low, high, mean.n, mean.blocks))
    return found


def paired_gain(
    right: np.ndarray,
    before: np.ndarray,
    block: np.ndarray,
    confidence: float = CONFIDENCE,
    weight: np.ndarray | None = None,
) -> Interval:
    """What one model gains over another on the same rows: right, before: bool [n]; block: i64 [n]. In [-1, 1].

    The share newly right less the share newly wrong, each with its interval by blocks, put together by Zou's method
    (2007), as Newcombe (1998) does for single rows: two models that answer alike on few blocks may still differ.
    """
    right, before = np.asarray(right, dtype=bool), np.asarray(before, dtype=bool)
    if not len(right):
        return Interval(np.nan, *GAIN, 0, 0)
    _, weight = _checked(right.astype(np.float64), weight, SHARE)
    won, lost = (_mean(one.astype(np.float64), block, weight) for one in (right & ~before, before & ~right))
    return _scaled(_gap(won, lost, confidence), 1.0, won.n, won.blocks)


def _checked(values: np.ndarray, weight: np.ndarray | None, limits: Limits | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=np.float64)
    weight = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    if limits is not None and len(values) and not (limits[0] <= values.min() and values.max() <= limits[1]):
        raise ValueError(
            f"A value lies outside of {limits[0]:g} to {limits[1]:g}: give its limits, as limits=GAIN for differences"
            " of shares, or limits=None where there are none."
        )
    return values, weight


def _numbered(block: np.ndarray) -> tuple[np.ndarray, int]:
    names, row = np.unique(np.asarray(block), return_inverse=True)
    return row, len(names)


def _mean(values: np.ndarray, block: np.ndarray, weight: np.ndarray, many: int | None = None) -> _Mean:
    """many: blocks are numbered 0 .. many - 1 and pulls are of all of them; None: of the blocks of these rows."""
    row, pulls = (block, many) if many is not None else _numbered(block)
    total = weight.sum()
    value = float((values * weight).sum() / total)
    sums = np.bincount(row, weight * (values - value), pulls)
    share = np.bincount(row, weight, pulls) / total
    blocks = int((share > 0).sum())
    effective = float(total**2 / (weight**2).sum())
    if blocks < 2:
        return _Mean(value, sums / total, np.inf, 1.0, len(values), blocks, effective)
    apart = sums / total / (1 - share)  # what the mean would be without the block, less the mean
    variance = float((blocks - 1) / blocks * (apart**2).sum())
    # How much each block may add to the variance: between a row a block (independent rows) and a block a row.
    rows_alike = float((weight * (values - value) ** 2).sum() / total) / effective
    size = share**2 * effective  # of a mean's variance, if rows of a block are alike; `share`, if they are independent
    alike = np.clip((variance / rows_alike - 1) / max(size.sum() - 1, 1e-9), 0, 1) if rows_alike > 0 else 1.0
    part = (1 - alike) * share + alike * size
    df = max(1.0, float(part.sum() ** 2 / (part**2).sum()) - 1)
    return _Mean(value, sums / total, variance, df, len(values), blocks, effective)


def _wilson(mean: _Mean, confidence: float) -> tuple[float, float]:
    """Wilson's interval in [0, 1] of a mean by its effective number of answers, with the t quantile of its blocks."""
    if mean.blocks < 2:
        return 0.0, 1.0
    t, p = _t(confidence, mean.df), mean.value
    if mean.variance <= 1e-18:  # all alike: each block may be one answer, and the next one unlike all of them
        unseen = t**2 / (mean.blocks + t**2)
        return p - unseen * p, p + unseen * (1 - p)
    answers = p * (1 - p) / mean.variance
    centre = (p + t**2 / (2 * answers)) / (1 + t**2 / answers)
    half = t / (1 + t**2 / answers) * np.sqrt(p * (1 - p) / answers + t**2 / (4 * answers**2))
    return max(0.0, min(p, float(centre - half))), min(1.0, max(p, float(centre + half)))


def _gap(one: _Mean, other: _Mean, confidence: float) -> ValueAndLimits:
    """One mean less another with its limits, from the limits of both and the correlation of their blocks (Zou 2007)."""
    (low, high), (other_low, other_high) = _wilson(one, confidence), _wilson(other, confidence)
    scale = np.sqrt((one.pull**2).sum() * (other.pull**2).sum()) if len(one.pull) == len(other.pull) else 0.0
    together = float((one.pull * other.pull).sum() / scale) if scale > 0 else 0.0
    value = one.value - other.value

    def reach(mine: float, theirs: float) -> float:
        return float(np.sqrt(max(0.0, mine**2 + theirs**2 - 2 * together * mine * theirs)))

    return (
        value,
        max(-1.0, value - reach(one.value - low, other_high - other.value)),
        min(1.0, value + reach(high - one.value, other.value - other_low)),
    )


def _scaled(gap: ValueAndLimits, width: float, n: int, blocks: int) -> Interval:
    value, low, high = (width * one for one in gap)
    return Interval(value, low, high, n, blocks)


def _groups(
    values: np.ndarray, block: np.ndarray, group: np.ndarray, weight: np.ndarray | None, limits: Limits
) -> tuple[list[_Mean | None], float, float]:
    values, weight = _checked(values, weight, limits)
    group = np.asarray(group)
    start, width = limits[0], limits[1] - limits[0]
    scaled, (of_row, many) = (values - start) / width, _numbered(block)
    means: list[_Mean | None] = []
    for which in range(int(group.max(initial=-1)) + 1):
        mine = group == which
        means.append(_mean(scaled[mine], of_row[mine], weight[mine], many) if mine.any() else None)
    return means, start, width


def _level(pulls: list[np.ndarray], rng: np.random.Generator, draws: int, confidence: float) -> float:
    """The confidence of each interval for all of them to hold together in `confidence`. pulls: f64 [blocks] of each."""
    if len(pulls) < 2:
        return confidence
    matrix = np.stack(pulls)
    length = np.sqrt((matrix**2).sum(1))
    matrix = matrix[length > 0] / length[length > 0, None]
    alone = len(pulls) - len(matrix)  # groups that are all alike move with no other: independent draws stand for them
    largest = np.zeros(draws)
    if len(matrix):
        largest = np.abs(rng.standard_normal((draws, matrix.shape[1])) @ matrix.T).max(1)
    if alone:
        largest = np.maximum(largest, np.abs(rng.standard_normal((draws, alone))).max(1))
    return float(2 * scipy.special.ndtr(np.quantile(largest, confidence)) - 1)


def _studentised(
    values: np.ndarray, block: np.ndarray, weight: np.ndarray, rng: np.random.Generator, draws: int, confidence: float
) -> Interval:
    mean = _mean(values, block, weight)
    if mean.blocks < 2 or mean.variance <= 0:
        return Interval(mean.value, -np.inf, np.inf, mean.n, mean.blocks)
    row, blocks = _numbered(block)
    sums, weights = np.bincount(row, weight * values), np.bincount(row, weight)
    times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(np.float64)
    total = times @ weights
    means = times @ sums / total
    spread = times @ sums**2 - 2 * means * (times @ (sums * weights)) + means**2 * (times @ weights**2)
    error = np.sqrt(np.maximum(spread, 0) * blocks / (blocks - 1)) / total
    known = error > 1e-9 * np.sqrt(mean.variance)
    t = np.sort((means[known] - mean.value) / error[known])
    least = _t(confidence, mean.df)
    low, high = np.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(t) else (-least, least)
    reach = np.sqrt(mean.variance)
    return Interval(
        mean.value,
        float(mean.value - reach * max(high, least)),
        float(mean.value + reach * max(-low, least)),
        mean.n,
        mean.blocks,
    )


def _t(confidence: float, df: float) -> float:
    return float(scipy.special.stdtrit(df, 0.5 + confidence / 2))
