"""`python -m benchmarks.generate --frames 30M --database URL`: an archive of that many frames as rows, in one command.

Belongs here: bringing the schema, writing what `synthetic` makes through the product's own paths (migrations, bulk
writes, splits, label events), and saying how fast and how large. Does not belong here: what the rows say.

Nothing is written twice and nothing is mended: a database that holds videos is refused. The same seed gives the same
rows. Memory: one chunk, some 200,000 frames. Foreign keys and checks hold; nothing is turned off.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.support import servers
from benchmarks.support.synthetic import EMBEDDER, HEAD, THEN, VIDEOS_PER_BUNDLE, Archive, Rows
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
class Written:
    """Rows of each table, and the bytes by which the database grew with them, indexes included."""

    rows: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)


def generate(db: Database, frames: int, seed: int = 1) -> Written:
    """Fill an empty database; returns what was written. Raises NotEmptyError if it holds an archive."""
    migrations.upgrade(db)
    with db.read() as conn:
        if conn.scalar(sa.select(sa.func.count()).select_from(schema.bundle)):
            raise NotEmptyError(
                f"The database {db.safe_url} already holds an archive.", "Name another, or delete its file first."
            )
    archive = Archive.of(frames, seed)
    written = Written()
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


def _write(db: Database, rows: Rows, written: Written) -> None:
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


def _label(db: Database, archive: Archive, asked: list[tuple[int, int]], written: Written) -> None:
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


def frames_of(text: str) -> int:
    """`30M`, `500k` or a plain number. Raises ValueError."""
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower())
    return int(float(text[:-1]) * factor) if factor else int(text)


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 2 with a sentence where the database is not empty or cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("--frames", type=frames_of, required=True, help="30M, 500k or a number")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--database", help="any address that CHIMP_DATABASE_URL takes")
    where.add_argument("--server", type=Path, help="a folder: PostgreSQL is started in it (fsync off) and stopped")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    try:
        if asked.server is None:
            return _report(Database(asked.database), asked.frames, asked.seed)
        with servers.postgresql(asked.server) as url:
            return _report(Database(url), asked.frames, asked.seed)
    except ChimpError as error:
        print(error, file=sys.stderr)
        return 2


def _report(db: Database, frames: int, seed: int) -> int:
    began = time.perf_counter()
    written = generate(db, frames, seed)
    seconds = time.perf_counter() - began
    if db.file is not None:
        with db.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    print(f"{'table':24}{'rows':>14}{'MB':>10}{'bytes/row':>11}")
    for name, n in written.rows.most_common():
        own = written.bytes[name]
        print(f"{name:24}{n:14,}{own / 1e6:10,.1f}{own / n if n else 0:11.1f}")
    total = written.rows.total()
    on_disk = db.file.stat().st_size if db.file is not None else written.bytes.total()
    print(
        f"{total:,} rows of {frames:,} frames in {len(Archive.of(frames, seed).n_frames):,} videos "
        f"(bundles of {VIDEOS_PER_BUNDLE}): {seconds:,.0f} s, {total / seconds:,.0f} rows/s, {on_disk / 1e9:.2f} GB"
    )
    db.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
