"""A warm plan knows prices, chances and the threshold of names, and keeps them with its round."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import LinearHead
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import last_merge
from chimp_assets.database.labels.events import last_seq
from chimp_assets.home import Home
from chimp_assets.loop.minutes.worth import frame_worth, read_plan_ground
from chimp_assets.loop.plan import build_pool, plan_queue
from chimp_assets.loop.pool import read_snapshot
from chimp_assets.loop.rerank import Reranker
from chimp_assets.settings import Settings
from chimp_assets.vision.datasets.training_set import training_members
from chimp_assets_tests.loop.test_planning import DIMENSIONS, World, with_shares
from chimp_assets_tests.support.rows import add_track, add_video


@pytest.fixture
def world(home: Home) -> World:
    world = World(home)
    with world.db.write() as conn:
        conn.execute(
            sa.update(t.model).where(t.model.c.task == "embedder").values(config=f'{{"dimensions": {DIMENSIONS}}}')
        )
    return world


def _with(world: World, **changed: Any) -> Settings:
    return world.settings.model_copy(update={"acquisition": world.settings.acquisition.model_copy(update=changed)})


def _policy(world: World) -> dict[str, Any]:
    with world.db.read() as conn:
        kept: dict[str, Any] = json.loads(conn.execute(sa.select(t.acquisition_round.c.policy)).scalar_one())
        return kept


def test_a_warm_plan_asks_for_frames_and_can_explain_each_choice(world: World) -> None:
    """Whoever asks why a track was asked finds the prices and the threshold of that day."""
    world.add_head(0.9)
    with world.db.write() as conn:
        long = world.open_to_training[3]
        conn.execute(sa.update(t.track).where(t.track.c.track_id == long).values(n_detections=4_000))
    report = plan_queue(world.db, world.home.store, world.settings, batch=20)
    assert (report.phase, max(report.lanes, key=lambda lane: report.lanes[lane])) == ("warm", "frames")
    first = next(item for item in world.items() if item[1] == "frames")
    assert first[0] == long
    assert first[3].startswith("4,000 frames for some ")
    kept = _policy(world)
    worth = FrameWorth.kept(kept)
    assert worth.prices.right > 0
    assert kept["goal"] == {"error": 0.05, "named": 0.9}
    assert kept["reach"]["threshold"] == pytest.approx(worth.threshold, abs=1e-5)


def test_a_cold_plan_keeps_no_prices(world: World) -> None:
    """Nothing there was chosen by them."""
    plan_queue(world.db, world.home.store, world.settings, batch=20)
    assert {"worth", "goal", "reach"} & set(_policy(world)) == set()


def test_answers_move_the_waiting_items_of_the_frames_lane(world: World) -> None:
    """The next question follows from what was just said, not from yesterday's head."""
    world.add_head(0.9)
    plan_queue(world.db, world.home.store, world.settings, batch=20)
    asked = [track for track, lane, _, _ in world.items() if lane == "frames"]
    for track in asked[-8:]:
        world.answer("identify", track, "FF" if world.embeddings[track][0] > 0 else "FI", lane="frames")
    ranker = Reranker(world.home)
    ranker.look()
    after = [track for track, lane, _, _ in world.items() if lane == "frames"]
    assert sorted(after) == sorted(asked[:-8])
    assert after != asked[:-8]
    assert ranker.look() == 0


def test_the_audit_and_a_sample_say_what_the_head_is_worth(world: World) -> None:
    """A head that is wrong half of the time must not carry names; a large pool is not read whole for that."""
    head_id = world.add_head(0.9)
    who = {code: world.individual_id(code) for code in ("FF", "FI")}
    weight = np.zeros((2, DIMENSIONS), np.float32)
    weight[:, 0] = [5, -5]
    head = LinearHead(weight, np.zeros(2, np.float32), 1.0, head_id, classes=(who["FF"], who["FI"]))

    def found() -> tuple[FrameWorth, float]:
        pool = build_pool(world.db, world.home.store, world.settings)
        with world.db.read() as conn:
            ground = read_plan_ground(conn, world.settings, last_seq(conn))
        worth, named = frame_worth(pool, head, ground, np.random.default_rng(0))
        return worth, named.named

    before, named_before = found()
    assert before.line.slope == 1
    for place, track in enumerate(sorted(world.reserve)):
        right = world.embeddings[track][0] > 0
        world.answer("identify", track, "FF" if right ^ (place % 2 == 0) else "FI", lane="audit")
    after, named_after = found()
    sure = np.array([0.97], np.float32)
    assert after.line.of(sure.astype(float))[0] < before.line.of(sure.astype(float))[0] - 0.1
    assert after.seconds(sure)[0] > before.seconds(sure)[0]
    assert named_after < named_before


def test_what_the_audit_does_not_need_is_asked_and_teaches(world: World) -> None:
    """A fifth of a small archive would wait for a name for ever; what the audit keeps stays its own."""
    settings = _with(world, audit_reserve_tracks=3)
    with world.db.read() as conn:
        snapshot = read_snapshot(conn, settings)
    assert snapshot.opened is not None
    kept = snapshot.reserve & ~snapshot.opened
    assert 0 < kept.sum() < snapshot.reserve.sum()
    world.add_head(0.9)
    plan_queue(world.db, world.home.store, settings, batch=60)
    items = world.items()
    assert {track for track, lane, _, _ in items if lane == "audit"} <= set(snapshot.track[kept].tolist())
    opened = set(snapshot.track[snapshot.opened].tolist()) - set(world.test_tracks)
    asked = {track for track, lane, _, _ in items if lane == "frames"}
    assert opened <= asked
    one, other = sorted(opened)[:2]
    world.answer("identify", one, "FF", lane="frames")
    world.answer("identify", other, "FF", lane="typical")
    with world.db.read() as conn:
        members = training_members(conn, last_seq(conn), last_merge(conn), settings).track_id
    assert one in members
    assert other not in members


def test_what_was_opened_is_never_kept_again(world: World) -> None:
    """The frames lane takes the long tracks of it: an audit of the rest would measure short ones."""
    settings = _with(world, audit_reserve_tracks=5)

    def kept() -> set[int]:
        with world.db.read() as conn:
            now = read_snapshot(conn, settings)
        assert now.opened is not None
        return set(now.track[now.reserve & ~now.opened].tolist())

    before, old = kept(), set(world.tracks)
    for video_id in range(13, 25):
        add_video(world.db, video_id, 1, "tracked", "train")
        for ordinal in range(5):
            add_track(world.db, video_id, ordinal)
    after = kept()
    assert after & old <= before
    assert len(after) < len(world.reserve)
    closed = with_shares(world.settings, {"boundary": 0.8, "audit": 0.2})
    with world.db.read() as conn:
        unused = read_snapshot(conn, closed)
    assert unused.opened is not None
    assert not unused.opened.any(), "who never uses the lane keeps the whole reserve"
