"""Bets against a share being as large as a limit."""

import numpy as np
import pytest

from chimp_assets.statistics.betting import answers_to_rarity, rarity_bound, rarity_wealth


def test_a_share_above_the_limit_is_called_rare_in_alpha_of_all_runs_at_most() -> None:
    """A bettor whose odds are not fair at the limit becomes rich by nothing."""
    rng = np.random.default_rng(3)
    for limit in (0.05, 0.2):
        rich = [rarity_wealth(rng.random(400) < 1.02 * limit, limit).max() >= 20 for _ in range(400)]
        assert np.mean(rich) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_rare_errors_are_proven_with_the_answers_that_the_plan_expects() -> None:
    """A third of 5 % wrong: some 220 answers at one in forty, as simulated for docs/research/promises.md."""
    rng = np.random.default_rng(4)
    needed = []
    for _ in range(60):
        rich = np.flatnonzero(rarity_wealth(rng.random(1500) < 0.05 / 3, 0.05) >= 40)
        assert len(rich)
        needed.append(rich[0] + 1)
    assert 150 < np.median(needed) < 300
    assert np.median(needed) < 1.5 * answers_to_rarity(0.05 / 3, 0.05, 40)


def test_without_a_wrong_answer_the_fewest_are_needed() -> None:
    """A mixture that is spread too thinly needs hundreds where nothing is wrong."""
    right = np.zeros(120, bool)
    assert int(np.argmax(rarity_wealth(right, 0.05) >= 40)) + 1 <= 1.35 * answers_to_rarity(0.0, 0.05, 40)


def test_the_bound_is_where_the_wealth_reaches_its_price() -> None:
    """What is said to be proven and the bound beside it would contradict each other."""
    rng = np.random.default_rng(5)
    wrong = rng.random(300) < 0.03
    bound = rarity_bound(wrong, 0.05)
    assert wrong.mean() < bound < 0.12
    assert rarity_wealth(wrong, bound + 1e-4).max() >= 20 > rarity_wealth(wrong, bound - 1e-4).max()
    assert rarity_bound(wrong[:100], 0.05) >= bound
    assert rarity_bound(wrong[:0], 0.05) == 1.0


def test_what_cannot_be_proven_needs_forever_and_what_is_proven_nothing() -> None:
    assert answers_to_rarity(0.05, 0.05, 20) == float("inf")
    assert answers_to_rarity(0.01, 0.05, 1.0) == 0.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        rarity_wealth(np.zeros(3, bool), 1.0)
