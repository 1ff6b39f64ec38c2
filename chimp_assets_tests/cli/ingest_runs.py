"""What tests of whole ingests share: the command in its own process, and what two homes must have in common."""

import os
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema as t
from chimp_assets.home import Home

# What a run must leave alike: all but the moments at which it happened.
WHENS = {"discovered_at", "updated_at", "created_at", "decided_at", "assigned_at", "changed_at", "decode_s", "etag"}
TABLES = (
    t.bundle, t.video, t.split_assignment, t.frame_shard, t.frame, t.track, t.detection, t.embedding_file,
    t.acquisition_round, t.acquisition_queue,
)  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    """For a command that works on this home."""
    return {**os.environ, "CHIMP_HOME": str(folder), "OMP_NUM_THREADS": "1"}


def command(*arguments: str) -> list[str]:
    """`chimp ...` as a process."""
    return [sys.executable, "-m", "chimp_assets.cli", *arguments]


def require_refusal(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command said in a few lines what is wrong, with these words, and ended with 2."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 8, done.stderr
    said = " ".join(done.stderr.split())
    for word in words:
        assert word in said, said


def rows(folder: Path) -> dict[str, list[tuple]]:
    """All rows of a home that do not say when they were written."""
    home = Home.open(folder)
    found = {}
    with home.database.read() as conn:
        for table in TABLES:
            columns = [column for column in table.columns if column.name not in WHENS]
            there = conn.execute(sa.select(*columns).order_by(*table.primary_key.columns)).all()
            found[table.name] = [tuple(row) for row in there]
    home.database.dispose()
    return found


def blobs(folder: Path) -> dict[str, str]:
    """Every shard of a home and the hash of its bytes."""
    store = BlobStore.open((folder / "store").as_uri())
    return {info.key: store.content_hash(info.key) for info in store.list("shards")}
