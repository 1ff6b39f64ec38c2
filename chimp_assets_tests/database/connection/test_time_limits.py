"""A read that somebody waits for is stopped by the database itself, and the connection serves the next."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.time_limits import TooSlowError, at_most

FOREVER = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "postgresql": "SELECT pg_sleep(1000)",
}


def test_a_statement_without_an_end_is_stopped(db: Database) -> None:
    with pytest.raises(TooSlowError) as error, db.read() as conn, at_most(conn, 0.05):
        conn.execute(sa.text(FOREVER[db.dialect])).all()
    assert "0.05 seconds" in error.value.sentence
    assert "chimp query" in error.value.remedy
    with db.read() as conn, at_most(conn, 60):
        assert conn.scalar(sa.text("SELECT 1")) == 1


def test_other_errors_pass(db: Database) -> None:
    """A misspelt column is no slow one."""
    with pytest.raises(Exception, match="nothing_like_it") as error, db.read() as conn, at_most(conn, 60):
        conn.execute(sa.text("SELECT nothing_like_it FROM video"))
    assert not isinstance(error.value, TooSlowError)
