"""Copies, and files whose bytes are new and whose pictures are not: which row is which, and what goes along."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.database import schema as t
from chimp_assets.database.footage.passed_over import labels_left_behind
from chimp_assets.insight.status import failures_of
from chimp_assets_tests.archive.catalogue.test_discover import YEAR_2020, videos
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.archive.ffmpeg import run

THEN = datetime(2020, 1, 1, tzinfo=UTC)


def settle(path, at=YEAR_2020):
    os.utime(path, (at, at))
    return path


def ingest(place):
    """A listing and the decoding of every bundle that waits, as `chimp ingest` does it."""
    found = discover(place.db, place.archive, place.settings)
    with place.db.read() as conn:
        keys = conn.execute(
            sa.select(t.bundle.c.bundle_key)
            .join(t.video)
            .where(t.video.c.state == "registered")
            .order_by(t.bundle.c.bundle_id)
            .distinct()
        ).scalars()
        keys = list(keys)
    return found, [decode_bundle(place.db, place.archive, place.store, key, place.settings) for key in keys]


def active(place):
    return {row.uri: row for row in videos(place) if row.state != "retired"}


def label(place, video_id):
    """A track of the video, and an answer about it that stands."""
    track_id = t.track_id_of(video_id, 0)
    with place.db.write() as conn:
        user = conn.scalar(sa.select(t.app_user.c.user_id).limit(1))
        if user is None:
            conn.execute(sa.insert(t.app_user).values(user_id=1, name="expert", role="expert", created_at=THEN))
            user = 1
        if conn.scalar(sa.select(t.model.c.model_id).limit(1)) is None:
            conn.execute(
                sa.insert(t.model).values(
                    model_id=1, task="detector", version=1, name="motion", state="champion", config="{}",
                    created_at=THEN,
                )
            )  # fmt: skip
        conn.execute(
            sa.insert(t.track).values(
                track_id=track_id, video_id=video_id, first_frame_no=0, last_frame_no=1, first_s=0, last_s=1,
                n_detections=2, quality=1, model_id=1, state="live",
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(t.annotation).values(
                annotation_id=f"{track_id:036d}", seq=track_id % 1000 + video_id, kind="cannot_tell", track_id=track_id,
                annotator_id=user, lane="free", client_time=THEN, server_time=THEN,
                fingerprint=bytes(32),
            )
        )  # fmt: skip
        conn.execute(
            sa.insert(t.standing_answer).values(
                track_id=track_id, annotation_id=f"{track_id:036d}", seq=track_id % 1000 + video_id,
                kind="cannot_tell", lane="free", annotator_id=user,
            )
        )  # fmt: skip
    return track_id


@pytest.mark.parametrize("copied_first", [True, False])
def test_the_file_without_the_marks_of_a_copy_is_the_original(place, archive_folder, copied_first):
    """`Cam07 - Copy` sorts before `Cam07`: the original was retired as a duplicate of its copy."""
    original = settle(make_clip(archive_folder / "Cam07" / "VD_0001.mp4", 10))
    if not copied_first:
        ingest(place)
    (archive_folder / "Cam07 - Copy").mkdir()
    copy = archive_folder / "Cam07 - Copy" / "VD_0001.mp4"
    shutil.copy2(original, copy)
    ingest(place)
    assert list(active(place)) == ["Cam07/VD_0001.mp4"]
    with place.db.read() as conn:
        assert failures_of(conn).duplicates == [("Cam07 - Copy/VD_0001.mp4", "Cam07/VD_0001.mp4")]
    holder = active(place)["Cam07/VD_0001.mp4"].video_id
    # The copy is deleted: nothing is lost, and one ingest is enough.
    copy.unlink()
    found, _ = ingest(place)
    assert found.retired == 0
    assert {uri: (r.video_id, r.state) for uri, r in active(place).items()} == {
        "Cam07/VD_0001.mp4": (holder, "decoded")
    }


def test_when_the_original_is_deleted_one_ingest_puts_its_copy_in_its_place(place, archive_folder):
    """Both rows were retired until a second ingest."""
    original = settle(make_clip(archive_folder / "Cam07" / "VD_0001.mp4", 10))
    for name in ("Cam07 - Copy", "z backup"):
        (archive_folder / name).mkdir()
        shutil.copy2(original, archive_folder / name / "VD_0001.mp4")
    ingest(place)
    holder = active(place)["Cam07/VD_0001.mp4"].video_id
    original.unlink()
    found, _ = ingest(place)
    assert (found.retired, found.returned, found.listed) == (1, 2, 2)
    assert [(r.video_id, r.state, r.n_frames) for r in active(place).values()] == [(holder, "decoded", 2)]
    _, decoded = ingest(place)
    assert decoded == []


@pytest.fixture
def filmed(place, archive_folder):
    """A decoded and labelled video of one camera."""
    path = settle(
        make_clip(archive_folder / "Gombe" / "Cam07" / "20130506_143000.mp4", 50, created="2013-05-06T14:30:00Z")
    )
    ingest(place)
    (row,) = videos(place)
    assert row.picture_hash
    label(place, row.video_id)
    with place.db.write() as conn:
        conn.execute(sa.update(t.video).values(state="tracked"))
    return path


def remux(path, name, *options):
    new = path.with_name(name)
    part = path.parent.parent / f"part{new.suffix}"
    run("-i", str(path), "-c", "copy", *options, str(part))
    path.unlink()
    part.replace(new)
    return settle(new, YEAR_2020 + 50)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("20130506_143000.mp4", ["-metadata", "creation_time=2013-05-07T10:00:00Z"]),
        ("20130506_143000.mp4", ["-metadata", "title=x", "-movflags", "faststart"]),
        ("20130506_143000.mkv", []),
        ("20130506_143000.ts", []),
        ("20130506_143000.mov", ["-video_track_timescale", "600"]),
        ("20130507_100000.avi", []),
    ],
)
def test_a_file_with_the_same_pictures_keeps_its_tracks_labels_and_split(place, filmed, name, options):
    """Remuxing is the usual remedy for a wrong date: the expert's answers stayed on a retired version."""
    before = videos(place)[0]
    with place.db.read() as conn:
        split = conn.execute(sa.select(t.split_assignment.c.split).where(t.split_assignment.c.video_id == 1)).scalar()
        shards = conn.execute(sa.select(t.frame_shard.c.uri)).scalars().all()
    remux(filmed, name, *options)
    _, (decoded,) = ingest(place)
    assert decoded.same_pictures == [f"Gombe/Cam07/{name}"]
    (row,) = active(place).values()
    assert (row.video_id, row.uri, row.state) == (before.video_id, f"Gombe/Cam07/{name}", "tracked")
    assert (row.content_hash != before.content_hash, row.picture_hash) == (True, before.picture_hash)
    assert row.bytes == (filmed.parent / name).stat().st_size
    with place.db.read() as conn:
        assert conn.execute(sa.select(t.frame_shard.c.uri)).scalars().all() == shards
        frames = conn.execute(sa.select(t.frame.c.pts, t.frame.c.time_s).where(t.frame.c.video_id == 1)).all()
        now = conn.execute(
            sa.select(t.split_assignment.c.split).where(t.split_assignment.c.video_id == row.video_id)
        ).scalar()
        assert labels_left_behind(conn) == []
    assert now == split
    # The stamps are those of the file that is there now.
    base = row.time_base_num / row.time_base_den
    assert [(pts - frames[0].pts) * base for pts, _ in frames] == pytest.approx([s for _, s in frames], abs=0.01)
    assert [key.key for key in place.store.list("shards")] == shards
    found, again = ingest(place)
    assert (found.unchanged, again) == (1, [])


def test_when_it_was_filmed_comes_from_the_file_as_it_is_now(place, filmed):
    remux(filmed, "20130507_100000.mp4", "-metadata", "creation_time=2013-05-07T10:00:00Z")
    ingest(place)
    (row,) = active(place).values()
    assert row.recorded_at == datetime(2013, 5, 7, 10, tzinfo=UTC)
    assert str(row.recorded_on) == "2013-05-07"


def test_a_file_with_other_pictures_takes_no_labels_and_says_how_many_stay(place, filmed):
    make_clip(filmed, 45, crf="30")
    settle(filmed, YEAR_2020 + 50)
    _, (decoded,) = ingest(place)
    assert decoded.same_pictures == []
    (row,) = active(place).values()
    assert (row.video_id, row.version) == (2, 2)
    with place.db.read() as conn:
        (left,) = labels_left_behind(conn)
    assert (left.uri, left.n_labels) == ("Gombe/Cam07/20130506_143000.mp4", 1)
    assert "1 label stays on the retired version" in str(left)


def test_the_same_pictures_turned_are_other_pictures(place, filmed):
    """Boxes are fractions of the picture as it is shown."""
    new = filmed.with_name("turned.mp4")
    run("-display_rotation", "90", "-i", str(filmed), "-c", "copy", str(new))
    filmed.unlink()
    settle(new)
    _, (decoded,) = ingest(place)
    assert decoded.same_pictures == []


def test_two_cameras_with_black_videos_share_nothing(place, archive_folder):
    """All black is what many broken cameras film."""
    black = ["-f", "lavfi", "-i", "color=black:s=160x96:r=25:d=2"]
    first, second = archive_folder / "Cam01" / "a.mp4", archive_folder / "Cam02" / "a.mp4"
    for path in (first, second):
        path.parent.mkdir(parents=True)
    run(*black, str(first))
    settle(first)
    ingest(place)
    first.unlink()
    run(*black, "-metadata", "title=another", str(second))
    settle(second)
    _, (decoded,) = ingest(place)
    assert decoded.same_pictures == []
    assert videos(place)[0].picture_hash is None
