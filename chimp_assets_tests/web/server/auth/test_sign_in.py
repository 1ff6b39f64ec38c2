"""Local accounts, sessions and the brake on guessing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from fastapi import FastAPI

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import PeopleError, disable_user
from chimp_assets.home import Home
from chimp_assets.web.auth import accounts, sessions, throttle
from chimp_assets.web.auth.throttle import MOST_KEYS, Throttle, is_worth_telling
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

Browsers = Callable[..., Browser]


def audit(home: Home, action: str) -> list[dict[str, object]]:
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(t.audit_event.c.subject, t.audit_event.c.detail)
            .where(t.audit_event.c.action == action)
            .order_by(t.audit_event.c.audit_event_id)
        )
        return [{"subject": row.subject, **json.loads(row.detail)} for row in rows]


def test_a_session_is_a_random_token_of_which_only_the_hash_is_stored(home: Home, browser: Browsers) -> None:
    """Who reads a backup of the database must not be able to sign in with it."""
    signed_in = browser("anna")
    token = signed_in.cookies["sid"]
    with home.database.read() as conn:
        stored = conn.execute(sa.select(t.user_session)).all()
    assert [row.session_id for row in stored] == [sessions.hash_of(token)]
    assert token not in str(stored)
    assert signed_in.get("/api/me").json()["name"] == "anna"
    again = browser("anna").cookies["sid"]
    assert again != token, "a session that was there before may be somebody else's"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(app: FastAPI) -> None:
    """One injected line of script must not carry the session away."""
    plain = Browser(app).post("/api/sign-in", json={"name": "anna", "password": PASSWORD}).headers["set-cookie"]
    secure = Browser(app)
    secure.base_url = "https://127.0.0.1:3001"
    secure.headers["Origin"] = "https://127.0.0.1:3001"
    answer = secure.post("/api/sign-in", json={"name": "anna", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    for said in (plain, cookie):
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(said.split("; "))
    assert cookie.startswith("__Host-sid=")
    assert "Secure" in cookie.split("; ")
    assert "Domain" not in cookie
    assert "max-age=31536000" in answer.headers["strict-transport-security"]


def test_an_old_stolen_or_invented_session_is_refused(home: Home, app: FastAPI, browser: Browsers) -> None:
    """A cookie copied from a lost laptop works until somebody ends it, and no longer."""
    anna, thief = browser("anna"), Browser(app)
    thief.cookies.set("sid", anna.cookies["sid"])
    assert thief.get("/api/me").status_code == 200
    assert anna.post("/api/sign-out", json={}).status_code == 200
    assert (thief.get("/api/me").status_code, thief.get("/api/me").json()["code"]) == (401, "signed_out")
    for invented in ("", "x", "a" * 500, sessions.hash_of("x")):
        thief.cookies.clear()
        thief.cookies.set("sid", invented)
        assert thief.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    ("name", "keep", "unused", "alive"),
    [
        ("vera", False, timedelta(hours=11), True),
        ("vera", True, timedelta(hours=13), False),
        ("anna", False, timedelta(hours=13), False),
        ("anna", True, timedelta(days=29), True),
        ("anna", True, timedelta(days=31), False),
    ],
)
def test_a_session_ends_when_it_is_not_used(
    home: Home, browser: Browsers, name: str, keep: bool, unused: timedelta, alive: bool
) -> None:
    """A shared machine at a station must forget people; the expert's own tablet must not ask each morning."""
    signed_in = browser(name, keep=keep)
    with home.database.write() as conn:
        conn.execute(sa.update(t.user_session).values(last_seen_at=datetime.now(UTC) - unused))
    assert (signed_in.get("/api/me").status_code == 200) == alive
    # Being used counts anew; the end of all days does not move.
    assert (signed_in.get("/api/me").status_code == 200) == alive
    with home.database.write() as conn:
        conn.execute(sa.update(t.user_session).values(expires_at=datetime.now(UTC)))
    assert signed_in.get("/api/me").status_code == 401


def test_sessions_that_ended_long_ago_are_forgotten(home: Home, browser: Browsers) -> None:
    """Who signed in from where ten years ago is nobody's business any more."""
    kept, ended, revoked = (sessions.hash_of(browser("anna").cookies["sid"]) for _ in range(3))
    long_ago = datetime.now(UTC) - timedelta(days=40)
    with home.database.write() as conn:
        s = t.user_session.c
        conn.execute(sa.update(t.user_session).where(s.session_id == ended).values(expires_at=long_ago))
        conn.execute(sa.update(t.user_session).where(s.session_id == revoked).values(revoked_at=long_ago))
    assert sessions.sweep(home.database) == 2
    with home.database.read() as conn:
        assert conn.scalars(sa.select(t.user_session.c.session_id)).all() == [kept]


def test_one_can_end_ones_other_sessions_and_nobody_elses(home: Home, browser: Browsers) -> None:
    """After a theft all must end at once; and a number of somebody else's session must end nothing."""
    here, there, other = browser("anna"), browser("anna"), browser("vera")
    listed = here.get("/api/sessions").json()["sessions"]
    assert [row["this"] for row in listed].count(True) == 1
    assert len(listed) == 2
    foreign = other.get("/api/sessions").json()["sessions"][0]["session_id"]
    assert here.post("/api/sessions/revoke", json={"session_id": foreign}).json() == {"revoked": 0}
    assert other.get("/api/me").status_code == 200
    assert here.post("/api/sessions/revoke", json={}).json() == {"revoked": 1}
    assert (here.get("/api/me").status_code, there.get("/api/me").status_code) == (200, 401)


def test_who_is_disabled_is_out_at_once(home: Home, browser: Browsers) -> None:
    """A volunteer who left in anger still has an open page."""
    vera = browser("vera")
    disable_user(home.database, "vera")
    assert vera.get("/api/me").status_code == 401
    assert vera.post("/api/sign-in", json={"name": "vera", "password": PASSWORD}).json()["code"] == "wrong_password"


def test_the_first_administrator_signs_in_once_and_then_chooses_a_password(home: Home, app: FastAPI) -> None:
    """A fresh home needs somebody who can get in, and a printed password must not stay good."""
    with home.database.write() as conn:
        conn.execute(sa.update(t.app_user).where(t.app_user.c.role == "admin").values(disabled=True))
    once = accounts.first_admin(home.database)
    assert once is not None
    assert accounts.first_admin(home.database) is None, "a second start must not make a second password"
    admin = Browser(app)
    said = admin.post("/api/sign-in", json={"name": "admin", "password": once}).json()
    assert said["must_change_password"] is True
    assert admin.get("/api/individuals").json()["code"] == "password_must_change"
    assert admin.get("/", headers={"Accept": "text/html"}).status_code in (303, 404)
    for new, code in (("short", "refused"), (once, "same_password")):
        assert admin.post("/api/password", json={"old": once, "new": new}).json()["code"] == code
    old_session = admin.cookies["sid"]
    assert admin.post("/api/password", json={"old": once, "new": PASSWORD}).status_code == 200
    assert admin.get("/api/individuals").status_code == 200
    stolen = Browser(app)
    stolen.cookies.set("sid", old_session)
    assert stolen.get("/api/me").status_code == 401
    assert Browser(app).post("/api/sign-in", json={"name": "admin", "password": once}).status_code == 401


def test_a_hash_of_older_parameters_is_renewed_at_the_next_sign_in(home: Home, browser: Browsers) -> None:
    """Hashes of years ago get weaker every year."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with home.database.write() as conn:
        conn.execute(sa.update(t.app_user).where(t.app_user.c.name == "anna").values(password_hash=weak))
    browser("anna")
    with home.database.read() as conn:
        now = conn.scalar(sa.select(t.app_user.c.password_hash).where(t.app_user.c.name == "anna"))
    assert now != weak
    assert not accounts._hasher.check_needs_rehash(str(now))
    browser("anna")


@pytest.mark.parametrize("password", ["", "nine char", "x" * 257, "half of a pair \ud800", "nul \x00 character"])
def test_what_cannot_be_a_password_is_refused_in_words(home: Home, password: str) -> None:
    """A database that cannot store it would say so with a traceback."""
    with pytest.raises(PeopleError, match=r"A password (needs|may have)"):
        accounts.set_password(home.database, "anna", password)


def test_ten_thousand_attempts_are_refused_and_told_in_few_rows(
    home: Home, app: FastAPI, browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessing must cost the guesser time, not us: no hash for each guess, no row for each guess."""
    hashed = []
    real = accounts.verify
    monkeypatch.setattr(accounts, "verify", lambda *given: hashed.append(1) or real(*given))
    app.state.throttle = Throttle(app.state.db, b"secret", clock=lambda: 0.0)
    guesser = Browser(app)
    codes = [
        guesser.post("/api/sign-in", json={"name": "anna", "password": f"guess {n}"}).status_code for n in range(100)
    ]
    assert set(codes[:5]) == {401}
    assert set(codes[5:]) == {429}
    last = guesser.post("/api/sign-in", json={"name": "Anna ", "password": PASSWORD})
    assert last.status_code == 429, "the right password is not looked at either, nor another spelling"
    assert int(last.headers["retry-after"]) >= 1
    for _ in range(9_900):
        app.state.throttle.refuse("anna", "testclient")
    guesser.post("/api/sign-in", json={"name": "anna", "password": "x"})
    assert len(hashed) == 5
    assert len(audit(home, "sign_in.failed")) == 5
    throttled = audit(home, "sign_in.throttled")
    assert len(throttled) == 7
    assert [row["refused_so_far"] for row in throttled] == ["1", "2", "4", "8", "16", "32", "64"]


def test_failures_are_forgotten_counted_apart_and_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A brake that grows without end is a way to fill the disk; one that never lets go locks the expert out."""
    now = [0.0]
    brake = Throttle(db, b"secret", clock=lambda: now[0])
    for _ in range(5):
        assert brake.pause_s("anna", "1.1.1.1") == 0
        brake.fail("anna", "1.1.1.1")
    assert brake.pause_s("anna", "1.1.1.1") == 1
    assert brake.pause_s("anna", "2.2.2.2") == 0, "nobody is locked out from elsewhere"
    assert brake.pause_s("vera", "1.1.1.1") == 0, "a station shares one address"
    brake.fail("anna", "1.1.1.1")
    assert brake.pause_s("anna", "1.1.1.1") == 2
    now[0] += 2
    assert brake.pause_s("anna", "1.1.1.1") == 0
    brake.succeed("anna", "1.1.1.1")
    brake.fail("anna", "1.1.1.1")
    assert brake.pause_s("anna", "1.1.1.1") == 0
    for n in range(60):
        brake.fail(f"name {n}", "3.3.3.3")
    assert brake.pause_s("somebody new", "3.3.3.3") > 100, "an address that tries many names is braked as well"
    now[0] += 3601
    assert brake.pause_s("somebody new", "3.3.3.3") == 0
    f = t.sign_in_failure
    at = [datetime.fromtimestamp(now[0] - n % 1_000, UTC) for n in range(MOST_KEYS + 5_000)]
    with db.write() as conn:
        n_before = conn.scalar(sa.select(sa.func.count()).select_from(f))
        insert_rows(conn, f, {"key_hash": [f"k{n}" for n in range(len(at))], "failures": [5] * len(at), "last_at": at})
    assert brake.clear_up() >= n_before + 5_000 - 25, "rows of one moment go or stay together"
    with db.read() as conn:
        assert MOST_KEYS <= conn.scalar(sa.select(sa.func.count()).select_from(f)) <= MOST_KEYS + 25
        assert conn.scalar(sa.select(sa.func.max(f.c.last_at))) == at[0], "the newest stay"
    with monkeypatch.context() as patch:
        patch.setattr(throttle, "MOST_KEYS", 100)
        patch.setattr(throttle, "CLEAR_UP_EVERY", 30)
        brake.clear_up()
        for n in range(150):
            now[0] += 1
            brake.fail(f"n{n}", f"a{n}")
            with db.read() as conn:
                assert conn.scalar(sa.select(sa.func.count()).select_from(f)) <= 100 + 25 + 30
    assert [n for n in range(1, 20) if is_worth_telling(n)] == [1, 2, 4, 8, 16]


def test_an_unknown_name_is_refused_like_a_wrong_password(browser: Browsers) -> None:
    """Different words would say which names are worth guessing at."""
    nobody = browser()
    said = {
        (answer.status_code, answer.text)
        for name in ("anna", "nobody", "", "nul\x00", "x" * 200)
        if (answer := nobody.post("/api/sign-in", json={"name": name, "password": "wrong"}))
    }
    assert len(said) == 1


def test_signing_out_gives_the_items_back(home: Home, browser: Browsers) -> None:
    """Items of somebody who went home must not wait for their lease to end."""
    from chimp_assets_tests.database.world import plan, track

    plan(home.database, [track(1), track(2)])
    anna = browser("anna")
    assert len(anna.post("/api/queue/claim", json={"n": 2}).json()["items"]) == 2
    assert browser("rita").post("/api/queue/claim", json={"n": 2}).json()["held"][0]["n"] == 2
    assert anna.post("/api/sign-out", json={}).json() == {"released": 2}
    assert len(browser("rita").post("/api/queue/claim", json={"n": 2}).json()["items"]) == 2


def test_nobody_signs_in_over_plain_http_from_another_machine(make_app: Callable[..., FastAPI]) -> None:
    """A password that crosses a field network in clear is everybody's."""
    remote = "http://station.local:3001"
    for allowed, status in ((False, 403), (True, 200)):
        app = make_app(hosts=("station.local",), insecure_http=allowed)
        browser = Browser(app)
        browser.base_url, browser.headers["Origin"] = remote, remote
        answer = browser.post("/api/sign-in", json={"name": "anna", "password": PASSWORD})
        assert answer.status_code == status, answer.text
