"""What changed gets its share of a plan, drawn at random with its propensity, and nothing else gets worse rights."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.lanes.drift import shared_fairly
from chimp_assets.acquisition.plan import Plan, plan
from chimp_assets.acquisition.policy import LaneError, Policy, share_out, with_drift
from chimp_assets.acquisition.pool import LinearHead, TrackPool
from chimp_assets_tests.acquisition.pools import planted

COLD = Policy("cold", {"typical": 0.75, "audit": 0.25}, drift_share=0.25)
WARM = Policy("warm", {"boundary": 0.65, "rare": 0.05, "novel": 0.05, "audit": 0.22, "repeat": 0.03}, drift_share=0.25)


def changed(*sizes: int, n: int = 1000, seed: int = 0) -> tuple[TrackPool, LinearHead]:
    """A pool whose last tracks belong to slices of these sizes."""
    pool, head, _ = planted(n, seed=seed, reserve=0.2, test_day=0.1)
    slice_no = np.full(n, -1, np.int32)
    end = n
    for number, size in enumerate(sizes):
        slice_no[end - size : end] = number
        end -= size
    video = np.arange(n, dtype=np.int32) // 4
    reasons = tuple(f"Filmed by camera C{i}" for i in range(len(sizes)))
    return replace(pool, video=video, drifted=slice_no, drift_reasons=reasons), head


def asked(made: Plan, lane: str) -> list[int]:
    return [int(row) for row, name in zip(made.rows, made.lanes, strict=True) if name == lane]


@pytest.mark.parametrize("policy", [COLD, WARM])
def test_what_changed_gets_its_share_and_the_audit_keeps_its_own(policy: Policy) -> None:
    pool, head = changed(200)
    before = plan(pool, head, replace(policy, drift_share=0.0), 100, np.random.default_rng(1))
    made = plan(pool, head, policy, 100, np.random.default_rng(1))
    drift = asked(made, "drift")
    assert len(drift) == 25
    assert pool.may_drift()[drift].all()
    assert asked(made, "audit") == asked(before, "audit")
    assert len(made) == len(before) == 100


def test_without_a_change_a_plan_is_what_it_was() -> None:
    """The share is a setting of every home: where nothing drifted it must move nothing, not even a random number."""
    pool, head, _ = planted(1000, reserve=0.2, test_day=0.1)
    for policy in (COLD, WARM, replace(WARM, spread_by="cells")):
        with_share = plan(pool, head, policy, 60, np.random.default_rng(3))
        without = plan(pool, head, replace(policy, drift_share=0.0), 60, np.random.default_rng(3))
        assert with_share.rows.tolist() == without.rows.tolist()
        assert with_share.reasons == without.reasons
        assert with_share.propensity.tolist() == without.propensity.tolist()


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 120), min_size=1, max_size=4),
    b=st.integers(1, 80),
    seed=st.integers(0, 99),
    policy=st.sampled_from([COLD, WARM]),
)
def test_any_change_is_asked_about_within_the_rules(sizes: list[int], b: int, seed: int, policy: Policy) -> None:
    pool, head = changed(*sizes, seed=seed)
    made = plan(pool, head, policy, b, np.random.default_rng(seed))
    drift = asked(made, "drift")
    assert len(set(made.rows.tolist())) == len(made) == b
    assert pool.may_drift()[drift].all()
    plain = share_out(policy.shares, b, n_train=1000, n_audit=1000)
    room = sum(n for lane, n in plain.items() if lane not in ("audit", "repeat"))
    assert len(drift) == min(-(-b // 4), int(pool.may_drift().sum()), room)
    assert ((made.propensity > 0) & (made.propensity <= 1)).all()


def test_the_propensity_of_each_slice_is_its_frequency() -> None:
    """Two alerts of unequal size share the items; an estimate over answers of the lane needs each one's chance."""
    pool, head = changed(40, 150)
    n = np.array([int((pool.may_drift() & (pool.drifted == i)).sum()) for i in (0, 1)])
    times = np.zeros(len(pool))
    runs = 120
    for run in range(runs):
        made = plan(pool, head, COLD, 40, np.random.default_rng(run))
        times[asked(made, "drift")] += 1
        stated = {int(pool.drifted[row]): p for row, p, lane in zip(made.rows, made.propensity, made.lanes, strict=True)
                  if lane == "drift"}  # fmt: skip
    assert pool.drifted is not None
    assert stated == {0: pytest.approx(5 / n[0]), 1: pytest.approx(5 / n[1])}
    for number in (0, 1):
        share = times[pool.may_drift() & (pool.drifted == number)] / runs
        sd = np.sqrt(stated[number] * (1 - stated[number]) / runs)
        assert share.mean() == pytest.approx(stated[number])
        assert np.abs(share - stated[number]).max() < 5 * sd


def test_a_copy_is_not_asked_beside_its_original() -> None:
    pool, head = changed(60)
    emb = pool.emb.copy()
    emb[-60:] = np.repeat(emb[-60::4], 4, axis=0)  # each video shows one animal four times
    made = plan(replace(pool, emb=emb), head, replace(COLD, drift_share=0.7), 40, np.random.default_rng(0))
    drift = asked(made, "drift")
    assert len({row // 4 for row in drift}) == len(drift) <= 15
    assert len(made) == 40, "others ask what is left over"


def test_nobody_plans_the_lane_by_hand() -> None:
    pool, head = changed(60)
    with pytest.raises(LaneError, match="drift"):
        plan(pool, head, Policy("cold", {"drift": 0.5, "audit": 0.5}), 10, np.random.default_rng(0))


def test_slices_share_alike_as_far_as_they_go() -> None:
    assert shared_fairly(10, np.array([100, 2, 100])).tolist() == [4, 2, 4]
    assert shared_fairly(10, np.array([1, 2, 3])).tolist() == [1, 2, 3]
    assert shared_fairly(2, np.array([5, 5, 5])).tolist() == [1, 1, 0]
    assert shared_fairly(0, np.array([5])).tolist() == [0]
    assert with_drift({"boundary": 65, "rare": 5, "novel": 5, "audit": 22, "repeat": 3}, 100, 0.25, 10**6) == {
        "boundary": 44, "rare": 3, "novel": 3, "audit": 22, "repeat": 3, "drift": 25,
    }  # fmt: skip
