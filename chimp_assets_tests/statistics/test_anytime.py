"""Bounds that hold at every look, and evidence that may be watched."""

import numpy as np
import pytest

from benchmarks.intervals import answers_until_noticed, contradicted, contradicted_in_blocks
from chimp_assets.statistics.anytime import (
    block_fall_evidence,
    block_mean_bounds,
    block_means,
    fall_evidence,
    mean_bounds,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_the_truth_is_contradicted_at_any_look_in_five_runs_of_a_hundred_at_most():
    """Wilson at every 25 answers contradicts it at least once in a third of all runs."""
    found = contradicted(rng(), 150)
    assert found.ours <= 0.05
    assert found.foil > 0.2


def test_blocks_are_the_units_where_tracks_depend_on_each_other():
    """A bettor who takes four tracks of a clip for four answers becomes rich by nothing."""
    found = contradicted_in_blocks(rng(), 150)
    assert found.ours <= 0.05
    assert found.foil > found.ours


def test_bounds_narrow_with_answers_and_contain_what_was_seen():
    """Bounds that stay at 0 to 1 are always right."""
    x = (rng().random(2000) < 0.9).astype(float)
    widths = []
    for n in (0, 10, 100, 500, 2000):
        low, high = mean_bounds(x[:n])
        assert 0 <= low <= high <= 1
        if n:
            assert low <= x[:n].mean() <= high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.06
    assert mean_bounds(np.ones(30)) == (mean_bounds(np.ones(30))[0], 1.0)
    assert 0.7 < mean_bounds(np.ones(30))[0] < 0.95


def test_a_fall_of_ten_points_is_noticed_within_the_answers_of_a_season():
    """Ten points found after a median of 134 answers, twenty after 57; evidence of 100 without a fall in 1 of 100."""
    assert np.median(answers_until_noticed(rng(), 150, 0.1)) <= 160
    assert np.median(answers_until_noticed(rng(), 150, 0.2)) <= 60
    assert np.isfinite(answers_until_noticed(rng(), 300, 0.0)).mean() <= 0.02


def test_evidence_of_a_fall_is_one_answer_a_block():
    """Evidence of whole days is gathered day by day, in the order in which they came."""
    right = np.array([1, 1, 0, 0, 1, 0])
    block = np.array([7, 7, 3, 3, 7, 5])
    assert block_means(right, block).tolist() == [1.0, 0.0, 0.0]
    assert block_fall_evidence(right, block, 0.8).tolist() == fall_evidence(np.array([1.0, 0, 0]), 0.8).tolist()
    assert block_mean_bounds(right, block) == mean_bounds(np.array([1.0, 0, 0]))
    assert fall_evidence(np.zeros(5), 1.0)[0] > 1000, "from 1 a single error is proof"


def test_what_is_no_share_is_refused():
    """A bet on a value without limits can lose more than it has."""
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        mean_bounds(np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="reference"):
        fall_evidence(np.array([1.0]), 0.0)
