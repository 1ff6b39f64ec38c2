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
_TRANSPORT_FAULTS = frozenset({10053, 10054, 10060})
_AWAY_NUMBERS = _TRANSIENT_NUMBERS - {_DEADLOCK} | {18456}
"""18456: login failed, whichever SQLSTATE a driver gives it."""
_FULL_NUMBERS = frozenset({1105, 9002, 40544})
"""SQL Server: file group full, log full; Azure SQL: size quota reached."""
_HELD_NUMBERS = frozenset({1222})
"""SQL Server: a lock was not to be had in time."""

# pyodbc: '[40001] [Microsoft][...]Transaction (Process ID 52) was deadlocked ... (1205) (SQLExecDirectW)', and more
# records behind '; '. The number ends a record; brackets inside the server's words are the user's own text.
_RECORD = re.compile(r"(?:^|; )\[[0-9A-Z]{5}\] .*?\((-?\d+)\)(?= \(SQL\w+\)(?:$|; \[)|; \[[0-9A-Z]{5}\] |$)", re.DOTALL)
# mssql-python 1.16 gives no number. It gives the SQLSTATE, as words of its own that no server translates.
_STATES = {
    "Disconnect error": "01002",
    "Client unable to establish connection": "08001",
    "Connection operation failed": "08001",  # said where the driver's own libraries cannot be loaded
    "Connection not open": "08003",
    "Server rejected the connection": "08004",
    "Connection failure during transaction": "08007",
    "Communication link failure": "08S01",
    "String data, right-truncated": "22001",
    "Integrity constraint violation": "23000",
    "Invalid authorization specification": "28000",
    "Invalid catalog name": "3D000",
    "Serialization failure": "40001",
    "Statement completion unknown": "40003",
    "Syntax error or access violation": "42000",
    "Base table or view already exists": "42S01",
    "Base table or view not found": "42S02",
    "Index already exists": "42S11",
    "General error": "HY000",
    "Timeout expired": "HYT00",
    "Connection timeout expired": "HYT01",
    "Data source name not found and no default driver specified": "IM002",
    "Specified driver could not be loaded": "IM003",
}
_UNKNOWN_STATE = re.compile(r"SQLSTATE code: ([0-9A-Z]{5})")
_MSSQLPYTHON = re.compile(r"Driver Error: (.*?); DDBC Error: (.*)", re.DOTALL)
# The transport's own number, written by the driver: that of Linux (0x68) or of Windows (0x2746).
_TRANSPORT = re.compile(r"Provider: Error code (0x[0-9A-Fa-f]+)")
_TRANSPORT_NUMBERS = {0x20: 10053, 0x68: 10054, 0x6E: 10060, 0x2745: 10053, 0x2746: 10054, 0x274C: 10060}
"""Broken pipe, reset by peer, timed out. A connection refused (0x6F, 0x274D) is not among them: a wrong port stays
wrong."""
# What has one SQLSTATE with syntax errors is known by the server's sentence. `engine` asks each session for English.
_WORDS = {
    615: "could not find database id",
    926: "cannot be opened. it has been marked suspect",
    1105: "could not allocate space for object",
    1205: "has been chosen as the deadlock victim",
    1222: "lock request time out period exceeded",
    1913: "an index or statistics with name",
    2714: "there is already an object named",
    3952: "snapshot isolation is not allowed in this database",
    4060: "requested by the login. the login failed",
    4221: "login to read-secondary failed due to long wait",
    9002: "the transaction log for database",
    10060: "forcibly closed by the remote host",
    10928: "limit for the database is",
    10929: "minimum guarantee is",
    15023: "user, group, or role",
    18456: "login failed for user",
    40197: "the service has encountered an error processing your request",
    40501: "the service is currently busy",
    40544: "has reached its size quota",
    40613: "is not currently available",
    49918: "not enough resources to process request",
    49919: "too many create or update operations in progress",
    49920: "too many operations in progress for subscription",
}
_THERE_ALREADY = frozenset({2714, 1913, 15023})
_CONNECTING_STATES = frozenset({"08001", "08004", "28000", "3D000", "IM002", "IM003"})
"""Only ever said while a connection opens: nobody listens there, or the address or the password is wrong."""

AZURE_FIRST_PAUSE_S = 5.0
AZURE_BUSY_PAUSE_S = 10.0
LONGEST_PAUSE_S = 60.0


def sqlstate_of(origin: object) -> str:
    """The SQLSTATE that an error of psycopg, pyodbc or mssql-python carries; '' if it carries none."""
    driver = _driver_of(origin)
    if driver == "pyodbc":
        first = next(iter(getattr(origin, "args", ())), "")
        return first if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first) else ""
    if driver == "mssql_python":
        kind, _ = _parts_of(origin)
        unknown = _UNKNOWN_STATE.search(kind)
        return unknown[1] if unknown else _STATES.get(kind, "")
    return str(getattr(origin, "sqlstate", None) or "")


def sql_server_numbers(origin: object) -> frozenset[int]:
    """The error numbers that an error of pyodbc or mssql-python carries; empty for other drivers' errors."""
    driver = _driver_of(origin)
    if driver == "pyodbc":
        return frozenset(int(n) for part in getattr(origin, "args", ()) for n in _RECORD.findall(str(part)))
    if driver == "mssql_python":
        _, words = _parts_of(origin)
        transport = _TRANSPORT.search(words)
        if transport:
            number = _TRANSPORT_NUMBERS.get(int(transport[1], 16))
            return frozenset() if number is None else frozenset({number})
        state = sqlstate_of(origin)
        if state == "40001":
            return frozenset({_DEADLOCK})
        if state[:2] in ("22", "23"):
            return frozenset()  # the words may be those of a row
        lower = words.lower()
        return frozenset(number for number, phrase in _WORDS.items() if phrase in lower)
    return frozenset()


def is_passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same work may succeed on a fresh connection: deadlocks, lost connections, a database that moves."""
    numbers = sql_server_numbers(error.orig)
    if numbers & _TRANSIENT_NUMBERS:
        return True
    state = sqlstate_of(error.orig)
    if state in _TRANSIENT_SQLSTATES:
        return True
    if state in _CONNECTING_STATES or is_held(error.orig):
        return False
    return bool(error.connection_invalidated)


def passes_while_connecting(error: sa.exc.DBAPIError) -> bool:
    """Whether a connection that could not be opened may be had in a moment: the server says so by number or SQLSTATE.

    A server that does not answer is none of these: its address may be wrong for ever, and somebody waits for the word.
    """
    numbers = sql_server_numbers(error.orig)
    return bool(numbers & _TRANSIENT_NUMBERS - _TRANSPORT_FAULTS) or sqlstate_of(error.orig) in _TRANSIENT_SQLSTATES


def is_deadlock(origin: object) -> bool:
    """Whether the transaction was ended in favour of another. origin: the driver's own error."""
    return sqlstate_of(origin) == "40P01" or _DEADLOCK in sql_server_numbers(origin)


def is_refused(error: sa.exc.DBAPIError) -> bool:
    """Whether the server answered and does not let us in. error: SQLAlchemy's."""
    return sqlstate_of(error.orig)[:2] in ("28", "3D") or bool(sql_server_numbers(error.orig) & {4060, 18456})


def words_of(origin: object) -> str:
    """An error in the driver's own words, in one line."""
    driver = _driver_of(origin)
    if driver == "pyodbc" and len(getattr(origin, "args", ())) > 1:
        text = str(origin.args[1])  # type: ignore[attr-defined]
    elif driver == "mssql_python":
        text = _parts_of(origin)[1]
    else:
        text = str(origin)
    return next(iter(text.strip().splitlines()), "") or type(origin).__name__


def is_there_already(origin: object) -> bool:
    """Whether SQL Server refused to make what it has: an object, index or role of this name."""
    return bool(sql_server_numbers(origin) & _THERE_ALREADY)


def is_away(error: Exception) -> bool:
    """Whether a server cannot be reached, does not let us in or has lost the connection. error: SQLAlchemy's."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    state = sqlstate_of(error.orig)
    if error.connection_invalidated or state[:2] in ("08", "28", "3D", "57", "IM"):
        return True
    if _driver_of(error.orig) in ("pyodbc", "mssql_python"):
        return state in ("HYT00", "HYT01") or bool(sql_server_numbers(error.orig) & _AWAY_NUMBERS)
    return isinstance(error, sa.exc.OperationalError) and not state  # libpq could not connect


def is_full(origin: object) -> bool:
    """Whether the disk, the log or the size quota is full. origin: the driver's own error."""
    code: Any = getattr(origin, "sqlite_errorname", None) or sqlstate_of(origin)
    full = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
    return code in full or bool(sql_server_numbers(origin) & _FULL_NUMBERS)


def is_held(origin: object) -> bool:
    """Whether another process held a lock for longer than we wait. origin: the driver's own error."""
    code: Any = getattr(origin, "sqlite_errorname", None) or sqlstate_of(origin)
    held = code == "55P03" or code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    if code == "HYT00":
        return True  # of the two drivers; no statement of ours has another limit than that of its locks
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


def _driver_of(origin: object) -> str:
    return type(origin).__module__.partition(".")[0]


def _parts_of(origin: object) -> tuple[str, str]:
    """(the words that stand for the SQLSTATE, the server's words) of an error of mssql-python."""
    kind, words = getattr(origin, "driver_error", None), getattr(origin, "ddbc_error", None)
    if isinstance(kind, str) and isinstance(words, str):
        return kind, words
    match = _MSSQLPYTHON.match(str(origin))
    return (match[1], match[2]) if match else ("", str(origin))
