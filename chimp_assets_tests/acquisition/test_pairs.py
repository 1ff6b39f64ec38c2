"""Pairs are worth asking, are asked once, and say how likely they are."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.duplicates import asked_already
from chimp_assets.acquisition.pairs import PairAnswers, chance_of_same, pairs
from chimp_assets.acquisition.pool import FOLLOWS, IN_FLIGHT, PROVISIONAL, UNLABELLED, TrackPool
from chimp_assets_tests.acquisition.pools import planted
from chimp_assets_tests.support.sentences import untranslated

NONE = np.empty((0, 2), np.int64)


def said(pool: TrackPool, known: np.ndarray = NONE, same: np.ndarray = NONE, apart: np.ndarray = NONE) -> PairAnswers:
    """What was said: answered pairs, tracks that are one animal, tracks that are not."""
    group = np.arange(len(pool))
    for one, other in same:
        group[group == group[other]] = group[one]
    return PairAnswers(known, group, apart)


def test_no_pair_touches_what_is_named_reserved_or_of_a_test_day() -> None:
    """A volunteer's answer about a reserved track would teach what only the audit may know."""
    rng = np.random.default_rng(0)
    states = rng.choice([UNLABELLED, PROVISIONAL, 0, -3, -5], 300)
    pool, _, _ = planted(300, states=states, reserve=0.3, test_day=0.3)
    found = pairs(pool, _no_answers(len(pool)), 40, np.random.default_rng(1))
    both = np.concatenate([found.one, found.other])
    assert len(found.one) > 5
    assert len(set(both.tolist())) == len(both)
    assert np.isin(pool.state[both], (UNLABELLED, PROVISIONAL)).all()
    assert not pool.reserve[both].any()
    assert not pool.test_day[both].any()
    again = pairs(pool, _no_answers(len(pool)), 40, np.random.default_rng(1))
    assert again.one.tolist() == found.one.tolist()
    assert again.reasons == found.reasons
    assert untranslated(found.reasons) == set()


def test_what_was_answered_is_not_asked_again() -> None:
    """The same pair every day would be the end of a volunteer."""
    pool, _, _ = planted(60, spread=1.0)
    known = NONE
    for seed in range(3):
        found = pairs(pool, said(pool, known), 10, np.random.default_rng(seed))
        asked = np.stack([found.other, found.one], axis=1)
        assert not {frozenset(p) for p in known.tolist()} & {frozenset(p) for p in asked.tolist()}
        known = np.concatenate([known, asked])
    assert len(known) == 30


def test_what_follows_from_answers_is_not_asked() -> None:
    """Ten tracks of one animal would make 45 questions of nine answers."""
    pool, _, truth = planted(60, classes=3, spread=0.8)
    first = [np.flatnonzero(truth == c)[0] for c in range(3)]
    same = np.array([(first[c], i) for c in (0, 1) for i in np.flatnonzero(truth == c) if i != first[c]])
    apart = np.array([(first[0], first[1])])
    found = pairs(pool, said(pool, same=same, apart=apart), 60, np.random.default_rng(0))
    asked = {frozenset(p) for p in zip(truth[found.one].tolist(), truth[found.other].tolist(), strict=True)}
    assert asked <= {frozenset({0, 2}), frozenset({1, 2}), frozenset({2})}
    assert asked, "there are pairs that nothing was said about"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 16), b=st.integers(0, 40), likeness=st.sampled_from([0.6, 0.9, 1.1]))
def test_nothing_that_needs_no_question_is_ever_paired(seed: int, b: int, likeness: float) -> None:
    """Whatever the pool: no named, leased, junk, following, reserved or test track, no copy, no impossible pair."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 80))
    states = rng.choice([UNLABELLED, UNLABELLED, PROVISIONAL, 0, 1, -3, -4, IN_FLIGHT, FOLLOWS], n)
    pool, _, _ = planted(n, seed=seed, spread=1.0, states=states, reserve=0.2, test_day=0.2)
    emb = pool.emb.copy()
    copies = rng.integers(0, max(n, 1), (n // 5, 2))
    emb[copies[:, 0]] = emb[copies[:, 1]]
    pool = dataclasses.replace(pool, emb=emb, video=rng.integers(0, 12, n).astype(np.int32))
    assert pool.video is not None
    known = rng.integers(0, max(n, 1), (n, 2))
    taken = np.flatnonzero(rng.random(n) < 0.1)
    found = pairs(
        pool, said(pool, known), b, np.random.default_rng(seed), taken, likeness,
        lambda one, other: (one + other) % 3 == 0,
    )  # fmt: skip
    both = np.concatenate([found.one, found.other])
    assert len(found.one) <= b
    assert len(set(both.tolist())) == len(both), "a track is in one pair"
    assert np.isin(pool.state[both], (UNLABELLED, PROVISIONAL)).all()
    assert not (pool.reserve[both] | pool.test_day[both]).any()
    assert not np.isin(both, taken).any()
    assert ((found.one + found.other) % 3 != 0).all()
    new = np.sort(both[pool.state[both] == UNLABELLED])
    assert not asked_already(pool, new, likeness, taken).any()
    assert not {frozenset(p) for p in known.tolist()} & {
        frozenset(p) for p in zip(found.one.tolist(), found.other.tolist(), strict=True)
    }
    assert (found.p_same >= 0).all()
    assert (found.p_same <= 1).all()


def test_pairs_near_even_odds_come_before_plain_ones() -> None:
    """Pairs that anybody would get right decide nothing."""
    pool, _, truth = planted(400, classes=6, spread=1.2, seed=3)
    state = pool.state.copy()
    named = np.arange(0, 400, 3)
    state[named] = truth[named]
    pool = dataclasses.replace(pool, state=state)
    found = pairs(pool, _no_answers(len(pool)), 15, np.random.default_rng(0))
    everything = pairs(pool, _no_answers(len(pool)), 10_000, np.random.default_rng(0))
    assert np.abs(found.p_same - 0.5).mean() < np.abs(everything.p_same - 0.5).mean()


def test_the_chance_follows_what_named_pairs_showed() -> None:
    """A number on the page that means nothing would be worse than none."""
    pool, _, truth = planted(1500, classes=5, spread=1.5, seed=5)
    state = pool.state.copy()
    named = np.arange(0, 1500, 2)
    state[named] = truth[named]
    pool = dataclasses.replace(pool, state=state)
    free = np.flatnonzero(state == UNLABELLED)
    emb = pool.emb[free].astype(np.float32)
    likeness = emb @ emb.T
    np.fill_diagonal(likeness, -1)
    near = likeness.argsort(axis=1)[:, -5:]
    cosine = np.take_along_axis(likeness, near, axis=1).ravel()
    same = (truth[free][near] == truth[free][:, None]).ravel()
    p = chance_of_same(pool, cosine.astype(np.float32), np.random.default_rng(0))
    for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 1)):
        inside = (p >= low) & (p < high)
        if inside.sum() > 100:
            assert abs(p[inside].mean() - same[inside].mean()) < 0.08


def test_small_and_equal_pools_are_no_error() -> None:
    """The first day has one track; a still camera gives equal ones."""
    pool, _, _ = planted(1)
    assert len(pairs(pool, _no_answers(len(pool)), 5, np.random.default_rng(0)).one) == 0
    pool, _, _ = planted(9)
    pool = dataclasses.replace(pool, emb=np.repeat(pool.emb[:1], 9, axis=0))
    assert len(pairs(pool, _no_answers(len(pool)), 50, np.random.default_rng(0)).one) <= 4


def _no_answers(n: int) -> PairAnswers:
    none = np.empty((0, 2), np.int64)
    return PairAnswers(none, np.arange(n), none)
