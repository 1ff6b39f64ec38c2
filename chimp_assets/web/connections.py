"""Limits on connections: how many at once, and how long each may wait for its client.

Belongs here: everything before a request is complete, for the labelling page and for Dagster's web UI; starting
uvicorn. Does not belong here: checks of the request (`auth.security`, `dagster.door`).

uvicorn waits for ever for the rest of a request, so a client that opens connections and sends nothing takes every file
descriptor. Here a client has some seconds for its headers, and for its body some more plus the time of a slow link.
With too many connections, the one that has waited longest for its client is closed for the new one. If all are being
answered, the new one gets a 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from chimp_assets.settings import WebSettings
from chimp_assets.web.errors import answer

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
else:
    Protocol = AutoHTTPProtocol

HEADER_BYTES = 64 * 1024
SLOWEST_BYTES_S = 2_000
"""A body may take `body_s` plus one second for this many bytes: 16 kbit/s is slower than any working link."""
UNREAD_S = 60.0
"""A client that reads nothing of an answer for this long is gone."""
RETRY_S = 2
STOP_S = 10
"""Requests that run when the server is asked to end have so long; `chimp up` kills after 15 s."""


@dataclass(frozen=True)
class Bounds:
    """Limits of one server. most: connections at once; header_s, body_s: seconds for the headers and the body of a
    request; idle_s: seconds between requests.
    """

    most: int
    header_s: float = 10.0
    body_s: float = 10.0
    idle_s: int = 5


def bounds_of(settings: WebSettings, descriptors: int | None = None) -> Bounds:
    """The limits in the settings, with at most a quarter of the process's open files as connections: requests open
    more.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if descriptors is None else descriptors
    most = settings.connections if files == resource.RLIM_INFINITY else min(settings.connections, max(8, files // 4))
    return Bounds(most, settings.header_s, settings.body_s)


class BoundedProtocol(Protocol):
    """uvicorn's protocol with deadlines. One timer for each connection, set again whenever the wait changes."""

    bounds: Bounds
    _timer: asyncio.TimerHandle | None = None
    _served = False  # whether this connection had a request before
    _upgraded = False  # to a websocket, which sends its own pings
    _got = 0  # bytes since _since
    _since = 0.0  # start of the present wait
    _heard = 0.0
    _unread_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_wait()
        if len(self.connections) > self.bounds.most and not self._make_room():
            self.app = _full
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        self._got += len(data)
        self._heard = self.loop.time()
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not cycle:
            self._begin_wait()
        elif self._is_between() and not self._is_draining() and self._got > HEADER_BYTES:
            self._end(431, "Request Header Fields Too Large")
            return
        self._set_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._served = True
        self._begin_wait()
        self._set_timer()

    def handle_websocket_upgrade(self, *arguments: Any) -> None:
        self._cancel_timer()
        self._upgraded = True
        super().handle_websocket_upgrade(*arguments)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_since = self.loop.time()
        self._set_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = None
        self._set_timer()

    def waits_for_client(self) -> bool:
        """Whether the client must send next: closing then loses no work."""
        return not self._upgraded and (self._is_between() or self.cycle.more_body)

    def _is_between(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_draining(self) -> bool:
        """Whether a request was answered before its body arrived: the rest is thrown away."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _begin_wait(self) -> None:
        self._since = self._heard = self.loop.time()
        self._got = 0

    def _deadline(self) -> float | None:
        """When this connection closes if nothing changes; None while the server must act."""
        if self._unread_since is not None:
            return self._unread_since + UNREAD_S
        if self._is_between():
            return self._since + self.bounds.header_s + (self.bounds.idle_s if self._served else 0)
        if self.cycle.more_body:
            if self.flow.read_paused:  # the server is the slow side
                self._since = self.loop.time()
            return self._since + self.bounds.body_s + self._got / SLOWEST_BYTES_S
        return None

    def _set_timer(self) -> None:
        self._cancel_timer()
        deadline = self._deadline()
        if deadline is not None and not self._upgraded:
            self._timer = self.loop.call_at(deadline, self._on_time)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        deadline = self._deadline()
        if deadline is None or self.transport.is_closing():
            return
        if deadline > self.loop.time():
            self._set_timer()
        elif self._unread_since is not None:
            self.transport.abort()
        else:
            self._end(408, "Request Timeout")

    def _end(self, status: int, phrase: str) -> None:
        """Closes the connection; a client that sent part of a request gets the reason."""
        unanswered = self._got > 0 if self._is_between() else not self.cycle.response_started
        if unanswered and not self._is_draining():
            self.transport.write(f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\n\r\n".encode())
        self.transport.close()

    def _make_room(self) -> bool:
        """Closes the connection that has waited longest for its client; False if none waits."""
        waiting = [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol)
            and other is not self
            and not other.transport.is_closing()
            and other.waits_for_client()
        ]
        if not waiting:
            return False
        min(waiting, key=lambda other: other._heard).transport.abort()
        return True


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = answer(
        503,
        "crowded",
        "This server has reached its limit of connections.",
        "Try again in a few seconds. If this continues, raise web.connections and the limit of open files.",
        {"Retry-After": str(RETRY_S), "Connection": "close"},
    )
    await refusal(scope, receive, send)


def config_of(app: ASGIApp, host: str, port: int, bounds: Bounds, **more: Any) -> uvicorn.Config:
    """The uvicorn configuration for an application."""
    bounded = type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})
    more.setdefault("access_log", False)  # addresses can hold tokens
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=bounded,
        server_header=False,
        proxy_headers=False,  # trusted proxies are a setting, and their headers are checked (`auth.forwarded`)
        timeout_keep_alive=bounds.idle_s,
        timeout_graceful_shutdown=STOP_S,
        # asyncio accepts this many connections before it looks at the first.
        backlog=max(8, min(2048, bounds.most // 2)),
        **more,
    )


class AnnouncedServer(uvicorn.Server):
    """A server that says that it leaves, and answers for some seconds more, before it closes its port.

    A balancer learns from its next probe that it must look elsewhere; until then it goes on sending people here.
    ended_by: the signal that asked the process to end.
    """

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None] | None, drain_s: float) -> None:
        super().__init__(config)
        self.ended_by: int | None = None
        self._leave, self._drain_s = leave, drain_s
        self._closes_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM begins the end; a second signal, or Ctrl-C, does not wait for balancers."""
        self.force_exit = self.force_exit or (self.should_exit and sig == signal.SIGINT)
        if self._leave is not None and self.ended_by is None and sig == signal.SIGTERM and self._drain_s > 0:
            self._leave()
            self._closes_at = time.monotonic() + self._drain_s
        else:
            self.should_exit = True
        self.ended_by = self.ended_by or sig

    async def on_tick(self, counter: int) -> bool:
        """Whether the time has come to close the port."""
        if self._closes_at is not None and time.monotonic() >= self._closes_at:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(
    app: ASGIApp, settings: WebSettings, host: str, port: int, leave: Callable[[], None] | None = None, **more: Any
) -> int | None:
    """Serves until the process is asked to end, and lets running requests end; returns the signal that asked.

    leave: called at SIGTERM, `web.drain_s` before the port is closed; None: it is closed at once.
    """
    server = AnnouncedServer(config_of(app, host, port, bounds_of(settings), **more), leave, settings.drain_s)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return server.ended_by
