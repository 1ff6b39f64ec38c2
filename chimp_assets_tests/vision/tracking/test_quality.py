"""The number that says how good a track is."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.vision.tracking.quality import quality_parts, track_quality


def a_track(n=10, side=0.2, score=0.8, jitter=0.0, step=1):
    rng = np.random.default_rng(0)
    boxes = np.tile(np.array([0.3, 0.3, side, side]), (n, 1))
    boxes[:, 2:] *= np.exp(rng.normal(0, jitter, (n, 1)))
    return np.arange(n) * step, boxes, np.full(n, score)


def test_a_long_large_steady_track_is_nearly_perfect():
    """The scale must reach its ends, or every threshold means something else."""
    assert track_quality(*a_track(n=30, score=1.0), 5.0) > 0.95


@pytest.mark.parametrize(
    "worse", [{"n": 2}, {"side": 0.03}, {"score": 0.3}, {"jitter": 0.8}, {"step": 4}], ids=lambda w: next(iter(w))
)
def test_every_part_lowers_the_quality(worse):
    """A part with a wrong sign or no weight would go unnoticed."""
    assert track_quality(*a_track(**worse), 5.0) < track_quality(*a_track(), 5.0) - 0.03


def test_a_speck_that_flickers_is_junk_at_the_default_threshold():
    """Four faint flickering specks of a leaf must not reach the expert."""
    assert track_quality(*a_track(n=4, side=0.012, score=0.26, jitter=0.8, step=3), 5.0) < 0.2


def test_length_is_in_seconds_not_in_frames():
    """Four key frames are seconds of an animal; four pictures at sixty a second are a blink."""
    assert track_quality(*a_track(n=4), 1.0) > track_quality(*a_track(n=4), 60.0)


def test_all_parts_are_shares_even_for_one_box():
    """A track of one box has no steps; a mean of nothing is not a number, and the database refuses it."""
    for n in (1, 2, 50):
        parts = quality_parts(*a_track(n=n), 5.0)
        assert all(0 <= part <= 1 for part in parts.values())
        assert 0 <= track_quality(*a_track(n=n), 5.0) <= 1


def test_a_track_without_boxes_is_refused():
    """It would be a row that says an animal was seen nowhere."""
    with pytest.raises(ValueError, match="without boxes"):
        track_quality(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), 5.0)
