"""The product's page in a process of its own, for benchmarks that ask it as a browser does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chimp_assets_tests.web.label_home import PASSWORD

PATIENCE_S = 60


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a server of this home; it is up."""
    with served_by(root) as (url, _):
        yield url


@contextmanager
def served_by(root: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a server of this home, which is up, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "chimp_assets.web.serve", str(port)]
    environment = {**os.environ, "CHIMP_HOME": str(root), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _until_up(url)
            yield url, server
        finally:
            server.terminate()


def sign_in(context: Any, url: str, name: str) -> None:
    """A browser's context is this person's from now on."""
    said = context.request.post(
        f"{url}/api/sign-in", data={"name": name, "password": PASSWORD}, headers={"Origin": url}
    )
    assert said.ok, said.text()


def _until_up(url: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=2).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
