"""Bounds and evidence that hold however often one looks, and whenever one stops.

An interval for one look, looked at every 25 answers, contradicts the truth at least once in a third of all runs. Here a
bettor plays against each value that the mean could have; a value at which the bettor becomes rich is excluded, and by
Ville's inequality (1939) the true one is excluded with probability 1 - confidence at most, at any time.

Units are answers in the order in which they came, each of which has the mean asked about given those before. Where
answers of one camera-day depend on each other the unit is the block (`block_mean_bounds`, `block_fall_evidence`): the
mean is then that of an average block.

Belongs here: betting on bounded means. Does not belong here: one look (`blocks`), changes at an unknown time
(`detectors`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.statistics.shares import CONFIDENCE

STEPS = 32
"""Means that are tried at once; a bound is too wide by a thousandth of [0, 1] at most."""
BOLDNESS = 0.5
"""Share of the capital that a bet may lose at most (Waudby-Smith and Ramdas 2024 use 1/2 or 3/4)."""
FALLS = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7])
"""Falls for which evidence is gathered, as shares of the reference; the evidence is the mean over them."""


def mean_bounds(x: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of the mean of x f64 [n] in [0, 1] after n answers: (low, high), (0, 1) without answers.

    Hedged capital with predictable plug-in bets (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
    variables by betting", JRSS B, theorem 3): over all n together the bounds miss the mean with probability
    1 - confidence at most. Bounds only narrow as n grows. Raises ValueError if a value lies outside of [0, 1].
    """
    x = _in_unit(x)
    if not len(x):
        return 0.0, 1.0
    bet = _bets(x, confidence)
    needed = np.log(2 / (1 - confidence))  # each bettor has half of the capital
    low = _last_refuted(x, bet, needed)
    high = 1 - _last_refuted(1 - x, bet, needed)
    return min(low, high), max(low, high)


def _last_refuted(x: np.ndarray, bet: np.ndarray, needed: float) -> float:
    """The largest mean that betting on more refutes at any time, 0 if none; at most 1 / STEPS^2 too small.

    What refutes a mean refutes every smaller one, so a coarse grid finds the place and a fine one the mean.
    """
    start, width = 0.0, 1.0
    for _ in range(2):
        means = start + width * np.arange(1, STEPS) / STEPS
        stakes = np.minimum(bet[:, None], BOLDNESS / means)
        wealth = np.cumsum(np.log1p(stakes * (x[:, None] - means)), axis=0)
        refuted = wealth.max(axis=0) >= needed
        kept = len(means) if refuted.all() else int(refuted.argmin())
        start, width = start + width * kept / STEPS, width / STEPS
    return start


def fall_evidence(correct: np.ndarray, reference: float) -> np.ndarray:
    """Evidence f64 [n] after each answer that the mean of correct [n], in [0, 1], lies below the reference.

    An e-process: if the mean is at least `reference`, it ever reaches 1/a with probability a at most. The mean of
    likelihood ratios of Bernoulli variables with falls FALLS (Ramdas et al. 2023, "Game-theoretic statistics"); a share
    in [0, 1] is one answer as well. Raises ValueError if the reference is not above 0, or a value outside of [0, 1].
    """
    x = _in_unit(correct)
    if not 0 < reference <= 1:
        raise ValueError(f"The reference must lie in ]0, 1], it is {reference:g}: give the accuracy to fall from.")
    reference = min(reference, 1 - 1e-6)  # from 1 a single error is proof
    fallen = reference * (1 - FALLS)
    ratio = x[:, None] * (fallen / reference) + (1 - x[:, None]) * ((1 - fallen) / (1 - reference))
    wealth = np.cumsum(np.log(ratio), axis=0)
    return np.exp(np.minimum(wealth, 700.0)).mean(1)


def block_means(x: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The mean of x f64 [n] in each block i64 [n]: f64 [blocks], in the order in which blocks first appear."""
    x = np.asarray(x, dtype=np.float64)
    names, first, row = np.unique(np.asarray(block), return_index=True, return_inverse=True)
    means = np.bincount(row, x, len(names)) / np.maximum(np.bincount(row, minlength=len(names)), 1)
    return means[np.argsort(first)]


def block_mean_bounds(x: np.ndarray, block: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """`mean_bounds` whose units are blocks: bounds of the mean of an average block. x: f64 [n]; block: i64 [n]."""
    return mean_bounds(block_means(x, block), confidence)


def block_fall_evidence(correct: np.ndarray, block: np.ndarray, reference: float) -> np.ndarray:
    """`fall_evidence` whose units are blocks: f64 [blocks], in the order in which blocks first appear."""
    return fall_evidence(block_means(correct, block), reference)


def _bets(x: np.ndarray, confidence: float) -> np.ndarray:
    """f64 [n], each from the answers before it: large where they vary little (the predictable plug-in of the paper)."""
    count = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    return np.sqrt(2 * np.log(2 / (1 - confidence)) / (before * count * np.log(count + 1)))


def _in_unit(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError("A value lies outside of 0 to 1: scale values to their limits first.")
    return x
