"""From stored pictures to rows, with a real database, a real store and real JPEGs."""

from __future__ import annotations

import multiprocessing
import os
from datetime import UTC, datetime

import numpy as np
import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.storage.shards import ShardWriter
from chimp_assets.database import schema
from chimp_assets.database.schema import shard_id_of, track_id_of
from chimp_assets.database.upkeep.migrations import upgrade
from chimp_assets.home import Home
from chimp_assets.vision.pictures.contact_sheet import contact_sheet
from chimp_assets.vision.tracking import bundle
from chimp_assets.vision.tracking.bundle import track_bundle
from chimp_assets_tests.vision.scenes import Scene, Walker, overlap

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = "pool-0001"
SCENE = Scene(n=24, walkers=(Walker((0.15, 0.6), (0.7, 0.65)), Walker((0.85, 0.3), (0.5, 0.3))))


def store_video(db, store, video_id, scene=SCENE, spoil=None):
    """A decoded video of a scene: shard, frame rows, video row. spoil: a frame whose JPEG is no JPEG."""
    writer = ShardWriter(store, KEY, video_id, 64 * 1024 * 1024)
    places = []
    for number, time_s, picture in scene.pictures():
        jpeg = b"no picture" if number == spoil else simplejpeg.encode_jpeg(picture, quality=90)
        places.append((number, time_s, writer.add(number, jpeg)))
    shards = writer.close()
    with db.write() as conn:
        if not conn.scalar(sa.select(schema.bundle.c.bundle_id)):
            conn.execute(sa.insert(schema.bundle).values(bundle_id=1, bundle_key=KEY, folder="pool", created_at=NOW))
        conn.execute(
            sa.insert(schema.video).values(
                video_id=video_id, bundle_id=1, uri=f"pool/{video_id}.mp4", version=1, bytes=1, etag="e",
                n_frames=scene.n, state="decoded", discovered_at=NOW, updated_at=NOW,
            )
        )  # fmt: skip
        for shard in shards:
            conn.execute(
                sa.insert(schema.frame_shard).values(
                    shard_id=shard_id_of(video_id, shard.part), video_id=video_id, uri=shard.uri, bytes=shard.bytes,
                    content_hash=shard.content_hash,
                )
            )  # fmt: skip
        for number, time_s, place in places:
            conn.execute(
                sa.insert(schema.frame).values(
                    video_id=video_id, frame_no=number, pts=number, time_s=time_s,
                    shard_id=shard_id_of(video_id, place.part), byte_offset=place.byte_offset,
                    byte_length=place.byte_length,
                )
            )  # fmt: skip
    return shards


def rows_of(db):
    """Everything that tracking writes, as plain tuples in order of their keys."""
    with db.read() as conn:
        tracks = conn.execute(sa.select(schema.track).order_by(schema.track.c.track_id)).all()
        boxes = conn.execute(sa.select(schema.detection).order_by(*schema.detection.primary_key.columns)).all()
    return [tuple(row) for row in tracks], [tuple(row) for row in boxes]


def state_of(db, video_id):
    with db.read() as conn:
        return conn.execute(
            sa.select(schema.video.c.state, schema.video.c.error).where(schema.video.c.video_id == video_id)
        ).one()


def test_each_animal_becomes_a_live_track_with_its_boxes(home):
    """The whole way: pictures from shards, boxes, links, rows whose numbers agree with each other."""
    store_video(home.database, home.store, 7)
    heard = []
    done = track_bundle(home.database, home.store, KEY, home.settings, lambda *said: heard.append(said))
    assert (done.videos, done.failed) == (1, [])
    assert heard[-1] == (f"track {KEY}", 1, 1)
    tracks, boxes = rows_of(home.database)
    assert len(tracks) == done.tracks
    assert len(boxes) == done.detections
    assert state_of(home.database, 7).state == "tracked"
    truth = SCENE.truth()
    with home.database.read() as conn:
        live = conn.execute(sa.select(schema.track).where(schema.track.c.state == "live")).all()
        assert len(live) == 2
        for row in live:
            mine = conn.execute(
                sa.select(schema.detection)
                .where(schema.detection.c.track_id == row.track_id)
                .order_by(schema.detection.c.frame_no)
            ).all()
            assert len(mine) == row.n_detections >= 18
            assert (mine[0].frame_no, mine[-1].frame_no) == (row.first_frame_no, row.last_frame_no)
            time_of = dict(
                conn.execute(sa.select(schema.frame.c.frame_no, schema.frame.c.time_s)).all()  # one video alone
            )
            assert (row.first_s, row.last_s) == (time_of[row.first_frame_no], time_of[row.last_frame_no])
            assert 0.5 < row.quality <= 1
            best = [
                np.mean([overlap((b.x, b.y, b.w, b.h), truth[b.frame_no][animal]) for b in mine]) for animal in (0, 1)
            ]
            assert max(best) > 0.5
    assert [row[0] for row in tracks] == [track_id_of(7, ordinal) for ordinal in range(len(tracks))]


def test_a_second_home_gets_the_same_rows(home, tmp_path):
    """Labels are exported by track_id: another home must number its tracks alike."""
    from chimp_assets.home import init_home

    other = init_home(tmp_path / "other")
    for place in (home, other):
        store_video(place.database, place.store, 7)
        track_bundle(place.database, place.store, KEY, place.settings)
    assert rows_of(home.database) == rows_of(other.database)


def test_running_again_changes_nothing(home):
    """A tracked video is done: a second run must neither double nor renumber its tracks."""
    store_video(home.database, home.store, 7)
    track_bundle(home.database, home.store, KEY, home.settings)
    before = rows_of(home.database)
    again = track_bundle(home.database, home.store, KEY, home.settings)
    assert (again.videos, again.tracks) == (0, 0)
    assert rows_of(home.database) == before


def _track_and_die(folder):
    """Child process: dies by its own hand after the tracks are written and before the detections are."""
    place = Home.open(folder)
    whole = bundle.insert_rows

    def write_then_die(conn, table, columns, *rest):
        if table is schema.detection and bundle._decoded_videos(conn, KEY)[0][0] == 8:
            os._exit(9)
        return whole(conn, table, columns, *rest)

    bundle.insert_rows = write_then_die
    track_bundle(place.database, place.store, KEY, place.settings)


def test_a_run_that_is_killed_in_the_middle_can_be_run_again(home, tmp_path):
    """Half a video's rows would stay for ever: the rows of a video are one transaction."""
    from chimp_assets.home import init_home

    quiet = init_home(tmp_path / "quiet")
    for place in (home, quiet):
        store_video(place.database, place.store, 7)
        store_video(place.database, place.store, 8, Scene(n=12, seed=5))
    child = multiprocessing.get_context("spawn").Process(target=_track_and_die, args=(home.settings.home,))
    child.start()
    child.join(120)
    assert child.exitcode == 9
    assert state_of(home.database, 7).state == "tracked"
    assert state_of(home.database, 8).state == "decoded"
    assert all(row[1] == 7 for row in rows_of(home.database)[0])
    track_bundle(home.database, home.store, KEY, home.settings)
    track_bundle(quiet.database, quiet.store, KEY, quiet.settings)
    assert rows_of(home.database) == rows_of(quiet.database)


def test_leftovers_of_an_earlier_decoding_are_replaced(home):
    """A video that is decoded and tracked anew kept the old tracks beside the new ones."""
    store_video(home.database, home.store, 7)
    track_bundle(home.database, home.store, KEY, home.settings)
    before = rows_of(home.database)
    _set_decoded(home.database, 7)
    track_bundle(home.database, home.store, KEY, home.settings)
    assert rows_of(home.database) == before


def _set_decoded(db, video_id):
    with db.write() as conn:
        conn.execute(sa.update(schema.video).where(schema.video.c.video_id == video_id).values(state="decoded"))


def test_tracks_that_people_were_asked_about_are_kept(home):
    """The label is sacred: tracking anew must not delete the track that an answer names."""
    from chimp_assets.database.labels.events import LabelEvent, record_events

    store_video(home.database, home.store, 7)
    track_bundle(home.database, home.store, KEY, home.settings)
    before = rows_of(home.database)
    answer = LabelEvent(
        annotation_id="6f1c0a3e-0000-4000-8000-000000000001", kind="unknown", annotator="expert",
        track_id=track_id_of(7, 0),
    )  # fmt: skip
    (result,) = record_events(home.database, [answer])
    assert result.status == "stored", result.reason
    _set_decoded(home.database, 7)
    done = track_bundle(home.database, home.store, KEY, home.settings)
    assert "people were already asked" in done.failed[0][1]
    assert rows_of(home.database) == before
    assert state_of(home.database, 7).state == "tracked"


@pytest.mark.parametrize("damage", ["a JPEG that is none", "a shard that is gone"])
def test_a_video_whose_pictures_cannot_be_read_does_not_stop_its_bundle(home, damage):
    """One lost shard must not keep two hundred videos from being tracked, nor be forgotten."""
    shards = store_video(home.database, home.store, 7, spoil=5 if damage == "a JPEG that is none" else None)
    if damage == "a shard that is gone":
        home.store.delete(shards[0].uri)
    store_video(home.database, home.store, 8)
    done = track_bundle(home.database, home.store, KEY, home.settings)
    assert done.videos == 1
    assert [uri for uri, _ in done.failed] == ["pool/7.mp4"]
    state, error = state_of(home.database, 7)
    assert state == "failed"
    assert error == done.failed[0][1]
    assert {row[1] for row in rows_of(home.database)[0]} == {8}


def test_a_video_without_animals_is_tracked_and_has_no_tracks(home):
    """Most of an archive is empty: such a video must not wait for ever to be tracked."""
    store_video(home.database, home.store, 7, Scene(n=12, walkers=()))
    done = track_bundle(home.database, home.store, KEY, home.settings)
    assert (done.videos, done.tracks, done.detections) == (1, 0, 0)
    assert state_of(home.database, 7).state == "tracked"


def test_short_tracks_are_kept_as_junk(home):
    """What is dropped silently cannot be counted: junk stays in SQL and is never asked about."""
    settings = home.settings.model_copy(
        update={"detect": home.settings.detect.model_copy(update={"min_track_detections": 1000})}
    )
    store_video(home.database, home.store, 7)
    done = track_bundle(home.database, home.store, KEY, settings)
    assert done.tracks == done.junk >= 2
    with home.database.read() as conn:
        assert set(conn.scalars(sa.select(schema.track.c.state))) == {"junk"}


def test_tracking_writes_the_same_rows_on_postgresql(home, request):
    """COPY and single-precision columns round and check differently from SQLite."""
    server = request.getfixturevalue("postgresql")
    db = server.create()
    upgrade(db)
    for one in (home.database, db):
        store_video(one, home.store, 7)
        track_bundle(one, home.store, KEY, home.settings)
    ours, theirs = rows_of(home.database), rows_of(db)
    db.dispose()
    assert [row[:5] for row in ours[0]] == [row[:5] for row in theirs[0]]
    assert [row[:4] for row in ours[1]] == [row[:4] for row in theirs[1]]
    assert np.allclose([row[4:] for row in ours[1]], [row[4:] for row in theirs[1]], atol=1e-6)


def test_the_contact_sheet_shows_boxes_on_pictures(home, tmp_path):
    """People judge a detector by looking: the sheet is drawn from what SQL holds, not from memory."""
    import cv2

    store_video(home.database, home.store, 7)
    plain = cv2.imread(str(contact_sheet(home.database, home.store, 7, tmp_path / "plain.png", columns=4)))
    track_bundle(home.database, home.store, KEY, home.settings)
    drawn = cv2.imread(str(contact_sheet(home.database, home.store, 7, tmp_path / "drawn.png", columns=4)))
    assert plain.shape == drawn.shape == (6 * 180, 4 * 320, 3)
    assert 0.001 < (np.abs(plain.astype(int) - drawn).max(axis=2) > 60).mean() < 0.2
