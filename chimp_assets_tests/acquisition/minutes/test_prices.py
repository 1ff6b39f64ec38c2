"""Prices of answers: what few of them cannot change, what many must, and what a tea break may not."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.prices import LONGEST, PRIOR_ANSWERS, Prices, learned


def test_without_answers_the_prior_stands_and_many_answers_replace_it() -> None:
    """A slow expert's minutes must be forecast with her own pace."""
    assert learned({}) == Prices()
    slow = learned({"right": np.full(2_000, 5.0)})
    assert slow.right == pytest.approx(5.0, rel=0.02)
    assert slow.named == Prices().named


def test_a_tea_break_counts_as_a_long_answer() -> None:
    """One hour before a picture must not double every forecast."""
    taken = np.r_[np.full(PRIOR_ANSWERS, 2.5), 3_600.0, np.nan, -1.0]
    most = (2 * PRIOR_ANSWERS * 2.5 + LONGEST * 2.5) / (2 * PRIOR_ANSWERS + 1)
    assert learned({"right": taken}).right == pytest.approx(most)


def test_an_unknown_price_is_refused() -> None:
    """A misspelt name would be a price that nobody learns."""
    with pytest.raises(ValueError, match="wright"):
        learned({"wright": np.ones(3)})


@pytest.mark.parametrize(("n", "least"), [(24, 0.54), (6, 0.60)])
def test_pages_pay_from_the_chance_at_which_both_ways_cost_the_same(n: int, least: float) -> None:
    """Below it, taking out and asking again costs more than asking alone."""
    prices = Prices()
    p = prices.least_chance_on_a_page(n)
    assert p == pytest.approx(least, abs=0.01)
    chance = np.full(n, p)
    again = prices.other * float((1 - chance).sum())
    assert prices.of_page(chance) + again == pytest.approx(float(prices.of_tracks(chance).sum()))
