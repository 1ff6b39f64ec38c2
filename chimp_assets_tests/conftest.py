"""Fixtures that every folder shares: a home of its own for each test, one browser, no settings from the environment."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home, init_home
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.support.databases import (  # noqa: F401  fixtures
    another_db,
    bare_db,
    db,
    migrated_sqlite,
    mssql,
    mssql_db,
    postgresql,
    postgresql_db,
    sqlite_db,
)
from chimp_assets_tests.support.homes import Migrated, copied, migrating
from chimp_assets_tests.support.open_results import PRODUCT, OpenResults
from chimp_assets_tests.support.order import longest_first
from chimp_assets_tests.support.statements import CompiledStatements


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What the files of tests import are a million objects that stay: no garbage collection shall go through them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_unconfigure() -> None:
    """As it was: libraries look at the end whether anything of theirs is left."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """A CHIMP_HOME of the developer must neither be read nor written by a test."""
    _forget_settings(monkeypatch)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


def _forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CHIMP_") and not name.startswith("CHIMP_TEST_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """What keeps a home private changes the umask of the process, and Dagster its signals: no test inherits them."""
    umask, ending = os.umask(0o022), signal.getsignal(signal.SIGTERM)
    yield
    os.umask(umask)
    signal.signal(signal.SIGTERM, ending)


@pytest.fixture(scope="session", autouse=True)
def _open_results() -> Iterator[OpenResults]:
    """Listens to every engine that the product makes (`open_results`), and lets it compile nothing twice."""
    rule, statements = OpenResults(PRODUCT), CompiledStatements()
    make = Database._make_engine

    def make_and_listen(database: Database) -> Any:
        engine = make(database)
        rule.listen(engine)
        statements.serve(engine)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_make_engine", make_and_listen)
        yield rule


@pytest.fixture(autouse=True)
def _one_open_result_a_connection(_open_results: OpenResults) -> Iterator[None]:
    """Also where the product catches the error, as the doctor does."""
    _open_results.faults.clear()
    yield
    assert _open_results.faults == []


@pytest.fixture(scope="session", autouse=True)
def _new_databases_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where homes and commands make an SQLite file. `empty_home`, processes and tests of migrations go all the way."""
    with migrating(Migrated(lambda: tmp_path_factory.mktemp("migrated")).upgrade):
        yield


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite at head, an empty store, the default expert. Made once, since migrations take most of it; to be copied."""
    with pytest.MonkeyPatch.context() as patch, migrating():
        _forget_settings(patch)
        made = init_home(tmp_path_factory.mktemp("empty") / "home")
    made.database.dispose()
    return made.settings.home


@pytest.fixture
def home(tmp_path: Path, empty_home: Path) -> Home:
    """An empty home of this test's own."""
    return copied(empty_home, tmp_path / "home")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    """One for a file of tests, and one at a time: beside another no second one starts, and one that stays keeps a loop
    of events in the process of all later tests."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # as long as a page waits: no test is to fail where the machine is busy
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield started
    started.close()
