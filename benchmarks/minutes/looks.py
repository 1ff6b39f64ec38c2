"""`python -m benchmarks.minutes.looks`: what testing a promise about names costs, and how often it says what is not so.

Each row: an archive whose tested part has this share of what is allowed wrong, tested until the look is decided.
Target: at 1.02 of what is allowed it is kept in at most alpha of the archives. Foil: Clopper and Pearson, looked
at after each answer.

Belongs here: the table of docs/research/promises.md. Does not belong here: archives with tracks (`benchmarks.minutes`).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.acquisition.minutes.promises import MOST_DRAWS, allowed_error, alpha_of
from chimp_assets.statistics.betting import FEWEST, rarity_verdict, rarity_wealth

TESTED = (1.0, 0.6, 0.4)
SHARES = (0.0, 0.2, 1 / 3, 0.5, 0.7, 1.02)
GOAL = Goal(named=0.9, error=0.05)
ARCHIVES = 300


def decided(wrong: np.ndarray, limit: float, alpha: float) -> tuple[int, bool]:
    """Answers until a look is decided, and whether the promise was kept. wrong: bool [MOST_DRAWS]."""
    kept = np.flatnonzero(rarity_wealth(wrong, limit) >= 1 / alpha)
    last = int(kept[0]) + 1 if len(kept) else len(wrong)
    # Only a wrong answer, and the first that may, ends a look that was worth going on with.
    for n in sorted({FEWEST, *(np.flatnonzero(wrong[:last]) + 1).tolist()}):
        if FEWEST <= n < last and rarity_verdict(wrong[:n], limit, alpha, MOST_DRAWS).name == "hopeless":
            return n, False
    return last, bool(len(kept))


def looked_at_each_answer(wrong: np.ndarray, limit: float, alpha: float) -> bool:
    """Whether Clopper and Pearson's limit ever lies below what is allowed, looked at from the 20th answer on."""
    n = np.arange(1, len(wrong) + 1)
    upper = stats.beta.ppf(1 - alpha, np.cumsum(wrong) + 1, np.maximum(n - np.cumsum(wrong), 1e-9))
    return bool((upper[20:] < limit).any())


def main(archives: int = ARCHIVES, seed: int = 20) -> None:
    """Prints the table."""
    rng = np.random.default_rng(seed)
    alpha = alpha_of(1, 0.95)
    print("| tested share q | error, of what is allowed | answers | kept in | foil says kept in |")
    print("|---|---|---|---|---|")
    for tested in TESTED:
        limit = allowed_error(GOAL, tested)
        for share in SHARES:
            samples = rng.random((archives, MOST_DRAWS)) < share * limit
            done = [decided(one, limit, alpha) for one in samples]
            foil = np.mean([looked_at_each_answer(one, limit, alpha) for one in samples])
            answers, kept = np.median([n for n, _ in done]), np.mean([yes for _, yes in done])
            print(f"| {tested:g} | {share:.2f} | {answers:.0f} | {100 * kept:.0f} % | {100 * foil:.0f} % |", flush=True)
    print(f"target: at 1.02 kept in at most {100 * alpha:.1f} %")


if __name__ == "__main__":
    main()
