"""Goals: what a threshold names, what it costs, and whether the forecast ends where it says."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NAMELESS,
    NOBODY_ASKED,
    ON_A_PAGE,
    SPARE,
    ArchiveNames,
    Goal,
    reach,
    to_go,
    worth,
)
from chimp_assets.acquisition.minutes.prices import Prices


def _names(n: int = 2_000, seed: int = 0) -> ArchiveNames:
    rng = np.random.default_rng(seed)
    frames = np.ceil(np.exp(rng.normal(3, 1, n)))
    return ArchiveNames(frames, rng.beta(2, 1, n), rng.choice(4, n, p=[0.8, 0.1, 0.05, 0.05]).astype(np.int8))


def test_the_threshold_is_the_lowest_that_keeps_the_error() -> None:
    """A higher one leaves names unused; a lower one breaks what will be promised."""
    names, goal = _names(), Goal(0.9, 0.1)
    found = reach(names, goal)
    machine = (names.asked == NOBODY_ASKED) & (names.chance >= found.threshold)
    carried = names.frames[machine | (names.asked == BY_A_PERSON) | (names.asked == ON_A_PAGE)].sum()
    wrong = (names.frames * (1 - names.chance))[machine].sum() + 0.02 * names.frames[names.asked == ON_A_PAGE].sum()
    assert found.named == pytest.approx(carried / names.frames.sum())
    assert found.error == pytest.approx(wrong / carried)
    assert found.error <= SPARE * goal.error
    more = (names.asked == NOBODY_ASKED) & (names.chance < found.threshold)
    best = np.argmax(np.where(more, names.chance, -1))
    wrong += names.frames[best] * (1 - names.chance[best])
    assert wrong / (carried + names.frames[best]) > SPARE * goal.error


def test_tracks_that_people_gave_no_name_carry_none() -> None:
    """An animal that nobody can name is part of the archive, and no threshold names it."""
    asked = np.array([NAMELESS, BY_A_PERSON], np.int8)
    names = ArchiveNames(np.array([90.0, 10.0]), np.array([0.99, 0.0]), asked)
    assert reach(names, Goal()).named == pytest.approx(0.1)
    assert to_go(names, Goal(), Prices()).seconds == float("inf")


def test_the_forecast_reaches_the_goal_and_no_answer_less_does() -> None:
    """ "71 minutes to go" must neither end before the goal nor ask for more than is needed."""
    names, goal, prices = _names(), Goal(0.95, 0.05), Prices()
    now = reach(names, goal)
    left = to_go(names, goal, prices)
    open_to_ask = np.flatnonzero(names.asked == NOBODY_ASKED)
    rate = worth(names.frames[open_to_ask], names.chance[open_to_ask], now.threshold, prices)
    turn = open_to_ask[np.argsort(-rate, kind="stable")]
    for n, enough in ((int(left.answers), True), (int(left.answers) - 1, False)):
        asked = names.asked.copy()
        asked[turn[:n]] = BY_A_PERSON
        assert reach(ArchiveNames(names.frames, names.chance, asked), goal).meets(goal) is enough
    assert left.seconds == pytest.approx(prices.of_tracks(names.chance[turn[: int(left.answers)]]).sum())


def test_volunteers_take_minutes_from_the_expert() -> None:
    """What two of them confirm costs the expert nothing; what they do not costs a name."""
    names, goal, prices = _names(), Goal(0.95, 0.05), Prices()
    alone, together = to_go(names, goal, prices), to_go(names, goal, prices, volunteers=True)
    assert together.seconds < 0.8 * alone.seconds
    assert together.volunteer_seconds > 0 == alone.volunteer_seconds


def test_sure_names_are_worth_what_is_wrong_about_them() -> None:
    """Confirming what the machine carries for nothing is what made the old page lose to random asking."""
    rate = worth(np.array([100.0, 100.0]), np.array([0.97, 0.6]), 0.9, Prices())
    assert rate[0] < 0.1 * rate[1]


def test_nothing_and_one_track_are_no_special_cases() -> None:
    """The first day of an archive."""
    nothing = ArchiveNames(np.empty(0), np.empty(0), np.empty(0, np.int8))
    assert reach(nothing, Goal()).named == 0
    one = ArchiveNames(np.array([5.0]), np.array([0.0]), np.array([NOBODY_ASKED], np.int8))
    assert to_go(one, Goal(), Prices()).answers == 1
