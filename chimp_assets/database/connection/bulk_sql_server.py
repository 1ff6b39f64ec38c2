"""Many rows at once into SQL Server and Azure SQL: array parameters of both drivers, and mssql-python's bulk copy.

Belongs here: what only these two drivers do. Does not belong here: columns, chunks and the ledger (`bulk`).

The bulk copy opens a connection of its own, looks at no constraint and cannot share our transaction. So it fills a
staging table, and one transaction of ours enters the chunk in the ledger and moves the rows, which checks them all.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.faults import raise_as_usual
from chimp_assets.database.connection.odbc_types import kind_of, sizes_and_rows, text_size

MOST_ROWS_A_CALL = 10_000
BYTES_A_CALL = 64 * 1024 * 1024
"""pyodbc makes one buffer for all parameters of a call, each as wide as its column."""
STAGING_PREFIX = "bulk_staging_"
FEWEST_ROWS = 20_000
"""Smaller chunks go by array parameters: a second connection and a move cost more than they save."""

_log = logging.getLogger(__name__)


def rows_a_call(table: sa.Table, names: list[str]) -> int:
    """Rows that one call hands to the driver, so that its buffers stay below BYTES_A_CALL."""
    width = sum(_bytes_of(table.c[name].type) for name in names)
    return max(1, min(MOST_ROWS_A_CALL, BYTES_A_CALL // width))


def execute_many(conn: sa.Connection, table: sa.Table, names: list[str], part: list[list[Any]]) -> None:
    """Rows as array parameters of one statement. conn: inside a write transaction; part: a list for each name.

    Text is declared as wide as its column: else pyodbc asks for each value, or takes 2 GB for one, and mssql-python
    loses letters (`odbc_types`).
    """
    statement = str(sa.insert(table).values({name: sa.bindparam(name) for name in names}).compile(dialect=conn.dialect))
    order = [column.name for column in table.columns if column.name in names]  # as Core writes them
    rows = list(zip(*(part[names.index(name)] for name in order), strict=True))
    if conn.dialect.driver == "pyodbc" and not getattr(conn.dialect, "fast_executemany", False):
        conn.exec_driver_sql(statement, rows)  # FreeTDS
        return
    driver: Any = conn.dialect.loaded_dbapi
    cursor: Any = conn.connection.cursor()
    kinds = [kind_of(table.c[name].type, conn.dialect) for name in order]
    try:
        if conn.dialect.driver == "pyodbc":
            cursor.fast_executemany = True
            # None: the driver asks the server, once a call.
            cursor.setinputsizes([text_size(kind) for kind in kinds])
        else:
            sizes, rows = sizes_and_rows(kinds, rows)
            cursor.setinputsizes(sizes)
        cursor.executemany(statement, rows)
    except driver.Error as error:
        raise_as_usual(conn, statement, error, driver.Error)
    finally:
        cursor.close()


class Staging:
    """A table beside the target that the bulk copy fills. Given up for the rest of the job where that is refused."""

    def __init__(self, db: Database, table: sa.Table) -> None:
        self._db, self._target = db, table
        self._given_up = False
        self._table: sa.Table | None = None

    def fill(self, columns: Any, n: int, parts: Callable[..., Iterator[list[list[Any]]]]) -> bool:
        """Rows into the staging table alone. Returns False if they must go another way; nothing is stored then.

        parts: `bulk.driver_values`.
        """
        if self._given_up or n < FEWEST_ROWS:
            return False
        names = list(columns)
        try:
            staging = self._make()
            with self._db.write() as conn:
                conn.execute(sa.delete(staging))  # the chunk before, which was moved
            raw: Any = self._db.engine.raw_connection()
            try:
                cursor = raw.cursor()
                rows = (
                    row
                    for part in parts(self._db.engine.dialect, self._target, columns, n, FEWEST_ROWS)
                    for row in zip(*part, strict=True)
                )
                done = cursor.bulkcopy(staging.name, rows, timeout=0, column_mappings=names, table_lock=True)
            finally:
                raw.close()  # the bulk copy has a connection of its own: this one is whole
            if done["rows_copied"] != n:
                raise RuntimeError(f"{done['rows_copied']} of {n} rows arrived")
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            # Whatever it was, the target has no row of this chunk: array parameters say clearly what is wrong with it.
            # A panic inside the driver's compiled part is no Exception (PyO3's PanicException).
            _log.warning("Bulk copy into %s was refused (%s): rows go by statements.", self._target.name, error)
            self._given_up = True
            return False
        return True

    def move(self, conn: sa.Connection, names: list[str]) -> None:
        """From the staging table into the target, with all its constraints. conn: inside a write transaction."""
        assert self._table is not None
        columns = [self._table.c[name] for name in names]
        conn.execute(sa.insert(self._target).from_select(names, sa.select(*columns)))

    def drop(self) -> None:
        """Remove the staging table; a killed job leaves it, empty of meaning."""
        if self._table is not None:
            with self._db.write() as conn:
                self._table.drop(conn, checkfirst=False)
            self._table = None

    def _make(self) -> sa.Table:
        if self._table is None:
            columns = [sa.Column(c.name, c.type, autoincrement=False) for c in self._target.c]
            # Two jobs never share one: a killed job's table may still be filled by its dying bulk copy.
            table = sa.Table(f"{STAGING_PREFIX}{uuid.uuid4().hex}", sa.MetaData(), *columns)
            with self._db.write() as conn:
                table.create(conn, checkfirst=False)
            self._table = table
        return self._table


@contextmanager
def staging(db: Database, table: sa.Table) -> Iterator[Staging | None]:
    """A staging table for the time of a job; None for other databases and drivers."""
    if db.driver != "mssql+mssqlpython":
        yield None
        return
    place = Staging(db, table)
    try:
        yield place
    finally:
        place.drop()


def _bytes_of(kind: sa.types.TypeEngine[Any]) -> int:
    if isinstance(kind, sa.Unicode | sa.LargeBinary) and kind.length:
        return 8 + kind.length * (2 if isinstance(kind, sa.Unicode) else 1)
    return 24
