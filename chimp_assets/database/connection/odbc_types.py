"""How the columns of an array of rows are declared to pyodbc and mssql-python, so that nothing of a value is lost.

Belongs here: types of ODBC by our column types. Does not belong here: statements and rows (`bulk_sql_server`), sessions
(`sql_server`).

Undeclared, mssql-python looks at one text of a column and may send the whole array as VARCHAR: letters that are not
Latin-1 arrive as question marks. It wants all columns declared or none, and values of exactly these types.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

from chimp_assets.database.texts import units_of

Size = tuple[int, int, int]
"""(number of the type in sql.h and sqlext.h, columns, decimal digits)."""

WIDE_TEXT = -9
_SMALL, _INTEGER, _BIG = (5, 5, 0), (4, 10, 0), (-5, 19, 0)
_DOUBLE, _DATE, _MOMENT = (8, 15, 0), (91, 10, 0), (93, 26, 6)
_BINARY = -3
_LONGEST_TEXT = 4_000
"""NVARCHAR(n) has no larger n."""


def kind_of(kind: TypeEngine[Any], dialect: sa.Dialect) -> TypeEngine[Any]:
    """The type that a database has for one of ours."""
    kind = kind.dialect_impl(dialect)
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def text_size(kind: TypeEngine[Any]) -> Size | None:
    """How a column of text is declared; None for other columns. Half of a surrogate pair counts as one."""
    return (WIDE_TEXT, kind.length, 0) if isinstance(kind, sa.String) and kind.length else None


def sizes_and_rows(
    kinds: Sequence[TypeEngine[Any]], rows: Sequence[Sequence[Any]]
) -> tuple[list[Size], list[tuple[Any, ...]]]:
    """Every column declared, and the rows with values of exactly these types. kinds: one a column, of `kind_of`."""
    sizes, columns = [], []
    for kind, column in zip(kinds, zip(*rows, strict=True), strict=True):
        size, values = _declared(kind, column)
        sizes.append(size)
        columns.append(values)
    return sizes, list(zip(*columns, strict=True))


def _declared(kind: TypeEngine[Any], column: Sequence[Any]) -> tuple[Size, Sequence[Any]]:
    some = next((value for value in column if value is not None), None)
    match some, kind:
        case str(), _:
            length = getattr(kind, "length", None)
            return (WIDE_TEXT, length or _length_of(column), 0), column
        case None, sa.String():
            return (WIDE_TEXT, kind.length or 1, 0), column
        case (bytes(), _) | (None, sa.LargeBinary()):
            return (_BINARY, getattr(kind, "length", None) or 8_000, 0), column
        case (datetime(), _) | (None, sa.DateTime()):
            return _MOMENT, column
        case (date(), _) | (None, sa.Date()):
            return _DATE, column
        case _, sa.Boolean():
            return _SMALL, [None if value is None else int(value) for value in column]
        case _, sa.SmallInteger():
            return _SMALL, _whole(column)
        case _, sa.BigInteger():
            return _BIG, _whole(column)
        case _, sa.Integer():
            return _INTEGER, _whole(column)
        case _, sa.Float():
            return _DOUBLE, [None if value is None else float(value) for value in column]
    if all(value is None or isinstance(value, int) for value in column):
        return _BIG, _whole(column)
    return _DOUBLE, [None if value is None else float(value) for value in column]


def _length_of(column: Sequence[Any]) -> int:
    return min(_LONGEST_TEXT, max(1, *(units_of(value) for value in column if value is not None), 1))


def _whole(column: Sequence[Any]) -> list[Any]:
    return [None if value is None else int(value) for value in column]
