"""The line that corrects a head's probabilities: true on what it was fitted for, and never turned round."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.calibration import ChanceLine, fit


def test_a_boastful_head_is_taken_down() -> None:
    """Of a head that says 0.95 and is right in 0.8 of the cases, the threshold must not believe the 0.95."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 0.99, 4_000)
    truth = ChanceLine(-0.6, 0.6)
    line = fit(p, rng.random(len(p)) < truth.of(p))
    assert np.abs(line.of(p) - truth.of(p)).max() < 0.04
    assert line.of(np.array([line.back(0.9)]))[0] == pytest.approx(0.9, abs=1e-6)


def test_chosen_answers_cannot_turn_it_round() -> None:
    """Sure names are asked only where they are wrong: the more the head says, the less would be believed."""
    p = np.r_[np.full(300, 0.95), np.full(300, 0.4)]
    right = np.r_[np.zeros(300, bool), np.ones(300, bool)]
    line = fit(p, right)
    assert line.slope >= 0
    assert line.of(np.array([0.95]))[0] >= line.of(np.array([0.4]))[0]


def test_few_answers_change_little() -> None:
    """Three answers by chance all wrong are no reason to distrust every name."""
    line = fit(np.full(3, 0.9), np.zeros(3, bool))
    assert line.of(np.array([0.9]))[0] > 0.5
    assert fit(np.empty(0), np.empty(0, bool)) == ChanceLine()
    assert ChanceLine(0.0, 0.0).back(0.9) > 1
