"""Small groups are drawn to the mean as far as groups are alike."""

import numpy as np
import pytest

from benchmarks.intervals import marked_without_difference
from chimp_assets.statistics.pooling import answers_to_tell, pooled


def test_no_individual_is_marked_when_all_are_named_equally_well():
    """By Wilson fifteen of them are worse than the others, and the worst stands at 0 in every report."""
    found = marked_without_difference(np.random.default_rng(20), 6)
    assert found.ours == 0
    assert found.foil > 5


def test_an_individual_that_is_truly_worse_is_marked_when_answers_suffice():
    """A method that draws everybody to the mean hides everybody."""
    rng = np.random.default_rng(1)
    n = np.full(30, 40)
    share = np.where(np.arange(30) == 4, 0.3, 0.85)
    found = pooled(rng.binomial(n, share), n)
    assert np.flatnonzero(found.high < found.mean).tolist() == [4]
    assert found.below[4] > 0.99
    assert found.strength < 100


def test_pooled_limits_cover_the_groups_they_are_about():
    """Groups that truly differ, of few answers each: 95 of 100 lie inside of their limits."""
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(6):
        n = rng.integers(1, 30, 80)
        share = rng.beta(12, 4, 80)
        found = pooled(rng.binomial(n, share), n)
        inside.append(((found.low <= share) & (share <= found.high)).mean())
    assert 0.92 <= np.mean(inside) <= 0.98


def test_a_group_without_answers_stands_near_the_mean_with_wide_limits():
    """Nobody asked is not the same as never right."""
    found = pooled(np.array([0, 8, 2, 9, 5]), np.array([0, 10, 10, 10, 10]))
    assert abs(found.value[0] - found.mean) < 0.05
    assert found.high[0] - found.low[0] > found.high[1] - found.low[1]
    nothing = pooled(np.zeros(3), np.zeros(3))
    assert (nothing.low.tolist(), nothing.high.tolist()) == ([0] * 3, [1] * 3)


def test_answers_to_tell_are_answers_that_tell():
    """The promise `n answers would tell` is kept in the power that it names."""
    n = answers_to_tell(0.8, 0.2)
    assert 20 <= n <= 40
    rng = np.random.default_rng(3)
    critical = np.quantile(rng.binomial(n, 0.8, 20000), 0.05)
    assert 0.72 <= (rng.binomial(n, 0.6, 20000) < critical + 0.5).mean() <= 0.9
    assert answers_to_tell(0.8, 0.2, alike=0.5, block=4) == pytest.approx(2.5 * n, abs=2)
    with pytest.raises(ValueError, match="gap"):
        answers_to_tell(0.3, 0.5)
