"""Strengths of individuals in two periods: no change is told where none is, a planted one is found."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.statistics.association.columns import Appearances, Meetings, unit_counts
from chimp_assets.statistics.association.intervals import Sampled, sampled
from chimp_assets.statistics.association.pairs import of_pairs
from chimp_assets.statistics.association.strengths import strength_changes
from chimp_assets.statistics.association.unit_counts import UnitCounts

N = 12


def period(rng: np.random.Generator, days: int, join: np.ndarray, first_day: int = 0) -> UnitCounts:
    """A party a day: who attends goes on with 0.3 from day to day, who attends is in it with the chance `join`."""
    here = np.zeros((days, N), bool)
    here[0] = rng.random(N) < 0.6
    for day in range(1, days):
        here[day] = np.where(rng.random(N) < 0.3, here[day - 1], rng.random(N) < 0.6)
    party = here & (rng.random((days, N)) < join)
    day, who = np.nonzero(here)
    ones, others, when = [], [], []
    for today in range(days):
        there = np.flatnonzero(party[today])
        a, b = np.triu_indices(len(there), 1)
        ones.append(there[a])
        others.append(there[b])
        when.append(np.full(len(a), today))
    met, on = np.stack([np.concatenate(ones), np.concatenate(others)]), np.concatenate(when)
    day, on = day + first_day, on + first_day
    person = np.ones(len(who), bool)
    return unit_counts(
        np.tile([0, 10**6], (N, 1)), Appearances(who, day, day, person, np.ones(len(who))),
        Meetings(met, met, np.ones(met.shape, bool), on, on, on),
    )  # fmt: skip


def compared(seed: int, days: tuple[int, int], after: np.ndarray) -> tuple[Sampled, Sampled, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    one, two = period(rng, days[0], np.full(N, 0.5)), period(rng, days[1], after, 1_000)
    code = np.unique(np.concatenate([made.a * N + made.b for made in (one, two)]))
    a, b = code // N, code % N
    old, new = (of_pairs(made, np.arange(N), N, a, b) for made in (one, two))
    return sampled(old, None), sampled(new, None), a, b


def test_without_a_change_few_strengths_are_told_to_have_changed() -> None:
    """At 5 % false changes each, a network of sixty would have three individuals that changed by chance."""
    false = []
    for seed in range(20):
        was, now, a, b = compared(seed, (60, 30), np.full(N, 0.5))
        found = strength_changes(was, now, a, b, N, 300, seed)
        false.append((found.low > 0) | (found.high < 0))
    share = np.mean(false)
    assert share <= 0.10  # 20 networks whose individuals change together: three standard errors above 0.05


def test_who_leaves_the_party_is_found_weaker_and_the_mean_is_that_of_all() -> None:
    join = np.full(N, 0.5)
    join[3] = 0.05
    was, now, a, b = compared(1, (80, 80), join)
    found = strength_changes(was, now, a, b, N, 300)
    assert found.high[3] < 0
    assert np.argmin(found.difference[:N]) == 3
    for column in (found.before, found.after, found.difference):
        assert column[N] == pytest.approx(column[:N].mean())
    assert found.before[3] == pytest.approx(was.value[(a == 3) | (b == 3)].sum())
    assert ((found.low <= found.difference) & (found.difference <= found.high)).all()
    assert (found.blocks[0] <= 20.5).all()
    assert (found.blocks[0] > 10).all()


def test_pairs_that_do_not_count_are_in_no_strength() -> None:
    """A newborn makes its mother stronger."""
    was, now, a, b = compared(2, (20, 20), np.full(N, 0.5))
    place = np.where(np.arange(N) == 0, -1, np.arange(N) - 1)
    found = strength_changes(was, now, place[a], place[b], N - 1, 300)
    for who in range(1, N):
        mine = ((a == who) | (b == who)) & (a != 0)
        assert found.before[who - 1] == pytest.approx(was.value[mine].sum())
