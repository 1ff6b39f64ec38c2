"""What we say to the drivers of SQL Server and Azure SQL, and what we make of their faults; no server is asked."""

from __future__ import annotations

import struct
import time
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection import bulk_sql_server, entra, faults
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.upkeep.migrations import _take_turn, try_options
from chimp_assets.database.work.chunks import write_chunks
from chimp_assets.errors import FullDiskError
from chimp_assets_tests.database.connection.drivers import MSSQLPYTHON, PYODBC, URLS, boxes, driver_error
from chimp_assets_tests.database.fake_sql_server import FakeDriver, install

WORDS = {
    615: "Could not find database ID 7, name 'chimps'.",
    926: "Database 'chimps' cannot be opened. It has been marked SUSPECT by recovery.",
    1205: "Transaction (Process ID 52) was deadlocked and has been chosen as the deadlock victim.",
    4060: "Cannot open database \"chimps\" requested by the login. The login failed.",
    4221: "Login to read-secondary failed due to long wait on 'HADR_DATABASE_WAIT_FOR_TRANSITION_TO_VERSIONING'.",
    10053: "TCP Provider: Error code 0x20",
    10054: "TCP Provider: Error code 0x68",
    10060: "TCP Provider: An existing connection was forcibly closed by the remote host.",
    10928: "Resource ID: 1. The request limit for the database is 30 and has been reached.",
    10929: "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 30 and the current usage is 30.",
    40197: "The service has encountered an error processing your request. Please try again. Error code 4.",
    40501: "The service is currently busy. Retry the request after 10 seconds.",
    40613: "Database 'chimps' on server 'host' is not currently available. Please retry the connection later.",
    49918: "Cannot process request. Not enough resources to process request.",
    49919: "Cannot process create or update request. Too many create or update operations in progress.",
    49920: "Cannot process request. Too many operations in progress for subscription.",
}  # fmt: skip


@pytest.mark.parametrize("number", WORDS)
def test_passing_faults_are_known_by_each_drivers_way_of_saying_them(driver: FakeDriver, number: int) -> None:
    """Azure SQL closes connections as a matter of course: an import must not die of it."""
    error = sa.exc.OperationalError("SELECT 1", None, driver_error(driver, "OperationalError", number, WORDS[number]))
    assert faults.is_passing(error)
    first = {40501: 10, 1205: 0.2}.get(number, 5)
    assert [faults.pause_s(error, attempt, 0.2) for attempt in (1, 2)] == [first, 2 * first]
    assert faults.pause_s(error, 30, 0.2) == 60


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2627, "Violation of PRIMARY KEY constraint 'pk_track'. The duplicate key value is (1205)."),
        (547, "The INSERT statement conflicted with the FOREIGN KEY constraint."),
        (18456, "Login failed for user 'anna'."),
        (111, "TCP Provider: Error code 0x6F"),  # nobody listens there: to be told at once, not after two minutes
    ],
)
def test_faults_of_ours_are_not_taken_for_passing_ones(driver: FakeDriver, number: int, words: str) -> None:
    """A duplicate key that happens to read (1205) is a duplicate every time."""
    assert not faults.is_passing(
        sa.exc.IntegrityError("INSERT", None, driver_error(driver, "IntegrityError", number, words))
    )


def test_work_is_tried_again_on_a_fresh_connection(driver: FakeDriver) -> None:
    """A connection on which Azure SQL moved the database is dead, even if it does not know."""
    db = Database(URLS[driver.__name__])
    attempts: list[int] = []

    def work(conn: sa.Connection) -> str:
        attempts.append(len(driver.connected))
        if len(attempts) < 3:
            raise sa.exc.OperationalError("x", None, driver_error(driver, "OperationalError", 40613, WORDS[40613]))
        return "done"

    assert db.transact(work) == "done"
    assert attempts == [1, 2, 3]


def test_a_full_database_is_said_in_words(driver: FakeDriver) -> None:
    """Azure SQL has a quota, SQL Server a log: both are the user's to mend."""
    for number, words in (
        (40544, "The database 'chimps' has reached its size quota."),
        (9002, "The transaction log for database 'chimps' is full due to 'LOG_BACKUP'."),
        (1105, "Could not allocate space for object 'dbo.detection' because the 'PRIMARY' filegroup is full."),
    ):
        driver.refuse = {"INSERT": driver_error(driver, "ProgrammingError", number, words)}
        with pytest.raises(FullDiskError, match="no room left"), Database(URLS[driver.__name__]).write() as conn:
            conn.execute(sa.insert(s.counter).values(name="a", value=1))


def test_connections_wait_for_azure_and_are_few(driver: FakeDriver) -> None:
    """A serverless database wakes for half a minute, and the smallest lends 30 workers to everybody."""
    db = Database(URLS[driver.__name__])
    with db.read():
        pass
    assert driver.connected[0][1]["timeout"] >= 30
    pool: Any = db.engine.pool
    assert pool.size() + pool._max_overflow <= 12
    assert pool._recycle < 1800
    assert pool._pre_ping
    assert not db.engine.dialect.use_insertmanyvalues


def test_array_parameters_are_asked_only_of_drivers_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """FreeTDS is the ODBC driver of many a Linux; it crashes at them."""
    install(monkeypatch, "pyodbc")
    for url, fast in ((PYODBC, True), ("mssql+pyodbc://anna:x@host/chimps?driver=FreeTDS", False)):
        dialect: Any = Database(url).engine.dialect
        assert dialect.fast_executemany is fast


def test_what_was_written_in_a_read_is_rolled_back(driver: FakeDriver) -> None:
    """SQL Server has no read-only transaction; a write in one must not be kept on one database alone."""
    with Database(URLS[driver.__name__]).read() as conn:
        conn.execute(sa.insert(s.counter).values(name="a", value=1))
    after = [statement for _, statement, _ in driver.log]
    place = next(i for i, statement in enumerate(after) if statement.startswith("INSERT"))
    assert after[place + 1 :][0] == "ROLLBACK"
    assert "COMMIT" not in after[place:]


class _Credential:
    """Entra ID's answer: tokens that are good for an hour."""

    made: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        self.made.append({"kind": type(self).__name__, **options})
        self.n = 0

    def get_token(self, scope: str) -> Any:
        assert scope == "https://database.windows.net/.default"
        self.n += 1
        return SimpleNamespace(token=f"token {self.n}", expires_on=time.time() + 3600)


class _Default(_Credential):
    pass


class _Managed(_Credential):
    pass


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", _Default)
    monkeypatch.setattr("azure.identity.ManagedIdentityCredential", _Managed)
    monkeypatch.setattr(_Credential, "made", [])
    return _Credential.made


def test_a_token_is_handed_to_odbc_in_its_own_form(monkeypatch: pytest.MonkeyPatch, credentials: Any) -> None:
    """ODBC reads a struct: a token in another form is refused as 'login failed', with no more words."""
    driver = install(monkeypatch, "pyodbc")
    db = Database("mssql+pyodbc://@host/chimps?driver=ODBC+Driver+18+for+SQL+Server&entra=managed_identity&client_id=7")
    assert credentials == [], "nothing is asked before the first connection"
    with db.read():
        pass
    (words, *_), keywords = driver.connected[0]
    value = keywords["attrs_before"][1256]
    (length,) = struct.unpack("<I", value[:4])
    assert value[4:].decode("utf-16-le") == "token 1"
    assert length == len(value) - 4
    assert credentials == [{"kind": "_Managed", "client_id": "7"}]
    for unwanted in ("Trusted_Connection", "entra", "client_id", "UID", "Authentication"):
        assert unwanted not in words, "the driver refuses a token beside another way to sign in"


def test_the_other_driver_asks_for_tokens_itself(monkeypatch: pytest.MonkeyPatch, credentials: Any) -> None:
    """Its bulk copy opens a second connection, which must sign in as well."""
    driver = install(monkeypatch, "mssql_python")
    with Database("mssql+mssqlpython://@host/chimps?entra=default").read():
        pass
    (words, *_), keywords = driver.connected[0]
    assert keywords["token_provider"].get_token("https://database.windows.net/.default").token == "token 1"
    assert "entra" not in words
    assert "Trusted" not in words
    assert credentials[0]["kind"] == "_Default"


def test_a_token_is_renewed_before_it_ends(credentials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens live about an hour, workers for days; and each question to the service takes a second."""
    source = entra.TokenSource("default")
    assert [source.get_token().token, source.get_token().token] == ["token 1", "token 1"]
    now = time.time()
    monkeypatch.setattr("chimp_assets.database.connection.entra.time.time", lambda: now + 3600 - entra.RENEW_S + 1)
    assert source.get_token().token == "token 2"
    assert len(credentials) == 1


@pytest.mark.parametrize(
    "url",
    ["mssql+pyodbc://@host/x?entra=magic", "mssql+pyodbc://anna:x@host/x?entra=default", f"{PYODBC}&replica=maybe"],
)
def test_options_that_cannot_be_meant_are_refused(url: str) -> None:
    """The driver would say 'login failed'."""
    with pytest.raises(DatabaseError):
        Database(url)


def test_options_survive_the_way_to_another_process() -> None:
    """Decoding processes get the database as an argument, and must sign in as their parent did."""
    url = "mssql+pyodbc://@host/chimps?driver=x&entra=default&client_id=7&replica=yes"
    again = Database(Database(url).url)
    assert again.url == Database(url).url
    assert again.replica is not again


def test_reads_go_to_the_replica_only_where_the_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica is seconds behind: nothing may be read from it by surprise."""
    driver = install(monkeypatch, "pyodbc")
    db = Database(f"{PYODBC}&replica=yes")
    with db.replica.read():
        pass
    with db.read():
        pass
    intents = ["ApplicationIntent=ReadOnly" in words for (words, *_), _ in driver.connected]
    assert intents == [True, False]
    assert db.replica.replica is db.replica
    plain = Database(PYODBC)
    assert plain.replica is plain


def test_rows_go_as_sized_arrays_in_calls_of_some_thousand(driver: FakeDriver) -> None:
    """One call for all rows takes gigabytes in pyodbc; text of unknown width takes 2 GB for one row."""
    db = Database(URLS[driver.__name__])
    with db.write() as conn:
        assert insert_rows(conn, s.detection, boxes(25_000)) == 25_000
        insert_rows(conn, s.counter, {"value": [1, 2], "name": ["a", "ünï ☂"]})
    calls = [rows for _, statement, rows in driver.log if statement.startswith("INSERT INTO detection")]
    assert [len(rows[2]) for rows in calls] == [10_000, 10_000, 5_000]
    assert calls[0][2][1] == (1, 1, 0, 9, 0.5, 0.5, 0.5, 0.5, 0.25), "values stand under their columns' names"
    (fast, sizes, rows) = next(p for _, statement, p in driver.log if statement.startswith("INSERT INTO counter"))
    assert rows == [("a", 1), ("ünï ☂", 2)]
    if driver.__name__ == "pyodbc":
        assert fast
        assert sizes == [(driver.SQL_WVARCHAR, 40, 0), None]
    wide = bulk_sql_server.rows_a_call(s.annotation, s.annotation.c.keys())
    assert 1_000 <= wide < 10_000, "buffers of a wide table stay small"


def test_an_error_of_the_raw_cursor_is_the_usual_one(driver: FakeDriver) -> None:
    """A constraint that says no is an IntegrityError whichever path the rows took."""
    words = "The INSERT statement conflicted with the FOREIGN KEY constraint."
    driver.refuse = {"INSERT INTO detection": driver_error(driver, "IntegrityError", 547, words, "23000")}
    with pytest.raises(sa.exc.IntegrityError), Database(URLS[driver.__name__]).write() as conn:
        insert_rows(conn, s.detection, boxes(3))
    assert driver.log[-1][1] == "ROLLBACK"


def test_bulk_copy_fills_a_staging_table_that_one_transaction_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bulk copy has a connection of its own and checks nothing: straight into the table it could not be undone."""
    driver = install(monkeypatch, "mssql_python")
    report = write_chunks(Database(MSSQLPYTHON), s.detection, [boxes(20_000), boxes(20_000), boxes(5)], "job")
    assert report.n_rows == 40_005
    assert driver.bulk is not None
    ((staging, rows),) = driver.bulk.items()
    assert rows[7] == (0.25, 1, 7, 0, 9, 0.5, 0.5, 0.5, 0.5)
    told = [
        statement.split("(")[0].strip()
        for _, statement, _ in driver.log
        if statement.lstrip().startswith(("CREATE", "DELETE", "BULK", "INSERT", "DROP", "COMMIT"))
    ]
    ledger, move = "INSERT INTO bulk_chunk", "INSERT INTO detection"
    chunk = [f"DELETE FROM {staging}", "COMMIT", f"BULK {staging}", ledger, move, "COMMIT"]
    assert told[:2] == [f"CREATE TABLE {staging}", "COMMIT"]
    assert told[2:14] == chunk + chunk
    assert told[14:17] == [ledger, move, "COMMIT"], "a small chunk goes by statements"
    assert [t for t in told[17:] if t.startswith("DROP")] == [f"DROP TABLE {staging}"]
    keywords = next(k for _, statement, k in driver.log if statement.startswith("BULK"))
    assert keywords["timeout"] == 0
    assert keywords["column_mappings"] == list(boxes(1))
    (moving,) = {m for m in driver.said("INSERT INTO detection") if "SELECT" in m}
    assert f"FROM {staging}" in moving.replace("\n", " ")
    assert "NOT NULL" not in driver.said("CREATE TABLE")[0], "any row fits in; the move judges"


def test_what_an_edition_refuses_is_a_warning_and_what_is_there_already_none(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """The smallest edition has no columnstore; and each upgrade would complain of the roles of the last one."""
    driver.refuse = {
        "ncci_detection": driver_error(
            driver, "ProgrammingError", 40536, "'COLUMNSTORE' is not supported in this tier."
        ),
        "CREATE ROLE": driver_error(driver, "ProgrammingError", 15023, "User, group, or role 'x' already exists."),
    }
    assert try_options(Database(URLS[driver.__name__])) == ["CREATE NONCLUSTERED COLUMNSTORE INDEX ncci_detection"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not supported in this tier" in caplog.text
    assert len(driver.said("GRANT")) > 5, "the next statements are tried all the same"


def test_a_server_without_application_locks_is_upgraded_all_the_same(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """Taking turns is a courtesy between two upgrades at once, not a condition of one."""
    driver.refuse = {
        "sp_getapplock": driver_error(driver, "ProgrammingError", 2812, "Could not find stored procedure.")
    }
    with Database(URLS[driver.__name__]).write() as conn:
        _take_turn(conn)
    assert "one upgrade at a time" in caplog.text


@pytest.mark.parametrize("refused", ["bulk copy", "staging table", "half of the rows"])
def test_where_bulk_copy_is_refused_rows_go_by_statements(
    monkeypatch: pytest.MonkeyPatch, refused: str, caplog
) -> None:
    """Not every server knows it, and not every user may make tables; the rows must arrive all the same, once."""
    driver = install(monkeypatch, "mssql_python")
    if refused == "bulk copy":
        driver.bulk = None
    elif refused == "staging table":
        driver.refuse = {"CREATE TABLE": driver.ProgrammingError("CREATE TABLE permission denied")}
    else:
        monkeypatch.setattr(
            "chimp_assets_tests.database.fake_sql_server.FakeCursor.bulkcopy", lambda *a, **k: {"rows_copied": 10_000}
        )
    assert write_chunks(Database(MSSQLPYTHON), s.detection, [boxes(20_000)] * 2, "job").n_rows == 40_000
    arrived = [len(p[2]) for _, statement, p in driver.log if statement.startswith("INSERT INTO detection")]
    assert arrived == [10_000] * 4
    assert len(driver.said("INSERT INTO bulk_chunk")) == 2
    assert len([record for record in caplog.records if "refused" in record.message]) == 1
