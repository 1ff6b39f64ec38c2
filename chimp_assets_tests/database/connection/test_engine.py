"""Addresses, transactions and faults of the database."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.schema import counter
from chimp_assets.errors import FullDiskError


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql+psycopg2://x/y", "chimp.db", "sqlite://", "", "az://c/p"])
def test_an_address_of_another_kind_is_refused_with_the_four_that_work(url: str) -> None:
    """Else the user meets a traceback of the driver, or a second empty database."""
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    for form in ("sqlite:///", "postgresql+psycopg://", "mssql+pyodbc://", "mssql+mssqlpython://"):
        assert form in caught.value.remedy


def test_a_password_never_shows_in_messages(tmp_path: Path) -> None:
    """Log files are sent around."""
    db = Database("postgresql+psycopg://anna:secret@127.0.0.1:1/nothing?connect_timeout=1")
    with pytest.raises(DatabaseError) as caught, db.read():
        pass
    assert "secret" not in str(caught.value) + repr(db)
    assert "cannot be reached" in caught.value.sentence


def test_reading_a_misspelt_path_creates_no_file(tmp_path: Path) -> None:
    """SQLite makes an empty database at any path, and then nobody sees why all tables are missing."""
    db = Database(f"sqlite:///{tmp_path / 'mispelt.db'}")
    with pytest.raises(DatabaseError, match="no database at"), db.read():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """A traceback of the driver says neither which file nor what to do."""
    (tmp_path / "chimp.db").write_bytes(b"this is not a database" * 100)
    with (
        pytest.raises(DatabaseError, match=r"chimp\.db cannot be used"),
        Database(f"sqlite:///{tmp_path / 'chimp.db'}").read(),
    ):
        pass


def test_sqlite_is_set_for_many_processes_and_real_foreign_keys(sqlite_db: Database) -> None:
    """Without these pragmas readers block the writer and constraints are decoration."""
    with sqlite_db.read() as conn:
        pragmas = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_failed_write_leaves_nothing(db: Database) -> None:
    """Half a step in the database could not be run again."""

    def half_a_step() -> None:
        with db.write() as conn:
            conn.execute(sa.insert(counter).values(name="half", value=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_a_step()
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).where(counter.c.name == "half")) == 0


def test_a_read_transaction_refuses_to_write(db: Database) -> None:
    """A write in it would be rolled back in silence on one database and kept on the other."""
    if db.dialect == "mssql":
        pytest.skip("SQL Server has no read-only transaction; it is rolled back there (test_sql_server)")
    with pytest.raises(sa.exc.DBAPIError), db.read() as conn:
        conn.execute(sa.insert(counter).values(name="sneaked", value=1))
    with db.write() as conn:
        conn.execute(sa.insert(counter).values(name="honest", value=1))


def test_a_read_transaction_sees_one_moment(db: Database) -> None:
    """Two statements of one report must not disagree because a writer came between them."""
    if db.dialect == "mssql":
        pytest.skip("on SQL Server each statement sees one moment (docs/operate/databases.md, Limits)")
    count = sa.select(sa.func.count()).select_from(counter)
    with db.read() as conn:
        before = conn.scalar(count)
        with db.write() as writer:
            writer.execute(sa.insert(counter).values(name="between", value=1))
        assert conn.scalar(count) == before


def test_a_full_disk_is_said_in_words_and_nothing_is_stored(sqlite_db: Database) -> None:
    """A full disk is the user's to mend, not a traceback."""

    def fill() -> None:
        with sqlite_db.write() as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
            conn.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
            insert_rows(conn, counter, {"name": [f"filling {i}" for i in range(20_000)], "value": [0] * 20_000})

    with pytest.raises(FullDiskError) as caught:
        fill()
    assert "no room" in caught.value.sentence
    sqlite_db.dispose()
    with sqlite_db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).where(counter.c.name.like("filling%"))) == 0


def test_a_database_held_too_long_by_another_is_said_in_words(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'database is locked' tells nobody what to do."""
    monkeypatch.setattr("chimp_assets.database.connection.engine.BUSY_TIMEOUT_S", 0.1)
    second = Database(sqlite_db.url)
    with sqlite_db.write(), pytest.raises(DatabaseError, match="held by another process"), second.write():
        pass


def test_a_database_travels_by_pickle_and_opens_its_own_connections(db: Database) -> None:
    """Decoding processes get the database as an argument."""
    with db.read():
        pass
    copy = pickle.loads(pickle.dumps(db))
    assert copy.url == db.url
    with copy.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(counter)) == 3


def _take_in_child(db: Database, n: int) -> None:
    for _ in range(n):
        with db.write() as conn:
            take_numbers(conn, "annotation", 1)


def test_a_fork_uses_its_own_connections(db: Database) -> None:
    """Two processes on one socket read each other's answers; SQLite's locks are lost over a fork."""
    with db.read():
        pass
    children = [multiprocessing.get_context("fork").Process(target=_take_in_child, args=(db, 10)) for _ in range(2)]
    for child in children:
        child.start()
    _take_in_child(db, 10)
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    with db.read() as conn:
        assert conn.scalar(sa.select(counter.c.value).where(counter.c.name == "annotation")) == 30


def test_numbers_are_gapless_when_many_threads_take_them(db: Database) -> None:
    """Two transactions with one number, or a number lost, and 'everything up to n' means nothing."""
    taken: list[int] = []

    def take() -> None:
        for _ in range(10):
            with db.write() as conn:
                taken.append(take_numbers(conn, "annotation", 2))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 81, 2))


def test_work_is_done_again_after_a_passing_fault(postgresql_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that restarts must not cost the expert an answer."""
    monkeypatch.setattr("chimp_assets.database.connection.engine.FIRST_PAUSE_S", 0.01)
    attempts = []

    def work(conn: sa.Connection) -> int:
        attempts.append(1)
        conn.execute(sa.insert(counter).values(name=f"attempt {len(attempts)}", value=1))
        if len(attempts) < 3:
            # The server closes this connection, as it does when it restarts.
            conn.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        return len(attempts)

    assert postgresql_db.transact(work) == 3
    with postgresql_db.read() as conn:
        names = conn.scalars(sa.select(counter.c.name).where(counter.c.name.like("attempt%"))).all()
    assert names == ["attempt 3"]


def test_a_fault_of_ours_is_not_tried_again(db: Database) -> None:
    """A constraint that says no says no the second time."""
    attempts = []

    def work(conn: sa.Connection) -> None:
        attempts.append(1)
        conn.execute(sa.insert(counter).values(name="below", value=-1))

    with pytest.raises(sa.exc.IntegrityError):
        db.transact(work)
    assert len(attempts) == 1


def test_opening_a_database_object_opens_nothing(tmp_path: Path) -> None:
    """Loading the definitions makes these objects in every process."""
    before = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) if Path("/proc").is_dir() else 0
    Database(f"sqlite:///{tmp_path / 'chimp.db'}")
    Database("postgresql://user:password@nowhere.invalid/name")
    if before:
        assert len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) == before
    assert list(tmp_path.iterdir()) == []


def test_a_python_sqlite_error_inside_the_block_is_translated_too(sqlite_db: Database) -> None:
    """Bulk writes may meet the driver's own errors."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorname = "SQLITE_FULL"  # type: ignore[misc]
    with pytest.raises(FullDiskError), sqlite_db.write():
        raise error


def test_unchecked_writes_leave_no_trace_on_the_next(sqlite_db: Database) -> None:
    """Connections are used again: a rule that stays off is a rule that nobody has."""
    for write, on in ((sqlite_db.write_unchecked, 0), (sqlite_db.write, 1)):
        with write() as conn:
            assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == on


def test_a_migration_that_leaves_an_orphan_is_rolled_back(sqlite_db: Database) -> None:
    """Tables are written anew without looking at their parents; whoever lost one is found before it is too late."""

    def lose_a_parent() -> None:
        with sqlite_db.migrate() as conn:
            conn.exec_driver_sql(
                "INSERT INTO user_session (session_id, user_id, created_at, expires_at)"
                " VALUES ('s', 99, '2020-01-01', '2020-01-01')"
            )

    with pytest.raises(DatabaseError, match="row of user_session whose app_user is missing"):
        lose_a_parent()
    with sqlite_db.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM user_session").scalar() == 0


def test_square_roots_are_there_even_where_sqlite_has_none(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views use sqrt; some systems build SQLite without its mathematical functions."""
    monkeypatch.setattr("chimp_assets.database.connection.engine._has_sqrt", lambda connection: False)
    with sqlite_db.read() as conn:
        assert conn.exec_driver_sql("SELECT sqrt(2.25), sqrt(NULL), sqrt(-1)").one() == (1.5, None, None)


def test_what_the_address_says_of_waiting_wins() -> None:
    """An administrator's timeout is there for a reason."""
    ours = Database("postgresql+psycopg://x/y")._connect_arguments()
    assert ours["connect_timeout"] == 30
    assert "connect_timeout" not in Database("postgresql+psycopg://x/y?connect_timeout=3")._connect_arguments()
