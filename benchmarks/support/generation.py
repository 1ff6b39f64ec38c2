"""Writes what `synthetic` makes into a database, through the product's own paths.

Belongs here: bringing the schema, bulk writes, splits, label events. Does not belong here: what the rows say, and the
command (`benchmarks.generate`).

Nothing is written twice and nothing is mended: a database that holds videos is refused. The same seed gives the same
rows. Memory: one chunk, some 200,000 frames. Foreign keys and checks hold; nothing is turned off.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support.synthetic import EMBEDDER, HEAD, THEN, Archive, Rows
from chimp_assets.database import schema
from chimp_assets.database.connection import bulk
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels import splits
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.people import users
from chimp_assets.database.upkeep import migrations
from chimp_assets.errors import ChimpError

LABELS = 4_000
QUEUE = 2_000
_LABELS_AT_ONCE = 1_000


class NotEmptyError(ChimpError):
    """The database holds an archive already."""


@dataclass(frozen=True)
class WrittenRows:
    """Rows of each table, and the bytes by which the database grew with them, indexes included."""

    rows: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)


def generate(db: Database, frames: int, seed: int = 1) -> WrittenRows:
    """Fill an empty database; returns what was written. Raises NotEmptyError if it holds an archive."""
    migrations.upgrade(db)
    with db.read() as conn:
        if conn.scalar(sa.select(sa.func.count()).select_from(schema.bundle)):
            raise NotEmptyError(
                f"The database {db.safe_url} already holds an archive.", "Name another, or delete its file first."
            )
    archive = Archive.of(frames, seed)
    written = WrittenRows()
    asked: list[tuple[int, int]] = []
    began = time.perf_counter()

    def tell(done: int) -> None:
        seconds = time.perf_counter() - began
        print(
            f"\r{done:,} of {frames:,} frames, {written.rows.total():,} rows, "
            f"{written.rows.total() / seconds:,.0f} rows/s ",
            end="", file=sys.stderr, flush=True,
        )  # fmt: skip

    _write(db, archive.fixed_rows(), written)
    done = 0
    for number, (n_frames, rows) in enumerate(archive.chunks()):
        _write(db, rows, written)
        asked += _some_tracks(dict((table.name, columns) for table, columns in rows), archive, number)
        done += n_frames
        tell(done)
    with db.write() as conn:
        before = _bytes_of(conn, schema.split_assignment)
        written.rows["split_assignment"] += splits.assign_splits(conn, seed)
        written.bytes["split_assignment"] += _bytes_of(conn, schema.split_assignment) - before
    _label(db, archive, asked, written)
    print(file=sys.stderr)
    if db.dialect == "postgresql":
        # What autovacuum would do in its own time. SQLite is told at its migration what an archive looks like.
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM ANALYZE")
    return written


def _write(db: Database, rows: Rows, written: WrittenRows) -> None:
    with db.write() as conn:
        for table, columns in rows:
            before = _bytes_of(conn, table)
            written.rows[table.name] += bulk.insert_rows(conn, table, columns)
            written.bytes[table.name] += _bytes_of(conn, table) - before


def _some_tracks(rows: Mapping[str, Any], archive: Archive, number: int) -> list[tuple[int, int]]:
    """(track, who its first rank names) of this chunk's share of the labels and the queue."""
    rng = np.random.default_rng([archive.seed, 3, number])
    tracks, first = rows["track"]["track_id"], rows["prediction"]["individual_id"][::5]
    wanted = min(len(tracks), 2 * (LABELS + QUEUE) // archive.n_chunks + 1)
    chosen = rng.choice(len(tracks), wanted, replace=False)
    return [(int(tracks[i]), int(first[i])) for i in chosen]


def _label(db: Database, archive: Archive, asked: list[tuple[int, int]], written: WrittenRows) -> None:
    """An expert and a volunteer have answered some tracks, by the product's own path; a queue waits."""
    rng = np.random.default_rng([archive.seed, 4])
    asked = [asked[i] for i in rng.permutation(len(asked))]
    labels, waiting = asked[:LABELS], asked[LABELS : LABELS + QUEUE]
    for name, role in (("jane", "expert"), ("volunteer-1", "volunteer")):
        users.add_user(db, name, role)
    events = []
    for number, (track_id, individual_id) in enumerate(labels):
        kind = str(rng.choice(["identify", "unknown", "not_animal", "cannot_tell"], p=[0.85, 0.06, 0.05, 0.04]))
        events.append(
            LabelEvent(
                str(uuid.UUID(int=archive.seed << 64 | number)), kind, "jane" if rng.random() < 0.8 else "volunteer-1",
                lane=str(rng.choice(["boundary", "rare", "novel", "audit"], p=[0.5, 0.15, 0.1, 0.25])),
                track_id=track_id, propensity=0.01, seconds=float(np.round(rng.lognormal(1, 0.6), 2)),
                anim_id=archive.people.anim_id[individual_id - 1] if kind == "identify" else None, client_time=THEN,
            )
        )  # fmt: skip
    with db.read() as conn:
        before = _bytes_of(conn, schema.annotation)
    for low in range(0, len(events), _LABELS_AT_ONCE):
        results = record_events(db, events[low : low + _LABELS_AT_ONCE], all_or_nothing=True)
        assert all(result.status == "stored" for result in results), results[0]
    written.rows["annotation"] += len(events)
    with db.read() as conn:
        written.bytes["annotation"] += _bytes_of(conn, schema.annotation) - before
    n = len(waiting)
    plan = {
        "policy": ["{}"], "seed": [archive.seed], "embedder_model_id": [EMBEDDER],
        "head_model_id": [HEAD], "watermark_seq": [len(events)], "n_pool": [written.rows["track"]],
        "created_at": [THEN],
    }  # fmt: skip
    items = {
        "round_id": [1] * n, "track_id": [track_id for track_id, _ in waiting],
        "lane": rng.choice(["boundary", "rare", "novel", "audit"], n, p=[0.5, 0.15, 0.1, 0.25]).tolist(),
        "position": np.arange(n), "propensity": [0.01] * n, "reason": ["close to another individual"] * n,
        "state": ["pending"] * n,
    }  # fmt: skip
    _write(db, [(schema.acquisition_round, plan), (schema.acquisition_queue, items)], written)


def _bytes_of(conn: sa.Connection, table: sa.Table) -> int:
    """Bytes of a table and its indexes on PostgreSQL; of the whole file on SQLite, which keeps no account."""
    if conn.dialect.name == "postgresql":
        return int(conn.scalar(sa.select(sa.func.pg_total_relation_size(table.name))) or 0)
    pages, size = (conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages) * int(size)
