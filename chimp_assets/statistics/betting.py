"""Proof that a rare event is rare: bets against a share being as large as a limit, which may be watched at any time.

A bettor starts with 1 and plays against "at least `limit` of the answers are wrong" by odds that are fair at the limit:
each right answer makes her richer, each wrong one poorer. If the share is the limit or more her wealth ever reaches
1/alpha with probability alpha at most (Ville 1939), whenever one looks and whenever one stops. `anytime.mean_bounds`
learns its bets from the answers and pays for that where nearly all are alike; this bettor is tuned for shares near 0.

Belongs here: one-sided proof for shares of yes and no. Does not belong here: two-sided bounds (`anytime`), what is
asked (`acquisition.minutes.promises`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from chimp_assets.arrays import BoolArray, F64Array

VerdictName = Literal["kept", "hopeless", "go on"]

RATIOS = np.array([0.0, 0.15, 0.3, 0.5, 0.7])
"""What the wealth is spread over: bets that are best where the share is so many times the limit. Of the mixtures tried
on 400 runs each this one needs fewest answers from no error to half of the limit, and no more than a tenth more than
the best single bet that knows the share."""
FEWEST = 40
"""Answers before a sample is given up: one wrong of the first three says little."""
PRIOR_ANSWERS, PRIOR_SHARE = 60, 0.2
"""When it is foreseen how many more answers are needed, the prior weighs so many, of which this share of the limit is
wrong. Of six settings tried these give up fewest samples at a third of the limit (4 to 16 of 100 where the limit is an
eighth to a twelfth) and end those above it after 55 to 63 answers."""


@dataclass(frozen=True)
class RarityVerdict:
    """What answers say about "fewer than the limit are wrong".

    name: kept (it holds), hopeless (it does not, or showing that it does would need more answers than there may be) or
    go on; n_answered, n_wrong: answers; wealth: the largest that the bet had; bound: upper limit of the share of wrong
    ones; more: answers that it is expected to need still.
    """

    name: VerdictName
    n_answered: int
    n_wrong: int
    wealth: float
    bound: float
    more: int


def rarity_verdict(wrong: BoolArray, limit: float, alpha: float, most: int) -> RarityVerdict:
    """What the first n answers say, bool [n] in their order. most: answers that there may be.

    It may be asked after each answer: kept is said where the limit or more are wrong with probability alpha at most,
    over all answers together. A limit of 1 or more is kept without an answer.
    """
    wrong = np.asarray(wrong, np.bool_)
    n, n_wrong = len(wrong), int(wrong.sum())
    if limit >= 1:
        return RarityVerdict("kept", n, n_wrong, 1 / alpha, 1.0, 0)
    wealth = rarity_wealth(wrong, limit)
    richest, now = (float(wealth.max()), float(wealth[-1])) if n else (1.0, 1.0)
    bound = rarity_bound(wrong, alpha)
    if richest >= 1 / alpha:
        return RarityVerdict("kept", n, n_wrong, richest, bound, 0)
    share = (n_wrong + PRIOR_ANSWERS * PRIOR_SHARE * limit) / (n + PRIOR_ANSWERS)
    more = answers_to_rarity(share, limit, 1 / (alpha * max(now, 1e-300)))
    lost = n >= most or (n >= FEWEST and n + more > most)
    left = 0 if lost else max(1, int(min(more, most - n)))
    return RarityVerdict("hopeless" if lost else "go on", n, n_wrong, max(richest, 1.0), bound, left)


def rarity_wealth(wrong: BoolArray, limit: float) -> F64Array:
    """Wealth f64 [n] after each answer of the bet that less than `limit` of them are wrong. wrong: bool [n].

    A mixture over RATIOS of likelihood ratios of Bernoulli variables (Robbins 1970; Waudby-Smith and Ramdas 2024, JRSS
    B). Answers must be independent draws, or each must be wrong with the share given those before. Raises ValueError
    if the limit is not between 0 and 1.
    """
    wrong = np.asarray(wrong, np.bool_)
    n_wrong = np.cumsum(wrong)
    return np.exp(np.minimum(_log_wealth(np.arange(1, len(wrong) + 1) - n_wrong, n_wrong, limit), 700.0))


def rarity_bound(wrong: BoolArray, alpha: float) -> float:
    """Upper bound of the share of wrong answers: those from it on are refuted by `rarity_wealth` at 1/alpha.

    wrong: bool [n]. Over all n together it lies below the share with probability alpha at most; it only falls as n
    grows; 1 without answers. True to 1e-6.
    """
    wrong = np.asarray(wrong, np.bool_)
    if not len(wrong):
        return 1.0
    n_wrong = np.cumsum(wrong)
    n_right = np.arange(1, len(wrong) + 1) - n_wrong
    low, high = 0.0, 1.0
    while high - low > 1e-6:  # what refutes a limit refutes every larger one
        middle = (low + high) / 2
        refuted = bool(_log_wealth(n_right, n_wrong, middle).max() >= -np.log(alpha))
        low, high = (low, middle) if refuted else (middle, high)
    return high


def answers_to_rarity(share: float, limit: float, needed: float) -> float:
    """Answers after which the best bet is expected to have multiplied the wealth by `needed`; inf from the limit on.

    share: of wrong answers, as far as known; the mixture needs about a tenth more.
    """
    if needed <= 1:
        return 0.0
    if share >= limit:
        return float("inf")
    growth = (1 - share) * (np.log1p(-share) - np.log1p(-limit))
    if share > 0:
        growth += share * (np.log(share) - np.log(limit))
    return float(np.log(needed) / growth)


def _log_wealth(n_right: np.ndarray, n_wrong: np.ndarray, limit: float) -> np.ndarray:
    """Logarithm of the wealth after so many right and wrong answers: only their numbers count."""
    if not 0 < limit < 1:
        raise ValueError(f"The limit of a share must lie between 0 and 1, it is {limit:g}.")
    right = np.log1p(-RATIOS * limit) - np.log1p(-limit)
    with np.errstate(divide="ignore"):
        lost = np.log(RATIOS)
    wrongs = np.where(n_wrong[:, None] > 0, np.maximum(n_wrong, 1)[:, None] * lost, 0.0)
    return np.logaddexp.reduce(n_right[:, None] * right + wrongs, axis=1) - np.log(len(RATIOS))
