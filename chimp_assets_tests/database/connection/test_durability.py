"""What people were told is saved outlives a power cut: SQLite syncs its log before the commit is answered."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.individual_files import import_individuals
from chimp_assets.database.files.label_files import import_labels
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.users import add_user, disable_user
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets_tests.database.world import event, make_world, track

FULL, NORMAL = 2, 1


def _labels(db: Database, folder: Path) -> None:
    assert record_events(db, [event("identify", track(1), "FF")])[0].status == "stored"


def _labels_of_a_file(db: Database, folder: Path) -> None:
    (folder / "labels.csv").write_text(f"track_id,anim_id\n{track(1)},FF\n")
    assert import_labels(db, folder / "labels.csv", "anna").stored == 1


def _individuals(db: Database, folder: Path) -> None:
    (folder / "people.csv").write_text("anim_id,name\nQQ,Quentin\n")
    import_individuals(db, folder / "people.csv")


ACKNOWLEDGED = {
    "labels": _labels,
    "labels of a file": _labels_of_a_file,
    "individuals of a file": _individuals,
    "a merge": lambda db, folder: merge_individuals(db, "FF", "FI", force=True),
    "a new user": lambda db, folder: add_user(db, "zoe", "volunteer"),
    "a disabled user": lambda db, folder: disable_user(db, "anna"),
}


def _levels(db: Database, work: Any) -> list[int]:
    """PRAGMA synchronous of each connection at the moment of its commits."""
    found: list[int] = []

    def look(conn: sa.Connection) -> None:
        if conn.get_execution_options().get("chimp_writes"):
            found.append(conn.connection.driver_connection.execute("PRAGMA synchronous").fetchone()[0])  # type: ignore

    sa.event.listen(db.engine, "commit", look)
    work()
    sa.event.remove(db.engine, "commit", look)
    return found


@pytest.mark.parametrize("what", ACKNOWLEDGED)
def test_what_people_are_told_is_saved_is_committed_with_a_sync(sqlite_db: Database, tmp_path: Path, what: str) -> None:
    """After a power cut the answer was gone, and the browser had forgotten it too."""
    make_world(sqlite_db)
    levels = _levels(sqlite_db, lambda: ACKNOWLEDGED[what](sqlite_db, tmp_path))
    assert levels
    assert set(levels) == {FULL}


def test_a_commit_after_a_bulk_write_is_synced_again(sqlite_db: Database) -> None:
    """Chunks that a job can write again go without, on a connection that labels use next."""
    rows = {"name": ["a"], "value": [1]}
    assert _levels(sqlite_db, lambda: write_chunks(sqlite_db, s.counter, [rows], "job")) == [NORMAL]
    make_world(sqlite_db)
    assert _levels(sqlite_db, lambda: record_events(sqlite_db, [event("skip", track(1))])) == [FULL]


LABELLER = """
import sys
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import add_user
db = Database(sys.argv[1])
for n in range(5):
    add_user(db, f"person {n}", "volunteer")
    sys.stderr.write(f"saved {n}\\n")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_log_is_synced_before_anybody_reads_saved(sqlite_db: Database, tmp_path: Path) -> None:
    """A pragma is a promise; this looks at what the kernel was asked, in order."""
    trace = tmp_path / "trace"
    done = subprocess.run(
        ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", trace,
         sys.executable, "-c", LABELLER, sqlite_db.url],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("strace may not look here")
    assert done.returncode == 0, done.stderr
    steps = re.findall(r"(f(?:data)?sync)\(\d+<\S+-wal>|\"(saved \d)", trace.read_text())
    order = ["saved" if said else "synced" for _, said in steps]
    assert order.count("saved") == 5
    assert all(order[place - 1] == "synced" for place, step in enumerate(order) if step == "saved")
