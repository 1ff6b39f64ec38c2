"""Many rows at once, by the driver's fast path.

Belongs here: turning columns into rows and handing them to the driver. Does not belong here: which rows are written
and when; jobs that can be resumed (`work.chunks`); what only SQL Server's drivers do (`bulk_sql_server`).
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database.connection import bulk_sql_server
from chimp_assets.database.connection.engine import foreign_keys_are_off
from chimp_assets.database.connection.faults import raise_as_usual

CHUNK = 20_000
UNROLLED = 10
"""Rows of one INSERT on SQLite: a statement begun and ended for each row costs 1.5 times as much, and from 16 rows on
writing the index costs more again (1 M predictions: 1 row 4.6 s, 8 3.0 s, 10 2.9 s, 16 3.7 s, 40 4.1 s)."""

Values = NDArray[Any] | Sequence[Any]
Columns = Mapping[str, Values]


def insert_rows(conn: sa.Connection, table: sa.Table, columns: Columns | Any, chunk: int = CHUNK) -> int:
    """Insert rows given by columns; returns how many. conn: inside a write transaction; all columns of equal length.

    columns: values by name, or an Arrow table, record batch or anything that streams as Arrow (`__arrow_c_stream__`;
    pyarrow must be installed). NumPy values become Python's, NaN and null become NULL, datetime64 is UTC, other values
    go through the column's type. Memory: `chunk` rows of Python values.
    Goes by `executemany` of ten rows a statement on SQLite, COPY on PostgreSQL, sized array parameters on SQL Server.
    Raises ValueError for unknown columns or unequal lengths, sqlalchemy.exc.IntegrityError where a constraint says no.
    """
    if not conn.in_transaction():
        raise ValueError("insert_rows needs a write transaction (Database.write)")
    if not isinstance(columns, Mapping):
        return sum(insert_rows(conn, table, _arrow_columns(batch), chunk) for batch in _arrow_stream(columns))
    n = checked_length(table, columns)
    names = list(columns)
    write: Callable[[sa.Connection, sa.Table, list[str], list[list[Any]]], None]
    match conn.dialect.name:
        case "postgresql":
            write = _copy
        case "mssql":
            write, chunk = bulk_sql_server.execute_many, min(chunk, bulk_sql_server.rows_a_call(table, names))
        case _:
            write = _execute_unrolled
    for part in driver_values(conn.dialect, table, columns, n, chunk):
        write(conn, table, names, part)
        if foreign_keys_are_off(conn):
            _require_parents(conn, table, dict(zip(names, part, strict=True)))
    return n


def insert_one(conn: sa.Connection, table: sa.Table, **values: Any) -> int:
    """Insert one row into a table that makes its own key; returns the key. conn: inside a write transaction."""
    key = conn.execute(sa.insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def checked_length(table: sa.Table, columns: Columns) -> int:
    """How many rows the columns hold. Raises ValueError for unknown columns, for none, and for unequal lengths."""
    unknown = [name for name in columns if name not in table.c]
    if unknown or not columns:
        raise ValueError(f"table {table.name} has no columns {unknown}" if unknown else "no columns to insert")
    lengths = {name: len(values) for name, values in columns.items()}
    n = next(iter(lengths.values()))
    if any(length != n for length in lengths.values()):
        raise ValueError(f"columns of {table.name} differ in length: {lengths}")
    return n


def driver_values(
    dialect: sa.Dialect, table: sa.Table, columns: Columns, n: int, chunk: int
) -> Iterator[list[list[Any]]]:
    """The values as the driver takes them, a list for each column, `chunk` rows at a time."""
    converters = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns}
    for start in range(0, n, chunk):
        yield [_python_values(values, start, start + chunk, converters[name]) for name, values in columns.items()]


def _execute_unrolled(conn: sa.Connection, table: sa.Table, names: list[str], part: list[list[Any]]) -> None:
    statement = str(sa.insert(table).values({name: sa.bindparam(name) for name in names}).compile(dialect=conn.dialect))
    order = [column.name for column in table.columns if column.name in names]  # as Core writes them
    part = [part[names.index(name)] for name in order]
    n = len(part[0])
    together = n - n % UNROLLED
    if together:
        row = statement.rpartition(" VALUES ")[2]
        several = statement + f", {row}" * (UNROLLED - 1)
        by_place = [column[place:together:UNROLLED] for place in range(UNROLLED) for column in part]
        conn.exec_driver_sql(several, list(zip(*by_place, strict=True)))
    if n > together:
        conn.exec_driver_sql(statement, list(zip(*(column[together:] for column in part), strict=True)))


def _require_parents(conn: sa.Connection, table: sa.Table, part: Mapping[str, list[Any]]) -> None:
    """What SQLite's own check would say of these rows, asked once for each different parent."""
    for constraint in table.foreign_key_constraints:
        ours = list(constraint.column_keys)
        if any(name not in part for name in ours):
            continue  # not given: NULL, which has no parent
        parents = [element.column for element in constraint.elements]
        keys: set[Any]
        if len(ours) == 1:
            keys = set(part[ours[0]]) - {None}
        else:
            keys = {key for key in zip(*(part[name] for name in ours), strict=True) if None not in key}
        given = sa.func.json_each(json.dumps(list(keys))).table_valued("value")
        fields: list[Any] = [given.c.value]
        if len(ours) > 1:
            fields = [sa.func.json_extract(given.c.value, f"$[{place}]") for place in range(len(ours))]
        same = [parent == sa.type_coerce(field, parent.type) for parent, field in zip(parents, fields, strict=True)]
        parent_is_there = sa.exists().select_from(constraint.referred_table).where(*same)
        missing = conn.scalar(sa.select(given.c.value).where(~parent_is_there).limit(1))
        if missing is not None:
            error = sqlite3.IntegrityError(
                f"FOREIGN KEY constraint failed: {', '.join(ours)} {missing} of {table.name}"
                f" is not in {constraint.referred_table.name}"
            )
            raise sa.exc.IntegrityError(None, None, error)


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
        raise_as_usual(conn, statement.as_string(raw), error, psycopg.Error)


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


def as_columns(chunk: Columns | Any) -> Columns:
    """Columns by name of whatever `insert_rows` takes."""
    return chunk if isinstance(chunk, Mapping) else _arrow_columns(_arrow_stream(chunk).read_all())


def _arrow_stream(source: Any) -> Any:
    """A record batch reader of anything that speaks Arrow. Raises TypeError for anything else."""
    import pyarrow as pa

    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if not hasattr(source, "__arrow_c_stream__"):
        raise TypeError(f"rows are given as columns by name or as Arrow, not as {type(source).__name__}")
    return pa.RecordBatchReader.from_stream(source)


def _arrow_columns(batch: Any) -> Columns:
    return {name: _arrow_values(batch.column(place)) for place, name in enumerate(batch.schema.names)}


def _arrow_values(column: Any) -> Values:
    import pyarrow.types as kinds

    plain = kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_timestamp(column.type)
    if plain and not column.null_count:
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    listed: list[Any] = column.to_pylist()
    if kinds.is_timestamp(column.type):
        # Without a zone they are UTC, as datetime64 is.
        return [m if m is None or m.tzinfo else m.replace(tzinfo=UTC) for m in listed]
    return listed
