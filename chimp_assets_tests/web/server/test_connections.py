"""Whoever opens connections and says nothing takes no place from those who do. Real sockets on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from chimp_assets.settings import WebSettings
from chimp_assets.web import connections
from chimp_assets.web.connections import BoundedProtocol, Bounds, bounds_of, config_of

PATIENCE_S = 60.0
"""Nothing here is measured: a wait that long means that it never comes."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


class Running:
    """A server in a thread, whose application answers at once, reads bodies, or waits to be let go."""

    def __init__(self, bounds: Bounds) -> None:
        self.go = threading.Event()
        self.held = threading.Semaphore(0)

        async def at_once(request: Request) -> Response:
            return JSONResponse({"length": len(await request.body())})

        async def unread(request: Request) -> Response:
            return JSONResponse({}, 415)

        async def hold(request: Request) -> Response:
            self.held.release()
            while not self.go.is_set():
                await asyncio.sleep(0.01)
            return JSONResponse({})

        async def long(request: Request) -> Response:
            return Response(b"x" * 50_000_000)

        app = Starlette(
            routes=[
                Route("/", at_once, methods=["GET", "POST"]),
                Route("/unread", unread, methods=["POST"]),
                Route("/hold", hold),
                Route("/long", long),
            ]
        )
        self._server = uvicorn.Server(config_of(app, "127.0.0.1", 0, bounds, log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.sockets: list[socket.socket] = []

    def connect(self, sent: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        self.sockets.append(made)
        made.sendall(sent)
        return made

    def stop(self) -> None:
        self.go.set()
        for one in self.sockets:
            one.close()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


def whole(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            came += part
    return came


def first(connection: socket.socket) -> bytes:
    """The first line of an answer."""
    with contextlib.suppress(ConnectionError):
        return connection.recv(65536).partition(b"\r\n")[0]
    return b""


@pytest.fixture
def serving() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(**bounds: Any) -> Running:
        running.append(Running(Bounds(**{"most": 100, "header_s": 60.0, "body_s": 60.0, "idle_s": 60} | bounds)))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"", b""), (b"GET / HT", b"HTTP/1.1 408"), (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"HTTP/1.1 408")],
)
def test_who_does_not_finish_the_headers_is_sent_away(
    serving: Callable[..., Running], sent: bytes, answer: bytes
) -> None:
    assert whole(serving(header_s=0.2).connect(sent)).startswith(answer)


def test_who_does_not_finish_a_body_is_sent_away(serving: Callable[..., Running]) -> None:
    """120 such requests were kept for ever."""
    assert whole(serving(body_s=0.2).connect(HALF_BODY)).startswith(b"HTTP/1.1 408")


def test_a_body_that_comes_in_parts_is_taken(serving: Callable[..., Running]) -> None:
    connection = serving().connect(HALF_BODY)
    for _ in range(9):
        connection.sendall(b"x" * 111)
    assert first(connection).startswith(b"HTTP/1.1 200")


def test_a_connection_is_used_again_and_half_a_request_on_it_does_not_keep_it(serving: Callable[..., Running]) -> None:
    """One byte stopped uvicorn's own clock for good."""
    running = serving(header_s=0.2, idle_s=1)
    connection = running.connect(GET)
    assert first(connection).startswith(b"HTTP/1.1 200")
    connection.sendall(GET)
    assert first(connection).startswith(b"HTTP/1.1 200")
    connection.sendall(b"G")
    assert whole(connection).startswith(b"HTTP/1.1 408")


def test_headers_without_end_are_refused(serving: Callable[..., Running]) -> None:
    connection = serving().connect(b"GET / HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(ConnectionError):
        for n in range(200):
            connection.sendall(b"X-%d: " % n + b"y" * 1_000 + b"\r\n")
    assert whole(connection)[:12] in (b"HTTP/1.1 431", b""), "the answer may be lost: they were still sending"
    assert first(serving().connect(GET)).startswith(b"HTTP/1.1 200")


def test_a_request_that_was_answered_before_its_body_came_gets_one_answer(serving: Callable[..., Running]) -> None:
    connection = serving(header_s=0.2, idle_s=1).connect(HALF_BODY.replace(b"POST /", b"POST /unread"))
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"x" * 500)
    assert whole(connection).count(b"HTTP/1.1") == 1


def test_the_connection_that_waits_longest_gives_way_to_a_new_one(serving: Callable[..., Running]) -> None:
    """80 idle connections used up a server of 64 descriptors."""
    running = serving(most=8, header_s=3600.0, body_s=3600.0)
    idle = [running.connect(sent) for sent in (b"", b"GET", HALF_BODY) * 10]
    for _ in range(3):
        assert first(running.connect(GET)).startswith(b"HTTP/1.1 200")
    assert whole(idle[0]) == b""
    assert len(running._server.server_state.connections) <= 9


def test_where_all_are_being_answered_a_new_one_is_told_so_and_none_is_lost(serving: Callable[..., Running]) -> None:
    running = serving(most=8)
    busy = [running.connect(GET.replace(b"/", b"/hold", 1)) for _ in range(8)]
    for _ in busy:
        assert running.held.acquire(timeout=PATIENCE_S)
    refused = whole(running.connect(GET))
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in refused.lower()
    assert b"reached its limit of connections" in refused
    running.go.set()
    assert [first(connection)[:12] for connection in busy] == [b"HTTP/1.1 200"] * 8
    assert first(running.connect(GET)).startswith(b"HTTP/1.1 200")


def test_a_client_that_takes_nothing_of_its_answer_is_gone(
    serving: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a copy of what it does not read."""
    monkeypatch.setattr(connections, "UNREAD_S", 0.2)
    running = serving()
    deaf = running.connect(GET.replace(b"/", b"/long", 1))
    while running._server.server_state.connections:
        threading.Event().wait(0.01)
    assert len(whole(deaf)) < 50_000_000


def test_the_bounds_fit_what_the_process_may_open() -> None:
    settings = WebSettings()
    assert bounds_of(settings, 64).most == 16
    assert bounds_of(settings, 1_024).most == 256
    assert bounds_of(settings, 1_000_000).most == settings.connections
    assert bounds_of(settings, resource.RLIM_INFINITY).most == settings.connections
    assert bounds_of(WebSettings(header_s=3, body_s=4), 1_024) == Bounds(256, 3.0, 4.0)


def test_what_is_used_of_uvicorn_is_there() -> None:
    """Both of its protocols have these; a new version that renames one must fail here and not at a field station."""
    for base in (BoundedProtocol.__mro__[1], H11Protocol):
        for name in ("connection_made", "data_received", "on_response_complete", "handle_websocket_upgrade",
                     "pause_writing", "resume_writing", "connection_lost"):  # fmt: skip
            assert callable(getattr(base, name)), (base, name)
