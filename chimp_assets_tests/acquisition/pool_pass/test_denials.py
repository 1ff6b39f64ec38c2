"""What people denied is taken out of what a pass found, and of what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.plan import plan
from chimp_assets.acquisition.policy import Policy
from chimp_assets.acquisition.pool import UNLABELLED, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.denials import probabilities, without_denied
from chimp_assets.acquisition.pool_pass.one_pass import one_pass
from chimp_assets.acquisition.scores import class_probabilities

HEAD = LinearHead(np.eye(3, 4, dtype=np.float32) * 12, np.zeros(3, np.float32), names=("Ann", "Bob", "Cat"))


def a_pool(n: int = 40) -> TrackPool:
    """Tracks near Ann, the next name of all is Bob."""
    rng = np.random.default_rng(0)
    emb = rng.standard_normal((n, 4)) * 0.1 + [0.8, 0.4, 0.1, 0.1]
    emb /= np.linalg.norm(emb, axis=1, keepdims=True)
    return TrackPool(
        emb.astype(np.float16), np.arange(n, dtype=np.int64), np.full(n, UNLABELLED, np.int32),
        rng.integers(5, 50, n).astype(np.float32), np.zeros(n, bool), np.zeros(n, bool),
        video=np.arange(n, dtype=np.int32),
    )  # fmt: skip


def test_what_is_denied_is_out_and_the_others_share_its_probability() -> None:
    pool = a_pool()
    plain = class_probabilities(pool.emb[:3], HEAD)
    told = probabilities(replace(pool, denied=np.array([[1, 0], [2, 0], [2, 1], [2, 2]])), HEAD, np.arange(3))
    assert told[0] == pytest.approx(plain[0])
    assert told[1] == pytest.approx([0, *(plain[1, 1:] / plain[1, 1:].sum())])
    assert told[2].tolist() == [0, 0, 0]


def test_the_lists_of_a_pass_are_those_of_a_head_that_knew_it() -> None:
    """As a head without this name for this track would have it: in its place, not at the end."""
    pool = replace(a_pool(), denied=np.array([[5, 0], [7, 0], [9, 0], [9, 1], [9, 2]]))
    everybody, worth = np.ones(len(pool), bool), FrameWorth()
    found = one_pass(pool, HEAD, everybody, 23, m_worthy=23, worth=worth)
    told = without_denied(found, pool, HEAD, everybody, worth, (20, 20))
    p = probabilities(pool, HEAD, np.arange(len(pool)))
    two = np.sort(p, axis=1)[:, -2:]
    margin = np.where(two[:, 1] > 0, two[:, 1] - two[:, 0], 1)
    assert told.unsure.rows.tolist() == np.argsort(margin, kind="stable")[:20].tolist()
    assert told.worthy.rows.tolist() == np.argsort(-worth.of(pool.value, two[:, 1]), kind="stable")[:20].tolist()
    assert {int(c) for r, c in zip(told.worthy.rows, told.worthy.top1, strict=True) if r in (5, 7)} <= {1}
    same = without_denied(found, replace(pool, denied=None), HEAD, everybody, worth, (20, 20))
    assert same is found


@pytest.mark.parametrize("lane", ["frames", "boundary"])
def test_no_reason_calls_a_track_what_people_denied(lane: str) -> None:
    """ "The model says Ann", beside candidates without her."""
    n = 40
    pool = replace(a_pool(n), denied=np.stack([np.arange(n), np.zeros(n, np.int64)], axis=1))
    made = plan(pool, HEAD, Policy("warm", {lane: 1.0}), 10, np.random.default_rng(1))
    assert len(made.reasons) == 10
    assert [one for one in made.reasons if "Ann" in one] == []
    before = plan(replace(pool, denied=None), HEAD, Policy("warm", {lane: 1.0}), 10, np.random.default_rng(1))
    assert all("Ann" in one for one in before.reasons)
