"""A look at frozen names: fresh draws by frames, tested by the product's bets until they settle it.

Belongs here: what a look draws and finds. Does not belong here: the test (`chimp_assets.acquisition.minutes.promises`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.minutes.promises import MOST_DRAWS, alpha_of, draws
from chimp_assets.statistics.betting import rarity_verdict, rarity_wealth

CONFIDENCE = 0.95


def look(
    weight: np.ndarray, wrong: np.ndarray, most: float, k: int, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> tuple[bool, np.ndarray]:
    """Whether the k-th look (from 1) shows that the weighted share of wrong ones is at most `most`; rows it drew.

    weight: f64 [n], frames of what is tested, 0 of the rest; wrong: bool [n]; most: x / q.
    """
    if weight.sum() <= 0 or most >= 1:
        return True, np.empty(0, np.int64)
    alpha = alpha_of(k, confidence)
    rows = draws(weight, MOST_DRAWS, rng)
    answers = wrong[rows]
    rich = np.flatnonzero(rarity_wealth(answers, most) >= 1 / alpha)
    last = int(rich[0]) + 1 if len(rich) else MOST_DRAWS
    # Given up no earlier than the product may, after every fifth answer (a verdict costs more than an answer here).
    for n in range(40, last, 5):
        if rarity_verdict(answers[:n], most, alpha, MOST_DRAWS).name == "hopeless":
            return False, np.unique(rows[:n])
    return bool(len(rich)), np.unique(rows[:last])
