"""Ingest: rows and bytes agree, whatever dies on the way; damaged files cost themselves only."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive import ingest
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import BlobStore, StoreError
from chimp_assets.archive.video import decoders
from chimp_assets.archive.video.pictures import read_jpegs
from chimp_assets.archive.video.reading import decode_video
from chimp_assets.database import schema
from chimp_assets.errors import FullDiskError
from chimp_assets_tests.archive.clips import make_clip, number_of
from chimp_assets_tests.archive.dying import dies_on_some
from chimp_assets_tests.paths import REPOSITORY

BY_CLOCK = ("discovered_at", "updated_at", "decode_s")


@pytest.fixture
def filmed(archive_folder):
    """Four whole films, one that is cut, and one that is none."""
    for n, (length, b_frames) in enumerate([(25, 0), (12, 2), (25, 3), (50, 0)]):
        make_clip(archive_folder / "cam" / f"{n}.mp4", length, b_frames=b_frames)
    cut = make_clip(archive_folder / "cam" / "cut.mp4", 100)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (archive_folder / "cam" / "text.mp4").write_text("not a film\n" * 100)
    for path in (archive_folder / "cam").iterdir():
        os.utime(path, (1_577_836_800, 1_577_836_800))
    return archive_folder


def rows(place, *tables):
    """All rows, without the times at which they were written."""
    with place.db.read() as conn:
        return [
            [
                tuple(v for k, v in row._mapping.items() if k not in ("discovered_at", "updated_at", "decode_s"))
                for row in found
            ]
            for found in (conn.execute(sa.select(t).order_by(*t.primary_key.columns)).all() for t in tables)
        ]


def everything(place):
    """Rows and bytes of a home: what two runs must have in common."""
    blobs = {info.key: place.store.get(info.key) for info in place.store.list("shards")}
    return rows(place, schema.video, schema.frame_shard, schema.frame), blobs


def ingested(place, **arguments):
    discover(place.db, place.archive, place.settings)
    return decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings, **arguments)


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_and_bytes_agree_for_every_picture(make_place, filmed, workers):
    """An offset, a time or a count that is wrong would show one animal under the name of another."""
    # Small shards, so that videos have several.
    place = make_place(decode={"workers": workers, "fps": 25.0, "shard_bytes": 65_536, "jpeg_quality": 100})
    steps = []
    outcome = ingested(place, progress=lambda uri, done, of: steps.append((uri, done, of)))
    assert outcome.videos == 5
    assert [uri for uri, _ in outcome.failed] == ["cam/text.mp4"]
    assert [uri for uri, _ in outcome.partial] == ["cam/cut.mp4"]
    assert sorted(uri for uri, _, _ in steps) == [f"cam/{n}.mp4" for n in range(4)] + ["cam/cut.mp4", "cam/text.mp4"]
    assert [(done, of) for _, done, of in steps] == [(n, 6) for n in range(1, 7)]
    n_frames = 0
    with place.db.read() as conn:
        for video in conn.execute(sa.select(schema.video)).all():
            frames = list(read_jpegs(conn, place.store, video.video_id))
            n_frames += len(frames)
            assert len(frames) == video.n_frames
            for frame_no, time_s, jpeg in frames:
                shown = simplejpeg.decode_jpeg(jpeg)
                assert number_of(shown) == round(time_s * 25) % 26 == frame_no % 26
                assert shown.shape[:2] == (video.height, video.width)
            file = place.archive.local_path(video.uri)
            if video.state == "decoded":
                assert video.content_hash == hashlib.blake2b(file.read_bytes(), digest_size=32).hexdigest()
                assert (video.codec, video.avg_fps, video.rotation) == ("h264", 25.0, 0)
                assert video.frame_s == pytest.approx(1 / 25)
                assert (video.error is None) == (video.uri != "cam/cut.mp4")
            else:
                assert video.state == "failed"
                assert "no video at all" in video.error
        assert n_frames == outcome.frames >= 112
        shards = conn.execute(sa.select(schema.frame_shard)).all()
    assert outcome.bytes == sum(s.bytes for s in shards)
    assert len(shards) > 5
    assert {s.uri for s in shards} == {info.key for info in place.store.list("shards")}
    for shard in shards:
        content = place.store.get(shard.uri)
        assert (shard.bytes, shard.content_hash) == (
            len(content),
            hashlib.blake2b(content, digest_size=32).hexdigest(),
        )


def test_another_home_and_another_number_of_workers_give_the_same_rows_and_bytes(make_place, filmed):
    """Ids and offsets that depend on which process was faster would make no run repeatable."""
    one, two = make_place("one", decode={"workers": 0}), make_place("two", decode={"workers": 2})
    ingested(one)
    ingested(two)
    assert everything(one) == everything(two)


def test_a_second_run_does_nothing(place, filmed):
    """A bundle is run again whenever one of its videos is new."""
    ingested(place)
    before = everything(place)
    again = decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    assert (again.videos, again.failed, everything(place)) == (0, [], before)


KILL_BETWEEN_VIDEOS = """
def progress(uri, done, of):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""
KILL_BETWEEN_BYTES_AND_ROWS = """
progress = None
insert = bulk.insert_rows
def insert_rows(conn, table, columns, chunk=20_000):
    done = insert(conn, table, columns, chunk)
    if table.name == "frame" and int(columns["video_id"][0]) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
bulk.insert_rows = insert_rows
"""
KILL_IN_A_SHARD = """
progress = None
sync = os.fsync
calls = []
def fsync(descriptor):
    calls.append(1)
    if len(calls) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return sync(descriptor)
os.fsync = fsync
"""
RUN = """
import os, signal, sys
from chimp_assets.archive.storage.archive import open_archive
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database.connection import bulk
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import load_settings
{kill}
settings = load_settings(sys.argv[1], archive_url=sys.argv[2], decode={{"workers": {workers}}})
store = BlobStore.open(settings.store_url)
decode_bundle(Database(settings.database_url), open_archive(settings), store, "cam-0001", settings, progress)
"""


@pytest.mark.parametrize(
    ("kill", "workers"),
    [(KILL_BETWEEN_VIDEOS, 2), (KILL_BETWEEN_BYTES_AND_ROWS, 2), (KILL_IN_A_SHARD, 0)],
    ids=["between videos", "between bytes and rows", "in a shard"],
)
def test_a_run_killed_in_the_middle_and_started_again_equals_an_undisturbed_one(make_place, filmed, kill, workers):
    """kill -9, power loss, an evicted machine: nothing lost, nothing twice, no row without its bytes."""
    undisturbed, killed = (make_place(name, decode={"workers": 0}) for name in ("undisturbed", "killed"))
    ingested(undisturbed)
    discover(killed.db, killed.archive, killed.settings)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(kill=kill, workers=workers), str(killed.settings.home), str(filmed)],
        cwd=REPOSITORY,
        timeout=120,
    )
    assert done.returncode == -9
    videos, shards, _ = rows(killed, schema.video, schema.frame_shard, schema.frame)
    registered = [row for row in videos if "registered" in row]
    assert 0 < len(registered) < len(videos)
    assert all(killed.store.head(row[2]) for row in shards)
    decode_bundle(killed.db, killed.archive, killed.store, "cam-0001", killed.settings)
    assert everything(killed) == everything(undisturbed)


def test_a_file_that_kills_its_process_does_not_stop_the_bundle(make_place, filmed, monkeypatch):
    """One hostile file would otherwise hold every run of its bundle at the same place, for ever."""
    place = make_place(decode={"workers": 2})
    monkeypatch.setattr(decoders, "decode_video_message", dies_on_some)
    outcome = ingested(place)
    failed = dict(outcome.failed)
    assert sorted(failed) == ["cam/1.mp4", "cam/3.mp4", "cam/text.mp4"]
    assert "SIGABRT" in failed["cam/1.mp4"]
    with place.db.read() as conn:
        states = dict(conn.execute(sa.select(schema.video.c.uri, schema.video.c.state)).all())
    assert states["cam/1.mp4"] == states["cam/3.mp4"] == "failed"
    assert states["cam/0.mp4"] == states["cam/2.mp4"] == states["cam/cut.mp4"] == "decoded"


def test_a_bug_of_ours_fails_its_video_in_words(make_place, filmed, monkeypatch):
    """A traceback for one odd file must not stop the others either."""
    place = make_place(decode={"workers": 0})
    real = decode_video

    def odd(job, beat=lambda: None):
        if job.uri == "cam/0.mp4":
            raise IndexError("a bug")
        return real(job, beat)

    monkeypatch.setattr(decoders, "decode_video", odd)
    outcome = ingested(place)
    assert outcome.videos == 4
    assert "IndexError: a bug" in dict(outcome.failed)["cam/0.mp4"]


def test_a_full_disk_stops_the_bundle_and_blames_no_video(make_place, filmed, monkeypatch):
    """Videos marked failed by a full disk would never be tried again."""
    place = make_place(decode={"workers": 0})
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(1)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FullDiskError, match="no room left"):
        ingested(place)
    with place.db.read() as conn:
        states = list(conn.execute(sa.select(schema.video.c.state).order_by(schema.video.c.video_id)).scalars())
    assert states == ["decoded", "decoded", "registered", "registered", "registered", "registered"]
    monkeypatch.undo()
    assert decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings).videos == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk_is_recognised_in_a_child_process(make_place, filmed, tmp_path):
    """The error must survive the way from the child, and half a shard must not stay."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        place = make_place(store_url=disk.as_uri(), decode={"workers": 2, "fps": 25.0, "jpeg_quality": 100})
        with pytest.raises(FullDiskError):
            ingested(place)
        assert not list(disk.rglob(".part-*"))
        with place.db.read() as conn:
            assert "failed" not in set(conn.execute(sa.select(schema.video.c.state)).scalars())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_that_vanished_or_changed_after_the_listing_is_retired_with_a_reason(place, filmed):
    """Neither a failed film nor a film under the wrong content: the next listing decides."""
    discover(place.db, place.archive, place.settings)
    (filmed / "cam" / "0.mp4").unlink()
    make_clip(filmed / "cam" / "1.mp4", 6)
    outcome = decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    failed = dict(outcome.failed)
    assert "no longer in the archive" in failed["cam/0.mp4"]
    assert "changed after it was listed" in failed["cam/1.mp4"]
    assert outcome.videos == 3
    found = discover(place.db, place.archive, place.settings)
    assert (found.replaced, found.retired) == (1, 0)
    assert decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings).frames == 2


def test_an_archive_that_vanishes_stops_the_bundle(place, filmed):
    """A disk unplugged in the middle: every video would be called lost."""
    discover(place.db, place.archive, place.settings)
    archive = place.archive
    filmed.rename(filmed.with_name("unplugged"))
    with pytest.raises(StoreError, match="no longer there"):
        decode_bundle(place.db, archive, place.store, "cam-0001", place.settings)
    with place.db.read() as conn:
        assert set(conn.execute(sa.select(schema.video.c.state)).scalars()) == {"registered"}


def test_leftovers_of_an_earlier_try_are_replaced(place, filmed):
    """Rows of a run with other settings must not stay beside the new ones, nor their shards."""
    ingested(place)
    with place.db.write() as conn:
        conn.execute(sa.update(schema.video).where(schema.video.c.state == "decoded").values(state="registered"))
    changed = place.settings.model_copy(update={"decode": place.settings.decode.model_copy(update={"fps": 1.0})})
    outcome = decode_bundle(place.db, place.archive, place.store, "cam-0001", changed)
    _, shards, frames = rows(place, schema.video, schema.frame_shard, schema.frame)
    assert len(frames) == outcome.frames
    assert {row[2] for row in shards} == {info.key for info in place.store.list("shards")}


def test_an_unknown_bundle_is_named(place, filmed):
    """A mistyped partition key must not count as a bundle without work."""
    with pytest.raises(ArchiveError, match="cam-9999"):
        decode_bundle(place.db, place.archive, place.store, "cam-9999", place.settings)


def test_an_archive_that_is_no_folder_is_read_through_its_store(make_place, filmed):
    """Azure has no paths: files are fetched, decoded, and the copies go."""
    place, plain = make_place("objects", decode={"workers": 0}), make_place("plain", decode={"workers": 1})
    archive = BlobStore.open("memory://archive")
    for info in plain.archive.list():
        archive.put(info.key, plain.archive.get(info.key))
    discover(place.db, archive, place.settings)
    decode_bundle(place.db, archive, place.store, "cam-0001", place.settings)
    ingested(plain)
    facts = ("uri", "content_hash", "state", "n_frames", "error", "width", "duration_s")
    read = sa.select(*(schema.video.c[name] for name in facts)).order_by(schema.video.c.uri)
    with place.db.read() as one, plain.db.read() as two:
        assert one.execute(read).all() == two.execute(read).all()
    assert rows(place, schema.frame, schema.frame_shard) == rows(plain, schema.frame, schema.frame_shard)


def test_every_array_is_as_promised(place, filmed):
    """Columns travel between processes as arrays; a wrong type would be cut to 32 bits in silence."""
    discover(place.db, place.archive, place.settings)
    job = ingest._jobs(place.db, place.archive, place.store, "cam-0001", place.settings)[0]
    decoded = decode_video(job)
    kinds = {"frame_no": "i4", "pts": "i8", "time_s": "f8", "part": "i4", "byte_offset": "i8", "byte_length": "i4"}
    for name, kind in kinds.items():
        values = getattr(decoded, name)
        assert values.dtype == np.dtype(kind)
        assert values.shape == decoded.frame_no.shape
