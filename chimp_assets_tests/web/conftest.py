"""A real server on a real home, and a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import uvicorn

from chimp_assets.database import schema as s
from chimp_assets.home import Home
from chimp_assets.web.app import Options, create_app
from chimp_assets_tests.web.label_home import PASSWORD, make_label_home


@dataclass
class Site:
    """A home that is served."""

    home: Home
    url: str

    def annotations(self) -> list[Any]:
        """Every stored event, in order."""
        with self.home.database.read() as conn:
            return list(conn.execute(sa.select(s.annotation).order_by(s.annotation.c.seq)))


class Served:
    """The application in a thread of this process, on a free port."""

    def __init__(self, home: Home, port: int = 0, make_media: bool = False) -> None:
        config = uvicorn.Config(
            create_app(home, Options(make_media=make_media)),
            host="127.0.0.1",
            port=port,
            log_level="critical",
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """108 tracks, made once; every test works on a copy."""
    root = tmp_path_factory.mktemp("label") / "home"
    make_label_home(root, 108, settings="[web]\nblind_share = 0.0\n").database.dispose()
    return root


@pytest.fixture
def serve(small_home: Path, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """serve(root=None) -> Site; stops when the test ends."""
    running: list[Served] = []

    def start(root: Path | None = None) -> Site:
        if root is None:
            root = tmp_path / "served"
            shutil.copytree(small_home, root)
        home = Home.open(root)
        served = Served(home)
        running.append(served)
        return Site(home, f"http://127.0.0.1:{served.port}")

    yield start
    for served in running:
        served.stop()


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    """The small home, served."""
    return serve()


def sign_in(context: Any, site: Site, name: str = "anna") -> None:
    """Give a browser context the session of a person."""
    answer = context.request.post(
        f"{site.url}/api/sign-in", data={"name": name, "password": PASSWORD}, headers={"Origin": site.url}
    )
    assert answer.ok, answer.text()


@pytest.fixture
def context(browser: Any, site: Site) -> Iterator[Any]:
    """A browser context in which anna, the expert, is signed in."""
    # Without the service worker: it fetches every file once more, and has tests of its own.
    made = browser.new_context(viewport={"width": 1280, "height": 800}, service_workers="block")
    sign_in(made, site)
    yield made
    made.close()
