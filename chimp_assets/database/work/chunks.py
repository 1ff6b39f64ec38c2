"""Jobs of many rows, in chunks that are each written once however often the job is killed and run again.

Belongs here: the ledger of chunks (`bulk_chunk`). Does not belong here: how rows reach the driver (`connection.bulk`).

No asset uses it: what they write is replaced as a whole. It is for imports of millions of rows by scripts, and the
benchmarks and tests of crowds write with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection import bulk_sql_server
from chimp_assets.database.connection.bulk import Columns, as_columns, checked_length, driver_values, insert_rows
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.schema import bulk_chunk


@dataclass(frozen=True)
class BulkReport:
    """What a job wrote. n_skipped: chunks that an earlier run had written; n_rows: rows written now."""

    n_chunks: int
    n_skipped: int
    n_rows: int
    seconds: float


def write_chunks(
    db: Database,
    table: sa.Table,
    chunks: Iterable[Columns | Any],
    run_key: str,
    progress: Callable[[int], None] | None = None,
) -> BulkReport:
    """Insert a job's chunks, each once however often the job is killed and run again.

    A chunk is one transaction that enters it in the ledger (`bulk_chunk`) under (run_key, its number from 0) and
    inserts its rows; what is in the ledger is skipped. So the same run_key must bring the same chunks in the same
    order. A chunk is given as `insert_rows` takes it; memory: one chunk. progress: called with the rows that are there,
    after each chunk. Raises DatabaseError where the ledger has another chunk under this number, ValueError for a
    run_key that is empty or longer than 100 characters, and what `insert_rows` raises.
    For jobs that add rows once: what is replaced as a whole (predictions of a bundle) goes by `insert_rows` in the
    transaction that deletes what was there, so that nobody sees the half of it.
    """
    longest = bulk_chunk.c.run_key.type.length  # type: ignore[attr-defined]
    if not 1 <= len(run_key) <= longest:
        raise ValueError(f"a run_key has 1 to {longest} characters, not {len(run_key)}")
    began = time.monotonic()
    there = _ledger(db, run_key)
    written = skipped = known = number = 0
    with bulk_sql_server.staging(db, table) as staging:
        for number, chunk in enumerate(chunks, start=1):
            columns = as_columns(chunk)
            n = checked_length(table, columns)
            if number - 1 not in there and _write_chunk(db, table, columns, run_key, number - 1, n, staging):
                written += n
            else:
                if number - 1 not in there:  # another process wrote it meanwhile
                    there = _ledger(db, run_key)
                _require_same(table, run_key, number - 1, n, there[number - 1])
                skipped += 1
            known += n
            if progress is not None:
                progress(known)
    return BulkReport(number, skipped, written, round(time.monotonic() - began, 3))


def _write_chunk(
    db: Database,
    table: sa.Table,
    columns: Columns,
    run_key: str,
    chunk_no: int,
    n: int,
    staging: bulk_sql_server.Staging | None,
) -> bool:
    """One transaction. Returns False if the ledger has the chunk already."""
    entry = {"run_key": run_key, "chunk_no": chunk_no, "table_name": table.name, "n_rows": n}
    staged = staging is not None and staging.fill(columns, n, driver_values)

    def work(conn: sa.Connection) -> None:
        conn.execute(sa.insert(bulk_chunk).values(entry | {"written_at": datetime.now(UTC)}))
        if staged and staging is not None:
            staging.move(conn, list(columns))
        else:
            insert_rows(conn, table, columns)

    try:
        if db.dialect == "sqlite":
            # Its parents are looked up for a chunk at once, not for each row: a quarter of the time.
            with db.write_unchecked() as conn:
                work(conn)
        else:
            db.transact(work)
    except sa.exc.IntegrityError:
        if chunk_no in _ledger(db, run_key):
            return False
        raise
    return True


def _ledger(db: Database, run_key: str) -> dict[int, tuple[str, int]]:
    """(table, rows) of the chunks of a job that are written."""
    c = bulk_chunk.c
    with db.read() as conn:
        rows = conn.execute(sa.select(c.chunk_no, c.table_name, c.n_rows).where(c.run_key == run_key))
        return {row.chunk_no: (row.table_name, row.n_rows) for row in rows}


def _require_same(table: sa.Table, run_key: str, chunk_no: int, n: int, there: tuple[str, int]) -> None:
    if there != (table.name, n):
        raise DatabaseError(
            f"Chunk {chunk_no} of the job {run_key!r} has {n:,} rows for {table.name}, but {there[1]:,} rows of"
            f" {there[0]} were written under its name before.",
            "Give another job another run_key; the same key means the same rows.",
        )
