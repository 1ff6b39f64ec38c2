"""Hostile values in every route: each is refused in words, none breaks anything, none writes into the log."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from chimp_assets_tests.web.server.api.test_events import decision
from chimp_assets_tests.web.server.auth.test_roles import BODIES, routes_of
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]
DIGITS = "9" * 4400
PATHS = [
    "9" * 400, DIGITS, "-1", "0", str(2**63), str(2**64), "1e309", "nan", "inf", "\x00", "a\x00b", "\n\x1b[31m",
    "\u202e", "../" * 20 + "etc/passwd", "%", "%zz", "\ufffe", "🐵" * 200, "'; DROP TABLE x; --", "..", ".", " ",
    "٣٣٣", "\x7f", "x" * 5000,
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 2**63, -(2**63) - 1, 10**400, 1e308, "", "\x00", "\ud800", "\udfff\ud800", "x" * 20_000, "🐵" * 999,
    [], [[]], {}, {"a": {"b": []}}, "٣", "1e999", "\n\x1b[31m", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00", [None], ["\ud800"], 0.1, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
FIELDS = (
    "annotation_id", "kind", "lane", "track_id", "other_track_id", "anim_id", "name", "video_id", "frame_no", "x", "y",
    "w", "h", "supersedes", "propensity", "item_id", "shown", "note", "seconds", "client_time", "base_event_id",
    "other",
)  # fmt: skip


@pytest.fixture
def ada(browser: Browsers) -> Browser:
    made = browser("ada")
    made.headers["Content-Type"] = "application/json"
    return made


def post(browser: Browser, path: str, body: Any) -> Any:
    """Posts what httpx itself would refuse to write."""
    return browser.post(path, content=json.dumps(body).encode())


def well(answer: Any, what: object) -> None:
    assert answer.status_code < 500, (what, answer.status_code, answer.text[:300])
    if answer.status_code >= 400 and answer.headers.get("content-type", "").startswith("application/json"):
        answer.json()


def test_no_path_breaks_a_route(app: FastAPI, ada: Browser) -> None:
    """400 digits in a path were a traceback."""
    for route in routes_of(app):
        for value in PATHS:
            if "{" not in route.path and value != PATHS[0]:
                continue
            path = re.sub(r"\{[^}]+\}", lambda _: quote(value, safe=""), route.path)  # noqa: B023
            query = (
                "" if "{" in route.path else "?" + "&".join(f"{k}={DIGITS}" for k in ("limit", "before", "n", "page"))
            )
            for method in sorted(set(route.methods or ()) - {"POST"}):
                well(ada.request(method, path + query), (method, route.path, value[:30]))


def test_no_question_in_an_address_breaks_a_route(app: FastAPI, ada: Browser) -> None:
    """Every parameter that a route declares, with every value that it does not expect."""
    for route in routes_of(app):
        names = [one.alias for one in route.dependant.query_params]
        if not names or "GET" not in (route.methods or ()):
            continue
        path = re.sub(r"\{[^}]+\}", "1", route.path)
        for value in PATHS:
            well(ada.get(path + "?" + "&".join(f"{n}={quote(value)}" for n in names)), (path, names, value[:30]))


def test_no_body_breaks_a_route(app: FastAPI, ada: Browser) -> None:
    """NaN, halves of letters, numbers without end, brackets without end."""
    deep = b'{"events":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    raw = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", deep, b'{"n":' + DIGITS.encode() + b"}", b'{"a":NaN}',
           b'{"name":"\\ud800","password":"\\udfff"}']  # fmt: skip
    for route in routes_of(app):
        if "POST" not in (route.methods or ()) or route.path in ("/api/sign-out", "/api/sessions/revoke"):
            continue
        path = re.sub(r"\{[^}]+\}", "1", route.path)
        for content in raw:
            well(ada.post(path, content=content), (path, content[:40]))
        body = BODIES.get(route.path, {})
        for field in body:
            for value in VALUES if route.path != "/api/password" else ():
                well(post(ada, path, {**body, field: value}), (path, field, str(value)[:30]))


@pytest.mark.parametrize("field", FIELDS)
def test_no_value_of_a_decision_breaks_its_batch(ada: Browser, field: str) -> None:
    """Whatever one decision of a batch says, the others are stored."""
    events = [{**decision(), field: value} for value in VALUES]
    good = decision("skip")
    answer = post(ada, "/api/events", {"events": [*events, good]})
    if field == "annotation_id":
        # Without an id its sender cannot be answered about one alone.
        assert answer.status_code == 422
        for value in VALUES:
            well(post(ada, "/api/events", {"events": [{**decision(), field: value}]}), value)
        return
    assert answer.status_code == 200, answer.text[:300]
    results = answer.json()["results"]
    assert results[-1]["status"] == "stored", results[-1]
    assert len(results) == len(events) + 1
    for result in results:
        assert result["status"] in ("stored", "rejected", "duplicate", "conflict")
        assert result["status"] != "rejected" or len(result["reason"]) > 5


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"bytes={DIGITS}-", 416), (f"bytes={DIGITS}-{DIGITS}", 416), (f"bytes=0-{DIGITS}", 206),
        (f"bytes=-{DIGITS}", 206), (f"bytes={DIGITS}", 200), ("bytes=²-", 200), ("bytes=0-0," * 500, 200),
    ],
)  # fmt: skip
def test_a_range_beyond_any_file_is_answered(header: str, status: int) -> None:
    """4,400 digits were a traceback."""
    from chimp_assets.web.api.media import _range_of

    found = _range_of(header, 100)
    if status == 200:
        assert found is None
    else:
        assert found is not None
        start, end = found
        assert (start >= 100 or start > end) == (status == 416)
        assert end <= 99


@pytest.mark.parametrize("length", ["²", "٣", "9" * 30, "-1", "+1", "1.0", "0x10", ""])
def test_a_length_that_is_no_number_is_refused(browser: Browsers, length: str) -> None:
    """`²` is a digit to Python and no number."""
    answer = browser("ada").post(
        "/api/queue/release",
        content=b"{}",
        headers={"Content-Length": length.encode(), "Content-Type": "application/json"},
    )
    assert answer.status_code in (200, 400, 413, 422)


@pytest.mark.parametrize("path", ["/api/x\nERROR all is lost\x1b[31m", "/healthz\r\n2026 ERROR", "/\u202e\x07"])
def test_what_a_request_says_is_one_line_of_the_log(
    app: FastAPI, browser: Browsers, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """A line that looks like one of ours is how a break-in is hidden."""
    with caplog.at_level(logging.DEBUG):
        browser("ada").get(quote(path))
        Browser(app).post(quote(path), json={}, headers={"Origin": "http://evil.example\x1b"})
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(("chimp_assets", "uvicorn"))]
    assert any("cross-site" in line for line in lines)
    for line in lines:
        assert line.isprintable(), line


def test_what_fails_is_one_line_too(app: FastAPI, browser: Browsers, caplog: pytest.LogCaptureFixture) -> None:
    """The path of a request that breaks something is the sender's."""
    from chimp_assets.errors import FullDiskError

    @app.get("/breaks/{what:path}")
    def breaks(what: str) -> None:
        if "full" in what:
            raise FullDiskError(f"no room for {what}", "")
        raise RuntimeError("no")

    ada = browser("ada")
    for what in ("full\x1b[31mERROR\x85", "other\x1b[31mERROR\u202e"):
        assert ada.get("/breaks/" + quote(what)).status_code >= 500
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("chimp_assets")]
    assert len(ours) == 2
    assert all(line.isprintable() for line in ours), ours


def test_half_a_letter_is_written_into_an_answer_as_it_came() -> None:
    """An answer that cannot be written down as UTF-8 was a traceback."""
    from chimp_assets.web.errors import answer

    assert json.loads(bytes(answer(422, "refused", "no \ud800 here").body))["error"] == "no \ud800 here"
