"""A home with people who can sign in, and browsers without a screen: they keep cookies and say where they come from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.testclient import TestClient

from chimp_assets.database.people.users import add_user
from chimp_assets.home import Home, init_home
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth import accounts
from chimp_assets_tests.database.world import make_world

ADDRESS = "http://127.0.0.1:3001"
PASSWORD = "a chimpanzee in the fig tree"
# name -> role in the database; anna, rita, vera, vito and lotte are of the world.
PEOPLE = {"ida": "identifier", "ada": "admin"}


class Browser(TestClient):
    """A browser at this address, with the headers that a page of ours sends."""

    def __init__(self, app: FastAPI, **more: Any) -> None:
        super().__init__(app, base_url=ADDRESS, headers={"Origin": ADDRESS}, follow_redirects=False, **more)

    def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> Browser:
        answer = self.post("/api/sign-in", json={"name": name, "password": password, **more})
        assert answer.status_code == 200, answer.text
        return self


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """argon2 as it is, with a thousandth of the work: tests sign in hundreds of times."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        patch.setattr(accounts, "_hasher", cheap)
        patch.setattr(accounts, "_NOBODY", cheap.hash("nobody"))
        yield


@pytest.fixture(scope="package", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """For the tests of this folder alone: others may come later in the same process."""
    with cheap_hashes():
        yield


@pytest.fixture(scope="package", autouse=True)
def _one_loop() -> Iterator[None]:
    """One loop of events for the requests of all browsers, as a server has: one for each doubled its cost."""
    with pytest.MonkeyPatch.context() as patch, start_blocking_portal() as portal:
        patch.setattr(TestClient, "portal", portal)
        yield


@pytest.fixture(scope="session")
def template_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of three tracks without pictures, five individuals, somebody of each role. Copied for each test."""
    home = init_home(tmp_path_factory.mktemp("template") / "home")
    make_world(home.database)
    for name, role in PEOPLE.items():
        add_user(home.database, name, role)
    with cheap_hashes():
        for name in ("anna", "rita", "vera", "vito", "lotte", *PEOPLE):
            accounts.set_password(home.database, name, PASSWORD)
    home.database.dispose()
    return home.settings.home


@pytest.fixture
def home(tmp_path: Path, template_home: Path) -> Iterator[Home]:
    root = tmp_path / "home"
    shutil.copytree(template_home, root)
    opened = Home.open(root)
    yield opened
    opened.database.dispose()


@pytest.fixture
def make_app(home: Home) -> Iterator[Callable[..., FastAPI]]:
    """The application with some settings changed."""
    made: list[FastAPI] = []

    def make(make_media: bool = False, **web: Any) -> FastAPI:
        changed = Home.open(home.settings.home, web=web) if web else home
        app = create_app(changed, Options(make_media=make_media))
        made.append(app)
        return app

    yield make
    for app in made:
        app.state.media.end()
        app.state.db.dispose()


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app()


@pytest.fixture
def browser(app: FastAPI) -> Callable[..., Browser]:
    """browser("anna"): a browser in which anna is signed in; browser(): nobody."""

    def make(name: str | None = None, **more: Any) -> Browser:
        made = Browser(app)
        return made.sign_in(name, **more) if name else made

    return make
