"""Imported tables as they are: which there are, their columns, their rows.

Belongs here: reading them and taking them away. Does not belong here: files (`importing`), questions that join
(`insight.beside`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.joined.columns import ROW
from chimp_assets.database.people.users import user_id_of, write_audit_event
from chimp_assets.database.schema import Double, UtcDateTime, app_user, imported_column, imported_table
from chimp_assets.errors import ChimpError

PREFIX = "ext_"
LONGEST_CELL = 4_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
COMPANIONS = {"individual": ("id",), "camera": ("site", "camera"), "place": ("site",), "video": ("video_id",),
              "moment": ("day",)}  # fmt: skip
"""Columns that an import adds behind a column that names something: what it was found to mean."""


class JoinedTableError(ChimpError):
    """There is no such imported table, or it cannot have this name."""


@dataclass(frozen=True)
class ImportedColumn:
    """A column. header: as the file says it, empty for one that the import added; kind: text, integer, real, date or
    moment; joins: what its values name, None for values alone."""

    name: str
    header: str
    kind: str
    joins: str | None


@dataclass(frozen=True)
class ImportedTable:
    """An imported table and what is known of it. by: the user, None for a command."""

    name: str
    file_name: str
    content_hash: str
    n_rows: int
    about: str | None
    by: str | None
    at: datetime
    columns: tuple[ImportedColumn, ...]

    @property
    def sql_name(self) -> str:
        """What it is called in SQL."""
        return PREFIX + self.name

    def joining(self, joins: str) -> ImportedColumn | None:
        """The first column that names this, if one does."""
        return next((column for column in self.columns if column.joins == joins), None)

    @property
    def day(self) -> str | None:
        """The column of local days: of the first column of days, or beside the first of moments."""
        if (found := self.joining("day")) is not None:
            return found.name
        found = self.joining("moment")
        return f"{found.name}_day" if found is not None else None

    @property
    def table(self) -> sa.Table:
        """As SQLAlchemy knows it."""
        return table_of(self.name, self.columns)


def checked_name(name: str) -> str:
    """A name of a table. Raises JoinedTableError for one that not every database takes."""
    if not _NAME.fullmatch(name):
        raise JoinedTableError(
            f"{name[:60]!r} cannot be the name of a table.",
            "Use small letters, digits and underscores, at most 40, a letter first: --name claims",
        )
    return name


def table_of(name: str, columns: Sequence[ImportedColumn], longest: dict[str, int] | None = None) -> sa.Table:
    """The table of these columns. longest: characters of texts, when it is made."""
    kinds: dict[str, Any] = {"integer": sa.BigInteger(), "real": Double, "date": sa.Date(), "moment": UtcDateTime()}
    made = [
        sa.Column(
            column.name,
            kinds.get(column.kind) or sa.Unicode(max(20, (longest or {}).get(column.name, LONGEST_CELL))),
        )
        for column in columns
    ]
    key = sa.Column(ROW, sa.BigInteger(), primary_key=True, autoincrement=False)
    return sa.Table(PREFIX + checked_name(name), sa.MetaData(), key, *made)


def imported_tables(conn: sa.Connection) -> list[ImportedTable]:
    """All of them, by name."""
    i, c, u = imported_table.c, imported_column.c, app_user.c
    columns: dict[str, list[ImportedColumn]] = {}
    for row in conn.execute(sa.select(imported_column).order_by(c.name, c.position)):
        columns.setdefault(row.name, []).append(ImportedColumn(row.column_name, row.header, row.kind, row.joins))
    rows = conn.execute(
        sa.select(imported_table, u.name.label("user_name"))
        .outerjoin(app_user, u.user_id == i.imported_by)
        .order_by(i.name)
    )
    return [
        ImportedTable(
            row.name, row.file_name, row.content_hash, row.n_rows, row.about, row.user_name, row.imported_at,
            tuple(columns.get(row.name, ())),
        )
        for row in rows
    ]  # fmt: skip


def imported(conn: sa.Connection, name: str) -> ImportedTable:
    """One of them. Raises JoinedTableError that names the others."""
    known = imported_tables(conn)
    found = next((one for one in known if one.name == name.removeprefix(PREFIX)), None)
    if found is None:
        there = f"There are {', '.join(one.name for one in known)}." if known else "chimp tables import FILE makes one."
        raise JoinedTableError(f"There is no imported table {name[:60]!r}.", there)
    return found


def rows_of(conn: sa.Connection, table: ImportedTable, after: int = 0, limit: int = 100) -> list[sa.Row[Any]]:
    """Rows behind this number, in the order of the file."""
    made = table.table
    return list(conn.execute(sa.select(made).where(made.c[ROW] > after).order_by(made.c[ROW]).limit(limit)))


def drop_in(conn: sa.Connection, name: str) -> None:
    """Take a table away, with what is known of it. conn: inside a write transaction."""
    there = sa.inspect(conn).has_table(PREFIX + checked_name(name))
    if there:
        table_of(name, ()).drop(conn)
    conn.execute(sa.delete(imported_column).where(imported_column.c.name == name))
    conn.execute(sa.delete(imported_table).where(imported_table.c.name == name))


def remove_table(db: Database, name: str, by: str | None = None) -> int:
    """Take an imported table away; returns its rows. Raises JoinedTableError where there is none."""

    def work(conn: sa.Connection) -> int:
        found = imported(conn, name)
        drop_in(conn, found.name)
        if by is not None:
            user_id_of(conn, by)
        write_audit_event(conn, "table.remove", found.sql_name, {"rows": found.n_rows}, by)
        return found.n_rows

    return db.transact(work)
