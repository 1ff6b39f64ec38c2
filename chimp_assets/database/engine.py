"""One database, wherever it lives: address, connections, read and write transactions, errors in words.

Belongs here: what differs between SQLite, PostgreSQL and SQL Server when a connection opens or a transaction begins.
Does not belong here: tables (`schema`), statements (`bulk`, `events`, `queue`, ...) and migrations.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL

from chimp_assets.errors import ChimpError, FullDiskError

URL_FORMS = (
    "Use one of sqlite:////folder/chimp.db, postgresql+psycopg://user:password@host/name, "
    "mssql+pyodbc://user:password@host/name?driver=ODBC+Driver+18+for+SQL+Server, "
    "mssql+mssqlpython://user:password@host/name."
)
BUSY_TIMEOUT_S = 30.0
ATTEMPTS = 5
FIRST_PAUSE_S = 0.2

_DRIVERS = {
    "sqlite": ("sqlite", "sqlite"),
    "sqlite+pysqlite": ("sqlite", "sqlite"),
    "postgresql": ("postgresql", "postgresql+psycopg"),
    "postgresql+psycopg": ("postgresql", "postgresql+psycopg"),
    "mssql+pyodbc": ("mssql", "mssql+pyodbc"),
    "mssql+mssqlpython": ("mssql", "mssql+mssqlpython"),
}
# Azure SQL: the database moves, is busy or out of workers (learn.microsoft.com, "Troubleshoot transient connection
# errors"), and 1205, chosen as the victim of a deadlock.
_TRANSIENT_MSSQL = ("40613", "40501", "40197", "49918", "49919", "49920", "4060", "926", "10928", "10929", "1205")
# PostgreSQL: serialisation failure, deadlock, server starting up, too many connections.
_TRANSIENT_SQLSTATES = frozenset({"40001", "40P01", "57P03", "53300"})
_FULL_SQLSTATES = frozenset({"53100"})
# SQL Server: file group full, log full, Azure SQL size quota reached.
_FULL_MSSQL = ("1105", "9002", "40544")
_WRITES = "chimp_writes"

T = TypeVar("T")


class DatabaseError(ChimpError):
    """The database cannot be reached, is not what was expected, or is busy."""


class Database:
    """One database by its address. Opens nothing until used; may be pickled and survives a fork.

    Holds one engine (a pool of connections) for the process that uses it: a copy in another process, by pickle or by
    fork, opens its own. url: one of the four forms of `URL_FORMS`; dialect: `sqlite`, `postgresql` or `mssql`.
    Raises DatabaseError when the address has another form.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked_url(url)
        self.url = self._url.render_as_string(hide_password=False)
        self.dialect = self._url.get_backend_name()
        self._engine: sa.Engine | None = None
        self._owner = 0
        self._opening = threading.Lock()

    def __reduce__(self) -> tuple[type[Database], tuple[str]]:
        return type(self), (self.url,)

    def __repr__(self) -> str:
        return f"Database({self.safe_url!r})"

    @property
    def safe_url(self) -> str:
        """The address with its password hidden, for messages."""
        return self._url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(str(self._url.database)) if self.dialect == "sqlite" else None

    @property
    def engine(self) -> sa.Engine:
        """The engine of this process. Raises DatabaseError when its driver is not installed."""
        if self._engine is not None and self._owner == os.getpid():
            return self._engine
        if self._owner != os.getpid():
            # After a fork: the parent's lock may be held for ever and its sockets are the parent's to close.
            self._opening = threading.Lock()
            if self._engine is not None:
                self._engine.dispose(close=False)
                self._engine = None
            self._owner = os.getpid()
        with self._opening:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction: one snapshot on SQLite and PostgreSQL; writing in it fails. Raises DatabaseError."""
        with self._in_words(), self._connect() as conn:
            if self.dialect == "postgresql":
                conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                yield conn

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A write transaction: commits at the end, rolls back on any error.

        On SQLite it waits for the only writer at its beginning (BEGIN IMMEDIATE), never in its middle: do not open one
        inside another. Raises FullDiskError when there is no room, DatabaseError when the database is away or busy.
        """
        with self._in_words(), self._connect() as conn:
            conn = conn.execution_options(**{_WRITES: True})
            with conn.begin():
                yield conn

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """work(connection) in a write transaction, again on a fresh connection after a passing fault.

        Passing faults are deadlocks, serialisation failures, lost connections and the errors that Azure SQL documents
        as transient. work must be safe to run again: its rows were rolled back, or its writes are idempotent.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._in_words(passing=attempt < ATTEMPTS), self._connect() as conn:
                    conn = conn.execution_options(**{_WRITES: True})
                    with conn.begin():
                        return work(conn)
            except sa.exc.DBAPIError as error:
                if attempt == ATTEMPTS or not _is_passing(error):
                    raise
                self.engine.dispose()
                time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """Close this process's connections; the next use opens new ones."""
        if self._engine is not None and self._owner == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _make_engine(self) -> sa.Engine:
        options: dict[str, Any] = {}
        if self.dialect == "sqlite":
            options["connect_args"] = {"timeout": BUSY_TIMEOUT_S}
        else:
            options["pool_pre_ping"] = True
        if self.dialect == "postgresql":
            options["connect_args"] = {"application_name": "chimp-assets"}
        if self._url.drivername == "mssql+pyodbc":
            options["fast_executemany"] = True
        try:
            engine = sa.create_engine(self._url, **options)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise DatabaseError(
                f"The driver for {self.safe_url} cannot be loaded: {error}.",
                "Install the driver and its system libraries, or use another database.",
            ) from None
        if self.dialect == "sqlite":
            _prepare_sqlite(engine, Path(str(self._url.database)))
        return engine

    def _connect(self) -> sa.Connection:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.engine.connect()
            except sa.exc.DBAPIError as error:
                if attempt == ATTEMPTS or not _is_passing(error):
                    raise
                time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    @contextmanager
    def _in_words(self, passing: bool = False) -> Iterator[None]:
        """Database faults as our own errors; with passing, faults that a second try may mend go through as they are."""
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            if passing and isinstance(error, sa.exc.DBAPIError) and _is_passing(error):
                raise
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: Exception) -> ChimpError | None:
        origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or ""
        words = str(origin).strip().splitlines()[0] if str(origin).strip() else type(origin).__name__
        if (
            code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
            or code in _FULL_SQLSTATES
            or (self.dialect == "mssql" and _mentions(origin, _FULL_MSSQL))
        ):
            return FullDiskError(
                f"The database {self.safe_url} has no room left to write ({words}).",
                "Free some space and run the step again; nothing of it was stored.",
            )
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return DatabaseError(
                f"The database {self.safe_url} was held by another process for {BUSY_TIMEOUT_S:.0f} seconds.",
                "See what else is writing (chimp status), then run the step again.",
            )
        if code == "SQLITE_READONLY" and self.file is not None and os.access(self.file, os.W_OK):
            return None  # a write inside `read`: our mistake, not the user's to mend
        if code in ("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_READONLY", "SQLITE_PERM"):
            return DatabaseError(
                f"The database {self.safe_url} cannot be used: {words}.",
                "Check the path and its permissions, or restore a backup (chimp db restore).",
            )
        if code.startswith("SQLITE_IOERR"):
            return DatabaseError(f"The database {self.safe_url} met a disk error: {words}.", "Check the disk.")
        lost = isinstance(error, sa.exc.OperationalError) and (
            error.connection_invalidated or not code or code[:2] in ("08", "28", "3D", "57", "HY")
        )
        if lost and self.dialect != "sqlite":
            return DatabaseError(
                f"The database {self.safe_url} cannot be reached: {words}.",
                "Check that the server runs and that CHIMP_DATABASE_URL is right.",
            )
        return None


def _checked_url(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseError("The database address cannot be read.", URL_FORMS) from None
    if parsed.drivername not in _DRIVERS:
        raise DatabaseError(f"{parsed.drivername!r} is not a database that Chimp Assets can use.", URL_FORMS)
    dialect, driver = _DRIVERS[parsed.drivername]
    if dialect == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise DatabaseError("A database in memory cannot be shared by the processes that work on it.", URL_FORMS)
    return parsed.set(drivername=driver)


def _prepare_sqlite(engine: sa.Engine, file: Path) -> None:
    @event.listens_for(engine, "do_connect")
    def _only_what_exists(dialect: Any, record: Any, args: Any, kwargs: Any) -> None:
        # SQLite would create an empty database at any misspelt path.
        if not file.is_file():
            raise DatabaseError(f"There is no database at {file}.", "Make one with chimp init or chimp db upgrade.")

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, record: Any) -> None:
        # The driver's own transaction control would begin late and commit early: ours is explicit.
        connection.isolation_level = None
        # synchronous=NORMAL: after a power cut WAL may lose the last commits, never the file (sqlite.org/pragma.html).
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        # A transaction that reads first and writes later does not wait for the writer, it fails: say it at the start.
        writes = bool(conn.get_execution_options().get(_WRITES))
        conn.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_passing(error: sa.exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    return state in _TRANSIENT_SQLSTATES or (
        type(error.orig).__module__.startswith(("pyodbc", "mssql_python")) and _mentions(error.orig, _TRANSIENT_MSSQL)
    )


def _mentions(origin: object, numbers: tuple[str, ...]) -> bool:
    # SQL Server's drivers give the error number only inside the message, as "(40613)".
    message = str(origin)
    return any(f"({number})" in message for number in numbers)
