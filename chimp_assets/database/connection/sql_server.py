"""What SQL Server and Azure SQL ask of a connection that other databases do not.

Belongs here: whether the server answers at all, the settings of a session, reads of one moment and reads that became
the victim of a deadlock. Does not belong here: error numbers (`faults`), many rows (`bulk_sql_server`), tokens
(`entra`) and the settings of the database (`server_settings`).
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL

from chimp_assets.database.connection import faults
from chimp_assets.database.connection.odbc_types import kind_of, sizes_and_rows

_log = logging.getLogger(__name__)

PORT = 1433
READ_ATTEMPTS = 5
FIRST_PAUSE_S = 0.2
_STATEMENTS = "chimp_statements_read"
_databases = sa.table("databases", sa.column("database_id"), sa.column("snapshot_isolation_state"), schema="sys")


def prepare(engine: sa.Engine, url: URL, wait_s: float | None, reach_s: float, reads: str) -> None:
    """Settle each new connection of an engine. engine: of mssql+pyodbc or mssql+mssqlpython.

    wait_s: how long a statement waits for a lock, None: until it has it; reach_s: seconds that the server has to take a
    connection; reads: the execution option of read transactions. Connecting raises OSError where nobody listens.
    """
    place = _place_of(url)

    @event.listens_for(engine, "do_connect")
    def _reach(dialect: Any, record: Any, arguments: Any, keywords: Any) -> None:
        if place is not None:
            require_answer(*place, reach_s)

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, record: Any) -> None:
        statements = []
        if wait_s is not None:
            statements.append(f"SET LOCK_TIMEOUT {round(1000 * wait_s)}")
        if engine.dialect.driver == "mssqlpython":
            # It gives the server's words and no number (`faults`): the words must be those we know.
            statements.append("SET LANGUAGE us_english")
        for statement in statements:
            cursor = connection.cursor()
            try:
                cursor.execute(statement)
            finally:
                cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        conn.connection.info[_STATEMENTS] = 0

    @event.listens_for(engine, "do_execute")
    def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
        if not context.execution_options.get(reads):
            return None
        _execute_again(cursor, statement, parameters, context)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def _execute_plain(cursor: Any, statement: str, context: Any) -> bool | None:
        return _execute(cursor, statement, (), context)

    if engine.dialect.driver == "mssqlpython":

        @event.listens_for(engine, "do_executemany")
        def _execute_many(cursor: Any, statement: str, rows: Any, context: Any) -> bool | None:
            compiled = context.compiled
            if compiled is None or not compiled.positiontup or not rows:
                return None
            kinds = [kind_of(compiled.binds[name].type, engine.dialect) for name in compiled.positiontup]
            sizes, rows = sizes_and_rows(kinds, rows)
            cursor.setinputsizes(sizes)
            context.dialect.do_executemany(cursor, statement, rows, context)
            return True


def require_answer(host: str, port: int, timeout_s: float) -> None:
    """Raises OSError unless somebody takes connections there. A name that is not known is left to the driver, which may
    know it from elsewhere."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        _log.info("The name of the database server, %s, is not known here (%s): its driver is asked.", host, error)
        return
    deadline = time.monotonic() + timeout_s
    fault: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                probe.connect(address)
            except OSError as error:
                fault = fault or error
            else:
                return
    if fault is not None:
        raise fault


def allows_snapshots(conn: sa.Connection) -> bool:
    """Whether the database lets a transaction read one moment. conn: outside of one."""
    c = _databases.c
    return conn.scalar(sa.select(c.snapshot_isolation_state).where(c.database_id == sa.func.db_id())) == 1


def _place_of(url: URL) -> tuple[str, int] | None:
    """Host and port of an address; None where another tool than the network knows them (a DSN, a named instance)."""
    host = str(url.host or "").removeprefix("tcp:")
    if not host or "\\" in host or "odbc_connect" in url.query:
        return None
    host, _, port = host.partition(",")
    written = port or str(url.query.get("port", "")) or str(url.port or PORT)
    return (host, int(written)) if written.isdigit() else None


def _execute_again(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
    """The statement of a read, again where it was the victim of a deadlock, which a reader is blamed for first.

    The victim's transaction is over, so a snapshot of which something was read is lost: that is an error as ever.
    """
    info = context.root_connection.connection.info
    is_lost = context.execution_options.get("isolation_level") == "SNAPSHOT" and info.get(_STATEMENTS, 0) > 0
    info[_STATEMENTS] = info.get(_STATEMENTS, 0) + 1
    driver = context.dialect.loaded_dbapi
    for attempt in range(1, READ_ATTEMPTS + 1):
        try:
            context.dialect.do_execute(cursor, statement, parameters, context)
            return
        except driver.Error as error:
            if attempt == READ_ATTEMPTS or is_lost or not faults.is_deadlock(error):
                raise
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
