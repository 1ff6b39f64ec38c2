"""Azurite as a test needs it: on a free port, in a folder of its own, stopped and started again, its requests counted.

Belongs here: the server process, its credentials, and containers. Does not belong here: what is tested with it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from chimp_assets_tests.paths import REPOSITORY
from chimp_assets_tests.support.processes import dying_with_us

INSTALLED = REPOSITORY / ".azurite"
_MAIN = INSTALLED / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "devstoreaccount1"
# Published by Microsoft for everyone: it opens nothing but an emulator.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Said apart: from any address but that of the loopback the client reads no name.
_CREDENTIAL = {"account_name": ACCOUNT, "account_key": KEY}


PATIENCE_S = 300.0
"""Nothing is measured by it: a server that is not up by then never will be."""


def why_not() -> str:
    """Why Azurite cannot be started here; empty if it can."""
    if shutil.which("node") is None:
        return "node is not installed, so Azurite cannot run"
    if not _MAIN.is_file():
        return "Azurite is not installed: `make azurite` does it, with npm"
    return ""


class Azurite:
    """One server with its data below folder. Use as a context manager."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self._folder = folder
        self._address = address
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = free.getsockname()[1]
        self._log = folder / "requests.log"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Azurite:
        if self._server is None:
            self.launch()
        self.await_up()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.stop()

    @property
    def runs(self) -> bool:
        return self._server is not None

    @property
    def endpoint(self) -> str:
        return f"http://{self._address}:{self.port}/{ACCOUNT}"

    def start(self) -> None:
        self.launch()
        self.await_up()

    def launch(self) -> None:
        """Starts the process and does not wait."""
        node = shutil.which("node")
        assert node is not None
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [*dying_with_us(), node, str(_MAIN), "--blobHost", self._address, "--blobPort", str(self.port),
                 "--disableTelemetry", "--skipApiVersionCheck", "--blobKeepAliveTimeout", "1",
                 "--location", str(self._folder / "blobs")],
                cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip

    def await_up(self) -> None:
        assert self._server is not None
        ends_at = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"Azurite did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut down: what was acknowledged is on disk, what was on its way is cut off.

        Not by SIGKILL: Azurite keeps what it knows in memory for seconds, and would forget blobs that it has
        acknowledged, which no real service does.
        """
        assert self._server is not None
        self._server.terminate()
        self._server.wait(timeout=60)
        self._server = None

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def empty(self) -> None:
        """As a new one: no container, no request counted."""
        client = self.client()
        for container in client.list_containers():
            client.delete_container(container.name)
        os.truncate(self._log, 0)  # the server appends to it

    def environment(self) -> dict[str, str]:
        """What a user sets to reach this account with its key."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
        }

    def environment_with_sas(self, sas: str) -> dict[str, str]:
        """What a user sets who was given a SAS and no key."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_SAS_TOKEN": sas,
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
        }

    def sas(self, rights: str = "rwdlac", lasts: timedelta = timedelta(hours=1)) -> str:
        """A SAS of the account; a negative time has expired."""
        now = datetime.now(UTC)
        return generate_account_sas(
            ACCOUNT,
            KEY,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions.from_string(rights),
            expiry=now + lasts,
            start=now - timedelta(hours=5),
        )

    def client(self) -> BlobServiceClient:
        """Microsoft's own client, to prepare and to inspect."""
        return BlobServiceClient(self.endpoint, credential=_CREDENTIAL, api_version="2025-11-05")

    def make_container(self, name: str) -> str:
        """A new empty container; returns its address."""
        self.client().create_container(name)
        return f"az://{name}"

    def upload(self, folder: Path, container: str, prefix: str = "") -> None:
        """All files of a folder under their relative paths."""
        client = self.client().get_container_client(container)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            client.upload_blob(prefix + path.relative_to(folder).as_posix(), path.read_bytes())

    def requests(self, settle_s: float = 0.3) -> list[tuple[str, str, int]]:
        """(method, path with query, status) of every request so far, oldest first."""
        time.sleep(settle_s)  # a line is written after its answer was sent
        found = re.findall(r'"([A-Z]+) (\S+) HTTP/1\.1" (\d{3})', self._log.read_text(errors="replace"))
        return [(method, path, int(status)) for method, path, status in found]
