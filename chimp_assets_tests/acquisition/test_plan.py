"""Plans keep their promises for any pool, and the audit lane is what statistics need it to be."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.duplicates import asked_already
from chimp_assets.acquisition.lanes.boundary import _spread_of, worth
from chimp_assets.acquisition.lanes.rare import rare_anchors
from chimp_assets.acquisition.minutes.calibration import ChanceLine
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.plan import Plan, plan
from chimp_assets.acquisition.policy import LaneError, Policy, candidate_count, share_out
from chimp_assets.acquisition.pool import IN_FLIGHT, UNLABELLED, EmbeddingError
from chimp_assets.settings import SpreadBy
from chimp_assets_tests.acquisition.pools import planted
from chimp_assets_tests.support.sentences import untranslated

COLD = Policy("cold", {"typical": 0.75, "audit": 0.25})
WARM = Policy("warm", {"boundary": 0.75, "audit": 0.25})
MIXED = Policy("warm", {"boundary": 0.4, "typical": 0.3, "audit": 0.3})
CELLS = Policy("warm", {"boundary": 0.6, "novel": 0.1, "audit": 0.3}, spread_by="cells")
ALL = Policy("warm", {"boundary": 0.4, "rare": 0.15, "novel": 0.15, "audit": 0.2, "repeat": 0.1})
FRAMES = Policy("warm", {"frames": 0.7, "boundary": 0.1, "audit": 0.2}, worth=FrameWorth(0.6, ChanceLine(-0.2, 0.9)))


@settings(max_examples=80, deadline=None)
@given(
    policy=st.sampled_from([COLD, WARM, MIXED, ALL, CELLS, FRAMES]),
    n=st.integers(0, 150),
    b=st.integers(0, 60),
    seed=st.integers(0, 9999),
    reserve=st.sampled_from([0.0, 0.2, 1.0]),
    test_day=st.sampled_from([0.0, 0.3, 1.0]),
    asked=st.sampled_from([0.0, 0.5, 0.95]),
)
def test_any_plan_asks_only_what_its_lanes_may_ask(
    policy: Policy, n: int, b: int, seed: int, reserve: float, test_day: float, asked: float
) -> None:
    """Labelled, in-flight, reserve and test rows in a training lane would waste answers or spoil the measurement."""
    rng = np.random.default_rng(seed)
    states = np.where(rng.random(n) < asked, rng.integers(IN_FLIGHT, 5, n), UNLABELLED)
    pool, head, _ = planted(n, seed=seed, states=states, reserve=reserve, test_day=test_day)
    pool = dataclasses.replace(
        pool,
        emb=pool.emb[rng.integers(0, max(1, n), n)] if seed % 3 == 0 and n else pool.emb,  # some are copies
        video=rng.integers(0, 1 + n // 5, n).astype(np.int32),
        place=rng.integers(-1, 4, n).astype(np.int32),
        cost=rng.random(n).astype(np.float32) + 0.5,
        value=rng.integers(1, 900, n).astype(np.float32),
        repeat=rng.random(n) < 0.5,
        opened=pool.reserve & (rng.random(n) < 0.5) if policy is FRAMES else None,
    )
    made = plan(pool, head, policy, b, np.random.default_rng(seed))
    assert len(set(made.rows.tolist())) == len(made)
    lane = np.array(made.lanes, dtype=object)
    training = ~np.isin(lane, ["audit", "repeat"])
    assert pool.may_train()[made.rows[training & (lane != "frames")]].all()
    assert pool.may_name()[made.rows[lane == "frames"]].all()
    assert pool.may_audit()[made.rows[lane == "audit"]].all()
    assert pool.may_repeat()[made.rows[lane == "repeat"]].all()
    assert not asked_already(pool, made.rows[training], policy.duplicate_likeness).any()
    open_rows = np.flatnonzero(pool.may_name() if policy is FRAMES else pool.may_train())
    different = int((~asked_already(pool, open_rows, policy.duplicate_likeness)).sum())
    assert int(training.sum()) <= min(b, different)
    if seed % 3 and policy is not ALL:
        assert len(made) <= min(b, len(open_rows) + int(pool.may_audit().sum()))
        assert len(made) >= min(b, different // 2 + int(pool.may_audit().sum()))
    assert ((made.propensity > 0) & (made.propensity <= 1)).all()
    assert all(0 < len(reason) <= 500 for reason in made.reasons)
    assert untranslated(made.reasons) == set()
    assert len(made.rows) == len(made.lanes) == len(made.reasons) == len(made.propensity)
    again = plan(pool, head, policy, b, np.random.default_rng(seed))
    assert _items(again) == _items(made)


def test_the_audit_lanes_propensity_is_its_frequency() -> None:
    """Weights of 1 / propensity are right only if the stated chance is the real one; 2,000 plans."""
    pool, _, _ = planted(80, reserve=0.3)
    n_audit = int(pool.may_audit().sum())
    hits = np.zeros(80)
    stated = set()
    rounds = 2000
    for seed in range(rounds):
        made = plan(pool, None, Policy("cold", {"audit": 1.0}), 5, np.random.default_rng(seed))
        hits[made.rows] += 1
        stated |= set(made.propensity.tolist())
    assert stated == {5 / n_audit}
    p = 5 / n_audit
    error = np.sqrt(p * (1 - p) / rounds)
    np.testing.assert_allclose(hits[pool.may_audit()] / rounds, p, atol=4.5 * error)
    assert hits[~pool.may_audit()].sum() == 0


@pytest.mark.parametrize(("spread_by", "plans"), [("cells", 1500), ("distance", 300)])
def test_every_lanes_propensity_is_its_frequency(spread_by: SpreadBy, plans: int) -> None:
    """Statistics on answers of any lane are right only if its stated chances are; the caps and copies included."""
    rng = np.random.default_rng(3)
    states = np.where(rng.random(160) < 0.3, rng.integers(0, 5, 160), UNLABELLED)
    pool, head, _ = planted(160, reserve=0.25, states=states, spread=1.0, seed=2)
    video = rng.integers(0, 12, 160).astype(np.int32)
    pool = dataclasses.replace(pool, repeat=rng.random(160) < 0.5, video=video, place=(video % 3).astype(np.int32))
    policy = dataclasses.replace(ALL, spread_by=spread_by)
    hits: dict[tuple[str, int], int] = {}
    stated: dict[tuple[str, int], set[float]] = {}
    for seed in range(plans):
        made = plan(pool, head, policy, 30, np.random.default_rng(seed))
        for row, lane, p in zip(made.rows.tolist(), made.lanes, made.propensity.tolist(), strict=True):
            hits[lane, row] = hits.get((lane, row), 0) + 1
            stated.setdefault((lane, row), set()).add(round(p, 12))
    assert {lane for lane, _ in hits} == {"audit", "boundary", "novel", "rare", "repeat"}
    for key, chances in stated.items():
        (p,) = chances
        assert abs(hits[key] / plans - p) <= 4.5 * np.sqrt(p * (1 - p) / plans), key


def test_rare_individuals_are_asked_about_and_those_with_many_tracks_are_not() -> None:
    """Margins forget an animal with two labels; this lane is why it does not stay rare."""
    weights = np.array([0.3, 0.3, 0.3, 0.05, 0.05])
    pool, head, truth = planted(800, spread=0.6, weights=weights, dimensions=32)
    state = pool.state.copy()
    for individual in range(5):
        state[np.flatnonzero(truth == individual)[: 2 if individual > 2 else 20]] = individual
    pool = dataclasses.replace(pool, state=state)
    assert set(state[rare_anchors(pool)].tolist()) == {3, 4}
    made = plan(pool, head, Policy("warm", {"rare": 0.9, "audit": 0.1}), 10, np.random.default_rng(0))
    rare = made.rows[np.array(made.lanes) == "rare"]
    assert np.isin(truth[rare], [3, 4]).mean() > 0.7
    assert len(set(truth[rare].tolist())) == 2
    assert "of whom 2 tracks are named so far" in " ".join(made.reasons)


def test_what_nobody_has_named_is_found_by_the_novel_lane() -> None:
    """An infant born last week is in no head; random asking would meet it weeks later."""
    met = {"novel": 0, "random": 0}
    for seed in range(6):
        pool, head, truth = planted(600, classes=6, spread=0.5, dimensions=32, seed=seed, weights=[0.19] * 5 + [0.05])
        state = pool.state.copy()
        for individual in range(5):
            state[np.flatnonzero(truth == individual)[:8]] = individual
        knows_five = dataclasses.replace(head, weight=head.weight[:5], bias=head.bias[:5])
        now = dataclasses.replace(pool, state=state)
        made = plan(now, knows_five, Policy("warm", {"novel": 0.9, "audit": 0.1}), 5, np.random.default_rng(seed))
        novel = made.rows[np.array(made.lanes) == "novel"]
        met["novel"] += bool((truth[novel] == 5).any())
        met["random"] += bool((truth[np.random.default_rng(seed).choice(600, len(novel))] == 5).any())
        assert any(reason.startswith("Nobody like this") for reason in made.reasons)
    assert met["novel"] == 6
    assert met["random"] < 4


@pytest.mark.parametrize("spread_by", ["distance", "cells"])
def test_one_video_does_not_fill_a_batch_while_others_wait(spread_by: SpreadBy) -> None:
    """Forty tracks of one noisy clip are one lesson."""
    pool, head, _ = planted(400, spread=1.5)
    video = np.where(np.arange(400) < 200, 0, np.arange(400)).astype(np.int32)
    pool = dataclasses.replace(pool, video=video, place=np.zeros(400, np.int32))
    policy = Policy("warm", {"boundary": 1.0}, duplicate_likeness=1.0, spread_by=spread_by)
    made = plan(pool, head, policy, 40, np.random.default_rng(0))
    assert (video[made.rows] == 0).sum() <= 4
    assert len(made) == 40


def test_what_was_answered_keeps_new_questions_away() -> None:
    """The second question about one doubt teaches less than the first about another."""
    pool, head, _ = planted(2000, classes=2, spread=1.5, dimensions=8)
    policy = Policy("warm", {"boundary": 1.0}, duplicate_likeness=1.0)
    first = plan(pool, head, policy, 20, np.random.default_rng(0)).rows
    state = pool.state.copy()
    state[first] = 0
    second = plan(dataclasses.replace(pool, state=state), head, policy, 20, np.random.default_rng(0)).rows
    emb = pool.emb.astype(np.float32)
    left = plan(
        dataclasses.replace(pool, state=state), head, dataclasses.replace(policy, spread_by="cells"), 20,
        np.random.default_rng(0),
    ).rows  # fmt: skip
    assert (emb[second] @ emb[first].T).max(axis=1).mean() < (emb[left] @ emb[first].T).max(axis=1).mean() - 0.02


def test_answers_that_name_more_in_less_time_are_worth_more() -> None:
    """A track of 900 boxes is worth more than one of 3, at the same doubt and the same seconds."""
    pool, _, _ = planted(3)
    pool = dataclasses.replace(pool, value=np.array([3, 30, 900], np.float32), cost=np.array([1, 1, 1], np.float32))
    value = worth(pool, np.arange(3), 0.25)
    assert value[0] < value[1] == 1 < value[2] <= 2
    dear = dataclasses.replace(pool, cost=np.array([1, 1, 30], np.float32))
    assert worth(dear, np.arange(3), 0.25)[2] == pytest.approx(1)
    assert worth(pool, np.arange(3), 0).tolist() == [1, 1, 1]


def test_vectors_that_are_no_numbers_are_named() -> None:
    """Half a plan from broken vectors looks like a plan."""
    pool, head, _ = planted(50)
    emb = pool.emb.copy()
    emb[7, 3] = np.nan
    pool = dataclasses.replace(pool, emb=emb)
    for policy in (COLD, WARM):
        with pytest.raises(EmbeddingError, match=f"1 embeddings are not finite; the first is of track {7 * 3 + 7}"):
            plan(pool, head, policy, 4, np.random.default_rng(0))


def test_the_audit_sample_does_not_depend_on_the_model_or_the_training_lanes() -> None:
    """An audit that looks at the head would measure what the head likes."""
    pool, head, _ = planted(120, reserve=0.3)
    other = dataclasses.replace(head, weight=-head.weight)
    audits = [
        [int(r) for r, lane in zip(made.rows, made.lanes, strict=True) if lane == "audit"]
        for made in (
            plan(pool, head, WARM, 20, np.random.default_rng(1)),
            plan(pool, other, WARM, 20, np.random.default_rng(1)),
            plan(pool, None, COLD, 20, np.random.default_rng(1)),
        )
    ]
    assert audits[0] == audits[1] == audits[2]
    assert len(audits[0]) == 5


def test_audit_answers_of_many_rounds_are_a_fair_sample_of_the_reserve() -> None:
    """Rounds that follow each other must not drift towards easy tracks: hits after three rounds are uniform."""
    pool, head, _ = planted(90, reserve=0.4)
    reserve = np.flatnonzero(pool.reserve)
    hits = np.zeros(90)
    for seed in range(200):
        state = pool.state.copy()
        for turn in range(3):
            now = dataclasses.replace(pool, state=state)
            made = plan(now, head, WARM, 16, np.random.default_rng([seed, turn]))
            state[made.rows] = 0
        hits += (state == 0) & pool.reserve
    expected = hits.sum() / len(reserve)
    error = np.sqrt(expected * (1 - expected / 200))
    assert expected == 200 * 12 / len(reserve)
    np.testing.assert_allclose(hits[reserve], expected, atol=4.5 * error)


def test_the_boundary_lane_asks_what_the_head_doubts() -> None:
    """Signs the wrong way round would ask only what is known."""
    pool, head, _ = planted(2000, classes=2, spread=1.5)
    made = plan(pool, head, Policy("warm", {"boundary": 0.9, "audit": 0.1}), 20, np.random.default_rng(0))
    logits = pool.emb.astype(np.float32) @ head.weight.T
    doubt = -np.abs(logits[:, 0] - logits[:, 1])
    share_more_doubtful = (doubt[:, None] > doubt[made.rows][None, :]).mean(axis=0)
    assert share_more_doubtful.max() < 0.11  # of 2,000 the candidates are the 200 most doubtful
    assert "wavers between class" in made.reasons[0]


def test_typical_finds_more_individuals_than_random_from_nothing() -> None:
    """The cold start's purpose: in a long tail each rare animal is met sooner than by chance."""
    weights = np.array([0.6, 0.2] + [0.02] * 10)
    found: dict[str, list[int]] = {"typical": [], "random": []}
    for seed in range(8):
        pool, _, truth = planted(600, classes=12, dimensions=32, spread=0.5, seed=seed, weights=weights)
        made = plan(pool, None, Policy("cold", {"typical": 1.0}), 20, np.random.default_rng(seed))
        found["typical"].append(len(set(truth[made.rows].tolist())))
        found["random"].append(len(set(truth[np.random.default_rng(seed).choice(600, 20, replace=False)].tolist())))
    assert np.mean(found["typical"]) > np.mean(found["random"]) + 2


def test_the_next_cold_plan_goes_where_nobody_has_asked() -> None:
    """Cells that were asked, or are being asked now, must not be asked first again."""
    pool, _, truth = planted(400, classes=8, dimensions=32, spread=0.1)
    state = pool.state.copy()
    for individual in range(4):
        state[np.flatnonzero(truth == individual)[5]] = IN_FLIGHT if individual % 2 else individual
    made = plan(
        dataclasses.replace(pool, state=state), None, Policy("cold", {"typical": 1.0}), 4, np.random.default_rng(0)
    )
    assert set(truth[made.rows].tolist()) == {4, 5, 6, 7}


def test_every_beginning_of_a_plan_keeps_the_shares() -> None:
    """The expert stops in the middle: an audit lane at the end would never be answered."""
    pool, head, _ = planted(500, reserve=0.3)
    made = plan(pool, head, WARM, 40, np.random.default_rng(0))
    for stop in range(4, 41):
        assert abs(made.lanes[:stop].count("audit") - stop / 4) <= 1


@given(
    b=st.integers(0, 200),
    n_train=st.integers(0, 200),
    n_audit=st.integers(0, 200),
    policy=st.sampled_from([COLD, MIXED]),
)
def test_shares_fill_the_batch_and_never_exceed_what_is_there(
    b: int, n_train: int, n_audit: int, policy: Policy
) -> None:
    """A short lane must hand its items to the others, not shorten the batch."""
    wanted = share_out(policy.shares, b, n_train=n_train, n_audit=n_audit)
    assert sum(wanted.values()) == min(b, n_train + n_audit)
    assert 0 <= wanted["audit"] <= n_audit
    assert sum(v for k, v in wanted.items() if k != "audit") <= n_train
    assert min(wanted.values()) >= 0
    if b >= 2 and n_audit > 0:
        assert wanted["audit"] >= 1
    if n_train >= b and n_audit >= b and b >= 4:
        assert abs(wanted["audit"] - policy.shares["audit"] * b) < 1


def test_a_small_pool_still_leaves_the_margin_something_to_choose() -> None:
    """Ten candidates a pick are the whole pool of a first archive, and margins would choose nothing."""
    assert candidate_count(120, 15) == 30
    assert candidate_count(120, 15, "cells") == 19
    assert candidate_count(300_000, 75) == 300
    assert candidate_count(30_000_000, 75) == 750
    assert candidate_count(3, 15) >= 3


def test_a_lane_that_cannot_be_planned_is_named() -> None:
    """A misspelt lane would silently leave its share unasked."""
    pool, _, _ = planted(10)
    with pytest.raises(LaneError, match="boundry"):
        plan(pool, None, Policy("warm", {"boundry": 0.5, "audit": 0.5}), 4, np.random.default_rng(0))
    with pytest.raises(LaneError, match="head"):
        plan(pool, None, WARM, 4, np.random.default_rng(0))


def test_acquisition_knows_neither_torch_nor_sql() -> None:
    """It must stay usable from a notebook and cheap to load: torch alone takes seconds."""
    loaded = (
        "import sys, chimp_assets.acquisition.plan;"
        "print([m for m in ('torch', 'sqlalchemy', 'dagster') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def _items(made: Plan) -> list[tuple[int, str, float, str]]:
    return list(zip(made.rows.tolist(), made.lanes, made.propensity.tolist(), made.reasons, strict=True))


@pytest.mark.parametrize("name", get_args(SpreadBy))
def test_each_way_of_spreading_that_the_settings_allow_is_there(name: SpreadBy) -> None:
    assert callable(_spread_of(name))
    with pytest.raises(LaneError, match="no selector spreads by 'luck'"):
        _spread_of("luck")  # type: ignore[arg-type]
