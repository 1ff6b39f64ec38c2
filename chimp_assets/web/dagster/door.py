"""The guard of Dagster's web UI: who may enter, from which page, and what a browser may do with the answers.

Belongs here: one ASGI layer. Does not belong here: Dagster's application and its process (`serve`), the guard of the
labelling page (`auth.security`).

Dagster has no sign-in, answers to any host name, runs mutations sent by GET or by a form, and may be framed. So any
page that somebody opens on this machine could launch runs and wipe assets. Here:

- the Host must be a name of this server, so that other names cannot point to it (DNS rebinding);
- the person is signed in on the labelling page as admin, or has the token that `chimp up` printed;
- only GET, HEAD and POST are allowed; changes need a POST of JSON from exactly this origin, port included;
- `GET /graphql` is refused: the web UI does not use it, and addresses of images are GETs;
- websockets must come from exactly this origin;
- answers cannot be framed, and pages load nothing from elsewhere.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError
from chimp_assets.settings import Settings
from chimp_assets.web.auth import security, sessions
from chimp_assets.web.auth.forwarded import as_proxies_say, proxies_of
from chimp_assets.web.auth.roles import RUNG_OF, may
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.dagster import ui_token
from chimp_assets.web.errors import answer

_log = logging.getLogger(__name__)

LOCAL_COOKIE, SECURE_COOKIE = "chimp-ui", "__Host-chimp-ui"
GRAPHQL = "/graphql"
LOOK_AGAIN_S = 30.0
"""An open websocket is closed at the latest this long after its session ended."""
_FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")
# Dagster's pages restrict scripts and styles themselves; this policy covers the rest.
_POLICY = (
    "default-src 'self'", "img-src 'self' data: blob:", "font-src 'self' data:", "media-src 'self'",
    "worker-src 'self' blob:", "frame-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
    "object-src 'none'",
)  # fmt: skip
_OWN_STYLES = "style-src 'self' 'unsafe-inline'"
_pages = Environment(loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True)


class Door:
    """Passes allowed requests to `app`. page: address of the labelling page, where people sign in."""

    def __init__(self, app: ASGIApp, db: Database, settings: Settings, host: str, page: str) -> None:
        self._app = app
        self._db = db
        self._home = settings.home
        self._web = settings.web.model_copy(update={"host": host})
        self._hosts = security.allowed_hosts(self._web) | security.allowed_hosts(settings.web)
        self._page = page
        self._proxies = proxies_of(settings.web)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = as_proxies_say(scope, self._proxies)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            guarded = self._with_headers(scope, send)
            app = await self._refusal(scope) or self._app
            await app(scope, security.bounded(receive, self._web.body_bytes), guarded)
        else:
            await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that does not reach Dagster."""
        headers = Headers(scope=scope)
        if not security.is_allowed_host(headers, self._hosts):
            return security.wrong_host()
        method, path = scope["method"], scope["path"]
        if method not in ("GET", "HEAD", "POST"):
            return _not_so("GET, HEAD, POST")
        if method == "POST":
            if not security.is_json(headers):
                return answer(415, "content_type", "This is not JSON.", "Send Content-Type: application/json.")
            if not _is_from_here(scope, headers):
                _log.warning("cross-site request refused: %r", path)
                return security.cross_site()
            if refused := security.too_long(headers, self._web):
                return refused
        else:
            if path.rstrip("/").lower() == GRAPHQL:
                return _not_so("POST")
            if _is_used_elsewhere(headers):
                return security.cross_site()
        return await self._stranger(HTTPConnection(scope), headers)

    async def _stranger(self, connection: HTTPConnection, headers: Headers) -> Response | None:
        """The answer to a request that may not enter; None for one that may."""
        given = connection.query_params.get("token")
        if given is not None and connection.scope.get("method") == "GET":
            return await self._by_token(connection, headers, given)
        try:
            person = await self._person(connection)
            if may(person, "admin") and not (person and person.must_change):
                return None
            if await self._has_token(connection):
                return None
        except ChimpError as error:
            _log.warning("the session cannot be checked: %s", error)
            return answer(
                503, "busy", "The database cannot be reached to check who you are.", "Try again in a few seconds."
            )
        return self._closed(headers, person)

    async def _person(self, connection: HTTPConnection) -> Person | None:
        """The person signed in on the labelling page: browsers send the cookies of a host to all its ports."""
        name = sessions.SECURE_COOKIE if self._is_secure(connection) else sessions.LOCAL_COOKIE
        token = connection.cookies.get(name)
        return await run_in_threadpool(sessions.find, self._db, token) if token and len(token) < 200 else None

    async def _has_token(self, connection: HTTPConnection) -> bool:
        name = SECURE_COOKIE if self._is_secure(connection) else LOCAL_COOKIE
        return await run_in_threadpool(ui_token.is_right, self._home, connection.cookies.get(name))

    def _is_secure(self, connection: HTTPConnection) -> bool:
        """Whether the browser uses https, to this server or to a proxy before it."""
        if connection.url.scheme in ("https", "wss"):
            return True
        public = urlsplit(self._web.public_url or "")
        return public.scheme == "https" and public.hostname == connection.url.hostname

    async def _by_token(self, connection: HTTPConnection, headers: Headers, given: str) -> Response:
        secure = self._is_secure(connection)
        if not (secure or self._web.insecure_http or security.is_local((connection.url.hostname or "").strip("[]"))):
            return answer(
                403,
                "insecure",
                "This connection is not encrypted, so nobody can sign in over it.",
                "Open the web UI over https (a proxy such as Caddy), or set web.insecure_http if you accept the risk.",
            )
        if not await run_in_threadpool(ui_token.is_right, self._home, given):
            _log.warning("a wrong token was refused")
            return self._closed(headers, None, wrong_token=True)
        rest = [pair for pair in parse_qsl(connection.url.query, keep_blank_values=True) if pair[0] != "token"]
        # One slash, because two would name another host.
        target = "/" + connection.url.path.lstrip("/\\") + (f"?{urlencode(rest)}" if rest else "")
        if headers.get("sec-fetch-site") == "cross-site":
            # After a link from another site, a browser sends a strict cookie only when a page of this server continues.
            response: Response = _page("dagster/enter.html", 200, target=target)
        else:
            response = RedirectResponse(target, 303)
        response.set_cookie(
            SECURE_COOKIE if secure else LOCAL_COOKIE, given, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return response

    def _closed(self, headers: Headers, person: Person | None, wrong_token: bool = False) -> Response:
        status = 401 if person is None else 403
        if "text/html" not in headers.get("accept", ""):
            if person is None:
                return answer(
                    401, "signed_out", "You are not signed in.", f"Sign in as an administrator: {self._page}."
                )
            return answer(403, "role", "This needs the role admin.", "Ask an administrator.")
        facts = {"page": self._page, "person": person, "wrong_token": wrong_token}
        return _page("dagster/closed.html", status, **facts, role=RUNG_OF[person.role] if person else None)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in security.HEADERS.items():
                    headers[name] = value
                del headers["Feature-Policy"]  # the old name of one of these headers
                theirs = [part.strip() for part in headers.get("content-security-policy", "").split(";")]
                named = {part.partition(" ")[0] for part in theirs}
                ours = [part for part in (*_POLICY, _OWN_STYLES) if part.partition(" ")[0] not in named]
                headers["Content-Security-Policy"] = "; ".join([*filter(None, theirs), *ours])
                if scope["path"].startswith("/_next/static/") and message["status"] == 200:
                    # Their names change with their content.
                    headers.setdefault("Cache-Control", "private, max-age=31536000, immutable")
                elif "etag" not in headers:
                    headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return send_guarded

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, connection = Headers(scope=scope), HTTPConnection(scope)
        ours = security.is_allowed_host(headers, self._hosts) and headers.get("origin") == _origin(scope, headers)
        if not ours or await self._stranger(connection, headers) is not None:
            if not ours:
                _log.warning("a websocket from another site was refused")
            await receive()  # the request to connect
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before it is accepted: 403
            return
        looked = time.monotonic()
        closed = False

        async def send_to_who_may(message: Message) -> None:
            nonlocal looked, closed
            if closed:
                return
            if time.monotonic() - looked > LOOK_AGAIN_S and message["type"] == "websocket.send":
                looked = time.monotonic()
                if await self._stranger(connection, headers) is not None:
                    closed = True
                    message = {"type": "websocket.close", "code": 1008, "reason": "signed out"}
            await send(message)

        await self._app(scope, receive, send_to_who_may)


def _is_from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a page of exactly this host and port sends this. The scheme may differ behind a proxy with https."""
    named = urlsplit(headers.get("origin", f"//{headers.get('host', '')}")).netloc
    return named == headers.get("host") and security.is_same_origin(headers, [_origin(scope, headers)])


def _is_used_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site embeds the answer as picture, script, frame or data. Links from anywhere are
    allowed.
    """
    if headers.get("sec-fetch-dest") in _FRAMES:
        return True
    foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    return foreign and headers.get("sec-fetch-mode") != "navigate"


def _origin(scope: Scope, headers: Headers) -> str:
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    return f"{scheme}://{headers.get('host', '')}"


def _not_so(allowed: str) -> Response:
    return answer(405, "method", "This address does not accept this method.", "", {"Allow": allowed})


def _page(name: str, status: int, **facts: object) -> Response:
    return HTMLResponse(_pages.get_template(name).render(facts), status, {"Cache-Control": "no-store"})
