"""The store against its rows: what is swept, what is spared, what is missing."""

import itertools
import json
import os
import sys
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from chimp_assets import cli
from chimp_assets.archive.storage.store import BlobInfo, BlobStore
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.operations import sweep as sweep_module
from chimp_assets.operations.sweep import DECODING_S, FOLDERS, StoreAudit, audit_store
from chimp_assets_tests.support.rows import THEN, add_bundle, add_embedding_file, add_model, add_track, add_video

DAY = 86_400.0
NAMED = {
    "shards/1.tar",  # of video 1, by add_video
    "embeddings/2/1",  # by add_embedding_file
    "item-media/0a1b2c.jpg",
    "models/head/head-0a1b2c3d4e5f.safetensors",
    "training_sets/head-0000000012-0a1b2c3d4e5f.csv",
}


@pytest.fixture
def full(home):
    """A home in which every kind of file of the store is there and named by its row, a day old."""
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "decoded")
    add_model(home.database, 2, "embedder")
    add_embedding_file(home.database, 2, 1, 3)
    add_model(
        home.database, 3, "head",
        checkpoint_uri="models/head/head-0a1b2c3d4e5f.safetensors", checkpoint_hash="0" * 64,
    )  # fmt: skip
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.training_set).values(
                task="head", watermark_seq=12, split_seed=1, n_tracks=12, n_classes=2, member_hash="0" * 64,
                member_uri="training_sets/head-0000000012-0a1b2c3d4e5f.csv", created_at=THEN,
            )
        )  # fmt: skip
    add_model(home.database, 1, "detector")
    track_id = add_track(home.database, 1, 0)
    with home.database.write() as conn:
        conn.execute(
            sa.insert(t.item_media).values(
                track_id=track_id, kind="crop", place=0, content_hash="0" * 64, uri="item-media/0a1b2c.jpg", bytes=10,
                created_at=THEN,
            )
        )  # fmt: skip
    for key in NAMED:
        put(home, key)
    return home


def put(home, key, content=b"0123456789", age_s=DAY):
    home.store.put(key, content)
    when = time.time() - age_s
    os.utime(home.store.local_path(key), (when, when))


def keys(home):
    return {info.key for info in home.store.list("")}


def audit(home, age_s=3600.0, delete=True):
    return audit_store(home.database, home.store, age_s, delete=delete)


def test_files_that_rows_name_are_all_spared(full):
    assert audit(full, age_s=0) == StoreAudit(files=5)
    assert keys(full) == NAMED


def test_files_that_no_row_names_are_counted_and_only_deleted_when_asked_to(full):
    """A run with other settings, or one that was killed, leaves its shards behind: gigabytes that nobody would find."""
    left = {f"{folder}/x/{n}" for folder in FOLDERS for n in range(3)}
    for key in left:
        put(full, key)
    put(full, "somebody/elses.file")
    put(full, "top.file")
    seen = audit(full, delete=False)
    n = len(left)
    assert (seen.files, seen.unnamed, seen.unnamed_bytes, seen.n_missing) == (5 + n, n, 10 * n, 0)
    assert left <= keys(full)
    assert audit(full) == seen
    assert keys(full) == NAMED | {"somebody/elses.file", "top.file"}
    assert audit(full) == StoreAudit(files=5)


def test_a_training_is_spared_until_it_has_given_a_model_and_figures_while_their_head_exists(full):
    """Swept, a fine-tuning of hours starts over after each night; never swept, each leaves half a gigabyte for ever."""
    kept = {"training/embedder-1/state.json", "training/embedder-1/step-000000025-0a.safetensors"}
    figures = {"evaluations/head-3/reliability.png", "layouts/frame-verified.json"}
    for key in kept | figures:
        put(full, key)
    gone = {"training/embedder-99/state.json", "training/head-1/state.json", "evaluations/head-99/reliability.png"}
    old = {"training/detector-1/state.json"}
    for key in gone:
        put(full, key)
    for key in old:
        put(full, key, age_s=40 * DAY)
    assert audit(full, age_s=0).unnamed == 4
    assert keys(full) == NAMED | kept | figures
    add_model(full.database, 9, "embedder", "candidate", training_set_id=1)
    assert audit(full).unnamed == 2
    assert keys(full) == NAMED | figures


def test_half_written_files_are_swept(full):
    """kill -9 in the middle of a write leaves a file with a name of its own."""
    folder = full.store.local_path("shards/gombe-0001")
    folder.mkdir()
    old, new = folder / ".part-1-aaaaaaaaaaaa", folder / ".part-2-bbbbbbbbbbbb"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert audit(full, delete=False) == StoreAudit(files=5, partial=1, partial_bytes=4)
    assert audit(full) == StoreAudit(files=5, partial=1, partial_bytes=4)
    assert (old.exists(), new.exists()) == (False, True)
    audit(full, age_s=0)
    assert not new.exists()


def test_a_file_whose_row_is_still_to_come_is_spared_by_its_age(full):
    put(full, "embeddings/2/young", age_s=60)
    assert audit(full) == StoreAudit(files=6)
    assert audit(full, age_s=30).unnamed == 1


def test_shards_of_a_video_that_may_be_being_decoded_are_spared_for_two_days(full):
    """The rows of a tape of ten hours come at its end, long after its first shards."""
    for video_id, state in ((2, "registered"), (3, "failed")):
        add_video(full.database, video_id, 1, state)
        put(full, f"shards/site-0001/{video_id:08d}-0000-0a1b2c3d4e5f.tar")
    assert audit(full).unnamed == 1
    assert "shards/site-0001/00000002-0000-0a1b2c3d4e5f.tar" in keys(full)
    put(full, "shards/site-0001/00000002-0001-0a1b2c3d4e5f.tar", age_s=DECODING_S + 60)
    assert audit(full).unnamed == 1
    assert audit(full, age_s=0).unnamed == 1
    assert keys(full) == NAMED


def test_a_row_written_while_the_store_is_listed_keeps_its_file(full, monkeypatch):
    """The listing of a large store takes minutes, in which rows come for files that it has seen."""
    put(full, "embeddings/2/2")
    real = sweep_module._take_unnamed

    def take(*arguments):
        add_bundle(full.database, 2)
        add_embedding_file(full.database, 2, 2, 1)
        real(*arguments)

    monkeypatch.setattr(sweep_module, "_take_unnamed", take)
    assert audit(full).unnamed == 0
    assert "embeddings/2/2" in keys(full)


def test_a_file_written_anew_between_the_listing_and_the_deletion_is_kept(full, monkeypatch):
    """A step that was killed is run again and writes the same name: its row comes a moment later."""
    key = "shards/site-0001/00000009-0000-0a1b2c3d4e5f.tar"
    put(full, key)
    real = sweep_module._named_of

    def named_of(*arguments):
        answer = real(*arguments)
        full.store.put(key, b"0123456789")
        return answer

    monkeypatch.setattr(sweep_module, "_named_of", named_of)
    assert audit(full).unnamed == 0
    assert key in keys(full)


def test_rows_whose_files_are_gone_are_reported(full):
    full.store.delete("shards/1.tar")
    full.store.delete("models/head/head-0a1b2c3d4e5f.safetensors")
    seen = audit(full)
    assert (seen.n_missing, sorted(seen.missing)) == (
        2,
        ["models/head/head-0a1b2c3d4e5f.safetensors", "shards/1.tar"],
    )
    assert seen.unnamed == 0


class Listing(BlobStore):
    """A store of many files that only exist as names."""

    def __init__(self, names):
        super().__init__("memory://", None, None)
        self.names = names
        self.deleted = []

    def list(self, prefix="", after=None, on_unreadable=None):
        return (BlobInfo(key, 7, "e", datetime(2020, 1, 1, tzinfo=UTC)) for key in self.names(prefix))

    def head(self, key):
        return BlobInfo(key, 7, "e", datetime(2020, 1, 1, tzinfo=UTC))

    def delete(self, key):
        self.deleted.append(key)


def test_a_hundred_thousand_shards_are_compared_in_one_pass(home):
    """A question for each file would take an hour on Azure."""
    add_bundle(home.database, 1)
    add_video(home.database, 1, 1, "decoded")
    n = 100_000
    with home.database.write() as conn:
        insert_rows(
            conn,
            t.frame_shard,
            {
                "shard_id": list(range(10_000_000, 10_000_000 + n)),
                "video_id": [1] * n,
                "uri": [f"shards/b/{i:08d}.tar" for i in range(n)],
                "bytes": [7] * n,
                "content_hash": ["0" * 64] * n,
            },
        )
    asked = itertools.count()
    sa.event.listen(home.database.engine, "before_cursor_execute", lambda *_: next(asked))
    listed = ["shards/1.tar", *(f"shards/b/{i:08d}.tar{'x' * (i % 50_000 == 7)}" for i in range(n))]
    store = Listing(lambda prefix: iter(listed if prefix == "shards" else []))
    seen = audit_store(home.database, store, delete=True)
    assert (seen.files, seen.unnamed, seen.unnamed_bytes) == (n + 1, 2, 14)
    assert store.deleted == ["shards/b/00000007.tarx", "shards/b/00050007.tarx"]
    assert next(asked) < 30


def test_the_doctor_says_what_could_be_swept_and_sweeps_when_told_to(full, monkeypatch, capsys):
    put(full, "shards/site-0001/00000077-0000-0a1b2c3d4e5f.tar", b"x" * 2_000_000)
    put(full, "shards/site-0001/00000078-0000-0a1b2c3d4e5f.tar", age_s=60)
    monkeypatch.setenv("CHIMP_HOME", str(full.settings.home))

    def doctor(*arguments):
        monkeypatch.setattr(sys, "argv", ["chimp", "doctor", "--json", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        found = json.loads(capsys.readouterr().out)["findings"]
        return left.value.code or 0, next(finding for finding in found if finding["part"] == "files")

    code, finding = doctor()
    assert (code, finding["verdict"]) == (0, "warning")
    assert "1 files that no row names and 0 half-written ones (2.0 MB)" in finding["says"]
    assert "--sweep" in finding["remedy"]
    code, finding = doctor("--sweep")
    assert (code, finding["verdict"], finding["counts"]["deleted"]) == (0, "well", 1)
    code, finding = doctor("--sweep", "--older-than", "0")
    assert (finding["counts"]["deleted"], keys(full)) == (1, NAMED)
    full.store.delete("shards/1.tar")
    code, finding = doctor("--sweep")
    assert (code, finding["verdict"], finding["counts"]["missing"]) == (2, "ill", 1)
    assert "shards/1.tar" in finding["says"]
    assert finding["remedy"]
