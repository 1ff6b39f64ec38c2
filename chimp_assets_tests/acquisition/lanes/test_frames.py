"""The frames lane asks what names most frames for each second, and says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from chimp_assets.acquisition.lanes.frames import frames_reason
from chimp_assets.acquisition.minutes.calibration import ChanceLine
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.plan import plan
from chimp_assets.acquisition.policy import Policy
from chimp_assets.acquisition.pool import IN_FLIGHT, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.on_torch import on_torch
from chimp_assets.acquisition.scores import class_probabilities
from chimp_assets_tests.acquisition.pools import planted

WORTH = FrameWorth(0.8, ChanceLine(-0.3, 0.9))
FREE = Policy(
    "warm", {"frames": 0.9, "audit": 0.1}, identity_cap=1.0, video_cap=1.0, place_cap=1.0, duplicate_likeness=1.0,
    worth=WORTH,
)  # fmt: skip


def _long_and_short(n: int = 600, seed: int = 0) -> tuple[TrackPool, LinearHead]:
    pool, head, _ = planted(n, spread=1.2, seed=seed, reserve=0.2, test_day=0.1)
    rng = np.random.default_rng(seed)
    frames = np.ceil(np.exp(rng.normal(3, 1, n))).astype(np.float32)
    video, place = (np.arange(n) // 6).astype(np.int32), (np.arange(n) // 60).astype(np.int32)
    return dataclasses.replace(pool, value=frames, video=video, place=place), head


def test_it_asks_the_tracks_worth_most_in_their_order() -> None:
    """The wrong way round names an archive in twice the minutes."""
    pool, head = _long_and_short()
    made = plan(pool, head, FREE, 40, np.random.default_rng(0))
    rows = made.rows[np.array(made.lanes) == "frames"]
    worth = WORTH.of(pool.value, class_probabilities(pool.emb, head).max(axis=1))
    worth[~pool.may_train()] = -1
    np.testing.assert_allclose(worth[rows], np.sort(worth)[::-1][: len(rows)], rtol=1e-4)
    assert len(rows) == 36


def test_where_the_name_counts_only_its_being_wrong_is_gained() -> None:
    """A sure long track would be confirmed for nothing while doubtful ones wait."""
    probability = np.array([0.999, 0.5, 0.1], np.float32)
    frames = np.array([400, 40, 40], np.float32)
    assert FrameWorth(0.9).of(frames, probability).argmax() == 1
    assert FrameWorth().of(frames, probability).argmax() == 0
    assert WORTH.counts(probability).tolist() == [True, False, False]


def test_caps_keep_one_animal_video_and_day_from_filling_a_batch() -> None:
    """One long visit of one animal has the longest tracks of all."""
    pool, head = _long_and_short()
    long = pool.value.copy()
    long[:60] = 5_000
    pool = dataclasses.replace(pool, value=long)
    capped = dataclasses.replace(FREE, identity_cap=0.25, video_cap=0.1, place_cap=0.34)
    made = plan(pool, head, capped, 40, np.random.default_rng(0))
    rows = made.rows[np.array(made.lanes) == "frames"]
    top1 = class_probabilities(pool.emb[rows], head).argmax(axis=1)
    assert pool.video is not None
    assert pool.place is not None
    assert np.bincount(pool.video[rows]).max() <= 4
    assert np.bincount(pool.place[rows]).max() <= 13
    assert np.bincount(top1).max() <= 9


def test_only_this_lane_asks_what_the_audit_opened() -> None:
    """Long tracks of a reserve that is too large would never be named; the audit keeps its own."""
    pool, head = _long_and_short()
    opened = pool.reserve & (np.arange(len(pool)) % 2 == 0)
    pool = dataclasses.replace(pool, opened=opened, state=np.where(np.arange(600) % 50 == 0, IN_FLIGHT, pool.state))
    mixed = Policy("warm", {"frames": 0.4, "boundary": 0.3, "audit": 0.3}, worth=WORTH)
    made = plan(pool, head, mixed, 100, np.random.default_rng(0))
    lane = np.array(made.lanes)
    assert opened[made.rows[lane == "frames"]].any()
    assert not opened[made.rows[lane != "frames"]].any()
    assert not (pool.state[made.rows] == IN_FLIGHT).any()
    assert not pool.test_day[made.rows[lane != "audit"]].any()
    again = plan(pool, head, mixed, 100, np.random.default_rng(0))
    assert (again.rows.tolist(), again.reasons) == (made.rows.tolist(), made.reasons)


def test_torch_plans_what_numpy_plans() -> None:
    """A plan must not depend on the machine that happens to make it."""
    pool, head = _long_and_short(seed=3)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours, theirs = (
        plan(pool, head, FREE, 40, np.random.default_rng(0), **more) for more in ({}, {"arithmetic": on_torch(device)})
    )
    assert ours.rows.tolist() == theirs.rows.tolist()


def test_the_reason_says_frames_seconds_and_whom_the_model_says() -> None:
    """People answer better where they see why they are asked."""
    assert frames_reason(1412, 3.1, "Fifi (FF)", 0.63, False) == (
        "1,412 frames for some 3 seconds: the model says Fifi (FF) (63%)."
    )
    assert frames_reason(1, 0.4, "Fifi (FF)", 0.97, True).startswith("1 frame for some 2 seconds: the model says")
    assert "counts already" in frames_reason(1, 0.4, "Fifi (FF)", 0.97, True)
