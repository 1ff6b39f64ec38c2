"""`python -m benchmarks.generate --frames 30M --database URL`: an archive of that many frames as rows, in one command.

Belongs here: the command, and saying how fast and how large. Does not belong here: the writing (`support.generation`).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.support import servers
from benchmarks.support.generation import generate
from benchmarks.support.synthetic import VIDEOS_PER_BUNDLE, Archive
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError


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
