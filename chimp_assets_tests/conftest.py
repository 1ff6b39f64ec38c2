"""Fixtures that every folder shares: a home of its own for each test, one browser, no settings from the environment."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home, init_home
from chimp_assets_tests.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.databases import (  # noqa: F401  fixtures
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
from chimp_assets_tests.open_results import PRODUCT, OpenResults

# The longest first: the last to begin is what two workers end up waiting for.
FIRST = ("test_end_to_end.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """A CHIMP_HOME of the developer must neither be read nor written by a test."""
    for name in [name for name in os.environ if name.startswith("CHIMP_") and not name.startswith("CHIMP_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session", autouse=True)
def _open_results() -> Iterator[OpenResults]:
    """Listens to every engine that the product makes (`open_results`)."""
    rule = OpenResults(PRODUCT)
    make = Database._make_engine

    def make_and_listen(database: Database) -> Any:
        engine = make(database)
        rule.listen(engine)
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


@pytest.fixture
def home(tmp_path) -> Home:
    """An empty home: SQLite at head, an empty store, the default expert."""
    return init_home(tmp_path / "home")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """One for all tests: a second one in the same process does not start."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield started
    started.close()
