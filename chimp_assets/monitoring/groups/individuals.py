"""Individuals: too few answers of each to compare one by one, so they are pooled as far as they are alike.

With 400 audit answers of 300 individuals, 13 have five answers or more, and the worst of them stands at 0 in every
report. So each share is drawn towards that of all (empirical Bayes), and a name is given only where chance alone does
not explain its answers, by Benjamini and Hochberg (1995).

Belongs here: individuals, on plain arrays. Does not belong here: groups (`comparison`), the model of pooling
(`statistics.pooling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from chimp_assets.monitoring.groups.comparison import ALPHA, GAP, INDIVIDUALS, POWER, GroupMetric
from chimp_assets.statistics.multiplicity import benjamini_hochberg
from chimp_assets.statistics.pooling import answers_to_tell, pooled


@dataclass(frozen=True)
class IndividualTests:
    """Individuals with an answer, each compared with all: names str [k]; n, hits, blocks i64 [k]; effective,
    effective_hits f64 [k], answers that are worth as many independent ones; adjusted f64 [k], NaN where not compared;
    mean: share right of all; tested: how many were compared."""

    names: list[str]
    n: np.ndarray
    hits: np.ndarray
    blocks: np.ndarray
    effective: np.ndarray
    effective_hits: np.ndarray
    adjusted: np.ndarray
    mean: float
    tested: int


def individual_tests(right: np.ndarray, who: np.ndarray, block: np.ndarray, least: int) -> IndividualTests:
    """right: bool [n]; who: str [n], "" is nobody; block: i64 [n]. Compared are those with `least` answers: the chance
    of so few right ones, if the individual is like all, is that of answers whose errors come together in camera-days
    (beta-binomial by block)."""
    known = who != ""
    right, who, block = right[known].astype(bool), who[known], block[known]
    names, of = np.unique(who.astype(str), return_inverse=True)
    k = len(names)
    if not k:
        nothing = np.zeros(0)
        return IndividualTests([], nothing, nothing, nothing, nothing, nothing, nothing, float("nan"), 0)
    mean = float(right.mean())
    # A cell is an individual on a camera-day: what its answers share.
    cells, cell = np.unique(np.stack([of, np.unique(block, return_inverse=True)[1]]), axis=1, return_inverse=True)
    n_cell = np.bincount(cell, minlength=cells.shape[1])
    hit_cell = np.bincount(cell, right, cells.shape[1])
    alike = alikeness(hit_cell, n_cell)
    effective = n_cell / (1 + (n_cell - 1) * alike)
    n, hits = np.bincount(of, minlength=k), np.bincount(of, right, k)
    tested = np.flatnonzero(n >= least)
    p = np.array([_two_sided(int(hits[i]), n_cell[cells[0] == i], mean, alike) for i in tested])
    adjusted = np.full(k, np.nan)
    if len(tested):
        adjusted[tested] = np.minimum(1.0, benjamini_hochberg(p) * ALPHA / INDIVIDUALS)
    return IndividualTests(
        names.tolist(), n, hits, np.bincount(cells[0], minlength=k), np.bincount(cells[0], effective, k),
        np.bincount(cells[0], hit_cell / n_cell * effective, k), adjusted, mean, len(tested),
    )  # fmt: skip


def compare_individuals(
    right: np.ndarray, who: np.ndarray, block: np.ndarray, least: int, name: str = "recall"
) -> list[GroupMetric]:
    """Recall of each individual with an answer, compared as in `individual_tests`. value, low, high: partially pooled,
    with answers of one camera-day counted as far as they are alike."""
    of = individual_tests(right, who, block, least)
    if not of.names:
        return []
    shares = pooled(of.effective_hits, of.effective)
    told = []
    for i, code in enumerate(of.names):
        needed = _needed(int(of.n[i]), float(of.effective[i]), of.mean, max(1, of.tested))
        state = "too_few" if needed else "same"
        if of.adjusted[i] <= ALPHA:
            state = "worse" if of.hits[i] / of.n[i] < of.mean else "better"
        told.append(
            GroupMetric(
                "individual", code, name, float(shares.value[i]), float(shares.low[i]), float(shares.high[i]),
                None if np.isnan(of.adjusted[i]) else float(of.adjusted[i]), int(of.n[i]), int(of.blocks[i]), state,
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
