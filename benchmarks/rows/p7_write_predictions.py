"""P7: write 1,000,000 predictions (200,000 tracks, ranks 1 to 5) to SQLite, with the table's key, index and checks.

Ours is `database.work.chunks.write_chunks`, ten chunks from NumPy columns, each a transaction with its line in the
ledger; `insert_rows`, in one transaction, is shown beside it. Peers write the same rows to the same table over
connections with the same settings, in one transaction: `raw`, the driver's `executemany` on rows
that are ready; `core`, SQLAlchemy Core's `insert` with a list of dicts. All enforce the foreign keys, ours
for a chunk at once. Every run starts from an empty table in a file of its own (copying it is 1 % of the time, the
same for all).
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.harness import Row, cores, timed
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import SQLITE_SETTINGS, Database
from chimp_assets.database.work.chunks import write_chunks

TRACKS, RANKS = 200_000, 5
CHUNKS = 10
MODEL_ID = 1


def measure() -> Iterator[Row]:
    """One row."""
    columns = _predictions()
    n = TRACKS * RANKS
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        _make_template(template)
        numbers = itertools.count()

        def arm(write: Callable[[Path], None]) -> Callable[[], None]:
            def run() -> None:
                file = Path(folder) / f"{next(numbers)}.db"
                shutil.copy(template, file)
                write(file)
                for leftover in Path(folder).glob(f"{file.name}*"):
                    leftover.unlink()

            return run

        ready = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        dicts = [dict(zip(columns, row, strict=True)) for row in ready]
        timing = timed(
            {
                "ours": arm(lambda file: _ours(file, columns)),
                "insert_rows": arm(lambda file: _insert_rows(file, columns)),
                "raw": arm(lambda file: _raw(file, ready)),
                "core": arm(lambda file: _core(file, dicts)),
            }
        )
    rate = {name: n / value.cpu_s for name, value in timing.items()}
    ratio = {name: rate["ours"] / rate[name] for name in ("raw", "core")}
    yield Row(
        "P7",
        f"write {n:,} predictions to SQLite, indexed",
        rate["ours"],
        "rows / CPU s",
        {"raw driver": rate["raw"], "SQLAlchemy Core": rate["core"], "insert_rows": rate["insert_rows"]},
        {"raw driver": ratio["raw"], "SQLAlchemy Core": ratio["core"]},
        ">= 0.8x raw driver; >= 3x SQLAlchemy Core",
        ratio["raw"] >= 0.8 and ratio["core"] >= 3,
        timing["ours"].runs,
        timing["ours"].spread,
        cores(),
    )


def _predictions() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20)
    return {
        "model_id": np.full(TRACKS * RANKS, MODEL_ID),
        "track_id": np.repeat(np.arange(TRACKS), RANKS),
        "rank": np.tile(np.arange(1, RANKS + 1), TRACKS),
        "individual_id": rng.integers(1, 301, TRACKS * RANKS),
        "probability": rng.random(TRACKS * RANKS),
    }


def _make_template(file: Path) -> None:
    """The product's tables and what predictions refer to. Foreign keys are checked at each insert, in all arms."""
    file.touch()
    db = Database(f"sqlite:///{file}")
    t.metadata.create_all(db.engine.execution_options(chimp_writes=True))
    now = sa.func.current_timestamp()
    with db.write() as conn:
        for model_id, task in ((MODEL_ID, "head"), (2, "detector")):
            conn.execute(
                sa.insert(t.model).values(
                    model_id=model_id, task=task, version=1, name=task, state="champion", config="{}", created_at=now
                )
            )
        conn.execute(sa.insert(t.bundle).values(bundle_id=1, bundle_key="b", folder="b", created_at=now))
        conn.execute(
            sa.insert(t.video).values(
                video_id=1, bundle_id=1, uri="b/1", version=1, bytes=1, etag="e", state="tracked",
                discovered_at=now, updated_at=now,
            )
        )  # fmt: skip
        ids = np.arange(TRACKS)
        ones = np.ones(TRACKS, np.int64)
        insert_rows(
            conn,
            t.track,
            {
                "track_id": ids, "video_id": ones, "first_frame_no": ones, "last_frame_no": ones, "first_s": ones,
                "last_s": ones, "n_detections": ones, "quality": ones * 0.5, "model_id": ones * 2,
                "state": ["live"] * TRACKS,
            },
        )  # fmt: skip
        for individual_id in range(1, 301):
            conn.execute(
                sa.insert(t.individual).values(individual_id=individual_id, anim_id=f"I{individual_id}", created_at=now)
            )
    with db.engine.connect() as conn:
        driver: Any = conn.connection.driver_connection
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.dispose()


def _ours(file: Path, columns: dict[str, np.ndarray]) -> None:
    db = Database(f"sqlite:///{file}")
    n = TRACKS * RANKS
    chunks = (
        {name: values[start : start + n // CHUNKS] for name, values in columns.items()}
        for start in range(0, n, n // CHUNKS)
    )
    assert write_chunks(db, t.prediction, chunks, "predictions of a benchmark").n_rows == n
    db.dispose()


def _insert_rows(file: Path, columns: dict[str, np.ndarray]) -> None:
    db = Database(f"sqlite:///{file}")
    with db.write() as conn:
        insert_rows(conn, t.prediction, columns)
    db.dispose()


def _raw(file: Path, rows: list[tuple[Any, ...]]) -> None:
    conn = sqlite3.connect(file, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", *SQLITE_SETTINGS):
        conn.execute(statement)
    conn.execute("BEGIN IMMEDIATE")
    conn.executemany("INSERT INTO prediction VALUES (?, ?, ?, ?, ?)", rows)
    conn.execute("COMMIT")
    conn.close()


def _core(file: Path, rows: list[dict[str, Any]]) -> None:
    db = Database(f"sqlite:///{file}")
    with db.write() as conn:
        conn.execute(sa.insert(t.prediction), rows)
    db.dispose()
