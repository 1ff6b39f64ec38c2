"""Promises about names: levels, draws, verdicts."""

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.acquisition.minutes.promises import (
    allowed_error,
    alpha_of,
    draws,
    expected_draws,
    verdict,
)
from chimp_assets.statistics.betting import FEWEST, rarity_wealth

GOAL = Goal(named=0.9, error=0.05)


def test_all_looks_together_err_less_often_than_the_promise_allows() -> None:
    """Twelve looks at one level each would break a promise in a third of all archives."""
    assert sum(alpha_of(k, 0.95) for k in range(1, 50)) <= 0.05 + 1e-12
    assert alpha_of(1, 0.95) == pytest.approx(0.025)
    with pytest.raises(ValueError, match="count from 1"):
        alpha_of(0, 0.95)


def test_more_draws_prolong_fewer_and_long_tracks_come_more_often() -> None:
    frames = np.array([1.0, 0.0, 9.0, 90.0])
    few, many = (draws(frames, n, np.random.default_rng(7)) for n in (20, 4000))
    assert many[:20].tolist() == few.tolist()
    share = np.bincount(many, minlength=4) / 4000
    assert share == pytest.approx([0.01, 0.0, 0.09, 0.9], abs=0.02)
    with pytest.raises(ValueError, match="no frames"):
        draws(np.zeros(3), 5, np.random.default_rng(0))


def test_a_broken_promise_is_said_to_hold_in_alpha_of_all_archives_at_most() -> None:
    """At 1.02 x, four tracks a clip at correlation .5, long tracks more often wrong, draws that repeat: what breaks
    samples of clips and samples that do not weigh by frames."""
    rng = np.random.default_rng(11)
    runs, kept, unweighted, limit = 300, 0, 0, allowed_error(GOAL, 0.5)
    for _ in range(runs):
        frames = np.repeat(rng.lognormal(3, 1, 100), 4)
        together = np.repeat(rng.random(100) < 0.5, 4)
        luck = np.where(together, np.repeat(rng.random(100), 4), rng.random(400))
        wrong = _exactly(luck / frames**0.3, frames, 1.02 * limit)
        drawn = wrong[draws(frames, 300, rng)]
        kept += bool(rarity_wealth(drawn, limit).max() >= 40)
        unweighted += bool(rarity_wealth(wrong[rng.integers(0, 400, 300)], limit).max() >= 40)
    assert kept / runs <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / runs)
    assert unweighted > 2 * kept


def _exactly(order: np.ndarray, frames: np.ndarray, share: float) -> np.ndarray:
    """Wrong tracks, those of the lowest order, until at least this share of the frames is wrong."""
    wrong = np.zeros(len(frames), bool)
    turn = np.argsort(order)
    wrong[turn[: int(np.searchsorted(np.cumsum(frames[turn]), share * frames.sum())) + 1]] = True
    return wrong


def test_names_of_which_few_are_wrong_are_kept_with_some_fifty_to_a_hundred_draws() -> None:
    """Half of the named frames tested: an error of a tenth is allowed there."""
    alpha = alpha_of(1, 0.95)
    none = np.zeros(200, bool)
    needed = next(n for n in range(200) if verdict(none[:n], GOAL, 0.5, alpha).name == "kept")
    assert 40 <= needed <= 60
    said = verdict(none[:needed], GOAL, 0.5, alpha)
    assert said.bound <= GOAL.error + 1e-5
    assert said.more == 0
    assert verdict(none[: needed - 1], GOAL, 0.5, alpha).bound > GOAL.error
    assert expected_draws(0.0, GOAL, 0.5, alpha) <= needed


def test_a_look_that_leads_nowhere_is_given_up_early_and_never_by_its_first_answers() -> None:
    rng = np.random.default_rng(2)
    wrong = rng.random(400) < 0.25
    names = [verdict(wrong[:n], GOAL, 0.5, 0.025).name for n in range(100)]
    assert set(names[:FEWEST]) == {"go on"}
    assert "hopeless" in names
    assert "kept" not in names
    assert verdict(wrong[:400] & False, GOAL, 0.2, 0.025).name == "kept"


def test_where_people_named_nearly_everything_nothing_needs_to_be_drawn() -> None:
    """x / q is above one: even if all that is tested were wrong, the promise would hold."""
    said = verdict(np.zeros(0, bool), GOAL, 0.04, 0.025)
    assert said.name == "kept"
    assert said.bound <= 0.04 + 1e-12


def test_what_is_kept_stays_kept_when_more_is_answered() -> None:
    """The level is spent on all looks at one sample together: the first time counts."""
    wrong = np.r_[np.zeros(60, bool), np.ones(40, bool)]
    assert verdict(wrong, GOAL, 0.5, 0.025).name == "kept"
