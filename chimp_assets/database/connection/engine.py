"""One database, wherever it lives: address, connections, read and write transactions, errors in words.

Belongs here: what differs between SQLite, PostgreSQL and SQL Server when a connection opens or a transaction begins.
Does not belong here: tables (`schema`), statements (`bulk`, `events`, `queue`, ...) and migrations.
"""

from __future__ import annotations

import math
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

from chimp_assets.addresses import redacted
from chimp_assets.database.connection import faults, read_only, sql_server, sqlite_turns
from chimp_assets.database.connection.entra import CREDENTIALS, TokenSource, use_tokens
from chimp_assets.errors import ChimpError, FullDiskError

URL_FORMS = (
    "Use one of sqlite:////folder/chimp.db, postgresql+psycopg://user:password@host/name, "
    "mssql+pyodbc://user:password@host/name?driver=ODBC+Driver+18+for+SQL+Server, "
    "mssql+mssqlpython://user:password@host/name."
)
BUSY_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 30
"""Azure SQL moves a database or wakes it up for so long (learn.microsoft.com, "Connectivity architecture")."""
REACH_TIMEOUT_S = 10.0
"""Microsoft's driver tries a closed port again until its time for signing in is over, so host and port are tried first:
a server, and Azure's gateway before a database that sleeps, takes a connection within a second."""
CONNECT_ATTEMPTS = 3
"""Of opening a connection that the server refuses for a moment."""
POOL = {"pool_size": 4, "max_overflow": 8, "pool_timeout": 60, "pool_recycle": 1500, "pool_pre_ping": True}
"""Connections of one process to a server: opened one by one, as many as its threads need. Azure's gateway drops those
that were idle for 30 minutes, and its smallest database lends 30 workers to everybody together."""
SQLITE_SETTINGS = (
    # After a power cut WAL may lose the last commits, never the file (sqlite.org/pragma.html); `_DURABLE` loses none.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
)
"""What every connection to SQLite begins with."""
_DURABLE = "PRAGMA synchronous=FULL"
"""Before each write transaction: its commit is on the disk before anybody reads "Saved". Only chunks of rows that a job
can write again go without (`Database.write_unchecked`)."""
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
_WRITES = "chimp_writes"
_LOOSE = "chimp_foreign_keys_off"
_UNSYNCED = "chimp_unsynced"
_READS = "chimp_reads"
# Options of ours in an SQL Server address; the others are the driver's.
_OPTIONS = ("entra", "client_id", "replica")

T = TypeVar("T")


class DatabaseError(ChimpError):
    """The database cannot be reached, is not what was expected, or is busy."""


class ReadOnlyDatabaseError(DatabaseError):
    """The database can be read by this user, and not written."""


class BusyDatabaseError(DatabaseError):
    """Another process held the database for longer than one waits; the same work may succeed later."""


class Database:
    """One database by its address. Opens nothing until used; may be pickled and survives a fork.

    Holds one engine (a pool of connections) for the process that uses it: a copy in another process, by pickle or by
    fork, opens its own. url: one of the four forms of `URL_FORMS`; dialect: `sqlite`, `postgresql` or `mssql`.
    wait_s: how long one waits for locks of others, where somebody stands at the other end; None: BUSY_TIMEOUT_S on
    SQLite, and as long as it takes on a server. Raises DatabaseError when the address has another form.
    """

    def __init__(self, url: str, wait_s: float | None = None) -> None:
        self._wait_s = wait_s
        self._url, self._options = _checked_url(url)
        self.url = self._url.update_query_dict(self._options).render_as_string(hide_password=False)
        self.dialect = self._url.get_backend_name()
        self._engine: sa.Engine | None = None
        self._owner = 0
        self._opening = threading.Lock()
        self._replica: Database | None = None
        self._has_snapshots: bool | None = None

    def __reduce__(self) -> tuple[type[Database], tuple[str, float | None]]:
        return type(self), (self.url, self._wait_s)

    def __repr__(self) -> str:
        return f"Database({self.safe_url!r})"

    @property
    def safe_url(self) -> str:
        """The address with its secrets hidden, for messages."""
        return redacted(self._url.render_as_string(hide_password=True))

    @property
    def driver(self) -> str:
        """Database and driver, as the address spells them: `mssql+pyodbc`."""
        return self._url.drivername

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
        """A read transaction of one moment; writing in it fails. Raises DatabaseError.

        On SQL Server what was written is rolled back, and where the database allows no snapshots (`sql_server`) each
        statement sees its own moment. There a statement that became the victim of a deadlock is tried again.
        """
        with self._in_words(), self._connect() as conn, self._reading(conn):
            yield conn

    def fetch(self, work: Callable[[sa.Connection], T]) -> T:
        """work(connection) in a read transaction, again on a fresh connection after a passing fault (`transact`)."""

        def read(conn: sa.Connection) -> T:
            with self._reading(conn):
                return work(conn)

        return self._try_again(read)

    @contextmanager
    def _reading(self, conn: sa.Connection) -> Iterator[None]:
        if self.dialect == "postgresql":
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        elif self.dialect == "mssql":
            level = "SNAPSHOT" if self._allows_snapshots(conn) else "READ COMMITTED"
            conn.execution_options(isolation_level=level, **{_READS: True})
        with conn.begin() as transaction:
            yield
            if self.dialect == "mssql":
                transaction.rollback()

    def _allows_snapshots(self, conn: sa.Connection) -> bool:
        """Whether this SQL Server database has snapshots; asked once, and again after `dispose`."""
        if self._has_snapshots is None:
            self._has_snapshots = sql_server.allows_snapshots(conn)
            conn.rollback()
        return self._has_snapshots

    @property
    def replica(self) -> Database:
        """Where long reads that may be some seconds old belong: the read-only replica of Azure SQL, where the address
        says `replica=yes`, else this database itself. Never for what is written from what was read.
        """
        if self._options.get("replica") != "yes":
            return self
        if self._replica is None:
            url = self._url.update_query_dict({"ApplicationIntent": "ReadOnly"})
            options = {name: value for name, value in self._options.items() if name != "replica"}
            self._replica = Database(url.update_query_dict(options).render_as_string(hide_password=False))
        return self._replica

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A write transaction: commits at the end, rolls back on any error. What it has committed outlives a power cut.

        On SQLite it waits for the only writer at its beginning (BEGIN IMMEDIATE), never in its middle: do not open one
        inside another. Raises FullDiskError when there is no room, DatabaseError when the database is away or busy.
        """
        with self._write() as conn:
            yield conn

    @contextmanager
    def migrate(self) -> Iterator[sa.Connection]:
        """A write transaction that may rebuild tables. On SQLite rows may lose their parents meanwhile; at its end
        every foreign key is checked, and a row without its parent rolls all of it back with a DatabaseError.
        """
        if self.dialect != "sqlite":
            with self.write() as conn:
                yield conn
            return
        with self._write(**{_LOOSE: True}) as conn:
            yield conn
            broken = conn.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise DatabaseError(
                    f"The database {self.safe_url} has a row of {broken[0]} whose {broken[2]} is missing.",
                    "Restore a backup (chimp db restore); nothing was changed.",
                )

    @contextmanager
    def write_unchecked(self) -> Iterator[sa.Connection]:
        """A write transaction of a job that can be run again: SQLite looks at no foreign key, the caller checks what it
        wrote. A power cut may take the last ones from SQLite; a later `write` keeps all before it.

        The same as `write` on servers, which check always.
        """
        with self._write(**{_LOOSE: True, _UNSYNCED: True}) as conn:
            yield conn

    @contextmanager
    def _write(self, **options: bool) -> Iterator[sa.Connection]:
        with self._in_words(), self._connect() as conn:
            conn = conn.execution_options(**{_WRITES: True}, **options)
            with conn.begin():
                yield conn

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """work(connection) in a write transaction, again on a fresh connection after a passing fault.

        Passing faults are deadlocks, serialisation failures, lost connections and the errors that Azure SQL documents
        as transient. work must be safe to run again: its rows were rolled back, or its writes are idempotent.
        """

        def write(conn: sa.Connection) -> T:
            conn = conn.execution_options(**{_WRITES: True})
            with conn.begin():
                return work(conn)

        return self._try_again(write)

    def _try_again(self, work: Callable[[sa.Connection], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._in_words(passing=attempt < ATTEMPTS), self._connect() as conn:
                    return work(conn)
            except sa.exc.DBAPIError as error:
                if attempt == ATTEMPTS or not faults.is_passing(error):
                    raise
                self.engine.dispose()
                time.sleep(faults.pause_s(error, attempt, FIRST_PAUSE_S))
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """Close this process's connections; the next use opens new ones."""
        if self._engine is not None and self._owner == os.getpid():
            self._engine.dispose()
        self._engine = None
        self._has_snapshots = None

    def _make_engine(self) -> sa.Engine:
        options: dict[str, Any] = {"connect_args": self._connect_arguments()}
        if self.dialect != "sqlite":
            options |= POOL
        elif self._wait_s is not None:
            # Requests that wait for a writer each hold a connection: others must not wait for them too.
            options |= {"pool_size": 4, "max_overflow": 60}
        if self._wait_s is not None:
            options["pool_timeout"] = self._wait_s
        if self.dialect == "mssql":
            # Many times slower there than the driver's executemany (sqlalchemy/sqlalchemy#13223).
            options["use_insertmanyvalues"] = False
            # mssql-python's own style is that of names, which neither driver takes with arrays of rows.
            options["paramstyle"] = "qmark"
        if self._url.drivername == "mssql+pyodbc" and "freetds" not in str(self._url.query.get("driver", "")).lower():
            options["fast_executemany"] = True
        try:
            engine = sa.create_engine(self._url, **options)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise DatabaseError(
                f"The driver for {self.safe_url} cannot be loaded: {error}.",
                "Install the driver and its system libraries, or use another database.",
            ) from None
        if self.dialect == "sqlite":
            _prepare_sqlite(engine, Path(str(self._url.database)), self._patience_s)
        if self.dialect == "mssql":
            sql_server.prepare(engine, self._url, self._wait_s, REACH_TIMEOUT_S, reads=_READS)
        if "entra" in self._options:
            use_tokens(engine, TokenSource(self._options["entra"], self._options.get("client_id")))
        return engine

    @property
    def _patience_s(self) -> float:
        return BUSY_TIMEOUT_S if self._wait_s is None else self._wait_s

    def _connect_arguments(self) -> dict[str, Any]:
        if self.dialect == "sqlite":
            return {"timeout": self._patience_s}
        if self.dialect == "mssql":
            return {"timeout": CONNECT_TIMEOUT_S}  # of the sign-in, for both drivers
        said = self._url.query  # what the address says wins
        ours: dict[str, Any] = {"application_name": "chimp-assets", "connect_timeout": CONNECT_TIMEOUT_S}
        if self._wait_s is not None:
            ours["options"] = f"-c lock_timeout={round(1000 * self._wait_s)}"
        return {name: value for name, value in ours.items() if name not in said}

    def _connect(self) -> sa.Connection:
        for attempt in range(1, CONNECT_ATTEMPTS + 1):
            try:
                return self.engine.connect()
            except sa.exc.DBAPIError as error:
                if attempt == CONNECT_ATTEMPTS or not faults.passes_while_connecting(error):
                    # In words here: whoever tries his work again need not open connections again and again.
                    raise self._unreachable(error) from error
                time.sleep(faults.pause_s(error, attempt, FIRST_PAUSE_S))
            except (ChimpError, sa.exc.SQLAlchemyError):
                raise
            except Exception as error:
                # Nobody listens there, a token is refused, mssql-python cannot read the address: of no common kind.
                if self.dialect != "mssql":
                    raise
                raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    def _unreachable(self, error: Exception) -> Exception:
        """What to raise where no connection could be opened."""
        if self.dialect == "sqlite":
            return self._translated(error) or error
        is_refused = isinstance(error, sa.exc.DBAPIError) and faults.is_refused(error)
        words = faults.words_of(error.orig if isinstance(error, sa.exc.DBAPIError) else error)
        return DatabaseError(
            f"The database {self.safe_url} cannot be reached: {words}.",
            "Check user, password and the name of the database in CHIMP_DATABASE_URL."
            if is_refused
            else "Check that the server runs and that CHIMP_DATABASE_URL is right.",
        )

    @contextmanager
    def _in_words(self, passing: bool = False) -> Iterator[None]:
        """Database faults as our own errors; with passing, faults that a second try may mend go through as they are."""
        try:
            yield
        except sa.exc.TimeoutError as error:  # of the pool
            raise BusyDatabaseError(
                f"All connections of this process to {self.safe_url} are waiting.", "Try again in a moment."
            ) from error
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            if passing and isinstance(error, sa.exc.DBAPIError) and faults.is_passing(error):
                raise
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: Exception) -> ChimpError | None:
        origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = getattr(origin, "sqlite_errorname", None) or ""
        words = faults.words_of(origin)
        if faults.is_full(origin):
            return FullDiskError(
                f"The database {self.safe_url} has no room left to write ({words}).",
                "Free some space and run the step again; nothing of it was stored.",
            )
        if faults.is_held(origin):
            return BusyDatabaseError(
                f"The database {self.safe_url} was held by another process for {self._patience_s:.0f} seconds.",
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
        if self.dialect == "sqlite" or not isinstance(error, sa.exc.DBAPIError):
            return None
        if faults.is_refused(error) or faults.is_away(error):
            return self._unreachable(error)  # type: ignore[return-value]
        if faults.is_passing(error):
            return BusyDatabaseError(f"The database {self.safe_url} is busy: {words}.", "Run the step again.")
        return None


def foreign_keys_are_off(conn: sa.Connection) -> bool:
    """Whether conn is SQLite's inside `Database.write_unchecked`."""
    return conn.dialect.name == "sqlite" and bool(conn.get_execution_options().get(_LOOSE))


def _checked_url(url: str) -> tuple[URL, dict[str, str]]:
    """The address as SQLAlchemy takes it, and the options of ours that it had."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseError("The database address cannot be read.", URL_FORMS) from None
    if parsed.drivername not in _DRIVERS:
        raise DatabaseError(f"{parsed.drivername!r} is not a database that Chimp Assets can use.", URL_FORMS)
    dialect, driver = _DRIVERS[parsed.drivername]
    if dialect == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise DatabaseError("A database in memory cannot be shared by the processes that work on it.", URL_FORMS)
    if dialect != "mssql":
        return parsed.set(drivername=driver), {}
    options = {name: str(parsed.query[name]) for name in _OPTIONS if name in parsed.query}
    if options.get("entra", "default") not in CREDENTIALS or options.get("replica", "yes") not in ("yes", "no"):
        raise DatabaseError(
            "An option of the database address cannot be used.",
            f"entra is one of {', '.join(CREDENTIALS)}; replica is yes or no (docs/operate/databases.md).",
        )
    if "entra" in options and parsed.username:
        raise DatabaseError(
            "The database address has a user and asks for an Entra ID token as well.",
            "Leave the user out; a managed identity of several is named by client_id.",
        )
    return parsed.difference_update_query(_OPTIONS).set(drivername=driver), options


def _prepare_sqlite(engine: sa.Engine, file: Path, patience_s: float) -> None:
    @event.listens_for(engine, "do_connect")
    def _only_what_exists(dialect: Any, record: Any, args: Any, kwargs: Any) -> Any:
        # SQLite would create an empty database at any misspelt path.
        if not file.is_file():
            raise DatabaseError(f"There is no database at {file}.", "Make one with chimp init or chimp db upgrade.")
        if read_only.cannot_be_written(file):
            return read_only.connect(file, patience_s, check_same_thread=kwargs.get("check_same_thread", True))
        return None

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, record: Any) -> None:
        # The driver's own transaction control would begin late and commit early: ours is explicit.
        connection.isolation_level = None
        if not isinstance(connection, read_only.Connection):
            sqlite_turns.keep_a_log(connection, patience_s)
        for statement in SQLITE_SETTINGS:
            connection.execute(statement).close()
        if not _has_sqrt(connection):
            connection.create_function("sqrt", 1, _sqrt, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        # A transaction that reads first and writes later does not wait for the writer, it fails: say it at the start.
        options = conn.get_execution_options()
        if options.get(_WRITES):
            if isinstance(conn.connection.driver_connection, read_only.Connection):
                raise ReadOnlyDatabaseError(
                    f"The database {file} can be read by your user, and not written.",
                    "Use the user that owns it, or mount its disk so that it can be written.",
                )
            conn.exec_driver_sql("PRAGMA query_only=OFF")
            # Said at each beginning: what one transaction leaves out, the next on this connection must not.
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF" if options.get(_LOOSE) else "PRAGMA foreign_keys=ON")
            conn.exec_driver_sql("PRAGMA synchronous=NORMAL" if options.get(_UNSYNCED) else _DURABLE)
            driver: Any = conn.connection.driver_connection
            sqlite_turns.begin_writing(driver, file, bool(options.get(_LOOSE)), patience_s)
        else:
            conn.exec_driver_sql("PRAGMA query_only=ON")
            conn.exec_driver_sql("BEGIN")


def _has_sqrt(connection: Any) -> bool:
    # SQLite has it only where it was built with its mathematical functions.
    try:
        connection.execute("SELECT sqrt(4)").close()
    except sqlite3.OperationalError:
        return False
    return True


def _sqrt(value: float | None) -> float | None:
    return None if value is None or value < 0 else math.sqrt(value)
