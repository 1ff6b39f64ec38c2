"""Intervals by blocks hold what they promise, and are wide where little is known."""

import numpy as np
import pytest

from benchmarks.intervals import any_misses, clustered, coverage, gain_coverage
from chimp_assets.statistics.blocks import (
    GAIN,
    Interval,
    block_interval,
    block_statistic,
    paired_gain,
    simultaneous,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_95_percent_cover_93_to_97_with_four_tracks_a_clip():
    """Wilson takes tracks of one clip for independent: its 95 % were 78 %."""
    found = coverage(rng(), 800, blocks=40, share=0.7)
    assert 0.93 <= found.ours <= 0.97
    assert found.foil < 0.85


def test_95_percent_cover_93_to_97_where_days_are_unequal():
    """Several clips a camera-day on one, a single track on another: a large day is one day."""
    found = coverage(rng(), 800, blocks=60, share=0.75, size=None)
    assert 0.93 <= found.ours <= 0.97
    assert found.foil < 0.75


def test_few_blocks_are_never_too_sure():
    """The bootstrap's percentiles cover 42 to 85 % of shares near 1 in five blocks."""
    for share in (0.7, 0.95):
        assert coverage(rng(), 300, blocks=5, share=share).ours >= 0.93


def test_the_gain_of_a_model_on_the_same_tracks_is_covered():
    """A day on which one of two models fails is one day, not four tracks."""
    found = gain_coverage(rng(), 600, blocks=30, gain=-0.05)
    assert 0.925 <= found.ours <= 0.975
    assert found.foil < 0.9


def test_no_interval_of_a_report_misses_in_95_of_a_hundred():
    """Twelve intervals of 95 % each: one of them misses in more than a third of all reports."""
    found = any_misses(rng(), 100)
    assert found.ours <= 0.09  # 0.05 and two standard errors
    assert found.foil > 0.25


def test_all_means_of_groups_hold_together():
    """Each alone at 95 %, one of ten is wrong in four of ten reports."""
    missed = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        x, block = clustered(random, 60, 0.7, size=5)
        group = random.integers(0, 10, len(x))
        missed += any(not one.low <= 0.7 <= one.high for one in simultaneous(x, block, group, random, draws=500))
    assert missed / 100 <= 0.09


def test_a_group_that_is_truly_worse_is_told_from_the_others():
    """An interval that names nobody is honest and useless."""
    named = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        group = np.repeat(np.arange(4), 150)
        block = random.integers(0, 200, len(group))
        right = random.random(len(group)) < np.where(group == 2, 0.6, 0.8)
        named += simultaneous(right.astype(float), block, group, random, draws=500)[2].high < 0.8
    assert named >= 54


@pytest.mark.parametrize("values", [[1.0] * 12, [0.0] * 12, [1.0, 0.0] * 6])
def test_one_block_says_nothing(values):
    """One day has no neighbours to be compared with, however many tracks it has."""
    found = block_interval(np.array(values), np.zeros(12, dtype=int), rng())
    assert (found.low, found.high, found.n, found.blocks) == (0.0, 1.0, 12, 1)


def test_all_right_and_none_right_leave_room():
    """Ten blocks without an error are ten answers, not forty: the bootstrap of equal values has no width."""
    block = np.repeat(np.arange(10), 4)
    right = block_interval(np.ones(40), block, rng())
    wrong = block_interval(np.zeros(40), block, rng())
    assert (right.value, right.high, wrong.value, wrong.low) == (1.0, 1.0, 0.0, 0.0)
    assert right.low < 0.72
    assert np.isclose(wrong.high, 1 - right.low)
    alike = paired_gain(np.ones(40, bool), np.ones(40, bool), block)
    assert alike.low < -0.25 < 0.25 < alike.high, "two models that agree on ten days may differ on the next"


def test_nothing_gives_the_widest_limits():
    """An empty slice is not an error of a page."""
    none = np.zeros(0)
    assert (block_interval(none, none.astype(int), rng()).low, block_interval(none, none.astype(int), rng()).high) == (
        0,
        1,
    )
    empty = paired_gain(none.astype(bool), none.astype(bool), none.astype(int))
    assert (empty.low, empty.high, empty.n) == (*GAIN, 0)
    groups = simultaneous(np.ones(3), np.arange(3), np.array([0, 2, 2]), rng())
    assert (groups[1].n, groups[1].low, groups[1].high) == (0, 0.0, 1.0)


def test_the_names_of_blocks_and_the_order_of_rows_do_not_matter():
    """Camera-days are numbered as they come."""
    x, block = clustered(rng(), 20, 0.7)
    order = rng().permutation(len(x))
    one, other = block_interval(x, block, rng()), block_interval(x[order], 1000 - block[order], rng())
    assert np.allclose([one.value, one.low, one.high], [other.value, other.low, other.high])


def test_weights_count():
    """A stratified audit draws small groups on purpose: weights of one over the chance to be drawn put that right."""
    x = np.array([1.0] * 10 + [0.0] * 10)
    found = block_interval(x, np.arange(20), rng(), weight=np.repeat([3.0, 1.0], 10))
    assert found.value == 0.75
    assert found.high - found.low > block_interval(x, np.arange(20), rng()).high - found.low - 0.5


def test_seconds_have_no_limits():
    """Few long answers stretch the upper limit more than the lower."""
    seconds = rng().lognormal(2, 1, 200)
    found = block_interval(seconds, np.repeat(np.arange(50), 4), rng(), limits=None)
    assert 0 < found.low < found.value < found.high
    assert found.high - found.value > found.value - found.low
    alone = block_interval(seconds, np.zeros(200, int), rng(), limits=None)
    assert (alone.low, alone.high) == (-np.inf, np.inf)


def test_a_value_outside_of_its_limits_is_refused():
    """A gain taken for a share has an interval that cannot go below 0."""
    with pytest.raises(ValueError, match="limits=GAIN"):
        block_interval(np.array([-1.0, 1.0]), np.arange(2), rng())


def test_any_statistic_is_resampled_by_blocks():
    """A median of rows of few blocks is as uncertain as its blocks."""
    x, block = clustered(rng(), 25, 0.6, alike=0.9, size=8)
    by_block = block_statistic(lambda rows: float(x[rows].mean()), block, rng(), draws=400)
    by_row = block_statistic(lambda rows: float(x[rows].mean()), np.arange(len(x)), rng(), draws=400)
    assert by_block.high - by_block.low > 1.8 * (by_row.high - by_row.low)
    one = block_statistic(lambda rows: 0.5, np.zeros(4, int), rng(), draws=10)
    assert one == Interval(0.5, 0.0, 1.0, 4, 1)
