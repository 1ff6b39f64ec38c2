"""Detectors of change: evidence from p-values, and streams of days in which something happens or does not."""

import numpy as np
import pytest
import scipy.integrate

from benchmarks.support.drifting import foils, quiet_streams, shifted
from chimp_assets.statistics.detectors import (
    ShiryaevRoberts,
    alarm_threshold,
    e_value,
    fold_numbers,
    fold_vectors,
)

THRESHOLD = alarm_threshold(72, 1.0)


def test_evidence_of_a_valid_p_value_is_one_on_average():
    """More would raise false alarms, less would waste what was seen: the integral of an admissible one is exactly 1."""
    total, _ = scipy.integrate.quad(lambda u: float(e_value(np.exp(-np.array(u)))) * np.exp(-u), 0, 600.0, limit=300)
    assert total == pytest.approx(1.0, abs=2e-3)
    assert np.all(np.diff(e_value(np.array([1e-6, 1e-3, 0.1, 1.0]))) < 0)


def test_the_threshold_counts_all_streams():
    """Seventy-two streams at the threshold of one would alarm every few days."""
    assert alarm_threshold(72, 1.0) == pytest.approx(72 * 52.18)
    assert alarm_threshold(72, 2.0) == pytest.approx(36 * 52.18)


def test_the_detector_forgets_nothing_that_matters_and_names_the_beginning():
    """R' = (1 + R) e; of a change the beginning is where evidence began to grow."""
    detector = ShiryaevRoberts()
    for number, e in enumerate((0.5, 0.5, 4.0, 5.0)):
        assert detector.start_if(number, np.array([e])) == (number if number < 3 else 2)
        evidence = detector.step(np.array([e]), number)
    assert evidence == pytest.approx((((0.5 + 1) * 0.5 + 1) * 4 + 1) * 5)


def test_quiet_streams_are_quiet():
    """The promise: with the threshold of one false alarm a year, ten stream-years say nothing, or nearly."""
    made = quiet_streams(np.random.default_rng(1), 6, 600)
    assert sum(len(fold_numbers(one.day, one.value, THRESHOLD).changes) for one in made) <= 1
    assert foils(np.random.default_rng(0), 72, 365)["per camera-day, p < .05"] > 500


def test_a_change_is_noticed_soon_and_from_its_day():
    """An alert that names the wrong week shows pictures of before the change."""
    for one in quiet_streams(np.random.default_rng(2), 4, 300):
        changes = fold_numbers(one.day, shifted(one, 220, -4.0).value, THRESHOLD).changes
        (change,) = [change for change in changes if change.noticed >= 220]
        assert change.noticed <= 220 + 28
        assert abs(change.since - 220) <= 7
        assert -8 < change.size < -2
        assert change.until is None
        assert change.evidence >= THRESHOLD


def test_a_change_that_goes_back_has_an_end_and_is_one_change():
    """A lens that is cleaned is no second alert."""
    for one in quiet_streams(np.random.default_rng(3), 4, 330):
        changes = fold_numbers(one.day, shifted(one, 220, 5.0, 260).value, THRESHOLD).changes
        (change,) = [change for change in changes if change.noticed >= 220]
        assert change.until is not None
        assert abs(change.until - 260) <= 7


def test_later_days_leave_what_was_noticed_as_it_was():
    """Alerts are found again every night: a `since` that moves makes a second one."""
    one = shifted(quiet_streams(np.random.default_rng(4), 1, 330)[0], 220, 4.0)
    whole = fold_numbers(one.day, one.value, THRESHOLD).changes[-1]
    upto = np.searchsorted(one.day, whole.noticed) + 1
    early = fold_numbers(one.day[:upto], one.value[:upto], THRESHOLD).changes[-1]
    assert (early.since, early.noticed, early.size, early.evidence) == (
        whole.since, whole.noticed, whole.size, whole.evidence,
    )  # fmt: skip


def test_a_season_is_said_once_and_not_the_next_year():
    """Rain that comes every year would be the alert of every year."""
    one = quiet_streams(np.random.default_rng(5), 1, 1_000)[0]
    stream = shifted(shifted(one, 380, 4.0, 480), 745, 4.0, 845)
    changes = fold_numbers(stream.day, stream.value, THRESHOLD).changes
    assert [380 <= change.noticed < 440 for change in changes] == [True]


def test_days_that_never_differ_do_not_make_the_smallest_change_a_large_one():
    """Of a camera without infrared every share is 0: one picture of dusk is no drift."""
    day = np.arange(200)
    value = np.zeros(200)
    value[150:] = 0.01
    assert fold_numbers(day, value, THRESHOLD, least=0.05).changes == []
    value[150:] = 1.0
    assert fold_numbers(day, value, THRESHOLD, least=0.05).changes[0].since == 150


def test_vectors_that_turn_are_noticed_and_quiet_ones_are_not():
    """Numbers of vectors in a day differ: few are no drift."""
    rng = np.random.default_rng(6)
    day = np.arange(250)
    n = rng.integers(2, 40, 250)
    level = rng.standard_normal((250, 16)) * 0.05
    sums = (level + np.eye(16)[0]) * n[:, None] + rng.standard_normal((250, 16)) * 0.2 * np.sqrt(n)[:, None]
    assert fold_vectors(day, sums, n, THRESHOLD).changes == []
    sums[200:] += 0.3 * n[200:, None] * np.eye(16)[3]
    (change,) = fold_vectors(day, sums, n, THRESHOLD).changes
    assert abs(change.since - 200) <= 3
    assert change.noticed <= 220


def test_an_empty_stream_and_one_in_disorder():
    """A camera without a day has no change; days in disorder are a fault of the caller."""
    assert fold_numbers(np.zeros(0, np.int64), np.zeros(0), THRESHOLD).changes == []
    with pytest.raises(ValueError, match="in their order"):
        fold_numbers(np.array([2, 1]), np.zeros(2), THRESHOLD)
