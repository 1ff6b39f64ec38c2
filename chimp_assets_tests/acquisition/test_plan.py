"""Plans keep their promises for any pool, and the audit lane is what statistics need it to be."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.plan import LaneError, Plan, Policy, candidate_count, plan, share_out
from chimp_assets.acquisition.pool import IN_FLIGHT, UNLABELLED
from chimp_assets_tests.acquisition.pools import planted

COLD = Policy("cold", {"typical": 0.75, "audit": 0.25})
WARM = Policy("warm", {"boundary": 0.75, "audit": 0.25})
MIXED = Policy("warm", {"boundary": 0.4, "typical": 0.3, "audit": 0.3})


@settings(max_examples=80, deadline=None)
@given(
    policy=st.sampled_from([COLD, WARM, MIXED]),
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
    made = plan(pool, head, policy, b, np.random.default_rng(seed))
    assert len(set(made.rows.tolist())) == len(made)
    training = np.array([lane != "audit" for lane in made.lanes], bool)
    assert pool.may_train()[made.rows[training]].all()
    assert pool.may_audit()[made.rows[~training]].all()
    assert len(made) == min(b, int(pool.may_train().sum()) + int(pool.may_audit().sum()))
    assert ((made.propensity > 0) & (made.propensity <= 1)).all()
    assert all(0 < len(reason) <= 500 for reason in made.reasons)
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
    assert candidate_count(120, 15) == 19
    assert candidate_count(300_000, 75) == 3_000
    assert candidate_count(30_000_000, 75) == 50_000
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
