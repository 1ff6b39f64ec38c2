"""Whole plans while a promise is tested: beside pages, pairs and questions for volunteers."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.goals import set_goal
from chimp_assets.database.people.users import add_user
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets_tests.loop.test_planning import DIMENSIONS, World, unit


@pytest.fixture
def world(home: Home) -> World:
    """Two hundred tracks of two animals that a head tells apart, all scored, and a volunteer."""
    world = World(home, videos=40)
    rng = np.random.default_rng(1)
    for track in world.tracks:
        noise = 0.3 * rng.standard_normal(DIMENSIONS)
        noise[0] = 1.0 if track % 3 else -1.0
        world.embeddings[track] = unit(noise)
    world.write_embeddings()
    head = world.add_head(accuracy=0.9)
    add_user(world.db, "vera", "volunteer")
    who = {code: world.individual_id(code) for code in ("FF", "FI")}
    rows = [
        {
            "model_id": head, "track_id": track, "rank": 1, "individual_id": who["FF" if track % 3 else "FI"],
            # A few that count for nothing yet: for pages, volunteers and single questions.
            "probability": 0.99 if track % 5 else 0.35,
        }
        for track in world.tracks
    ]  # fmt: skip
    with world.db.write() as conn:
        conn.execute(sa.insert(t.prediction), rows)
        conn.execute(sa.update(t.embedding_file).values(created_at=datetime.now(UTC)))
        conn.execute(
            sa.insert(t.bundle_score),
            [{"model_id": head, "bundle_id": i, "n_tracks": 100, "created_at": datetime.now(UTC)} for i in (1, 2)],
        )
    world.settings = replace_promise(world)
    return world


def replace_promise(world: World):
    """The settings, with a short sample."""
    promise = world.settings.promise.model_copy(update={"most_draws": 60})
    return world.settings.model_copy(update={"promise": promise})


def test_a_plan_with_an_open_look_asks_each_track_once_in_whatever_lane(world: World) -> None:
    """Drawn tracks on a page, or left to volunteers, would be named twice, and the test would see the first name."""
    set_goal(world.db, 0.1, 0.7, 0.95)
    report = plan_queue(world.db, world.home.store, world.settings, batch=30)
    assert report.lanes["promise"] > 5
    q, m = t.acquisition_queue.c, t.grid_member.c
    with world.db.read() as conn:
        items = conn.execute(sa.select(q.track_id, q.lane, q.individual_id).where(q.lane.not_in((t.PAIRS, t.DISPUTED))))
        asked = [(row.track_id, row.lane, row.individual_id) for row in items]
        on_pages = set(conn.scalars(sa.select(m.track_id)))
        drawn = set(conn.scalars(sa.select(t.promise_draw.c.track_id)))
    tracks = [track_id for track_id, _, _ in asked]
    assert len(set(tracks)) == len(tracks)
    assert not on_pages & set(tracks)
    assert {track_id for track_id, lane, _ in asked if lane == t.PROMISE} <= drawn
    assert any(lane == t.IS_IT for _, lane, _ in asked), "beside the test nothing was asked of volunteers"
    assert all((individual is not None) == (lane == t.IS_IT) for _, lane, individual in asked)
