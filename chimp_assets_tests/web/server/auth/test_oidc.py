"""Sign-in through an identity provider that runs on this machine and speaks the real protocol."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import disable_user
from chimp_assets.home import Home
from chimp_assets.settings import OidcSettings
from chimp_assets.web.auth.devices import secret_of
from chimp_assets.web.auth.sealing import Seal
from chimp_assets.web.pages import oidc
from chimp_assets.web.pages.oidc import Flows, role_of
from chimp_assets_tests.web.server.auth.provider import CLIENT, Provider, serving
from chimp_assets_tests.web.server.auth.test_guessing import together
from chimp_assets_tests.web.server.conftest import ADDRESS, Browser

JANE = {"tid": "t-1", "oid": "o-1", "name": "Jane", "preferred_username": "jane@example.org", "roles": ["chimp.expert"]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


@pytest.fixture
def visit(
    provider: Provider, make_app: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Browser]:
    """visit(claims): a browser that went to the provider and came back; .last is the answer."""
    monkeypatch.setenv("CHIMP_OIDC_CLIENT_SECRET", "s3cret")
    app = make_app(oidc={"metadata_url": provider.metadata_url, "client_id": CLIENT})
    provider.spoil = {}
    outside = httpx2.Client(verify=False)  # making a client that reads certificates takes longer than all the rest

    def go(claims: dict[str, Any], browser: Browser | None = None, change: Callable[[str], str] = str) -> Browser:
        provider.claims = claims
        browser = browser or Browser(app)
        out = browser.get("/sign-in/oidc?next=/label")
        assert out.status_code == 302
        back = outside.get(out.headers["location"]).headers["location"]
        assert back.startswith(f"{ADDRESS}/sign-in/oidc/callback?")
        browser.last = browser.get(change(back))
        return browser

    return go


def users(home: Home) -> list[tuple[str, str]]:
    with home.database.read() as conn:
        u, o = t.app_user.c, t.oidc_identity.c
        rows = conn.execute(sa.select(u.name, u.role).join_from(t.oidc_identity, t.app_user, u.user_id == o.user_id))
        return [tuple(row) for row in rows]


def test_a_person_of_the_provider_gets_in_with_the_role_it_says(
    home: Home, provider: Provider, visit: Callable[..., Browser]
) -> None:
    """The whole way: out with a challenge, back with a code, the code for a signed token, a user and a session."""
    jane = visit(JANE)
    assert (jane.last.status_code, jane.last.headers["location"]) == (303, "/label")
    assert jane.get("/api/me").json()["name"] == "Jane"
    assert jane.get("/api/me").json()["db_role"] == "expert"
    request = provider.token_requests[-1]
    assert request["basic"] == f"{CLIENT}:s3cret"
    assert len(request["code_verifier"]) >= 43
    assert users(home) == [("Jane", "expert")]
    again = visit({**JANE, "preferred_username": "goodall@example.org", "name": "J. Goodall"})
    assert again.get("/api/me").json()["name"] == "Jane", "a person is who the provider's keys say, not an address"
    assert users(home) == [("Jane", "expert")]


def test_another_person_with_the_same_address_is_another_user(home: Home, visit: Callable[..., Browser]) -> None:
    """Addresses of people who left are given to others, and names are shared."""
    visit(JANE)
    assert visit({**JANE, "oid": "o-2"}).get("/api/me").json()["name"] == "Jane (expert)"
    assert visit({**JANE, "tid": "t-2"}).get("/api/me").json()["name"] == "Jane (expert 2)"
    local = visit({**JANE, "oid": "o-3", "name": "anna"}).get("/api/me").json()
    assert local["name"] == "anna (expert)", "a local account is not taken over by who calls himself like it"


def test_who_gets_another_role_becomes_another_user(home: Home, visit: Callable[..., Browser]) -> None:
    """Answers are weighed by role: changing it would change past training sets."""
    before = visit({**JANE, "roles": ["chimp.identifier"]})
    assert before.get("/api/me").json()["db_role"] == "identifier"
    after = visit({**JANE, "roles": ["chimp.viewer", "chimp.reviewer"]})
    assert after.get("/api/me").json() | {"lang": ""} == {
        "name": "Jane (reviewer)", "role": "reviewer", "db_role": "reviewer", "lang": "", "languages": ["en", "fr"],
        "must_change_password": False, "csrf": None,
    }  # fmt: skip
    assert before.get("/api/me").status_code == 401, "sessions of the role that was taken away end"


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({**JANE, "roles": []}, "no_role"),
        ({**JANE, "roles": ["Somebody.else"]}, "no_role"),
        ({**JANE, "roles": {"chimp.admin": True}}, "no_role"),
        ({**JANE, "oid": "x" * 101}, "failed"),
    ],
)
def test_who_has_no_role_stays_outside(
    home: Home, visit: Callable[..., Browser], claims: dict[str, Any], problem: str
) -> None:
    """Everybody of a university can sign in at its provider."""
    refused = visit(claims)
    assert refused.last.headers["location"] == f"/sign-in?problem={problem}"
    assert refused.get("/api/me").status_code == 401
    assert users(home) == []
    assert refused.get(f"/sign-in?problem={problem}").text.count("administrator") + (problem == "failed") >= 1


def test_who_is_disabled_here_stays_outside(home: Home, visit: Callable[..., Browser]) -> None:
    """The provider knows nothing of our quarrels."""
    visit(JANE)
    disable_user(home.database, "Jane")
    assert visit(JANE).last.headers["location"] == "/sign-in?problem=disabled"


@pytest.mark.parametrize(
    "spoil",
    [
        {"key": True},
        {"unsigned": True},
        {"claims": {"aud": "another application"}},
        {"claims": {"aud": "another application", "azp": CLIENT}},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"exp": 1_000_000_000}},
        {"claims": {"nonce": "of another sign-in"}},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_is_refused(
    home: Home, provider: Provider, visit: Callable[..., Browser], spoil: dict[str, Any]
) -> None:
    """A token of another application, of an old sign-in or of a forger opens nothing."""
    provider.spoil = spoil
    refused = visit(JANE)
    assert refused.last.headers["location"] == "/sign-in?problem=failed"
    assert refused.get("/api/me").status_code == 401
    assert users(home) == []


def test_an_answer_is_taken_once_and_only_by_the_browser_that_asked(
    home: Home, provider: Provider, visit: Callable[..., Browser]
) -> None:
    """Somebody who makes anna open his answer would have her work under his name."""
    asked: list[str] = []
    mine = visit(JANE, change=lambda url: asked.append(url) or url)
    code = parse_qs(urlsplit(asked[0]).query)["code"][0]
    assert mine.get(asked[0]).headers["location"] == "/sign-in?problem=failed"
    other = visit(JANE, Browser(mine.app), lambda url: f"{url.partition('state=')[0]}state=guessed")
    assert other.last.headers["location"] == "/sign-in?problem=failed"
    stranger = Browser(mine.app)
    assert stranger.get(f"/sign-in/oidc/callback?code={code}&state=x").headers["location"].endswith("failed")
    assert stranger.get("/sign-in/oidc/callback?error=access_denied").headers["location"].endswith("failed")


def test_nobody_is_pushed_out_by_others_who_begin(visit: Callable[..., Browser]) -> None:
    """2,050 requests of one stranger made everybody who was at the provider begin again."""

    def meanwhile(url: str) -> str:
        stranger = Browser(browser.app)
        for _ in range(20):
            assert stranger.get("/sign-in/oidc").status_code == 302
        for n in range(2_050):
            flows.sealed({f"_state_provider_{n}": {}})
        return url

    browser = visit(JANE)
    flows = browser.app.state.oidc_flows
    assert visit(JANE, browser, meanwhile).last.headers["location"] == "/label"


def test_another_server_with_the_same_secret_takes_the_answer(
    home: Home, provider: Provider, make_app: Callable[..., FastAPI], visit: Callable[..., Browser]
) -> None:
    """Behind a balancer the way back may lead to another replica."""
    elsewhere = make_app(oidc={"metadata_url": provider.metadata_url, "client_id": CLIENT})
    answers = []

    def to_another(url: str) -> str:
        other = Browser(elsewhere)
        other.cookies.update(browser.cookies)
        answers.append(other.get(url))
        return url

    browser = visit(JANE)
    browser.cookies.delete("sid")
    again = visit(JANE, browser, to_another)
    assert answers[0].headers["location"] == "/label"
    assert again.last.headers["location"] == "/sign-in?problem=failed", "the provider takes a code once"


def test_what_the_browser_keeps_can_neither_be_read_nor_changed_nor_used_twice(visit: Callable[..., Browser]) -> None:
    """The verifier proves that the answer is for who asked."""
    kept: list[str] = []
    browser = visit(JANE, change=lambda url: url)
    flows = browser.app.state.oidc_flows

    def look(url: str) -> str:
        kept.append(browser.cookies["oidc"])
        return url

    visit(JANE, browser, look)
    assert len(kept[0]) < 3_000
    assert b"verifier" not in urlsafe_b64decode(kept[0] + "===")
    cookie = flows.sealed({"_state_provider_s": {"data": {}}})
    assert flows.end(cookie, "other") == {}
    for place in (0, 20, len(cookie) // 2, len(cookie) - 2):
        changed = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
        assert flows.end(changed, "s") == {}
    for wrong in (None, "", "x", "é", "=" * 40, "A" * 9_000, Seal(b"s3cret", "other").close({}, 60)):
        assert flows.end(wrong, "s") == {}
    assert flows.end(cookie, "s") == {"_state_provider_s": {"data": {}}}
    assert flows.end(cookie, "s") == {}


def test_a_sign_in_that_took_longer_than_ten_minutes_begins_again() -> None:
    seal = Seal(b"key", "oidc")
    assert seal.open(seal.close({"a": 1}, 60)) == {"a": 1}
    assert seal.open(seal.close({"a": 1}, -1)) is None
    assert Seal(b"another key", "oidc").open(seal.close({"a": 1}, 60)) is None


def test_a_long_address_to_go_to_does_not_break_the_cookie(visit: Callable[..., Browser]) -> None:
    browser = Browser(visit(JANE).app)
    out = browser.get("/sign-in/oidc", params={"next": "/label?" + "x" * 5_000})
    assert out.status_code == 302
    assert len(out.headers["set-cookie"]) < 4_000


def test_servers_of_a_database_share_the_key_and_know_which_answers_were_taken(db: Database) -> None:
    """Servers without a common folder had keys of their own, and each took a copied cookie once."""
    with db.write() as conn:
        conn.execute(sa.delete(t.page_secret))
    one, other = Flows(db, secret_of(db)), Flows(db, secret_of(db))
    cookies = [one.sealed({"_state_provider_s": {}}) for _ in range(2)]
    assert other.end(cookies[0], "s") == {"_state_provider_s": {}}
    assert one.end(cookies[0], "s") == other.end(cookies[0], "s") == {}
    assert one.end(cookies[1], "s") == {"_state_provider_s": {}}


def test_of_many_servers_that_take_an_answer_at_once_one_does(db: Database) -> None:
    """Two that look first and write then would both let it in."""
    servers = [Flows(db, b"key") for _ in range(8)]
    cookie = servers[0].sealed({"_state_provider_s": {}})
    assert sum(bool(found) for found in together(lambda n: servers[n].end(cookie, "s"), 8)) == 1


def test_answers_that_were_taken_are_forgotten_and_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may begin as many sign-ins as they like."""
    monkeypatch.setattr(oidc, "MOST_USED", 10)
    flows, a = Flows(db, b"key"), t.oidc_answer
    for _ in range(25):
        assert flows.end(flows.sealed({"_state_provider_s": {}}), "s")
    with db.write() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(a)) <= 10
        conn.execute(sa.update(a).values(taken_at=datetime.now(UTC) - timedelta(hours=1)))
    assert flows.end(flows.sealed({"_state_provider_s": {}}), "s")
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(a)) == 1


def test_where_none_is_set_up_there_is_none(app: FastAPI) -> None:
    """Off by default."""
    assert Browser(app).get("/sign-in/oidc").status_code == 404
    assert "/sign-in/oidc" not in Browser(app).get("/sign-in").text


def test_a_provider_that_is_away_is_said_and_local_accounts_still_work(make_app: Callable[..., FastAPI]) -> None:
    """A field station is offline for days."""
    app = make_app(oidc={"metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration", "client_id": CLIENT})
    browser = Browser(app)
    assert browser.get("/sign-in/oidc").headers["location"] == "/sign-in?problem=away"
    assert browser.sign_in("anna").get("/api/me").status_code == 200


def test_of_several_roles_the_highest_counts() -> None:
    """Groups overlap; the order in which a provider lists them means nothing."""
    settings = OidcSettings()
    assert role_of(settings, ["chimp.viewer", "chimp.admin", "chimp.expert"]) == "admin"
    assert role_of(settings, "chimp.viewer") == "viewer"
    assert role_of(OidcSettings(roles={"A": "no such role"}), ["A"]) is None
    assert role_of(settings, [1, None, "nothing"]) is None
