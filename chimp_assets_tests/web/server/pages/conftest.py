"""A home with something to show, a client of its pages, and a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from chimp_assets.home import Home
from chimp_assets.web.app import Options, create_app
from chimp_assets_tests.support.chromium import ARGUMENTS, CHROMIUM
from chimp_assets_tests.support.homes import copied
from chimp_assets_tests.web.server.pages.archive_home import PASSWORD, make_archive_home

ADDRESS = "http://127.0.0.1:3001"


@pytest.fixture
def home(tmp_path: Path, empty_home: Path) -> Home:
    """An empty home, not the one with people that tests of the server share."""
    return copied(empty_home, tmp_path / "home")


@pytest.fixture
def peopled_home(tmp_path: Path, template_home: Path) -> Iterator[Home]:
    """A copy of the home that tests of the server share: two videos, five individuals, somebody of each role."""
    shutil.copytree(template_home, tmp_path / "home")
    opened = Home.open(tmp_path / "home")
    yield opened
    opened.database.dispose()


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; every test works on a copy."""
    home = make_archive_home(tmp_path_factory.mktemp("pages") / "home")
    home.database.dispose()
    return home.settings.home


@pytest.fixture
def archive(made_home: Path, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(made_home, tmp_path / "home")
    opened = Home.open(tmp_path / "home")
    yield opened
    opened.database.dispose()


@pytest.fixture
def client(archive: Home) -> Iterator[Callable[[str], TestClient]]:
    """client("anna"): somebody who is signed in."""
    app = create_app(archive, Options(make_media=False))

    def make(name: str) -> TestClient:
        made = TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS}, follow_redirects=False)
        answer = made.post("/api/sign-in", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return made

    yield make
    app.state.db.dispose()


@pytest.fixture
def address(archive: Home) -> Iterator[str]:
    """The home, served on a free port."""
    config = uvicorn.Config(
        create_app(archive, Options(make_media=False)), host="127.0.0.1", port=0, log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(10)


@pytest.fixture
def page(playwright: Any, address: str) -> Iterator[Any]:
    """A page of a real browser in which anna, the expert, is signed in; errors: what its console said."""
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    context = started.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    answer = context.request.post(
        "/api/sign-in", data={"name": "anna", "password": PASSWORD}, headers={"Origin": address}
    )
    assert answer.ok, answer.text()
    made = context.new_page()
    made.errors = []
    made.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
    yield made
    started.close()
