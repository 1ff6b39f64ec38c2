"""Guessing, locking out, and sixty people at eight in the morning."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import add_user, disable_user
from chimp_assets.home import Home
from chimp_assets.web.auth import accounts
from chimp_assets.web.auth.devices import MOST_ACCOUNTS, Devices
from chimp_assets.web.auth.hashing import Hashing
from chimp_assets.web.auth.throttle import FREE_FAILURES, MOST_KEYS, Throttle, network_of
from chimp_assets_tests.database.world import plan, track
from chimp_assets_tests.web.server.auth.test_sign_in import audit
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

Browsers = Callable[..., Browser]


def at(app: FastAPI, address: str) -> Browser:
    """A browser at an address."""
    return Browser(app, client=(address, 40_000))


def tried(browser: Browser, password: str, name: str = "anna") -> int:
    body = json.dumps({"name": name, "password": password}).encode()
    return browser.post("/api/sign-in", content=body, headers={"Content-Type": "application/json"}).status_code


def stopped(db: Database, secret: bytes = b"secret") -> Throttle:
    """A throttle for which time stands still."""
    return Throttle(db, secret, clock=lambda: 0.0)


def keys_of(db: Database) -> list[str]:
    """What is stored about whom."""
    with db.read() as conn:
        return list(conn.scalars(sa.select(t.sign_in_failure.c.key_hash)))


def together(work: Callable[[int], Any], n: int) -> list[Any]:
    """What n threads that begin at once get."""
    got: list[Any] = [None] * n
    gate = threading.Barrier(n)

    def run(place: int) -> None:
        gate.wait(30)
        got[place] = work(place)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_guesses_at_once_are_as_many_as_guesses_in_turn(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 48 parallel guesses 41 were looked at, where five are meant to be."""
    looked_at = []
    real = accounts.verify

    def slow(*given: Any) -> Any:
        looked_at.append(1)
        time.sleep(0.05)
        return real(*given)

    monkeypatch.setattr(accounts, "verify", slow)
    app.state.throttle = stopped(app.state.db)
    app.state.hashing = Hashing(at_once=4, most_waiting=60)
    codes = Counter(together(lambda n: tried(Browser(app), f"guess {n}"), 24))
    assert len(looked_at) == FREE_FAILURES
    assert codes == {401: 5, 429: 19}


def test_nobody_locks_somebody_else_out(app: FastAPI) -> None:
    """Five wrong passwords for `admin` from anywhere kept the administrator out."""
    app.state.throttle = stopped(app.state.db)
    for n in range(15):
        guesser = at(app, f"203.0.113.{n}")
        assert [tried(guesser, "wrong password") for _ in range(6)] == [401] * 5 + [429]
    assert tried(at(app, "198.51.100.1"), PASSWORD) == 200
    assert tried(at(app, "203.0.113.1"), PASSWORD) == 429, "who guesses waits"


def test_a_known_device_gets_in_while_others_guess(app: FastAPI) -> None:
    """A guesser in the same building, or one with a thousand addresses, must not keep people from their own tablet."""
    app.state.throttle = stopped(app.state.db)
    tablet = at(app, "10.0.0.1")
    assert tried(tablet, PASSWORD) == 200
    tablet.cookies.delete("sid")
    for n in range(70):
        app.state.throttle.fail(f"name {n}", "10.0.0.1")
    for n in range(30):
        for _ in range(5):
            app.state.throttle.admit("anna", f"192.0.2.{n}")
    assert tried(at(app, "10.0.0.1"), PASSWORD) == 429
    assert tried(at(app, "172.16.0.9"), PASSWORD) == 429, "guesses from many addresses are bounded as well"
    assert tried(tablet, "mistyped") == 401
    assert tried(tablet, PASSWORD) == 200
    assert tried(tablet, "somebody else's", "vera") == 429, "known for one account is not known for all"
    assert [tried(tablet, "guess") for _ in range(7)] == [401] * 5 + [429] * 2, "a stolen tablet guesses no faster"


@pytest.mark.parametrize("cookie", ["", "x", "a" * 22 + "~" + "b" * 22, "~" * 30, "é" * 22, "a" * 5000])
def test_a_device_that_says_so_itself_is_not_known(app: FastAPI, cookie: str) -> None:
    """The cookie is signed: an invented one is none."""
    app.state.throttle = stopped(app.state.db)
    guesser = Browser(app)
    codes = [
        guesser.post(
            "/api/sign-in", json={"name": "anna", "password": "wrong"}, headers={"Cookie": f"device={cookie}".encode()}
        ).status_code
        for _ in range(6)
    ]
    assert codes == [401] * 5 + [429]


def test_a_device_is_known_for_the_accounts_that_used_it_and_no_others(app: FastAPI) -> None:
    """A station's people share a tablet; a cookie of another station says nothing here."""
    shared = Browser(app)
    for name in ("anna", "rita", "vera"):
        shared.sign_in(name)
    value = shared.cookies["device"]
    assert value.count("~") == 3

    asked = Request({
        "type": "http", "scheme": "http", "server": ("127.0.0.1", 3001), "path": "/", "query_string": b"", "app": app,
        "headers": [(b"cookie", f"device={value}".encode()), (b"host", b"127.0.0.1:3001")],
    })  # fmt: skip
    device = value.split("~")[0]
    devices: Devices = app.state.devices
    assert [devices.known(asked, name) for name in ("anna", "rita", "vera", "ida", "")] == [device] * 3 + [None] * 2
    assert Devices(b"another").known(asked, "anna") is None
    assert MOST_ACCOUNTS >= 3


def test_an_address_is_counted_as_one_whatever_names_it_tries(home: Home, app: FastAPI) -> None:
    """1,500 names from a braked address were 1,500 rows, and pushed the counters of others out."""
    app.state.throttle = stopped(app.state.db)
    guesser = at(app, "203.0.113.5")
    for n in range(150):
        tried(guesser, "wrong", f"name {n}")
    assert len(audit(home, "sign_in.failed")) == 50
    assert [row["refused_so_far"] for row in audit(home, "sign_in.throttled")] == ["1", "2", "4", "8", "16", "32", "64"]
    assert len(keys_of(home.database)) <= 101


def test_failures_are_counted_by_network_and_their_keys_are_short(db: Database) -> None:
    """One customer has 2**64 addresses of IPv6; a name of 3,000 letters is a key like any other."""
    brake = stopped(db)
    for n in range(FREE_FAILURES):
        assert brake.admit("anna", f"2001:db8:1:2::{n:x}") == 0
    assert brake.pause_s("anna", "2001:db8:1:2:ffff::1") > 0
    assert brake.pause_s("anna", "2001:db8:1:3::1") == 0
    assert brake.pause_s("anna", "203.0.113.1") == 0
    assert network_of("::ffff:203.0.113.7") == network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("testclient") == "testclient"
    brake.admit("n" * 3_000, "a" * 3_000)
    assert {len(key) for key in keys_of(db)} == {32}


def test_the_address_of_others_outlives_a_flood_of_names(sqlite_db: Database) -> None:
    """A brake that forgets whoever guesses because somebody else makes noise is none."""
    brake = stopped(sqlite_db)
    for _ in range(8):
        brake.admit("anna", "203.0.113.1")
    for n in range(600):
        brake.admit(f"name {n}", "203.0.113.2")
    assert brake.pause_s("anna", "203.0.113.1") > 0
    assert len(keys_of(sqlite_db)) < 200 < MOST_KEYS


def test_what_is_stored_of_a_failure_says_nothing_without_the_secret(db: Database) -> None:
    """There are only four thousand million addresses: a plain hash of one is the address."""
    stopped(db).admit("anna", "203.0.113.1")
    stopped(db, b"another").admit("anna", "203.0.113.1")
    assert len(set(keys_of(db))) == 6


def test_servers_of_a_database_count_together(db: Database) -> None:
    """At three servers a guesser had three times as many attempts."""
    servers = [stopped(db) for _ in range(3)]
    admitted = together(lambda n: servers[n % 3].admit("anna", "203.0.113.1"), 18)
    assert sorted(pause > 0 for pause in admitted) == [False] * FREE_FAILURES + [True] * 13
    servers[0].forget("anna", "203.0.113.1")
    assert servers[1].pause_s("anna", "203.0.113.1") == 0
    assert servers[2].admit("anna", "203.0.113.1") == 0
    servers[1].succeed("anna", "203.0.113.1")
    assert [server.pause_s("anna", "203.0.113.1") for server in servers] == [0, 0, 0]


def test_a_refused_attempt_stores_nothing(db: Database) -> None:
    """A braked address that tries a million names must not fill the table."""
    brake = stopped(db)
    for n in range(60):
        brake.fail(f"name {n}", "203.0.113.1")
    before = sorted(keys_of(db))
    assert brake.admit("another name", "203.0.113.1") > 0
    assert sorted(keys_of(db)) == before


def test_the_right_password_is_no_failure(sqlite_db: Database) -> None:
    """Sixty people behind one address who sign in at once must not brake each other."""
    brake = stopped(sqlite_db)
    for n in range(60):
        assert brake.admit(f"name {n}", "203.0.113.1") == 0
        brake.succeed(f"name {n}", "203.0.113.1")
    assert brake.pause_s("somebody", "203.0.113.1") == 0


def test_sixty_sign_ins_at_once_leave_room_for_others(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty hashes at once took all threads for 38 seconds, and 2.4 GB."""
    running, most, go = [], [], threading.Event()
    real = accounts.verify

    def slow(*given: Any) -> Any:
        running.append(1)
        most.append(len(running))
        go.wait(20)
        running.pop()
        return real(*given)

    monkeypatch.setattr(accounts, "verify", slow)
    others: list[int] = []

    def look() -> None:
        try:
            others.extend(Browser(app).get("/healthz").status_code for _ in range(5))
        finally:
            go.set()

    people = ["anna", "rita", "vera", "ida", "ada", "vito"]

    def sign_in(place: int) -> int:
        if place == 0:
            time.sleep(0.5)
            look()
        return tried(at(app, f"10.0.0.{place}"), PASSWORD, people[place % len(people)])

    codes = Counter(together(sign_in, 40))
    assert max(most) <= 4
    assert others == [200] * 5, "while all places for hashing are taken"
    assert set(codes) == {200, 429}
    assert codes[200] >= 10
    assert tried(at(app, "10.0.1.1"), PASSWORD) == 200, "nobody who was sent away is braked"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/sign-in", {"name": "anna", "password": PASSWORD}),
        ("/api/password", {"old": PASSWORD, "new": "another grove of figs"}),
        ("/api/users/password", {"name": "vera"}),
        ("/api/users/add", {"name": "zoe", "role": "viewer"}),
    ],
)
def test_every_way_to_a_hash_waits_its_turn(app: FastAPI, browser: Browsers, path: str, body: dict[str, str]) -> None:
    """A limit on one door is none."""
    ada = browser("ada")
    app.state.hashing = Hashing(at_once=1, most_waiting=0)
    with app.state.hashing.turn():
        answer = ada.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "sign_ins")
    assert int(answer.headers["retry-after"]) >= 1
    assert ada.post(path, json=body).status_code == 200


# -- passwords for one sign-in -------------------------------------------------------------------------------------


def test_a_password_for_one_sign_in_works_once(home: Home, app: FastAPI) -> None:
    """A printed password that works four times is everybody's who sees the paper."""
    accounts.set_password(home.database, "vera", once := accounts.one_time_password(), once=True)
    first = Browser(app).sign_in("vera", once)
    again = Browser(app).post("/api/sign-in", json={"name": "vera", "password": once})
    assert (again.status_code, again.json()["code"]) == (401, "password_ended")
    assert tried(Browser(app), "a wrong one", "vera") == 401
    assert first.post("/api/password", json={"old": once, "new": PASSWORD}).status_code == 200
    assert tried(Browser(app), once, "vera") == 401
    assert tried(Browser(app), PASSWORD, "vera") == 200
    assert tried(Browser(app), PASSWORD, "vera") == 200, "one's own works as often as one likes"


def test_a_password_for_one_sign_in_ends_after_a_day(home: Home, app: FastAPI) -> None:
    """A letter that lies on a desk for a month must open nothing."""
    accounts.set_password(home.database, "vera", once := accounts.one_time_password(), once=True)
    u = t.app_user.c
    with home.database.write() as conn:
        ends = conn.scalar(sa.select(u.password_ends_at).where(u.name == "vera"))
        assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(days=1)
        conn.execute(sa.update(t.app_user).values(password_ends_at=datetime.now(UTC)))
    assert tried(Browser(app), once, "vera") == 401
    assert tried(Browser(app), PASSWORD) == 200, "those of others have no end"


def test_of_many_who_use_a_password_for_one_sign_in_at_once_one_gets_in(home: Home, app: FastAPI) -> None:
    """Two who read the same paper must not both be in."""
    accounts.set_password(home.database, "vera", once := accounts.one_time_password(), once=True)
    app.state.hashing = Hashing(at_once=4)
    codes = together(lambda n: tried(at(app, f"10.0.0.{n}"), once, "vera"), 5)
    assert sorted(codes) == [200, 401, 401, 401, 401]


def test_an_administrator_who_lost_the_first_password_gets_another_at_the_next_start(home: Home, app: FastAPI) -> None:
    """Used up by a browser that was closed before another was chosen, it would lock the home for good."""
    with home.database.write() as conn:
        conn.execute(sa.update(t.app_user).where(t.app_user.c.role == "admin").values(disabled=True))
    first = accounts.first_admin(home.database)
    assert accounts.first_admin(home.database) is None
    admin = Browser(app).sign_in("admin", str(first))
    second = accounts.first_admin(home.database)
    assert second not in (None, first)
    assert admin.get("/api/me").status_code == 401
    admin.sign_in("admin", str(second))
    assert admin.post("/api/password", json={"old": second, "new": PASSWORD}).status_code == 200
    assert accounts.first_admin(home.database) is None


# -- people who leave ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["command", "page"])
def test_who_is_disabled_holds_nothing_and_is_out(home: Home, browser: Browsers, way: str) -> None:
    """Tracks that a volunteer had taken to the field stayed away for three days after he was shown the door."""
    plan(home.database, [track(1), track(2)])
    ida = browser("ida")
    assert len(ida.post("/api/queue/claim", json={"n": 2, "offline": True}).json()["items"]) == 2
    if way == "command":
        disable_user(home.database, "ida")
    else:
        assert browser("ada").post("/api/users/disable", json={"name": "ida"}).status_code == 200
    assert ida.get("/api/me").status_code == 401
    assert len(browser("rita").post("/api/queue/claim", json={"n": 2}).json()["items"]) == 2
    assert audit(home, "user.disable") == [{"subject": "ida", "items": "2", "sessions": "1"}]
    with home.database.read() as conn:
        s, u = t.user_session.c, t.app_user.c
        mine = sa.select(s.revoked_at).join(t.app_user, u.user_id == s.user_id).where(u.name == "ida")
        assert all(conn.scalars(mine).all())


def test_names_of_any_length_are_tried(app: FastAPI, home: Home) -> None:
    """What is typed into the name is anything."""
    add_user(home.database, "Ünï", "viewer")
    for name in ("Ünï", "x" * 200, "\ud800", "nul\x00", "\u202e", "🐵" * 100):
        assert tried(Browser(app), "wrong", name) in (401, 422)
