"""Long lists of values in statements: in parts, because databases limit the parameters of one statement.

Belongs here: cutting such lists, running one statement for each part. Does not belong here: what the statements say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa

PARAMETERS = 500
"""Values of one `in_()`. SQL Server takes 2,100 parameters a statement, and a few lists may stand in one."""

Value = TypeVar("Value")


def in_parts(values: Collection[Value]) -> Iterator[list[Value]]:
    """The values in their order, at most PARAMETERS at a time; nothing for no values."""
    listed = list(values)
    for start in range(0, len(listed), PARAMETERS):
        yield listed[start : start + PARAMETERS]


def rows_in_parts(
    conn: sa.Connection, statement: Callable[[list[Any]], sa.Select[Any]], values: Iterable[Any]
) -> Iterator[Any]:
    """The rows of statement(part) for all parts of the sorted values."""
    for part in in_parts(sorted(values)):
        yield from conn.execute(statement(part)).all()
