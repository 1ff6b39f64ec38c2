"""A migrated database as it was before a test, without migrating it again: all rows go, but those of its migrations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import metadata

Seeds = dict[str, list[dict[str, Any]]]
"""Rows by the name of their table."""


def seeds_of(db: Database) -> Seeds:
    """The rows that migrations make. db: migrated, and used by nobody yet."""
    with db.read() as conn:
        found = {t.name: [dict(row) for row in conn.execute(sa.select(t)).mappings()] for t in metadata.sorted_tables}
    return {name: rows for name, rows in found.items() if rows}


def empty(db: Database, seeds: Seeds) -> None:
    """Delete every row, put the seeds back and let keys begin at 1 again."""
    with db.write() as conn:
        for table in reversed(metadata.sorted_tables):
            conn.execute(sa.delete(table))
        if conn.dialect.name == "mssql":
            identity = sa.table("identity_columns", sa.column("object_id"), sa.column("last_value"), schema="sys")
            c = identity.c
            # One that made no key yet would begin at 0.
            used = conn.scalars(sa.select(sa.func.object_name(c.object_id)).where(c.last_value.is_not(None))).all()
            for name in used:
                if name in metadata.tables:
                    conn.exec_driver_sql(f"DBCC CHECKIDENT ('{name}', RESEED, 0)")
        for table in metadata.sorted_tables:
            if table.name in seeds:
                conn.execute(sa.insert(table), seeds[table.name])
        if conn.dialect.name == "postgresql":
            for table in metadata.sorted_tables:
                key = table.autoincrement_column
                if key is None:
                    continue
                sequence = conn.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, key.name)))
                if sequence:
                    highest = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(key), 0)))
                    conn.scalar(sa.select(sa.func.setval(sequence, (highest or 0) + 1, False)))
