"""Where requests come from, behind proxies and behind people who say that they are proxies."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.database import schema as t
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets.settings import WebSettings
from chimp_assets.web.auth.forwarded import address_in, as_proxies_say, proxies_of
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

PUBLIC = "https://labels.example.org"


def said(peer: str, lines: list[str], proxies: tuple[str, ...] | None = None, **more: Any) -> str:
    """Where a request of a peer with these lines of X-Forwarded-For comes from."""
    settings = WebSettings(proxies=proxies, **more)
    headers = [(b"x-forwarded-for", line.encode("latin-1", "replace")) for line in lines]
    scope = {"type": "http", "client": (peer, 1), "headers": headers, "scheme": "http"}
    return str(as_proxies_say(scope, proxies_of(settings))["client"][0])


@pytest.mark.parametrize(
    ("peer", "lines", "proxies", "found"),
    [
        ("203.0.113.5", ["1.1.1.1"], ("127.0.0.1",), "203.0.113.5"),
        ("127.0.0.1", ["1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["6.6.6.6, 1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["6.6.6.6", "1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["1.1.1.1, 10.1.2.3"], ("127.0.0.1", "10.0.0.0/8"), "1.1.1.1"),
        ("127.0.0.1", ["evil, 10.1.2.3"], ("127.0.0.1", "10.0.0.0/8"), "10.1.2.3"),
        ("127.0.0.1", ["1.1.1.1, <script>"], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", ["x" * 3_000], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", [""], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", [], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", ["1.1.1.1:5123"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["[2001:db8::1]:443"], ("127.0.0.1",), "2001:db8::1"),
        ("127.0.0.1", ["::ffff:1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("::1", ["fe80::1%<b>"], ("::1",), "fe80::1"),
        ("::ffff:127.0.0.1", ["1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("2001:db8::5", ["1.1.1.1"], ("2001:db8::/32",), "1.1.1.1"),
        ("127.0.0.1", ["1.1.1.1"], (), "127.0.0.1"),
        ("testclient", ["1.1.1.1"], ("0.0.0.0/0",), "testclient"),
    ],
)
def test_only_what_a_believed_proxy_wrote_counts(
    peer: str, lines: list[str], proxies: tuple[str, ...], found: str
) -> None:
    """Any text of 3,000 letters became an address in the brake and in the log."""
    assert said(peer, lines, proxies) == found


def test_a_proxy_on_this_machine_is_believed_where_a_public_address_says_that_there_is_one() -> None:
    """Without one, every program on this machine could be anybody."""
    assert said("127.0.0.1", ["1.1.1.1"]) == "127.0.0.1"
    assert said("127.0.0.1", ["1.1.1.1"], public_url=PUBLIC) == "1.1.1.1"
    assert said("127.0.0.1", ["1.1.1.1"], (), public_url=PUBLIC) == "127.0.0.1"


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.text(max_size=70), max_size=30))
def test_whatever_is_forwarded_the_address_is_one(lines: list[str]) -> None:
    """It goes into tables and logs."""
    ip_address(said("127.0.0.1", lines, ("127.0.0.1", "0.0.0.0/0")))
    assert all(found is None or ip_address(str(found)) for found in map(address_in, lines))


@pytest.mark.parametrize("proxy", ["caddy", "10.0.0.0/33", "", "1.2.3"])
def test_a_proxy_is_set_as_an_address(home: Home, proxy: str) -> None:
    """A name would have to be looked up, by whoever answers for it."""
    with pytest.raises(SettingsError, match="no address or network"):
        Home.open(home.settings.home, web={"proxies": [proxy]})


def test_sign_ins_through_a_proxy_are_written_down_with_their_address(
    home: Home, make_app: Callable[..., FastAPI]
) -> None:
    """From the far end to the log."""
    app = make_app(proxies=("127.0.0.0/8",))
    for client, header, found in (
        ("127.0.0.1", "evil\x1b[31m, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "x" * 3_000, "127.0.0.1"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ):
        browser = Browser(app, client=(client, 1))
        answer = browser.post(
            "/api/sign-in", json={"name": "anna", "password": PASSWORD}, headers={"X-Forwarded-For": header}
        )
        assert answer.status_code == 200
        with home.database.read() as conn:
            s = t.user_session.c
            assert conn.scalar(sa.select(s.address).order_by(s.created_at.desc()).limit(1)) == found


def test_the_proxys_word_on_https_is_taken_from_a_believed_one_only(make_app: Callable[..., FastAPI]) -> None:
    """A cookie must be Secure behind a proxy that speaks https."""
    app = make_app(proxies=("127.0.0.1",))
    for client, secure in (("127.0.0.1", True), ("203.0.113.9", False)):
        browser = Browser(app, client=(client, 1))
        answer = browser.post(
            "/api/sign-in",
            json={"name": "anna", "password": PASSWORD},
            headers={"X-Forwarded-Proto": "ftp, https", "Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("__Host-sid=") == secure
