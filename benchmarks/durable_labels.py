"""What it costs that a label outlives a power cut: labels a second and the slowest 5 % with and without a sync.

Several runs of each, in turn, on a home of its own: one person after the other, each answer a transaction of its own as
the page stores it. No bound: the disk decides. `python -m benchmarks.durable_labels [folder on the disk to measure]`
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection import engine
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.upkeep.migrations import upgrade
from chimp_assets_tests.database.world import make_world, track

LABELS, RUNS = 100, 4


def seconds_of_labels(db: Database, n: int) -> list[float]:
    """Seconds from an answer to its "Saved", n times."""
    took = []
    for _ in range(n):
        answer = LabelEvent(
            annotation_id=str(uuid.uuid4()), kind="identify", annotator="anna", track_id=track(1), anim_id="FF"
        )
        began = time.perf_counter()
        (result,) = record_events(db, [answer])
        took.append(time.perf_counter() - began)
        assert result.status == "stored"
    return took


def main(folder: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as there:
        db = Database(f"sqlite:///{Path(there) / 'chimp.db'}")
        upgrade(db)
        make_world(db)
        seconds_of_labels(db, 20)
        durable = engine._DURABLE
        print("| synchronous | labels a second, each run | slowest 5 %, ms, each run |\n|---|---|---|")
        found: dict[str, list[list[float]]] = {"NORMAL": [], "FULL": []}
        for _ in range(RUNS):
            for name, runs in found.items():
                engine._DURABLE = f"PRAGMA synchronous={name}"
                runs.append(seconds_of_labels(db, LABELS))
        engine._DURABLE = durable
        for name, runs in found.items():
            speed = ", ".join(f"{len(run) / sum(run):.0f}" for run in runs)
            slow = ", ".join(f"{1000 * statistics.quantiles(run, n=20)[-1]:.1f}" for run in runs)
            print(f"| {name} | {speed} | {slow} |")
        with db.read() as conn:
            assert conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) == 20 + 2 * RUNS * LABELS


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
