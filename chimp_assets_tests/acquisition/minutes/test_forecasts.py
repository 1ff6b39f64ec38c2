"""A range of minutes comes from how earlier forecasts came true, and from nothing else."""

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.forecasts import FASTEST, SLOWEST, PaceRange, pace_range, paces


def test_answers_that_teach_nothing_have_pace_one() -> None:
    """The forecast would be right; a range that shortens it would promise what cannot come."""
    spent = np.arange(0, 1500, 150.0)
    found = pace_range(paces(spent, 3600 - spent))
    assert found is not None
    assert found.of(600) == pytest.approx((600, 600))


def test_a_learning_archive_is_done_sooner_and_says_by_how_much() -> None:
    """Paces between 1.5 and 3: both ends of the range lie there, the later end with the slow one."""
    rng = np.random.default_rng(1)
    pace = rng.uniform(1.5, 3, 12)
    spent = np.concatenate([[0], np.cumsum(np.full(12, 300.0))])
    to_go = 10_000 - np.concatenate([[0], np.cumsum(300 * pace)])
    assert paces(spent, to_go) == pytest.approx(pace)
    found = pace_range(paces(spent, to_go))
    assert found is not None
    low, high = found.of(3000)
    assert 1000 < low < high < 2000
    assert found.n == 10, "the newest count: an archive learns less and less"


def test_forecasts_too_near_or_without_an_end_are_not_compared() -> None:
    """Two plans after the same answers, or a time when no end was in sight, would give any ratio."""
    spent = np.array([0, 10, 20, 200, 210, 400, 401, 600.0])
    to_go = np.array([900, 850, 800, 700, np.inf, 500, 499, 300.0])
    assert paces(spent, to_go) == pytest.approx([1, 1, 1])


def test_few_forecasts_make_no_range_and_wild_ones_a_bounded_one() -> None:
    """An archive that doubled, or a new embedder, is no pace of answering."""
    assert pace_range(np.array([1.0, 2.0])) is None
    assert pace_range(np.empty(0)) is None
    assert pace_range(np.array([-30.0, 50.0] * 5)) == PaceRange(SLOWEST, FASTEST, 10)
