"""Shares of many small groups, pooled as far as groups are alike: who truly differs, and how many answers would tell.

With five answers each the worst of 170 individuals stands at 0 in every report, though all are alike. Empirical Bayes
draws each group towards the mean of all, the more the fewer its answers and the more alike the groups.

Belongs here: the beta-binomial model of groups. Does not belong here: what groups are (`monitoring`), many tests
(`multiplicity`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special

from chimp_assets.statistics.shares import CONFIDENCE

STRENGTHS = np.exp(np.linspace(np.log(0.5), np.log(3000.0), 24))
"""Answers that the mean of all counts for, from groups that differ wildly to groups that are all alike."""
_SHARES = (np.arange(250) + 0.5) / 250


@dataclass(frozen=True)
class PooledShares:
    """Shares of groups. mean: of the groups; strength: answers that the mean counts for in each group, by maximum
    likelihood (inf: no difference between groups shows); value, low, high: f64 [g], each group's share and its limits;
    below: f64 [g], probability that a group's share lies below the mean by more than the margin asked for."""

    mean: float
    strength: float
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray


def pooled(hits: np.ndarray, n: np.ndarray, confidence: float = CONFIDENCE, margin: float = 0.0) -> PooledShares:
    """Each group's share from hits f64 [g] of n f64 [g] answers (0 is allowed), partially pooled.

    Beta-binomial by maximum likelihood (Griffiths 1973; Casella 1985). Limits and probabilities are averaged over the
    strengths that the answers allow, each with the weight of its likelihood, since few groups say little about how
    much groups differ (Laird and Louis 1987). Answers that depend on each other: give effective numbers of both.
    """
    hits, n = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    groups = len(n)
    if not n.sum():
        nothing = np.full(groups, np.nan)
        return PooledShares(np.nan, np.inf, nothing, np.zeros(groups), np.ones(groups), nothing)
    # Groups with the same answers have the same share: most of the small ones.
    pairs, group, times = np.unique(np.stack([hits, n], 1), axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    fits = [_mean_of(pairs[:, 0], pairs[:, 1], times, strength) for strength in STRENGTHS]
    likelihood = np.array([fit[1] for fit in fits])
    best = int(likelihood.argmax())
    strength = np.inf if best == len(STRENGTHS) - 1 else float(STRENGTHS[best])
    weight = np.exp(likelihood - likelihood.max())
    kept = np.flatnonzero(weight > 1e-3)
    weight = weight[kept] / weight[kept].sum()
    chance = np.zeros((len(pairs), len(_SHARES)))  # of a share up to the middle of each cell
    value, below = np.zeros(len(pairs)), np.zeros(len(pairs))
    for one, part in zip(kept, weight, strict=True):
        mean, m = fits[one][0], STRENGTHS[one]
        a, b = mean * m + pairs[:, 0], (1 - mean) * m + pairs[:, 1] - pairs[:, 0]
        chance += part * scipy.special.betainc(a[:, None], b[:, None], _SHARES)
        value += part * a / (a + b)
        below += part * scipy.special.betainc(a, b, max(mean - margin, 1e-9))
    low = np.array([np.interp((1 - confidence) / 2, row, _SHARES, left=0.0) for row in chance])
    high = np.array([np.interp((1 + confidence) / 2, row, _SHARES, right=1.0) for row in chance])
    return PooledShares(float(fits[best][0]), strength, value[group], low[group], high[group], below[group])


def answers_to_tell(
    share: float, gap: float, confidence: float = CONFIDENCE, power: float = 0.8, alike: float = 0.0, block: float = 1.0
) -> int:
    """Answers of a group after which it is told to be `gap` worse than `share`, if it is, with this power.

    One-sided test of one share (Fleiss 1981), times 1 + (block - 1) * alike for `block` answers a block that are
    correlated by `alike` (Kish 1965). Raises ValueError if the gap is not in ]0, share].
    """
    if not 0 < gap <= share <= 1:
        raise ValueError(f"A gap must lie above 0 and not above the share {share:g}, it is {gap:g}.")
    worse = share - gap
    reach = scipy.special.ndtri(confidence) * np.sqrt(share * (1 - share)) + scipy.special.ndtri(power) * np.sqrt(
        worse * (1 - worse)
    )
    return max(1, int(np.ceil((reach / gap) ** 2 * (1 + (block - 1) * alike))))


def _mean_of(hits: np.ndarray, n: np.ndarray, times: np.ndarray, strength: float) -> tuple[float, float]:
    """(mean of most likelihood at this strength, its log-likelihood)."""

    def unlikely(mean: float) -> float:
        a, b = mean * strength, (1 - mean) * strength
        return -float((times * (scipy.special.betaln(hits + a, n - hits + b) - scipy.special.betaln(a, b))).sum())

    found = scipy.optimize.minimize_scalar(unlikely, bounds=(1e-4, 1 - 1e-4), method="bounded")
    return float(found.x), -float(found.fun)
