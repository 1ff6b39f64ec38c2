"""Which faults of a database pass by themselves, and how long to wait for that.

Belongs here: error numbers and SQLSTATEs of the drivers, and where each driver hides them. Does not belong here: trying
again (`engine`).
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import sqlalchemy as sa

# PostgreSQL: serialisation failure, deadlock, server starting up or shutting down, too many connections.
_TRANSIENT_SQLSTATES = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "53300"})

# SQL Server and Azure SQL: learn.microsoft.com, "Troubleshoot transient connection errors in SQL Database", and the
# transport's own errors (10053, 10054, 10060). 1205: the victim of a deadlock.
_TRANSIENT_NUMBERS = frozenset(
    {615, 926, 1205, 4060, 4221, 10053, 10054, 10060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920}
)
_DEADLOCK, _BUSY = 1205, 40501
_FULL_NUMBERS = frozenset({1105, 9002, 40544})
"""SQL Server: file group full, log full; Azure SQL: size quota reached."""
_HELD_NUMBERS = frozenset({1222})
"""SQL Server: a lock was not to be had in time."""

# mssql-python 1.16 gives no number, only the server's English words.
_WORDS = {
    615: "could not find database id",
    926: "cannot be opened. it has been marked suspect",
    1105: "could not allocate space for object",
    1205: "has been chosen as the deadlock victim",
    1222: "lock request time out period exceeded",
    4060: "requested by the login. the login failed",
    4221: "login to read-secondary failed due to long wait",
    9002: "the transaction log for database",
    10053: "error code 0x20",  # broken pipe; not every fault of the transport passes: a wrong port is wrong for ever
    10054: "error code 0x68",  # reset by peer
    10060: "forcibly closed by the remote host",
    10928: "limit for the database is",
    10929: "minimum guarantee is",
    40197: "the service has encountered an error processing your request",
    40501: "the service is currently busy",
    40544: "has reached its size quota",
    40613: "is not currently available",
    49918: "not enough resources to process request",
    49919: "too many create or update operations in progress",
    49920: "too many operations in progress for subscription",
}
# pyodbc: '[40001] [Microsoft][...]Transaction (Process ID 52) was deadlocked ... (1205) (SQLExecDirectW)'.
_NUMBER = re.compile(r"\((\d+)\)(?= \(SQL|;|$)")

AZURE_FIRST_PAUSE_S = 5.0
AZURE_BUSY_PAUSE_S = 10.0
LONGEST_PAUSE_S = 60.0


def sql_server_numbers(origin: object) -> frozenset[int]:
    """The error numbers that an error of pyodbc or mssql-python carries; empty for other drivers' errors."""
    driver = type(origin).__module__.partition(".")[0]
    if driver == "pyodbc":
        text = "; ".join(str(part) for part in getattr(origin, "args", ()))
        return frozenset(int(number) for number in _NUMBER.findall(text))
    if driver == "mssql_python":
        words = str(origin).lower()
        return frozenset(number for number, phrase in _WORDS.items() if phrase in words)
    return frozenset()


def is_passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same work may succeed on a fresh connection: deadlocks, lost connections, a database that moves."""
    if error.connection_invalidated:
        return True
    if getattr(error.orig, "sqlstate", None) in _TRANSIENT_SQLSTATES:
        return True
    return bool(sql_server_numbers(error.orig) & _TRANSIENT_NUMBERS)


def is_full(origin: object) -> bool:
    """Whether the disk, the log or the size quota is full. origin: the driver's own error."""
    code: Any = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None)
    full = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
    return code in full or bool(sql_server_numbers(origin) & _FULL_NUMBERS)


def is_held(origin: object) -> bool:
    """Whether another process held a lock for longer than we wait. origin: the driver's own error."""
    code: Any = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or ""
    held = code == "55P03" or code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return held or bool(sql_server_numbers(origin) & _HELD_NUMBERS)


def pause_s(error: sa.exc.DBAPIError, attempt: int, first_s: float) -> float:
    """Seconds before attempt + 1. attempt: from 1; first_s: what suits a database of one's own.

    Doubles with each attempt. Azure SQL asks for 5 s at first and 10 s when it is busy (40501), 60 s at most.
    """
    numbers = sql_server_numbers(error.orig)
    if numbers - {_DEADLOCK}:
        first_s = AZURE_BUSY_PAUSE_S if _BUSY in numbers else AZURE_FIRST_PAUSE_S
    return float(min(LONGEST_PAUSE_S, first_s * 2 ** (attempt - 1)))


def raise_as_usual(conn: sa.Connection, statement: str, error: Exception, base: type[Exception]) -> NoReturn:
    """The same exceptions as everywhere else in the product, whichever path the rows took. base: the driver's Error."""
    raw: Any = conn.connection.driver_connection
    lost = conn.dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]
    wrapped = sa.exc.DBAPIError.instance(
        statement, None, error, base, connection_invalidated=lost, dialect=conn.dialect
    )
    if lost:
        conn.invalidate(error)
    raise wrapped from error
