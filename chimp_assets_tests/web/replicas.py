"""Several servers of the page, each a process with a home and a TMPDIR of its own, on one database and one store; and a
balancer before them that sends each request to the next one.

Belongs here: starting and stopping them. No test belongs here.
"""

from __future__ import annotations

import itertools
import json
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
from http.cookiejar import CookieJar, DefaultCookiePolicy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from chimp_assets.home import Home
from chimp_assets.operations.ports import free_port
from chimp_assets_tests.support.databases import Server
from chimp_assets_tests.web.label_home import PASSWORD, make_label_home
from chimp_assets_tests.web.server.auth.provider import CLIENT, Provider, serving

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
            if httpx2.get(f"{replica.url}/readyz", timeout=10, trust_env=False).status_code == 200:
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
    # A balancer keeps no cookies: else one browser would be given those of another.
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    client = httpx2.Client(timeout=PATIENCE_S, trust_env=False, cookies=none)

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
                except httpx2.TransportError:
                    if self.command != "GET":
                        raise
                    continue  # it closed a connection that was idle; asking again changes nothing
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


@dataclass
class Pages:
    """Two servers and what is before and behind them."""

    home: Home
    replicas: list[Replica]
    balancer: Balancer
    provider: Provider

    def browser(self, name: str | None = None, address: str = "198.51.100.1") -> Any:
        """A browser at an address, before the balancer; signed in as somebody."""
        headers = {"Origin": self.balancer.url, "X-Test-Client": address}
        made = httpx2.Client(base_url=self.balancer.url, headers=headers, timeout=60, trust_env=False)
        if name is not None:
            answer = made.post("/api/sign-in", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
        return made

    def each(self, browser: Any, path: str) -> list[Any]:
        """The answers of both servers to the same request."""
        found = [browser.get(path) for _ in self.replicas]
        assert len({answer.headers["x-backend"] for answer in found}) == len(self.replicas)
        return found

    def status(self, browser: Any, path: str) -> list[int]:
        return [answer.status_code for answer in self.each(browser, path)]


@dataclass(frozen=True)
class Place:
    """Where a server runs. within: a command that runs others there."""

    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()


@contextmanager
def two_pages(postgresql: Server, root: Path, places: Sequence[Place], here: str = "127.0.0.1") -> Iterator[Pages]:
    """Servers at these places, ready; the balancer and the identity provider are reached at `here`."""
    db = postgresql.create_migrated()
    toml = f'database_url = "{db.url}"\nstore_url = "{(root / "store").as_uri()}"\n[web]\nblind_share = 0.0\n'
    home = make_label_home(root / "made", 20, settings=toml)
    ports: list[int] = []
    urls: list[str] = []
    replicas: list[Replica] = []
    with serving(here) as provider, balancing(urls) as balancer:
        while len(ports) < len(places):  # after these two, which would take a port that is only free so far
            if (port := free_port(0)) not in ports:
                ports.append(port)
        urls += [f"http://{place.address}:{port}" for place, port in zip(places, ports, strict=True)]
        environment = {
            "CHIMP_WEB__PUBLIC_URL": balancer.url,
            "CHIMP_WEB__PROXIES": json.dumps([here]),
            "CHIMP_WEB__DRAIN_S": "3",
            "CHIMP_WEB__OIDC__METADATA_URL": provider.metadata_url,
            "CHIMP_WEB__OIDC__CLIENT_ID": CLIENT,
            "CHIMP_OIDC_CLIENT_SECRET": "s3cret",
        }
        try:
            for n, (place, port) in enumerate(zip(places, ports, strict=True)):
                made = home.settings.home
                replicas.append(start(root / f"host{n}", made, environment, port, place.address, place.within))
            for replica in replicas:
                wait_ready(replica)
            yield Pages(home, replicas, balancer, provider)
        finally:
            for replica in replicas:
                replica.stop()
            home.database.dispose()
            postgresql.drop(db)
