"""A local stand-in of the Kubernetes API that really runs the command of each pod, as a process.

Belongs here: the five calls about pods that the product makes. Does not belong here: what a cluster would refuse.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes

Json = dict[str, Any]


class ClusterPod:
    """A pod as the API describes it, and its process."""

    def __init__(self, body: Json) -> None:
        self.body = body
        body["metadata"]["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        container = body["spec"]["containers"][0]
        told = {one["name"]: one["value"] for one in container["env"]}
        # Nothing of this process but where its Python finds the product: a pod has no more.
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **told}
        command = [sys.executable, *container["command"][1:]]
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(f"{datetime.now(UTC).isoformat().replace('+00:00', 'Z')} {line}")

    @property
    def ended(self) -> bool:
        """Whether its process has ended and all its lines are read."""
        return self._process.poll() is not None and not self._reader.is_alive()

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    @property
    def described(self) -> Json:
        """The pod with its status."""
        code = self._process.returncode if self.ended else None
        phase = "Running" if code is None else "Failed" if code else "Succeeded"
        state: Json = {"running": {}} if code is None else {"terminated": {"exitCode": code, "reason": "Error"}}
        status = {"name": "step", "image": "i", "imageID": "", "ready": code is None, "restartCount": 0, "state": state}
        return {**self.body, "status": {"phase": phase, "containerStatuses": [status]}}


class ClusterApi:
    """The pods of a cluster. made: the bodies of all pods ever made. away: requests that fail from now on."""

    def __init__(self) -> None:
        self.pods: dict[str, ClusterPod] = {}
        self.made: list[Json] = []
        self.away = 0

    def answer(self, method: str, path: str, body: Json | None) -> tuple[int, Json]:
        """Status and body of a response."""
        if self.away:
            self.away -= 1
            return 503, {"reason": "ServiceUnavailable"}
        name = path.split("/pods", 1)[1].strip("/").removesuffix("/log")
        if method == "POST" and body is not None:
            name = body["metadata"]["name"]
            if name in self.pods:
                return 409, {"reason": "AlreadyExists"}
            self.made.append(body)
            self.pods[name] = ClusterPod(body)
            return 201, self.pods[name].described
        if not name:
            return 200, {"items": [pod.described for pod in self.pods.values()]}
        if name not in self.pods:
            return 404, {"reason": "NotFound"}
        described = self.pods[name].described
        if method == "DELETE":
            self.pods.pop(name).end()
        return 200, described

    def log(self, path: str) -> Iterator[str]:
        """The lines of a pod until it has ended."""
        pod, sent = self.pods[path.split("/pods/", 1)[1].removesuffix("/log")], 0
        while True:
            ended = pod.ended
            yield from pod.lines[sent:]
            sent = len(pod.lines)
            if ended:
                return
            time.sleep(0.02)


@contextmanager
def cluster_api() -> Iterator[tuple[ClusterApi, Any]]:
    """A stand-in, and the real client of it."""
    cluster = ClusterApi()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            if parts.path.endswith("/log") and not cluster.away:
                assert parse_qs(parts.query)["follow"] == ["True"]
                self.send_response(200)
                self.end_headers()
                for line in cluster.log(parts.path):
                    self.wfile.write(line.encode())
                return
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, said = cluster.answer(self.command, parts.path, body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    configuration.retries = 0
    try:
        yield cluster, kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
    finally:
        server.shutdown()
        server.server_close()
        for pod in cluster.pods.values():
            pod.end()
