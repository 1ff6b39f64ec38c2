"""Several servers of the page, each a process with a home and a TMPDIR of its own, on one database and one store; and a
balancer before them that sends each request to the next one.

Belongs here: starting and stopping them. No test belongs here.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

PATIENCE_S = 120.0
"""Nothing here is measured: a wait that long means that it never comes."""
PUBLIC = "http://localhost"


@dataclass
class Replica:
    """One server. within: a command that runs others in a namespace."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


def start(
    root: Path,
    template: Path,
    environment: dict[str, str],
    port: int,
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
) -> Replica:
    """A server in a new home below root, with the dagster.yaml and chimp.toml of a template."""
    home, scratch = root / "home", root / "tmp"
    scratch.mkdir(parents=True)
    home.mkdir()
    shutil.copy(template / "chimp.toml", home)
    log = root / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "chimp_assets.cli", "serve", "page", "--port", str(port)],
            env={**os.environ, "CHIMP_HOME": str(home), "TMPDIR": str(scratch), "CHIMP_WEB__HOST": host, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return Replica(process, f"http://{host}:{port}", log)


def wait_ready(replica: Replica) -> None:
    """Until /readyz says so. Raises AssertionError with its log if the process ends before."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and replica.process.poll() is None:
        try:
            if httpx2.get(f"{replica.url}/readyz", timeout=10).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(replica.log.read_text(errors="replace")[-3_000:])


@dataclass
class Balancer:
    """Sends each request to the next server, and past those that do not listen. served: how many each answered."""

    backends: list[str]
    served: dict[str, int] = field(default_factory=dict)
    url: str = ""
    only: str | None = None

    def order(self) -> list[str]:
        """The servers to try for the next request, in this order."""
        if self.only is not None:
            return [self.only]
        first = next(self._turns) % len(self.backends)
        return self.backends[first:] + self.backends[:first]

    def __post_init__(self) -> None:
        self._turns = itertools.count()


_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "x-forwarded-for",
    "x-forwarded-proto",
    "host",
}


@contextmanager
def balancing(backends: list[str]) -> Iterator[Balancer]:
    """A small reverse proxy on this machine: keeps Host, adds X-Forwarded-For and X-Forwarded-Proto."""
    balancer = Balancer(backends)
    client = httpx2.Client(timeout=PATIENCE_S, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = [(k, v) for k, v in self.headers.items() if k.lower() not in _HOP]
            headers += [
                ("Host", self.headers["host"]),
                ("X-Forwarded-For", self.headers.get("x-test-client", self.client_address[0])),
                ("X-Forwarded-Proto", "http"),
            ]
            for backend in balancer.order():
                try:
                    answer = client.request(self.command, backend + self.path, headers=headers, content=body)
                except httpx2.ConnectError:
                    continue  # it has closed its port: another one answers
                balancer.served[backend] = balancer.served.get(backend, 0) + 1
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name.lower() not in {*_HOP, "content-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.send_header("X-Backend", backend)
                self.end_headers()
                self.wfile.write(answer.content)
                return
            self.send_error(502)

        do_GET = do_POST = _pass_on

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    balancer.url = f"{PUBLIC}:{server.server_port}"
    try:
        yield balancer
    finally:
        server.shutdown()
        server.server_close()
        client.close()
