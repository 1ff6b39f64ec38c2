"""Faults of SQL Server and its drivers, as a real server showed them: which pass by themselves, and how they read.

The strict stand-in for the drivers answers; no server is needed.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection import faults
from chimp_assets.database.connection.engine import BusyDatabaseError, Database, DatabaseError
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets_tests.database.connection.drivers import MSSQLPYTHON, URLS, boxes, database_of, driver_error
from chimp_assets_tests.database.fake_sql_server import FakeCursor, FakeDriver, install


def test_the_stand_in_refuses_what_the_drivers_refuse(driver: FakeDriver) -> None:
    """The hand-written stand-in hid the worst: it took `%(video_id)s` with tuples."""
    cursor = driver.connect().cursor()
    with pytest.raises(driver.ProgrammingError):
        cursor.executemany("INSERT INTO t VALUES (%(a)s)", [(1,)])
    with pytest.raises(driver.ProgrammingError):
        cursor.execute("SELECT ?", (1, 2))
    driver.answers = {"numbers": [(1,), (2,)]}
    connection = driver.connect()
    connection.cursor().execute("SELECT n FROM numbers")
    with pytest.raises(driver.OperationalError, match="busy with results"):
        connection.cursor().execute("SELECT 1")
    if driver.__name__ == "mssql_python":
        with pytest.raises(ValueError, match="Invalid SQL type"):
            cursor.setinputsizes([None])


DEADLOCK = "Transaction (Process ID 52) was deadlocked and has been chosen as the deadlock victim."


def test_a_read_that_was_the_victim_of_a_deadlock_is_tried_again(driver: FakeDriver) -> None:
    """Readers are blamed first, and a page that only reads has nothing to lose."""
    driver.answers = {"FROM counter": [(7,)]}
    driver.refuse = {"FROM counter": [driver_error(driver, "OperationalError", 1205, DEADLOCK, "40001")] * 3}
    with database_of(driver).read() as conn:
        assert conn.scalar(sa.select(s.counter.c.value)) == 7
    assert len(driver.said("FROM counter")) == 4


def test_a_snapshot_that_is_lost_is_not_read_on(driver: FakeDriver) -> None:
    """The rest would be of another moment; `fetch` reads all of it again."""
    driver.answers = {"FROM counter": [(7,)], "sys.databases": [(1,)]}
    driver.refuse = {"FROM individual": [driver_error(driver, "OperationalError", 1205, DEADLOCK, "40001")]}
    db = database_of(driver)

    def work(conn: sa.Connection) -> int | None:
        found = conn.scalar(sa.select(s.counter.c.value))
        conn.execute(sa.select(s.individual.c.sex)).all()
        return found

    refuse = dict(driver.refuse)
    with pytest.raises((sa.exc.DBAPIError, DatabaseError)), db.read() as conn:
        work(conn)
    driver.refuse = {words: [driver_error(driver, "OperationalError", 1205, DEADLOCK, "40001")] for words in refuse}
    assert db.fetch(work) == 7
    assert len(driver.said("FROM counter")) == 3


def test_waiting_for_a_lock_ends_when_it_was_said_to(driver: FakeDriver) -> None:
    """wait_s had no effect: 12.3 s with 2. The page answers 503 instead."""
    words = "Lock request time out period exceeded."
    driver.refuse = {"INSERT": driver_error(driver, "OperationalError", 1222, words)}
    with pytest.raises(BusyDatabaseError, match="2 seconds"), database_of(driver, 2.0).write() as conn:
        conn.execute(sa.insert(s.counter).values(name="a", value=1))
    assert driver.said("SET LOCK_TIMEOUT 2000")
    assert len(driver.said("INSERT")) == 1
    driver.log.clear()
    with database_of(driver).read():
        pass
    assert not driver.said("LOCK_TIMEOUT"), "a job waits as long as it takes"


def test_a_lock_that_was_not_to_be_had_is_busy_by_its_sqlstate_too(driver: FakeDriver) -> None:
    """HYT00 counts as a lost connection for SQLAlchemy: the work would be tried five times as long."""
    error = driver.OperationalError("HYT00", "[HYT00] [Microsoft][SQL Server]Zeit abgelaufen (1222) (SQLExecDirectW)")
    if driver.__name__ == "mssql_python":
        error = driver.OperationalError("Driver Error: Timeout expired; DDBC Error: [Microsoft]Zeit abgelaufen")
    wrapped = sa.exc.OperationalError("UPDATE", None, error, connection_invalidated=True)
    assert faults.is_held(error)
    assert not faults.is_passing(wrapped)


def test_a_panic_of_the_bulk_copy_falls_back_to_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyO3's PanicException is a BaseException: at packets of 4,096 bytes the whole job died of it."""

    class Panic(BaseException):
        pass

    def bulkcopy(*_: Any, **__: Any) -> None:
        raise Panic("called `Result::unwrap()` on an `Err` value")

    driver = install(monkeypatch, "mssql_python")
    monkeypatch.setattr(FakeCursor, "bulkcopy", bulkcopy)
    assert write_chunks(Database(MSSQLPYTHON), s.detection, [boxes(20_000)], "job").n_rows == 20_000
    assert len([1 for statement, _ in driver.stored if "INSERT INTO detection" in statement]) == 20_000


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_whoever_stops_a_bulk_copy_stops_it(monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]) -> None:
    """Ctrl-C is no refusal of the driver."""

    def bulkcopy(*_: Any, **__: Any) -> None:
        raise stop

    install(monkeypatch, "mssql_python")
    monkeypatch.setattr(FakeCursor, "bulkcopy", bulkcopy)
    with pytest.raises(stop):
        write_chunks(Database(MSSQLPYTHON), s.detection, [boxes(20_000)], "job")


def test_a_port_at_which_nobody_listens_is_said_at_once(driver: FakeDriver) -> None:
    """The driver tries a closed port for all the time that signing in may take: 154 s before the sentence."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = sa.make_url(URLS[driver.__name__]).set(host="127.0.0.1", port=port)
    with (
        pytest.raises(DatabaseError, match="cannot be reached") as caught,
        Database(url.render_as_string(hide_password=False)).read(),
    ):
        pass
    assert not driver.connected
    assert "secret" not in str(caught.value)


AWAY = [
    ("OperationalError", "08001", "Client unable to establish connection", "TCP Provider: Error code 0x274D"),
    ("OperationalError", "08001", "Client unable to establish connection", "TCP Provider: Error code 0x6F"),
    ("OperationalError", "HYT00", "Timeout expired", "Login timeout expired"),
    ("InterfaceError", "28000", "Invalid authorization specification", "Login failed for user 'anna'."),
    ("InterfaceError", "28000", "Invalid authorization specification", "Fehler bei der Anmeldung"),
    (
        "Error",
        "01000",
        "Connection operation failed",
        "Can't open lib 'ODBC Driver 18 for SQL Server' : file not found",
    ),
    ("InterfaceError", "IM002", "Data source name not found and no default driver specified", "Data source name"),
]


@pytest.mark.parametrize(("kind", "state", "driver_words", "words"), AWAY)
def test_whoever_cannot_connect_is_told_at_the_first_failure(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, kind: str, state: str, driver_words: str, words: str
) -> None:
    """An address that is wrong is wrong for ever: five times half a minute tell nobody anything."""
    error = getattr(driver, kind)(state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server]{words} (0) (SQLDriver)")
    if driver.__name__ == "mssql_python":
        error = getattr(driver, kind)(f"Driver Error: {driver_words}; DDBC Error: [Microsoft]{words}")
    tries = []

    def connect(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(driver, "connect", connect)
    for work in (lambda db: db.transact(lambda conn: 1), lambda db: db.fetch(lambda conn: 1)):
        tries.clear()
        with pytest.raises(DatabaseError, match="cannot be reached") as caught:
            work(database_of(driver))
        assert len(tries) == 1
        assert words in caught.value.sentence
        assert "CHIMP_DATABASE_URL" in caught.value.remedy


def test_a_database_that_wakes_up_is_waited_for(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure says 40613 while a paused database resumes."""
    words = "Database 'chimps' on server 'host' is not currently available. Please retry the connection later."
    refusals = [driver_error(driver, "OperationalError", 40613, words)]
    connect = driver.connect

    def wake(*arguments: Any, **keywords: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return connect(*arguments, **keywords)

    monkeypatch.setattr(driver, "connect", wake)
    with database_of(driver).read():
        pass
    assert refusals == []


@pytest.mark.parametrize("message", [
    "[23000] [Microsoft][SQL Server]The duplicate key value is (1205); row (20). (2627) (SQLExecDirectW)",
    "[23000] [Microsoft][SQL Server]value (40613) (2627) (SQLExecDirectW); [01000] [Microsoft]terminated. (3621)",
    "[HY000] [Microsoft][SQL Server]unexpected (20) (99999) (SQLExecDirectW)",
])  # fmt: skip
def test_numbers_in_a_users_own_text_are_no_error_numbers(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """ "(20)" was read as an error number, and a duplicate key that reads (1205) as a deadlock."""
    driver = install(monkeypatch, "pyodbc")
    found = faults.sql_server_numbers(driver.IntegrityError(message[1:6], message))
    assert found & {20, 1205, 40613} == set()
    assert found & {2627, 99999}


def test_a_deadlock_is_known_whatever_language_the_server_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """mssql-python gives no number; its class of error is its own, and the session is asked to speak English."""
    driver = install(monkeypatch, "mssql_python")
    german = "Driver Error: Serialization failure; DDBC Error: [Microsoft]Die Transaktion wurde als Opfer ausgewählt."
    error = sa.exc.OperationalError("UPDATE", None, driver.OperationalError(german))
    assert faults.is_passing(error)
    assert faults.is_deadlock(error.orig)
    with Database(MSSQLPYTHON).read():
        pass
    assert driver.said("SET LANGUAGE us_english")


def test_a_fault_that_nobody_knows_is_shown_as_it_is(driver: FakeDriver) -> None:
    """Everything was "cannot be reached": a syntax error sent people to the network."""
    words = "Incorrect syntax near 'FROM'."
    driver.refuse = {"INSERT": driver_error(driver, "ProgrammingError", 102, words)}
    with pytest.raises(sa.exc.ProgrammingError, match="Incorrect syntax"), database_of(driver).write() as conn:
        conn.execute(sa.insert(s.counter).values(name="a", value=1))


"""Of the widest ones, written down so that they do not grow; all others stay below 150."""
