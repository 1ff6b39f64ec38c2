"""Two files with the same bytes: which row keeps frames, tracks and labels, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.duplicates import settle_twin, twins
from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.splits import assign_splits
from chimp_assets_tests.database.world import START, add_video, event, make_world, track

HASH = "a" * 64
LATER = START + timedelta(days=30)
WHEN = {"recorded_at": LATER, "recorded_on": LATER.date()}


@pytest.fixture
def world(db: Database) -> Database:
    """Video 1: two tracks, one of them named. Video 2: the same bytes elsewhere, not yet decoded."""
    make_world(db, videos=1, tracks=2)
    with db.write() as conn:
        conn.execute(sa.update(s.video).values(content_hash=HASH))
        add_new(conn, 2, uri="z/elsewhere/2.mp4", etag="e2", site="z", camera="elsewhere", **WHEN)
        assign_splits(conn, 20)
    assert record_events(db, [event(track_id=track(1), anim_id="FF")])[0].status == "stored"
    return db


def add_new(conn: sa.Connection, video_id: int, **changed: Any) -> None:
    add_video(conn, video_id, 0, 0, **({"state": "registered", "duration_s": None} | changed))


def rows(db: Database) -> dict[int, Any]:
    with db.read() as conn:
        return {row.video_id: row for row in conn.execute(sa.select(s.video))}


def change(db: Database, video_id: int, **values: Any) -> None:
    with db.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id == video_id).values(**values))


def settle(db: Database, video_id: int = 2, twin_id: int = 1, content_hash: str = HASH) -> str | None:
    return db.transact(lambda conn: settle_twin(conn, video_id, twin_id, content_hash, LATER))


def found(db: Database, *sizes: int) -> dict[int, dict[str, int]]:
    with db.read() as conn:
        return twins(conn, sizes)


def test_twins_are_found_by_size_and_only_where_there_are_frames(world: Database) -> None:
    assert found(world, 1000, 5) == {1000: {HASH: 1}}
    for no_twin in ({"state": "failed"}, {"state": "retired", "n_frames": 0}, {"state": "registered"}):
        change(world, 1, **({"n_frames": 10} | no_twin))
        assert found(world, 1000) == {}
    assert found(world, *range(2_000)) == {}


def test_of_several_twins_the_one_whose_file_is_there_is_taken_then_the_oldest(world: Database) -> None:
    """A copy of a retired film must not bring it back beside the one that is there."""
    with world.write() as conn:
        for video_id, state in ((3, "retired"), (4, "decoded"), (5, "retired")):
            add_video(conn, video_id, 0, 3, state=state, content_hash=HASH)
    change(world, 1, state="retired")
    assert found(world, 1000) == {1000: {HASH: 4}}
    change(world, 4, state="retired")
    assert found(world, 1000) == {1000: {HASH: 1}}


def test_a_copy_is_retired_and_names_the_video_that_holds_the_frames(world: Database) -> None:
    before = rows(world)[1]
    assert settle(world) == "duplicate"
    after = rows(world)
    assert after[1] == before
    assert (after[2].state, after[2].duplicate_of_video_id, after[2].content_hash) == ("retired", 1, HASH)
    assert after[2].uri == "z/elsewhere/2.mp4"
    assert found(world, 1000) == {1000: {HASH: 1}}


def test_a_moved_file_keeps_its_tracks_labels_and_split_in_its_new_place(world: Database) -> None:
    """Tidying up folders must not cost the labels of a season."""
    with world.read() as conn:
        split_before = conn.execute(sa.select(s.split_assignment).order_by("video_id")).all()
    change(world, 1, state="retired")
    assert settle(world) == "moved"
    after = rows(world)
    one, two = after[1], after[2]
    assert (one.uri, one.version, one.etag, one.state) == ("z/elsewhere/2.mp4", 1, "e2", "tracked")
    assert (one.site, one.camera, one.recorded_at, one.recorded_on) == ("z", "elsewhere", *WHEN.values())
    assert (two.uri, two.etag, two.state, two.duplicate_of_video_id) == ("a/cam1/1.mp4", "e", "retired", 1)
    with world.read() as conn:
        assert conn.execute(sa.select(s.split_assignment).order_by("video_id")).all() == split_before
        seen = conn.execute(sa.text("select uri, anim_id from v_sighting")).all()
    assert [tuple(row) for row in seen] == [("z/elsewhere/2.mp4", "FF")]


def test_what_a_person_said_of_the_time_of_recording_survives_a_move(world: Database) -> None:
    change(world, 1, state="retired", recorded_at_source="user")
    assert settle(world) == "moved"
    assert (rows(world)[1].recorded_at, rows(world)[1].camera) == (START, "elsewhere")


def test_a_moved_video_goes_on_from_the_step_it_had_reached(world: Database) -> None:
    with world.write() as conn:
        add_video(conn, 3, 0, 4, state="retired", content_hash="b" * 64, bytes=77)
        add_new(conn, 4, bytes=77)
    assert settle(world, 4, 3, "b" * 64) == "moved"
    assert rows(world)[3].state == "decoded"


def test_a_file_replaced_and_put_back_is_its_first_version_again(world: Database) -> None:
    """Both rows have the same path: only the versions change places."""
    uri = rows(world)[1].uri
    change(world, 1, state="retired")
    change(world, 2, uri=uri, version=2, state="retired", content_hash="c" * 64)
    with world.write() as conn:
        add_new(conn, 3, uri=uri, version=3, etag="e3")
    assert settle(world, 3) == "moved"
    after = rows(world)
    assert [(after[n].uri, after[n].version, after[n].state) for n in (1, 2, 3)] == [
        (uri, 3, "tracked"),
        (uri, 2, "retired"),
        (uri, 1, "retired"),
    ]
    assert after[1].etag == "e3"


def test_two_copies_of_a_vanished_file_bring_it_back_once(world: Database) -> None:
    change(world, 1, state="retired")
    with world.write() as conn:
        add_new(conn, 3, uri="y/3.mp4")
    assert [settle(world, 2), settle(world, 3)] == ["moved", "duplicate"]
    after = rows(world)
    assert [after[n].state for n in (1, 2, 3)] == ["tracked", "retired", "retired"]
    assert [after[n].duplicate_of_video_id for n in (1, 2, 3)] == [None, 1, 1]


def test_nothing_is_written_for_a_row_that_somebody_else_settled_first(world: Database) -> None:
    change(world, 2, state="retired")
    before = rows(world)
    assert settle(world) is None
    change(world, 2, state="registered")
    assert settle(world, content_hash="f" * 64) is None  # the twin is no longer what it was
    change(world, 2, state="retired")
    assert rows(world) == before
