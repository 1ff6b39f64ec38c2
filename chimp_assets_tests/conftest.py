"""Fixtures that every folder shares: a home of its own for each test, and no settings from the environment."""

import os

import pytest

from chimp_assets.home import Home, init_home


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """A CHIMP_HOME of the developer must neither be read nor written by a test."""
    for name in [name for name in os.environ if name.startswith("CHIMP_") and not name.startswith("CHIMP_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture
def home(tmp_path) -> Home:
    """An empty home: SQLite at head, an empty store, the default expert."""
    return init_home(tmp_path / "home")
