"""What is still to be done, on both databases: no change of tracks is missed, whatever the clocks say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work import due as work
from chimp_assets.database.work import stamps
from chimp_assets.database.work.due import MAX_ATTEMPTS, RetryReport, retry_failed, unscored_bundles
from chimp_assets_tests.database.world import EMBEDDER, HEAD, START, add_video, make_world

BUNDLE = 1
HOUR = timedelta(hours=1)


@pytest.fixture
def world(db: Database) -> Database:
    """A tracked bundle, an embedder, and a head that was fitted on it."""
    make_world(db)
    with db.write() as conn:
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(parent_id=EMBEDDER))
        stamps.mark_changed(conn, BUNDLE, START)
    return db


def seen(db: Database) -> datetime | None:
    with db.read() as conn:
        return stamps.changed_at(conn, BUNDLE)


def embed(db: Database, saw: datetime | None, now: datetime = START) -> None:
    """Writes the row of an embedding file as `embed_bundle` does."""
    file = s.embedding_file
    with db.write() as conn:
        conn.execute(sa.delete(file))
        conn.execute(
            sa.insert(file).values(
                model_id=EMBEDDER, bundle_id=BUNDLE, uri="e", content_hash="0" * 64, n_tracks=6,
                created_at=stamps.stamp_of_work(conn, BUNDLE, saw, now),
            )
        )  # fmt: skip


def score(db: Database) -> None:
    """Writes the row of a scored bundle as `predict_bundles` does: as of its embedding file."""
    with db.write() as conn:
        as_of = conn.execute(sa.select(s.embedding_file.c.created_at)).scalar_one()
        conn.execute(sa.delete(s.bundle_score))
        conn.execute(sa.insert(s.bundle_score).values(model_id=HEAD, bundle_id=BUNDLE, n_tracks=6, created_at=as_of))


def due(db: Database) -> bool:
    with db.read() as conn:
        return unscored_bundles(conn) == ["a-0001"]


def test_a_bundle_is_due_until_it_is_embedded_and_scored(world: Database) -> None:
    assert due(world)
    embed(world, seen(world))
    assert due(world)
    score(world)
    assert not due(world)
    with world.write() as conn:
        stamps.mark_changed(conn, BUNDLE)
    assert due(world)
    embed(world, seen(world))
    assert due(world)  # scores of the old embeddings
    score(world)
    assert not due(world)


def test_a_bundle_without_a_single_track_is_never_due(world: Database) -> None:
    with world.write() as conn:
        conn.execute(sa.update(s.bundle).values(changed_at=None))
    assert not due(world)


@pytest.mark.parametrize("clock", [-HOUR, timedelta(0), HOUR], ids=["behind", "alike", "ahead"])
def test_tracks_that_change_while_they_are_embedded_are_embedded_again(world: Database, clock: timedelta) -> None:
    """The change commits between the snapshot and the row: by the clock alone it would be lost, for ever."""
    saw = seen(world)
    with world.write() as conn:
        stamps.mark_changed(conn, BUNDLE, START + clock)
    embed(world, saw, START)
    score(world)
    assert due(world)
    embed(world, seen(world), START)
    score(world)
    assert not due(world)


@pytest.mark.parametrize("clock", [-HOUR, timedelta(0)], ids=["behind", "alike"])
def test_a_change_by_a_machine_whose_clock_is_behind_is_noticed(world: Database, clock: timedelta) -> None:
    embed(world, seen(world), START + HOUR)
    score(world)
    assert not due(world)
    with world.write() as conn:
        stamps.mark_changed(conn, BUNDLE, START + HOUR + clock)
    assert due(world)


def test_a_new_champion_head_asks_for_every_bundle_with_tracks(world: Database) -> None:
    embed(world, seen(world))
    score(world)
    with world.write() as conn:
        conn.execute(sa.update(s.model).where(s.model.c.model_id == HEAD).values(state="retired"))
        assert unscored_bundles(conn) == []
        conn.execute(
            sa.insert(s.model).values(
                model_id=9, task="head", version=2, name="h", state="champion", config="{}", created_at=START,
                parent_id=EMBEDDER,
            )
        )  # fmt: skip
    assert due(world)


def test_a_retry_takes_up_failed_videos_and_bundles_that_were_given_up(world: Database) -> None:
    """After the repair nothing may remember the failure; what did not fail stays as it is."""
    with world.write() as conn:
        for bundle_id, attempts in ((2, MAX_ATTEMPTS), (3, 1), (4, MAX_ATTEMPTS)):
            conn.execute(
                sa.insert(s.bundle).values(
                    bundle_id=bundle_id, bundle_key=f"b-{bundle_id:04d}", folder="b", attempts=attempts,
                    created_at=START,
                )
            )  # fmt: skip
        add_video(conn, 3, 0, 0, state="failed", error="It is no video.", bundle_id=2)
        add_video(conn, 4, 0, 0, state="failed", error="It is no video.", bundle_id=1)
        add_video(conn, 5, 0, 5, state="decoded", error="Its end is missing.", bundle_id=3)
        add_video(conn, 6, 0, 0, state="registered", bundle_id=4)
    with world.read() as conn:
        assert work.unfinished_bundles(conn) == ["b-0003"]
        assert work.exhausted_bundles(conn) == ["b-0004"]
    assert retry_failed(world, 5) == RetryReport(videos=0, bundles=0)
    assert retry_failed(world, 3) == RetryReport(videos=1, bundles=1)
    with world.read() as conn:
        assert work.unfinished_bundles(conn) == ["b-0002", "b-0003"]
        assert work.exhausted_bundles(conn) == ["b-0004"]
    assert retry_failed(world) == RetryReport(videos=1, bundles=1)
    with world.read() as conn:
        states = {r.video_id: (r.state, r.error) for r in conn.execute(sa.select(s.video))}
        assert work.unfinished_bundles(conn) == ["a-0001", "b-0002", "b-0003", "b-0004"]
        assert work.exhausted_bundles(conn) == []
    assert states[3] == states[4] == states[6] == ("registered", None)
    assert states[5] == ("decoded", "Its end is missing.")
    assert retry_failed(world) == RetryReport(videos=0, bundles=0)
