"""The groups lane looks where answers lack, and its weights give back what it distorts."""

from __future__ import annotations

import dataclasses

import numpy as np

from chimp_assets.acquisition.lanes.groups import draw_in_turn, groups, lure_weights
from chimp_assets.acquisition.plan import plan
from chimp_assets.acquisition.policy import Policy
from chimp_assets_tests.acquisition.pools import planted
from chimp_assets_tests.support.sentences import untranslated

WARM = Policy("warm", {"boundary": 0.6, "audit": 0.4}, groups_share=0.5)


def examined_pool(n: int = 400, lacking: bool = True, seed: int = 0):
    pool, head, truth = planted(n, seed=seed, reserve=0.5)
    half = np.random.default_rng(seed).random(n) < 0.5
    bits = ((truth == 0) * 1 + (truth == 1) * 2).astype(np.uint8) if lacking else np.zeros(n, np.uint8)
    return dataclasses.replace(pool, examined=half & pool.reserve, lacking=bits), head, pool


def test_without_a_group_that_lacks_answers_a_plan_is_what_it_was() -> None:
    """Who has no small group must not notice the lane, whatever its share."""
    pool, head, _ = planted(300, seed=3, reserve=0.4)
    nobody = dataclasses.replace(pool, lacking=np.zeros(300, np.uint8), examined=np.zeros(300, bool))
    off = dataclasses.replace(WARM, groups_share=0.0)
    plans = [plan(p, head, policy, 40, np.random.default_rng(5)) for p in (pool, nobody) for policy in (off, WARM)]
    for one in plans[1:]:
        assert one.rows.tolist() == plans[0].rows.tolist()
        assert one.lanes == plans[0].lanes
        assert one.propensity.tolist() == plans[0].propensity.tolist()


def test_the_lane_takes_part_of_the_audit_and_keeps_out_of_its_tracks() -> None:
    """Asked beside the audit's items it would cost more; from the audit's tracks it would leave the audit a rest."""
    pool, head, before = examined_pool()
    made = plan(pool, head, WARM, 50, np.random.default_rng(1))
    plain = plan(before, head, WARM, 50, np.random.default_rng(1))
    lane = np.array(made.lanes, dtype=object)
    assert (lane == "groups").sum() == 10
    assert (lane == "audit").sum() + 10 == plain.lanes.count("audit") == 20
    assert pool.may_examine()[made.rows[lane == "groups"]].all()
    assert not pool.examined[made.rows[lane != "groups"]].any()
    assert len(set(made.rows.tolist())) == len(made) == len(plain)
    assert untranslated(made.reasons) == set()
    tight = dataclasses.replace(pool, reserve=pool.examined)
    assert plan(tight, head, WARM, 50, np.random.default_rng(1)).lanes.count("audit") == 0


def test_a_small_plan_asks_for_groups_now_and_then() -> None:
    """A share of two items rounded down would never be one."""
    pool, head, _ = examined_pool()
    counts = [plan(pool, head, WARM, 5, np.random.default_rng(seed)).lanes.count("groups") for seed in range(40)]
    assert 0.4 < np.mean(counts) < 1.2
    assert min(counts) >= 0 < max(counts)


def test_the_stated_chance_is_the_frequency() -> None:
    """Weights are made of it: a chance that is not that of the draw makes them wrong, and nobody sees it."""
    pool, _, _ = examined_pool(80)
    rows = np.flatnonzero(pool.may_examine())
    first, stated = np.zeros(len(pool)), np.zeros(len(pool))
    for seed in range(2000):
        picks = groups(pool, 1, np.random.default_rng(seed))
        first[picks.rows[0]] += 1 / 2000
        stated[picks.rows[0]] = picks.propensity[0]
    assert abs(first[rows] - stated[rows]).max() < 0.025
    assert first[rows][pool.lacking[rows] > 0].mean() > 1.5 * first[rows][pool.lacking[rows] == 0].mean()
    whole = groups(pool, 10_000, np.random.default_rng(0))
    assert sorted(whole.rows.tolist()) == rows.tolist()
    assert ((whole.propensity > 0) & (whole.propensity <= 1)).all()


def recall_of_group(rng: np.random.Generator) -> tuple[float, ...]:
    """(right ones and all of a small group, weighted; the same unweighted; true recall) of 60 draws in two plans.

    The head misses a third of the group, most of these by a name outside of it.
    """
    n = 900
    mine = np.arange(n) < 90
    right = np.where(mine, rng.random(n) < 0.65, rng.random(n) < 0.9)
    outside = mine & ~right & (rng.random(n) < 0.6)
    proposed = (mine & ~outside) | (~mine & ~right & (rng.random(n) < 0.2))
    drawn, chance, waiting = np.empty(0, np.int64), [], []
    waits = np.ones(n, bool)
    for _ in range(2):
        rows = np.flatnonzero(waits)
        # The second plan follows from the first one's answers: half of the group is looked for, or all of it.
        member = (proposed & ((right[drawn].mean() > 0.8) | (np.arange(n) % 2 == 0)) if len(drawn) else proposed)[rows]
        place, q = draw_in_turn(member[None, :], 30, rng)
        drawn = np.r_[drawn, rows[place]]
        chance += q.tolist()
        waiting += (len(rows) - np.arange(len(place))).tolist()
        waits[rows[place]] = False
    weight = lure_weights(np.array(chance), np.array(waiting, float))
    group, hit = mine[drawn], right[drawn]
    return (weight * group * hit).sum(), (weight * group).sum(), (hit & group).sum(), group.sum(), right[mine].mean()


def test_recall_of_a_group_is_unbiased_although_proposals_come_from_the_head() -> None:
    """Answers about proposed infants show infants that the head knows: without weights their recall is flattered."""
    rng = np.random.default_rng(0)
    hits, all_, plain_hits, plain_all, truth = np.array([recall_of_group(rng) for _ in range(250)]).T
    weighted, unweighted = hits.mean() / all_.mean(), plain_hits.mean() / plain_all.mean()
    error = np.std(hits - truth * all_) / np.sqrt(len(hits)) / all_.mean()
    assert abs(weighted - truth.mean()) < 3 * error
    assert error < 0.02
    assert unweighted - truth.mean() > 0.06, "proposals flatter, or nothing was tested"
    assert abs(all_.mean() / 60 - 0.1) < 0.01, "the group's share of the archive"
