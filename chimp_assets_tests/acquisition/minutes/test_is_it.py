"""Which tracks volunteers are asked about."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.goal import VOLUNTEERS_FROM
from chimp_assets.acquisition.minutes.is_it import LEAST, FirstNames, how_many, is_it_questions, reason_of
from chimp_assets.acquisition.minutes.prices import Prices


def first_names(seed: int, n: int = 300) -> FirstNames:
    rng = np.random.default_rng(seed)
    return FirstNames(
        track=np.sort(rng.choice(10 * n, n, replace=False)),
        individual=rng.integers(0, 8, n),
        frames=np.ceil(rng.lognormal(3, 1, n)),
        chance=rng.random(n),
        needed=rng.integers(0, 3, n),
        video=rng.integers(0, 40, n),
    )


def one(chance: float, frames: float = 10.0, needed: int = 2) -> FirstNames:
    return FirstNames(*(np.array([x]) for x in (1, 2, frames, chance, needed, 3)))


@pytest.mark.parametrize("seed", range(8))
def test_only_likely_names_that_are_not_carried_are_asked_each_once(seed: int) -> None:
    names, threshold, b = first_names(seed), 0.85, 40
    asked = is_it_questions(names, threshold, b, Prices())
    row = np.searchsorted(names.track, asked.track)
    assert 0 < len(asked) <= b
    assert len(set(asked.track.tolist())) == len(asked) == len(asked.reasons)
    assert (names.individual[row] == asked.individual).all()
    assert ((names.chance[row] >= VOLUNTEERS_FROM) & (names.chance[row] < threshold)).all()
    assert (names.needed[row] > 0).all()
    assert ((asked.propensity > 0) & (asked.propensity <= 1)).all()
    assert max(Counter(names.video[row].tolist()).values()) <= np.ceil(0.1 * b)
    assert max(Counter(asked.individual.tolist()).values()) <= np.ceil(0.25 * b)


def test_what_brings_most_frames_a_second_comes_first() -> None:
    """412 frames at even odds are worth more than 20 that are nearly sure, and one answer less counts double."""
    names = FirstNames(
        track=np.arange(4),
        individual=np.arange(4),
        frames=np.array([20.0, 412.0, 100.0, 100.0]),
        chance=np.array([0.8, 0.5, 0.6, 0.6]),
        needed=np.array([2, 2, 2, 1]),
        video=np.arange(4),
    )
    assert is_it_questions(names, 0.9, 9, Prices()).track.tolist() == [1, 3, 2, 0]


def test_a_shuffled_table_asks_the_same() -> None:
    names = first_names(5)
    order = np.random.default_rng(1).permutation(len(names))
    shuffled = FirstNames(*(getattr(names, field)[order] for field in FirstNames.__dataclass_fields__))
    one, other = (is_it_questions(table, 0.9, 30, Prices()) for table in (names, shuffled))
    assert one.track.tolist() == other.track.tolist()


def test_where_no_machine_name_is_carried_sure_ones_are_asked_too() -> None:
    assert len(is_it_questions(one(0.99), 2.0, 5, Prices())) == 1
    assert len(is_it_questions(one(0.99), 0.95, 5, Prices())) == 0
    assert len(is_it_questions(one(0.5, needed=0), 0.95, 5, Prices())) == 0


def test_the_reason_tells_frames_and_nothing_else() -> None:
    """How sure the head is, or that somebody has said yes already, would sway people."""
    assert is_it_questions(one(0.5, 1412.0), 0.9, 5, Prices()).reasons == [reason_of(1412)]
    assert reason_of(1412) == "Two people who say yes give 1,412 frames a name."
    assert reason_of(1) == "Two people who say yes give 1 frame a name."
    assert is_it_questions(one(0.7, 9, 1), 0.9, 5, Prices()).reasons == [reason_of(9)]


def test_as_many_are_asked_as_volunteers_answer_between_two_plans() -> None:
    assert how_many(answers=900, plans=6, has_volunteers=True) == 150
    assert how_many(answers=10, plans=6, has_volunteers=True) == LEAST == 40
    assert how_many(answers=10, plans=0, has_volunteers=True) == 40
    assert how_many(answers=900, plans=6, has_volunteers=False) == 0
