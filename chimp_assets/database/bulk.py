"""Many rows at once, by the driver's fast path.

Belongs here: turning columns into rows and handing them to the driver. Does not belong here: which rows are written,
and when.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

CHUNK = 20_000

Values = NDArray[Any] | Sequence[Any]


def insert_rows(conn: sa.Connection, table: sa.Table, columns: Mapping[str, Values], chunk: int = CHUNK) -> int:
    """Insert rows given by columns; returns how many. conn: inside a write transaction; all columns of equal length.

    Raw `executemany` on SQLite, COPY on PostgreSQL, `fast_executemany` where the driver has it. NumPy values become
    Python's, NaN becomes NULL, datetime64 is UTC, other values go through the column's type. Memory: `chunk` rows.
    Raises ValueError for unknown columns or unequal lengths, sqlalchemy.exc.IntegrityError where a constraint says no.
    """
    unknown = [name for name in columns if name not in table.c]
    if unknown or not columns:
        raise ValueError(f"table {table.name} has no columns {unknown}" if unknown else "no columns to insert")
    lengths = {name: len(values) for name, values in columns.items()}
    n = next(iter(lengths.values()))
    if any(length != n for length in lengths.values()):
        raise ValueError(f"columns of {table.name} differ in length: {lengths}")
    if not conn.in_transaction():
        raise ValueError("insert_rows needs a write transaction (Database.write)")
    converters = {name: _converter(conn, table.c[name]) for name in columns}
    write = _copy if conn.dialect.name == "postgresql" else _execute_many
    for start in range(0, n, chunk):
        part = [_python_values(values, start, start + chunk, converters[name]) for name, values in columns.items()]
        write(conn, table, list(columns), part)
    return n


def insert_one(conn: sa.Connection, table: sa.Table, **values: Any) -> int:
    """Insert one row into a table that makes its own key; returns the key. conn: inside a write transaction."""
    key = conn.execute(sa.insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _execute_many(conn: sa.Connection, table: sa.Table, names: list[str], part: list[list[Any]]) -> None:
    statement = sa.insert(table).values({name: sa.bindparam(name) for name in names}).compile(dialect=conn.dialect)
    order = statement.positiontup or names
    by_name = dict(zip(names, part, strict=True))
    rows = list(zip(*(by_name[name] for name in order), strict=True))
    conn.exec_driver_sql(str(statement), rows)


def _copy(conn: sa.Connection, table: sa.Table, names: list[str], part: list[list[Any]]) -> None:
    import psycopg
    from psycopg import sql

    schema = [sql.Identifier(table.schema)] if table.schema else []
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.SQL(".").join([*schema, sql.Identifier(table.name)]), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    raw: Any = conn.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in zip(*part, strict=True):
                copy.write_row(row)
    except psycopg.Error as error:
        # The same exceptions as everywhere else in the product, whichever path the rows took.
        raise sa.exc.DBAPIError.instance(
            statement.as_string(raw), None, error, psycopg.Error, dialect=conn.dialect
        ) from error


def _converter(conn: sa.Connection, column: sa.Column[Any]) -> Callable[[Any], Any] | None:
    return column.type.dialect_impl(conn.dialect).bind_processor(conn.dialect)


def _python_values(values: Values, start: int, stop: int, convert: Callable[[Any], Any] | None) -> list[Any]:
    part = values[start:stop]
    if isinstance(part, np.ndarray):
        if part.dtype.kind == "M":
            moments = part.astype("datetime64[us]").tolist()
            listed = [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]
        else:
            listed = part.tolist()
            if part.dtype.kind in "biu" or (part.dtype.kind == "f" and not np.isnan(part).any()):
                # Numbers as the driver wants them: no look at each one. (A share of seconds per million rows.)
                return listed
    else:
        listed = [value.item() if isinstance(value, np.generic) else value for value in part]
    listed = [None if isinstance(value, float) and math.isnan(value) else value for value in listed]
    return listed if convert is None else [convert(value) for value in listed]
