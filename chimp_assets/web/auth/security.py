"""Checks of every request and headers of every answer: host, origin, size, security headers, no internals.

Belongs here: one ASGI layer around the whole application. Does not belong here: who is signed in (`sessions`), roles
(`roles`).

Cross-site requests (as ASP.NET Core 11, Hono and Echo do it): an unsafe method must carry JSON, which no form of
another site can send, and say `Sec-Fetch-Site: same-origin`; where a browser does not send that (plain http), its
`Origin` must be ours to the letter.
"""

from __future__ import annotations

import logging
import secrets
import time
import uuid
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chimp_assets.settings import WebSettings
from chimp_assets.web.auth.forwarded import as_proxies_say, proxies_of
from chimp_assets.web.errors import BodyTooLongError, answer
from chimp_assets.web.metrics import Metrics

_log = logging.getLogger(__name__)

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
PROBES = ("/livez", "/readyz")
"""Asked by balancers by the address of a server, which is no name of the page, and answered with one word."""


def policy(nonce: str) -> str:
    """The content-security policy: nothing from elsewhere, no inline code but the import map, which has the nonce."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def allowed_hosts(settings: WebSettings) -> set[str]:
    """Host names of this server, without ports: another site must not reach it by a name of its own (DNS rebinding)."""
    hosts = set(LOCAL_HOSTS)
    if settings.public_url:
        hosts.add((urlsplit(settings.public_url).hostname or "").lower())
    if not _is_wildcard(settings.host):
        hosts.add(f"[{settings.host}]" if ":" in settings.host else settings.host.lower())
    hosts.update(name.lower() for name in settings.hosts)
    return hosts


def is_local(host: str) -> bool:
    """Whether an address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


class Guard:
    """The layer around the application."""

    def __init__(self, app: ASGIApp, settings: WebSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._hosts = allowed_hosts(settings)
        self._metrics = metrics
        self._proxies = proxies_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # No websockets here; the lifespan passes.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        scope = as_proxies_say(scope, self._proxies)
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        status = 500
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", policy(nonce))
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        try:
            refusal = self._refusal(scope)
            app: ASGIApp = refusal or self._app
            await app(scope, bounded(receive, self._settings.body_bytes), send_guarded)
        except Exception:
            number = uuid.uuid4().hex[:12]
            _log.exception("request %s failed: %s %r", number, scope["method"], scope["path"])
            if started:
                raise
            failed = answer(
                500,
                "failed",
                f"Something went wrong. The log has the details under {number}.",
                "Try again. If it happens again, tell the administrator this number.",
            )
            await failed(scope, receive, send_guarded)
        finally:
            route: Any = scope.get("route")
            path = getattr(route, "path", None) or "(none)"
            self._metrics.note(scope["method"], path, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not is_allowed_host(headers, self._hosts) and scope["path"] not in PROBES:
            return wrong_host()
        if scope["method"] in SAFE_METHODS:
            return None
        if not is_json(headers):
            return answer(415, "content_type", "This is not JSON.", "Send Content-Type: application/json.")
        if not is_same_origin(headers, _origins(scope, headers, self._settings)):
            _log.warning("cross-site request refused: %s %r", scope["method"], scope["path"])
            self._metrics.count("chimp_cross_site_refused_total")
            return cross_site()
        return too_long(headers, self._settings)


def bounded(receive: Receive, most: int) -> Receive:
    """Counts a body as it arrives. Reading more than `most` bytes raises BodyTooLongError."""
    got = 0

    async def receive_bounded() -> Message:
        nonlocal got
        message = await receive()
        if message["type"] == "http.request":
            got += len(message.get("body", b""))
            if got > most:
                raise BodyTooLongError
        return message

    return receive_bounded


def is_allowed_host(headers: Headers, hosts: Collection[str]) -> bool:
    """Whether the Host header names this server."""
    return _host_name(headers.get("host", "")) in hosts


def is_json(headers: Headers) -> bool:
    """Whether the body is declared as JSON, which forms and simple requests of other sites cannot do."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def is_same_origin(headers: Headers, origins: Iterable[str]) -> bool:
    """Whether the browser declares that the request comes from a page of this server."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return headers.get("origin") in set(origins)


def _origins(scope: Scope, headers: Headers, settings: WebSettings) -> list[str]:
    own = f"{scope['scheme']}://{headers.get('host', '')}"
    return [own, settings.public_url] if settings.public_url else [own]


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host.lower()
    return name.lower() if port.isascii() and port.isdigit() else ""


def wrong_host() -> Response:
    """The answer to a request with another host name."""
    return answer(
        421,
        "host",
        "This server does not answer to that name.",
        "Set web.public_url or web.hosts to the name that people type.",
    )


def cross_site() -> Response:
    """The answer to a request from a page of another site."""
    return answer(403, "cross_site", "This request came from another site.", "Open the page itself.")


def too_long(headers: Headers, settings: WebSettings) -> Response | None:
    """The answer to a body with a declared length that is too long or invalid; None otherwise."""
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= settings.body_bytes:
        return None
    return answer(
        413,
        "too_long",
        f"A request may hold {settings.body_bytes // 1024:,} KiB; this one is larger.",
        "Send it in parts.",
    )
