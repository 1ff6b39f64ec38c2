"""Dagster's web UI is for administrators of this home, and no page of anybody else can use it through their browser."""

from __future__ import annotations

import contextlib
import logging
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from chimp_assets.cli.up import web_ui_lines
from chimp_assets.database import schema as t
from chimp_assets.database.people.users import add_user
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.web.auth import accounts, sessions
from chimp_assets.web.dagster import door as dagster_door
from chimp_assets.web.dagster import ui_token
from chimp_assets.web.dagster.door import Door
from chimp_assets_tests.web.server.conftest import ADDRESS, PASSWORD

UI = "http://127.0.0.1:3000"
MUTATION = {"query": "mutation { stopSensor }"}
OWN = {"Origin": UI, "Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html"}


class Dagster:
    """Stands for Dagster's application: notes what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []

        async def page(request: Request) -> Response:
            self.reached.append(f"{request.method} {request.url.path}")
            return HTMLResponse("ui", headers={"Content-Security-Policy": "script-src 'nonce-1'; base-uri 'none'"})

        async def graphql(request: Request) -> Response:
            self.reached.append(f"{request.method} {request.url.path}")
            return JSONResponse(await request.json() if request.method == "POST" else {})

        async def socket(websocket: WebSocket) -> None:
            self.reached.append("websocket")
            await websocket.accept(subprotocol="graphql-ws")
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await websocket.send_text(await websocket.receive_text())

        every = Route("/{path:path}", page, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
        self.app = Starlette(
            routes=[Route("/graphql", graphql, methods=["GET", "POST"]), WebSocketRoute("/graphql", socket), every]
        )


@pytest.fixture
def dagster() -> Dagster:
    return Dagster()


@pytest.fixture
def make_door(home: Home, dagster: Dagster) -> Callable[..., Door]:
    """The door of the home, with some web settings changed."""

    def make(host: str = "127.0.0.1", **web: Any) -> Door:
        settings = home.settings.model_copy(update={"web": home.settings.web.model_copy(update=web)})
        return Door(dagster.app, home.database, settings, host, ADDRESS)

    return make


@pytest.fixture
def visit(home: Home, make_door: Callable[..., Door]) -> Callable[..., TestClient]:
    """visit(name): somebody who signed in on the labelling page and goes to the web UI; None: nobody."""

    def go(name: str | None = None, door: Door | None = None, address: str = UI) -> TestClient:
        client = TestClient(door or make_door(), base_url=address, follow_redirects=False)
        if name is not None:
            with home.database.read() as conn:
                person = conn.execute(sa.select(t.app_user).where(t.app_user.c.name == name)).one()
            token, _ = sessions.begin(home.database, home.settings.web, person.user_id, person.role, False, "", "")
            client.cookies.set("sid", token, domain="127.0.0.1", path="/")
        return client

    return go


Visit = Callable[..., TestClient]


def connect(client: TestClient, query: str = "", **headers: str) -> Any:
    """A websocket to where the client's pages come from."""
    return client.websocket_connect(f"ws://{urlsplit(str(client.base_url)).netloc}/graphql{query}", headers=headers)


def post(client: TestClient, **headers: str) -> Any:
    return client.post("/graphql", json=MUTATION, headers=headers)


def test_an_administrator_of_the_labelling_page_is_let_in(visit: Visit, dagster: Dagster) -> None:
    ada = visit("ada")
    assert ada.get("/runs", headers=HTML).text == "ui"
    assert post(ada, **OWN).json() == MUTATION
    assert post(ada, Origin=UI).status_code == 200, "a browser that sends no Sec-Fetch-Site says its origin"
    with connect(ada, Origin=UI) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
    assert dagster.reached == ["GET /runs", "POST /graphql", "POST /graphql", "websocket"]


@pytest.mark.parametrize("name", [None, "vera", "vito", "ida", "rita", "anna"])
def test_nobody_else_is_let_in_and_learns_where_to_sign_in(visit: Visit, dagster: Dagster, name: str | None) -> None:
    """Whoever may launch runs may run code: the web UI needs the highest role."""
    client = visit(name)
    status = 401 if name is None else 403
    for path in ("/", "/runs", "/server_info", "/_next/static/x.js", "/logs/x", "/download_debug/x", "/favicon.png"):
        assert client.get(path).status_code == status, path
    page = client.get("/", headers=HTML)
    assert page.status_code == status
    assert f"{ADDRESS}/sign-in" in page.text
    assert "chimp up" in page.text
    assert post(client, **OWN).status_code == status
    with pytest.raises(WebSocketDisconnect), connect(client, Origin=UI):
        pass
    assert dagster.reached == []


def test_an_administrator_with_a_password_for_one_sign_in_chooses_another_first(home: Home, visit: Visit) -> None:
    add_user(home.database, "abe", "admin")
    accounts.set_password(home.database, "abe", PASSWORD)
    with home.database.write() as conn:
        conn.execute(sa.update(t.app_user).where(t.app_user.c.name == "abe").values(must_change=True))
    page = visit("abe").get("/", headers=HTML)
    assert page.status_code == 403
    assert "/password" in page.text


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": datetime.now(UTC)},
        {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
        {"last_seen_at": datetime.now(UTC) - timedelta(days=400)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_session_that_has_ended_opens_nothing(home: Home, visit: Visit, change: dict[str, datetime]) -> None:
    ada = visit("ada")
    with home.database.write() as conn:
        conn.execute(sa.update(t.user_session).values(**change))
    assert ada.get("/").status_code == 401


def test_a_disabled_administrator_is_refused_at_once(home: Home, visit: Visit) -> None:
    ada = visit("ada")
    with home.database.write() as conn:
        conn.execute(sa.update(t.app_user).where(t.app_user.c.name == "ada").values(disabled=True))
    assert ada.get("/").status_code == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "127.0.0.1.evil.example:3000", "", "127.0.0.1:3000@evil.example",
     "127.0.0.1:3000.evil.example", "0.0.0.0:3000", "localhost.evil.example", "[::2]:3000"],
)  # fmt: skip
def test_another_name_for_this_server_is_refused(visit: Visit, dagster: Dagster, host: str) -> None:
    """DNS rebinding: a page elsewhere gives its own name our address, and is then of the same origin."""
    ada = visit("ada")
    assert ada.get("/", headers={"Host": host}).status_code == 421
    assert post(ada, Host=host, Origin=f"http://{host}").status_code == 421
    assert post(ada, Host=host, **OWN).status_code == 421
    with pytest.raises(WebSocketDisconnect):
        connect(ada, Host=host, Origin=f"http://{host}").__enter__()
    assert dagster.reached == []


FOREIGN: tuple[dict[str, str], ...] = (
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
    {"Origin": ADDRESS, "Sec-Fetch-Site": "same-site"},
    {"Origin": UI, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "none"},
    {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": ADDRESS},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://127.0.0.1:3000"},
    {"Origin": f"{UI}.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_post_of_another_page_reaches_nothing(visit: Visit, dagster: Dagster, headers: dict[str, str]) -> None:
    """The browser sends her cookie with it: only the origin tells. Another port of this machine is another page."""
    ada = visit("ada")
    assert post(ada, **headers).status_code == 403
    for path in ("/report_asset_materialization/frames", "/report_asset_check/frames", "/graphql/", "/x"):
        assert ada.post(path, json={}, headers=headers).status_code == 403
    assert dagster.reached == []


@pytest.mark.parametrize("headers", [headers for headers in FOREIGN if headers.get("Origin") != UI], ids=str)
def test_a_websocket_of_another_page_is_refused(visit: Visit, dagster: Dagster, headers: dict[str, str]) -> None:
    """Websockets know no same-origin policy."""
    with pytest.raises(WebSocketDisconnect):
        connect(visit("ada"), **headers).__enter__()
    assert dagster.reached == []


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json-x", "",
     "text/plain; application/json", "application/graphql"],
)  # fmt: skip
def test_a_body_that_a_form_can_send_is_refused(visit: Visit, dagster: Dagster, kind: str) -> None:
    """A browser asks before it sends JSON to another site, and does not before a form. Even from our own page."""
    ada = visit("ada")
    sent = ada.post("/graphql", content=b'{"query": "mutation{x}"}', headers={**OWN, "Content-Type": kind})
    assert sent.status_code == 415
    in_address = ada.post("/graphql?query=mutation{x}", content=b"", headers={**OWN, "Content-Type": kind})
    assert in_address.status_code == 415
    assert dagster.reached == []


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/GraphQL", "/%67raphql", "/graphql%2f"])
def test_no_get_reaches_graphql(visit: Visit, dagster: Dagster, path: str) -> None:
    """The address of a picture is a GET, with cookies: `<img src=".../graphql?query=mutation{...}">`."""
    ada = visit("ada")
    for method in ("GET", "HEAD"):
        for accept in ("application/json", "text/html", "image/*"):
            answer = ada.request(method, f"{path}?query=mutation{{wipe}}", headers={"Accept": accept})
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
    assert dagster.reached == []


def test_other_methods_are_refused(visit: Visit, dagster: Dagster) -> None:
    """OPTIONS, too: no other site is ever allowed anything."""
    ada = visit("ada")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = ada.request(method, "/graphql", headers=OWN)
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    assert dagster.reached == []


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, True),
    ],
)
def test_a_link_may_lead_here_and_nothing_else_of_another_page(
    visit: Visit, headers: dict[str, str], let_in: bool
) -> None:
    assert visit("ada").get("/runs", headers=headers).status_code == (200 if let_in else 403)


def test_no_answer_can_be_framed_and_pages_load_nothing_from_elsewhere(visit: Visit) -> None:
    """A framed button can be clicked without being seen; a picture in a text could ask any server."""
    answers: list[Any] = [
        visit("ada").get("/"),
        visit().get("/", headers=HTML),
        visit().get("/graphql"),
        post(visit("ada")),
    ]
    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == "'none'"
        assert policy["default-src"] == "'self'"
        assert policy["img-src"] == "'self' data: blob:"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'nonce-1'" in answers[0].headers["content-security-policy"], "Dagster's own rules stay"


def test_the_files_of_the_web_ui_may_be_kept_by_the_browser(visit: Visit) -> None:
    """6 MB of scripts are not fetched for each page."""
    ada = visit("ada")
    assert "immutable" in ada.get("/_next/static/chunks/a.js").headers["cache-control"]
    assert ada.get("/runs").headers["cache-control"] == "no-store"


def test_a_long_body_is_refused(visit: Visit, dagster: Dagster, home: Home) -> None:
    ada = visit("ada")
    long = {"query": "x" * home.settings.web.body_bytes}
    assert ada.post("/graphql", json=long, headers=OWN).status_code == 413
    pieces = iter([b'{"query": "', b"x" * home.settings.web.body_bytes, b'"}'])
    unsaid = ada.post("/graphql", content=pieces, headers={**OWN, "Content-Type": "application/json"})
    assert unsaid.status_code == 413


def test_a_busy_database_lets_nobody_in(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    from chimp_assets.database.connection.engine import BusyDatabaseError

    def busy(*_: object) -> None:
        raise BusyDatabaseError("The database is busy.", "Wait.")

    ada = visit("ada")
    monkeypatch.setattr(dagster_door.sessions, "find", busy)
    assert ada.get("/").status_code == 503


def test_an_open_websocket_ends_soon_after_its_session(
    home: Home, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logs of runs come through it for hours."""
    monkeypatch.setattr(dagster_door, "LOOK_AGAIN_S", 0.0)
    with connect(visit("ada"), Origin=UI) as socket:
        socket.send_text("one")
        assert socket.receive_text() == "one"
        with home.database.write() as conn:
            conn.execute(sa.update(t.user_session).values(revoked_at=datetime.now(UTC)))
        socket.send_text("two")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


# The token that `chimp up` prints.


def test_the_printed_link_opens_the_web_ui_once_signed_in_the_address_holds_no_token(
    home: Home, visit: Visit, dagster: Dagster
) -> None:
    client = visit()
    token = ui_token.renew(home)
    entered = client.get(f"/runs?token={token}&view=all", headers={**HTML, "Sec-Fetch-Site": "none"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?view=all")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert client.get("/runs").text == "ui"
    assert post(client, **OWN).json() == MUTATION
    assert post(client, Origin="http://127.0.0.1:9999").status_code == 403
    assert dagster.reached == ["GET /runs", "POST /graphql"]


def test_a_link_that_another_site_opened_enters_by_a_page_of_ours(home: Home, visit: Visit) -> None:
    """A terminal in a browser is another site, after which a strict cookie is not sent."""
    client = visit()
    entered = client.get(f"/?token={ui_token.renew(home)}", headers={**HTML, "Sec-Fetch-Site": "cross-site",
                         "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})  # fmt: skip
    assert entered.status_code == 200
    assert 'content="0; url=/"' in entered.text
    assert client.get("/").text == "ui"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_entering_leads_to_no_other_site(home: Home, visit: Visit, path: str) -> None:
    entered = visit().get(f"{UI}{path}?token={ui_token.renew(home)}")
    assert urlsplit(urljoin(UI, entered.headers["location"])).netloc == "127.0.0.1:3000"


def test_a_wrong_or_an_old_token_opens_nothing(home: Home, visit: Visit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = visit()
    assert client.get("/?token=guess").status_code == 401, "before any was made"
    old, new = ui_token.renew(home), ui_token.renew(home)
    stored = (home.settings.home / ui_token.FILE).read_text()
    for wrong in (old, "", "x" * 10_000, new[:-1], new + "=", stored, "é"):
        refused = client.get("/", params={"token": wrong}, headers=HTML)
        assert refused.status_code == 401
        assert "no longer valid" in refused.text
        assert "set-cookie" not in refused.headers
        client.cookies.set("chimp-ui", wrong.encode("ascii", "replace").decode()[:3000], domain="127.0.0.1")
        assert client.get("/").status_code == 401
        client.cookies.clear()
    with pytest.raises(WebSocketDisconnect):
        connect(client, f"?token={new}", Origin=UI).__enter__()
    assert client.get("/", params={"token": new}).status_code == 303
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert not [line for line in logged if old in line or new in line]


def test_the_home_keeps_only_a_hash_of_the_token_that_nobody_else_can_read(home: Home) -> None:
    token = ui_token.renew(home)
    file: Path = home.settings.home / ui_token.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in file.read_text()
    assert ui_token.is_right(home.settings.home, token), "another process of the same home knows it: a restart keeps it"


# Other machines.


def test_other_machines_are_answered_only_by_a_name_that_is_set(
    visit: Visit, make_door: Callable[..., Door], home: Home
) -> None:
    """`chimp up --host 0.0.0.0` alone opens nothing."""
    token = ui_token.renew(home)
    for host in ("0.0.0.0", "::"):
        everywhere = visit(door=make_door(host), address="http://10.1.2.3:3000")
        assert everywhere.get(f"/?token={token}").status_code == 421
    named = visit(door=make_door("0.0.0.0", hosts=("lab.example",)), address="http://lab.example:3000")
    assert named.get("/").status_code == 401
    refused = named.get(f"/?token={token}")
    assert (refused.status_code, refused.json()["code"]) == (403, "insecure")
    risky = make_door("0.0.0.0", hosts=("lab.example",), insecure_http=True)
    assert visit(door=risky, address="http://lab.example:3000").get(f"/?token={token}").status_code == 303
    own = visit(door=make_door("10.1.2.3"), address="http://10.1.2.3:3000")
    assert own.get(f"/?token={token}").json()["code"] == "insecure"


def test_up_prints_the_link_and_warns_where_others_can_reach_it(home: Home) -> None:
    (line,) = web_ui_lines(home, "127.0.0.1", 3000)
    _, token = re.fullmatch(r"Web UI:  (http://127\.0\.0\.1:3000/\?token=(\S{43}))", line).groups()  # type: ignore
    assert ui_token.is_right(home.settings.home, token)
    for host, shown in (("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3"), ("::", "127.0.0.1")):
        link, warning = web_ui_lines(home, host, 3000)
        assert f"http://{shown}:3000/?token=" in link
        assert "Other machines can reach the web UI" in warning
    assert token not in link
    assert not ui_token.is_right(home.settings.home, token)


def test_a_home_that_cannot_be_written_is_said_in_a_sentence(home: Home) -> None:
    (home.settings.home / f"{ui_token.FILE}.part").mkdir()
    with pytest.raises(ChimpError, match="cannot be written"):
        ui_token.renew(home)


def test_over_https_cookies_are_secure_and_of_this_host_alone(
    visit: Visit, make_door: Callable[..., Door], home: Home
) -> None:
    door = make_door(hosts=("lab.example",))
    client = visit(door=door, address="https://lab.example")
    entered = client.get(f"/?token={ui_token.renew(home)}")
    assert entered.headers["set-cookie"].startswith("__Host-chimp-ui=")
    assert "Secure" in entered.headers["set-cookie"]
    assert client.get("/").status_code == 200
    assert "strict-transport-security" in client.get("/").headers
    assert post(client, Origin="https://lab.example").status_code == 200
    assert post(client, Origin="http://lab.example").status_code == 403
