"""What a request must pass and what an answer must not say."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.datastructures import Headers

from chimp_assets.database import schema as t
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets.settings import WebSettings, load_settings
from chimp_assets.web.auth.security import allowed_hosts, is_same_origin
from chimp_assets.web.pages.sign_in import local_path
from chimp_assets.web.serve import address_of, check_address
from chimp_assets_tests.web.server.conftest import ADDRESS, Browser

Browsers = Callable[..., Browser]
EVENT = {"annotation_id": "7e1a3d7e-0c57-4a54-8a1d-0f6d5c7b1a11", "kind": "identify", "track_id": 1 << 20}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site", "origin": ADDRESS}, False),
        ({"sec-fetch-site": "same-site", "origin": ADDRESS}, False),
        ({"origin": ADDRESS}, True),
        ({"origin": "http://127.0.0.1:3002"}, False),
        ({"origin": "https://127.0.0.1:3001"}, False),
        ({"origin": "null"}, False),
        ({"origin": f"{ADDRESS}.evil.example"}, False),
        ({}, False),
    ],
)
def test_only_pages_of_ours_may_change_something(headers: dict[str, str], allowed: bool) -> None:
    """A page of somebody else that anna looks at must not answer in her name."""
    assert is_same_origin(Headers(headers), [ADDRESS]) is allowed


def test_a_cross_site_post_is_refused_and_stores_nothing(home: Home, browser: Browsers) -> None:
    """The browser sends her cookie with it: only the origin tells."""
    anna = browser("anna")
    body = {"events": [{**EVENT, "anim_id": "FF"}]}
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert anna.post("/api/events", json=body, headers=evil).json()["code"] == "cross_site"
    form = {"Content-Type": "text/plain", "Sec-Fetch-Site": "same-origin"}
    assert anna.post("/api/events", content=b'{"events": []}', headers=form).status_code == 415
    assert anna.post("/api/events", data={"events": "x"}).status_code == 415
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) == 0
    assert anna.post("/api/events", json=body).json()["results"][0]["status"] == "stored"


def test_another_name_for_this_server_is_refused(browser: Browsers) -> None:
    """DNS rebinding: a page elsewhere gives its own name our address, and is then of the same origin."""
    anna = browser("anna")
    for host in ("evil.example", "127.0.0.1.evil.example:3001", "", "127.0.0.1@evil.example"):
        assert anna.get("/api/me", headers={"Host": host}).status_code == 421, host
    for host in ("localhost:3001", "LOCALHOST", "[::1]:3001"):
        assert anna.get("/healthz", headers={"Host": host}).status_code == 200, host


def test_who_listens_for_others_says_by_which_name(home: Home) -> None:
    """A server on all addresses that answers to every name is open to rebinding."""
    with pytest.raises(SettingsError, match="no name is set"):
        check_address(WebSettings(host="0.0.0.0"))
    public = WebSettings(host="0.0.0.0", public_url="https://labels.example.org/")
    check_address(public)
    assert "labels.example.org" in allowed_hosts(public)
    assert address_of(public) == "https://labels.example.org"
    assert address_of(WebSettings(host="::", hosts=("a",)), 7) == "http://127.0.0.1:7"
    with pytest.raises(SettingsError, match=r"web\.public_url"):
        load_settings(home.settings.home, web={"public_url": "labels.example.org"})


def test_every_answer_carries_the_policy_and_no_page_needs_more(browser: Browsers) -> None:
    """One inline script allowed is all scripts allowed."""
    anna = browser("anna")
    nonces = set()
    for path in ("/sign-in", "/api/me", "/nothing", "/static/x/sign_in.js", "/healthz"):
        answer = anna.get(path)
        policy = answer.headers["content-security-policy"]
        nonces.add(re.search(r"'nonce-([\w-]{20,})'", policy).group(1))
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "http" not in policy
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert len(nonces) == 5, "a nonce that can be foreseen is none"
    page = anna.get("/sign-in").text
    assert not re.search(r"<script(?![^>]*(src|nonce)=)|<style|\son\w+=|javascript:|style=", page)
    assert not re.search(r"(src|href|action)=\"(https?:)?//", page)


PATHS = (
    "/static/x/../app.py", "/static/x/../../../../settings.py", "/static/x//etc/passwd", "/static/x/..",
    "/static/x/vendor/../../app.py", "/static/../../etc/passwd", "/static/x/a\x00.js", "/static/x/", "/static/x/.",
    "/media/../chimp.db", "/media/../chimp.db.jpg", "/media/..jpg", f"/media/{'0' * 63}..jpg", f"/media/{'0' * 64}.db",
    "/media/frame/1/../../chimp.toml.jpg", "/media/frame/-1/0.jpg", "/media/frame/1/99999999999999999999.jpg",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_with_dots_leads_nowhere(app: FastAPI, browser: Browsers, path: str) -> None:
    """The settings of a home may hold passwords, and its database lies beside its pictures."""
    status, body = _raw_get(app, path, f"sid={browser('anna').cookies['sid']}")
    assert status in (404, 422), body
    assert "error" in json.loads(body)


def _raw_get(app: FastAPI, path: str, cookie: str) -> tuple[int, bytes]:
    """A request as a hand-made client sends it: clients for people tidy paths up."""
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1:3001"), (b"cookie", cookie.encode())]
        await app(
            {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
                "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
                "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3001),
            },
            receive,
            send,
        )  # fmt: skip

    asyncio.run(ask())
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"{", 422), (b"[]", 422), (b"null", 422), (b'{"events": {}}', 422), (b'{"events": []}', 422),
        (b'{"events": [1]}', 422), (b'{"events": [{"annotation_id": 1}]}', 422), (b"\xff\xfe", 422),
        (b'{"events": [{"annotation_id": "x", "kind": "skip", "admin": true}]}', 422),
        (b'{"events": [{"annotation_id": "x", "kind": "skip", "track_id": 99999999999999999999}]}', 422),
        (b"[" * 100_000, 422), (b'{"events": [' + b" " * (3 << 20) + b"]}", 413),
    ],
)  # fmt: skip
def test_a_malformed_or_oversized_body_is_refused_in_one_sentence(browser: Browsers, body: bytes, status: int) -> None:
    """A traceback tells a stranger how we are built, and a body without end fills the memory."""
    answer = browser("anna").post("/api/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == {"error", "remedy", "code"}
    assert len(answer.text) < 600
    assert "Traceback" not in answer.text
    assert "/chimp" not in answer.text


def test_a_body_without_a_length_is_counted_as_it_comes(browser: Browsers) -> None:
    """A chunked body says nothing of its length beforehand."""
    anna = browser("anna")
    chunks = (b" " * 65_536 for _ in range(64))
    answer = anna.post("/api/events", content=chunks, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_long")
    assert next(chunks, None) is None or answer.status_code == 413


def test_a_fault_of_ours_is_a_number_for_the_person_and_a_traceback_for_the_log(
    app: FastAPI, browser: Browsers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails inside names tables, paths and sometimes passwords."""
    anna = browser("anna")

    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("postgresql://user:secret@host/chimps")

    monkeypatch.setattr("chimp_assets.web.api.queue.queue.release", broken)
    answer = anna.post("/api/queue/release", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    number = re.search(r"details under (\w{12})", answer.json()["error"]).group(1)
    assert number in caplog.text
    assert "RuntimeError" in caplog.text


def test_errors_of_the_store_and_the_database_keep_their_addresses_to_themselves(
    home: Home, app: FastAPI, browser: Browsers
) -> None:
    """Their sentences name servers and folders, for who runs the product."""
    anna = browser("anna")
    file = home.database.file
    assert file is not None
    file.rename(file.with_suffix(".away"))
    app.state.db.dispose()
    answers = [anna.get("/api/me"), anna.post("/api/queue/claim", json={"n": 1})]
    assert anna.get("/healthz").json() == {"status": "ill"}
    for answer in answers:
        assert answer.status_code >= 500
        assert str(home.settings.home) not in answer.text


def test_the_numbers_are_for_administrators_and_for_who_has_the_token(
    browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many labels there are, and how fast people work, is nobody else's business."""
    assert browser().get("/metrics").status_code == 401
    assert browser("rita").get("/metrics").status_code == 403
    text = browser("ada").get("/metrics").text
    for name in ("chimp_queue_claimable", "chimp_labels", "chimp_request_seconds_bucket", "chimp_requests_total"):
        assert f"\n{name}" in text or text.startswith(name)
    assert 'route="/api/sign-in"' in text
    monkeypatch.setenv("CHIMP_METRICS_TOKEN", "for prometheus")
    assert browser().get("/metrics", headers={"Authorization": "Bearer for prometheus"}).status_code == 200
    assert browser().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


def test_the_interface_is_described_and_loads_nothing_from_elsewhere(browser: Browsers) -> None:
    """A page of documentation that loads its code from a CDN is code of strangers on our origin."""
    described = browser().get("/api/openapi.json").json()
    assert {"/api/queue/claim", "/api/events", "/api/individuals"} <= set(described["paths"])
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert browser().get(path).status_code == 404


@pytest.mark.parametrize(
    ("said", "goes"),
    [
        ("/label", "/label"), ("/label?x=1", "/label?x=1"), ("//evil.example", "/"), ("/\\evil.example", "/"),
        ("https://evil.example", "/"), ("javascript:alert(1)", "/"), ("", "/"), ("/a\nb", "/"),
    ],
)  # fmt: skip
def test_after_signing_in_one_stays_on_this_site(said: str, goes: str) -> None:
    """A link that signs people in and then shows them another site that looks like ours."""
    assert local_path(said) == goes
