"""Each test that asks for a driver runs with the stand-ins of both."""

from __future__ import annotations

import pytest

from chimp_assets_tests.database.connection.drivers import URLS
from chimp_assets_tests.database.fake_sql_server import FakeDriver, install


@pytest.fixture(params=URLS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    monkeypatch.setattr("chimp_assets.database.connection.engine.time.sleep", lambda seconds: None)
    return install(monkeypatch, request.param)
