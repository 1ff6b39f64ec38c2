"""A limit on how long the statements of one connection may take, in the way of each database.

Belongs here: stopping a read that somebody waits for. Does not belong here: waiting for locks (`engine`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from chimp_assets.errors import ChimpError

_STEPS = 20_000
"""Of SQLite's machine between two looks at the clock: some milliseconds."""


class TooSlowError(ChimpError):
    """The database did not answer within the time that somebody was willing to wait."""


@contextmanager
def at_most(conn: sa.Connection, seconds: float) -> Iterator[None]:
    """Inside, what the database works at for longer than so many seconds is stopped. conn: in a transaction.

    SQLite and PostgreSQL stop by themselves; of SQL Server's drivers only those that have a time limit. Raises
    TooSlowError in place of the driver's error; other errors pass.
    """
    driver = conn.connection.driver_connection
    until = time.monotonic() + seconds
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.set_config("statement_timeout", str(max(1, round(seconds * 1000))), True)))
    elif conn.dialect.name == "sqlite":
        driver.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)  # type: ignore[union-attr]
    else:
        with suppress(AttributeError):
            driver.timeout = max(1, round(seconds))  # type: ignore[union-attr]
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = str(error.orig).lower()
        if not any(word in said for word in ("interrupted", "statement timeout", "timeout expired", "hyt00")):
            raise
        raise TooSlowError(
            f"The database did not answer within {seconds:g} seconds.",
            "Ask for less: one individual, one camera, fewer days; or ask where nobody waits, with `chimp query`.",
        ) from None
    finally:
        if conn.dialect.name == "sqlite":
            driver.set_progress_handler(None, 0)  # type: ignore[union-attr]
        elif conn.dialect.name == "mssql":
            with suppress(AttributeError):
                driver.timeout = 0  # type: ignore[union-attr]
