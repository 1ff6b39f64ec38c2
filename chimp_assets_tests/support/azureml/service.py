"""A stand-in of Azure ML: the endpoints that the real SDK asks, and a cluster that really runs what is submitted.

Belongs here: the service, its faults. Does not belong here: what is tested with it.

A job runs elsewhere as far as one machine can have that: a shell of its own with a folder, a HOME and a TMPDIR of its
own and no other variables than those of the job and of its cluster. The answers are shaped as the service's are, from
the requests and answers of azure-ai-ml 1.35.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chimp_assets_tests.azure.azurite import KEY
from chimp_assets_tests.paths import REPOSITORY

SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-000000000019", "rg-gombe", "ws-gombe"
SETTINGS: dict[str, Any] = {
    "subscription_id": SUBSCRIPTION, "resource_group": GROUP, "workspace": WORKSPACE, "cpu_compute": "cpu",
    "environment": "chimp-assets:1", "identity_client_id": "client-of-the-cluster", "poll_s": 0.1, "patience_s": 20.0,
}  # fmt: skip
"""Of [compute.azureml]."""
_ROOT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.MachineLearningServices/workspaces"
_WORKSPACE = f"{_ROOT}/{WORKSPACE}"


@dataclass
class ClusterJob:
    """A job as the service keeps it. starts: how often its command was started; pretended: words instead of its status,
    the number of looks that get each (None: all to come)."""

    name: str
    properties: dict[str, Any]
    folder: Path
    status: str = "Queued"
    starts: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    pretended: list[tuple[str, int | None]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What its processes have printed."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("log-*.txt")))

    @property
    def variables(self) -> dict[str, str]:
        return dict(self.properties.get("environmentVariables") or {})


class AzureMLService:
    """The service. Use as a context manager. cluster_environment: what the nodes have besides a job's own variables.

    on_submitted: called with each new job before it starts. Faults: `fail_next`, `lose_submissions`, and the methods
    that end, take or rename jobs.
    """

    def __init__(self, folder: Path, cluster_environment: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._cluster = cluster_environment or {}
        self.jobs: dict[str, ClusterJob] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.datastores: dict[str, dict[str, Any]] = {}
        self.computes: dict[str, dict[str, Any]] = {"cpu": _cluster(0, 2), "gpu": _cluster(0, 4)}
        self.environments = {"chimp-assets/1"}
        self.requests: list[tuple[str, str]] = []
        self.lose_submissions = 0
        self.cancels_are_heard = True
        self.new_jobs_pretend: list[tuple[str, int | None]] = []
        self._faults: list[tuple[str, str, Any]] = []
        self._lock = threading.RLock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = service._answer(self.command, self.path, json.loads(body) if body[:1] == b"{" else {})
                if answer is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, content = answer
                text = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_PATCH = answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a dropped connection is one of the faults

        folder.mkdir(parents=True, exist_ok=True)
        self._certificate = folder / "certificate.pem"
        self._certificate.write_bytes(_certificate())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._certificate)
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> AzureMLService:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for job in self.jobs.values():
            self._stop(job)

    def environment(self) -> dict[str, str]:
        """What leads the real SDK and the real DefaultAzureCredential to this service."""
        return {
            "ARM_CLOUD_METADATA_URL": f"{self.url}metadata/endpoints?api-version=2019-05-01",
            "AZUREML_CURRENT_CLOUD": "LocalCloud",
            "IDENTITY_ENDPOINT": f"{self.url}msi/token",
            "IDENTITY_HEADER": "stand-in",
            "REQUESTS_CA_BUNDLE": str(self._certificate),
        }

    # Faults.

    def fail_next(self, method: str, path: str, *how: int | str) -> None:
        """The next requests of this method whose path holds this text get these statuses; "drop": no answer."""
        with self._lock:
            self._faults += [(method, path, one) for one in how]

    def cancel(self, name: str) -> None:
        """Somebody cancels the job in the studio."""
        with self._lock:
            job = self.jobs[name]
            self._stop(job)
            job.status = "Canceled"

    def take_node(self, name: str) -> None:
        """The node of a job of low priority is taken: its processes die at once, and the job waits for another node."""
        with self._lock:
            job = self.jobs[name]
            self._stop(job)
            job.status = "Queued"

    def only_job(self) -> ClusterJob:
        """The one job there is, once it is there."""
        await_true(lambda: len(self.jobs) > 0, "a job is submitted")
        (job,) = self.jobs.values()
        return job

    # Answers.

    def _answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        path = target.partition("?")[0]
        with self._lock:
            self.requests.append((method, path))
            for fault in self._faults:
                if fault[0] == method and fault[1] in path:
                    self._faults.remove(fault)
                    return None if fault[2] == "drop" else (fault[2], _error("Fault", "a fault of the test"))
            if "metadata/endpoints" in path:
                return 200, [self._cloud()]
            if path == "/msi/token":
                return 200, {"access_token": "t", "token_type": "Bearer", "resource": self.url,
                             "expires_on": str(int(time.time()) + 3600)}  # fmt: skip
            if not path.lower().startswith(_WORKSPACE.lower()):
                return 404, _error("ResourceNotFound", f"there is no {path}")
            return self._of_workspace(method, path, path[len(_WORKSPACE) :].strip("/"), body)

    def _of_workspace(self, method: str, path: str, rest: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if not rest:
            return 200, {"id": path, "name": WORKSPACE, "location": "westeurope", "properties": {}}
        kind, _, name = rest.partition("/")
        if kind == "jobs":
            return self._of_jobs(method, path, name, body)
        if kind == "computes" and name in self.computes:
            return 200, {"id": path, "name": name, "location": "westeurope", "properties": self.computes[name]}
        if kind == "environments" and name.replace("/versions/", "/") in self.environments:
            version = name.rpartition("/")[2]
            return 200, {"id": path, "name": version, "properties": {"image": "acr.example/chimp-assets:1"}}
        if kind == "datastores":
            return self._of_datastores(method, path, name, body)
        if kind == "models":
            return self._of_models(method, path, name, body)
        return 404, _error("ResourceNotFound", f"there is no {path}")

    def _of_jobs(self, method: str, path: str, name: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        name, _, action = name.partition("/")
        job = self.jobs.get(name)
        if method == "PUT":
            known = job is not None
            if job is None:
                job = self.jobs[name] = ClusterJob(name, body["properties"], self._folder / name)
                job.pretended = list(self.new_jobs_pretend)
                self._advance(job)
            if self.lose_submissions:
                self.lose_submissions -= 1
                return None
            return 200 if known else 201, self._shown(job, path)
        if job is None:
            return 404, _error("NotFound", f"there is no job {name}")
        if action == "cancel":
            if self.cancels_are_heard and job.status not in ("Completed", "Failed", "Canceled"):
                self._stop(job)
                job.status, job.pretended = "Canceled", [("CancelRequested", 1)]
            return 202, None
        self._advance(job)
        return 200, self._shown(job, path)

    def _shown(self, job: ClusterJob, path: str) -> dict[str, Any]:
        status = job.status
        if job.pretended:
            status, looks = job.pretended[0]
            if looks is not None:
                job.pretended[0] = (status, looks - 1)
                if looks <= 1:
                    job.pretended.pop(0)
        return {"id": path, "name": job.name, "properties": {**job.properties, "status": status}}

    def _of_models(self, method: str, path: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "PUT":
            self.models[name] = {"flavors": {}, **body["properties"]}
        if name in self.models:
            return 200, {"id": path, "name": name.rpartition("/")[2], "properties": self.models[name]}
        return 404, _error("ModelNotFound", f"there is no model {name}")

    def _of_datastores(self, method: str, path: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "PUT":
            self.datastores[name] = body["properties"]
        if not name:
            return 200, {"value": [self._datastore(path, one) for one in self.datastores]}
        if name in self.datastores:
            return 200, self._datastore(path, name)
        return 404, _error("NotFound", f"there is no datastore {name}")

    def _datastore(self, path: str, name: str) -> dict[str, Any]:
        return {"id": f"{path}/{name}", "name": name, "properties": self.datastores[name]}

    def _cloud(self) -> dict[str, Any]:
        return {
            "name": "LocalCloud", "portal": "http://portal.local.example/", "resourceManager": self.url,
            "authentication": {"loginEndpoint": self.url, "audiences": [self.url]},
            "suffixes": {"storage": "core.local.example"},
        }  # fmt: skip

    # The cluster.

    def _advance(self, job: ClusterJob) -> None:
        """Starts what waits, and sees what has ended: the service looks when it is asked, which is often enough."""
        if job.status == "Queued":
            self._start(job)
            job.status = "Running"
        elif job.status == "Running":
            codes = [process.poll() for process in job.processes]
            if any(code not in (None, 0) for code in codes):
                self._stop(job)
                job.status = "Failed"
            elif None not in codes:
                job.status = "Completed"

    def _start(self, job: ClusterJob) -> None:
        job.starts += 1
        nodes = int((job.properties.get("resources") or {}).get("instanceCount") or 1)
        each = int((job.properties.get("distribution") or {}).get("processCountPerInstance") or 1)
        port = 20000 + os.getpid() % 10000 + job.starts
        job.processes = []
        for rank in range(nodes * each):
            node = job.folder / f"start-{job.starts}" / f"node-{rank // each}"
            for folder in ("home", "tmp", "work"):
                (node / folder).mkdir(parents=True, exist_ok=True)
            variables = {
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY),
                "PYTHONWARNINGS": "ignore", "HOME": str(node / "home"), "TMPDIR": str(node / "tmp"), "LANG": "C.UTF-8",
                "OMP_NUM_THREADS": "1",  # several jobs share the cores of this machine
                **self._cluster, **job.variables,
            }  # fmt: skip
            if nodes * each > 1:
                variables |= {
                    "RANK": str(rank), "LOCAL_RANK": str(rank % each), "WORLD_SIZE": str(nodes * each),
                    "LOCAL_WORLD_SIZE": str(each), "NODE_RANK": str(rank // each),
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                }  # fmt: skip
            with (job.folder / f"log-{job.starts}-{rank}.txt").open("wb") as log:
                job.processes.append(
                    subprocess.Popen(
                        ["/bin/sh", "-c", job.properties["command"]], env=variables, cwd=node / "work",
                        stdout=log, stderr=log, start_new_session=True,
                    )
                )  # fmt: skip

    def _stop(self, job: ClusterJob) -> None:
        for process in job.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureMLService]:
    """A service that this process reaches, and whose jobs reach Azurite with its key."""
    with AzureMLService(tmp_path / "cluster", {"AZURE_STORAGE_ACCOUNT_KEY": KEY}) as started:
        for name, value in started.environment().items():
            monkeypatch.setenv(name, value)
        yield started


def await_true(is_so: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Waits until something is so."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)


@cache
def _certificate() -> bytes:
    """Key and certificate of 127.0.0.1: the SDK sends its token over TLS only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in of Azure ML")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + signed.public_bytes(serialization.Encoding.PEM)


def _cluster(least: int, most: int) -> dict[str, Any]:
    return {
        "computeType": "AmlCompute", "provisioningState": "Succeeded",
        "properties": {
            "vmSize": "STANDARD_NC4AS_T4_V3", "vmPriority": "LowPriority", "allocationState": "Steady",
            "scaleSettings": {"minNodeCount": least, "maxNodeCount": most}, "errors": [],
        },
    }  # fmt: skip


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
