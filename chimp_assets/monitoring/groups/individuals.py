"""Individuals: too few answers of each to compare one by one, so they are pooled as far as they are alike.

With 400 audit answers of 300 individuals, 13 have five answers or more, and the worst of them stands at 0 in every
report. So each share is drawn towards that of all (empirical Bayes), and a name is given only where chance alone does
not explain its answers, by Benjamini and Hochberg (1995).

Belongs here: individuals, on plain arrays. Does not belong here: groups (`comparison`), the model of pooling
(`statistics.pooling`).
"""

from __future__ import annotations

import numpy as np
import scipy.special

from chimp_assets.monitoring.groups.comparison import ALPHA, GAP, INDIVIDUALS, POWER, GroupMetric
from chimp_assets.statistics.multiplicity import benjamini_hochberg
from chimp_assets.statistics.pooling import answers_to_tell, pooled


def compare_individuals(
    right: np.ndarray, who: np.ndarray, block: np.ndarray, least: int, name: str = "recall"
) -> list[GroupMetric]:
    """Recall of each individual with an answer. right: bool [n]; who: str [n], "" is nobody; block: i64 [n].

    value, low, high: partially pooled, with answers of one camera-day counted as far as they are alike. Compared are
    those with `least` answers; the chance of so few right ones, if the individual is like all, is that of answers whose
    errors come together in camera-days (beta-binomial by block).
    """
    right, known = right.astype(bool), who != ""
    right, who, block = right[known], who[known], block[known]
    names, of = np.unique(who.astype(str), return_inverse=True)
    if not len(names):
        return []
    mean = float(right.mean())
    # A cell is an individual on a camera-day: what its answers share.
    cells, cell = np.unique(np.stack([of, np.unique(block, return_inverse=True)[1]]), axis=1, return_inverse=True)
    n_cell = np.bincount(cell, minlength=cells.shape[1])
    hit_cell = np.bincount(cell, right, cells.shape[1])
    alike = alikeness(hit_cell, n_cell)
    effective = n_cell / (1 + (n_cell - 1) * alike)
    n_effective = np.bincount(cells[0], effective, len(names))
    hits_effective = np.bincount(cells[0], hit_cell / n_cell * effective, len(names))
    shares = pooled(hits_effective, n_effective)
    n, blocks = np.bincount(of, minlength=len(names)), np.bincount(cells[0], minlength=len(names))
    hits = np.bincount(of, right, len(names))
    tested = np.flatnonzero(n >= least)
    p = np.array([_two_sided(int(hits[i]), n_cell[cells[0] == i], mean, alike) for i in tested])
    adjusted = np.full(len(names), np.nan)
    if len(tested):
        adjusted[tested] = np.minimum(1.0, benjamini_hochberg(p) * ALPHA / INDIVIDUALS)
    told = []
    for i, code in enumerate(names.tolist()):
        needed = _needed(int(n[i]), float(n_effective[i]), mean, max(1, len(tested)))
        state = "too_few" if needed else "same"
        if adjusted[i] <= ALPHA:
            state = "worse" if hits[i] / n[i] < mean else "better"
        told.append(
            GroupMetric(
                "individual", code, name, float(shares.value[i]), float(shares.low[i]), float(shares.high[i]),
                None if np.isnan(adjusted[i]) else float(adjusted[i]), int(n[i]), int(blocks[i]), state,
                needed if state == "too_few" else None,
            )
        )  # fmt: skip
    return told


def alikeness(hits: np.ndarray, n: np.ndarray) -> float:
    """How much the answers of one cell are alike beyond chance: intra-class correlation, in [0, 0.99].

    hits, n: f64 [cells]. By analysis of variance (Donner 1986); with few cells of two answers or more, 0.5, the worst
    that real clips have shown.
    """
    several = n > 1
    if several.sum() < 10:
        return 0.5
    hits, n = hits[several].astype(np.float64), n[several].astype(np.float64)
    k, total = len(n), n.sum()
    mean = hits.sum() / total
    within = (hits * (1 - hits / n)).sum() / (total - k)
    between = (n * (hits / n - mean) ** 2).sum() / (k - 1)
    size = (total - (n**2).sum() / total) / (k - 1)
    whole = between + (size - 1) * within
    return float(np.clip((between - within) / whole, 0, 0.99)) if whole > 0 else 0.5


def _two_sided(hits: int, cells: np.ndarray, mean: float, alike: float) -> float:
    """Chance of so few or so many right answers in cells of these sizes, both sides."""
    chance = np.ones(1)
    for size in cells.tolist():
        chance = np.convolve(chance, _beta_binomial(size, mean, alike))
    return float(min(1.0, 2 * min(chance[: hits + 1].sum(), chance[hits:].sum())))


def _beta_binomial(n: int, mean: float, alike: float) -> np.ndarray:
    """Chances of 0 .. n right answers of n that are alike."""
    k = np.arange(n + 1)
    mean = float(np.clip(mean, 1e-3, 1 - 1e-3))
    if n == 1 or alike < 1e-3:
        return np.asarray(scipy.special.binom(n, k) * mean**k * (1 - mean) ** (n - k))
    a, b = mean * (1 - alike) / alike, (1 - mean) * (1 - alike) / alike
    log = scipy.special.betaln(k + a, n - k + b) - scipy.special.betaln(a, b)
    return np.asarray(scipy.special.binom(n, k) * np.exp(log))


def _needed(n: int, effective: float, mean: float, tested: int) -> int:
    """More answers that would tell a gap of GAP; 0 where there are enough."""
    gap = min(GAP, mean)
    if not gap > 0:
        return 0
    enough = answers_to_tell(mean, gap, confidence=1 - INDIVIDUALS / 2 / tested, power=POWER)
    return max(0, int(np.ceil((enough - effective) * n / effective)))
