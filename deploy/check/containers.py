"""The image and the containers of one machine: hadolint, `docker-compose config`, and how far a container is closed.

Does not belong here: what Kubernetes makes of the image (`charts`).
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.check.faults import Fault, program

PROFILES = ("try", "gpu")
ONCE = ("container", "setup")
"""Services that end by themselves."""
UNASKED = ("ranker", "worker", "worker-gpu")
"""Long-lived services that answer nobody: they are started again when they end; the launcher looks after workers."""
_PINNED = re.compile(r":[^:/@]+$|@sha256:[0-9a-f]{64}$")


def dockerfile_faults(root: Path) -> Iterator[Fault]:
    """What hadolint finds in deploy/Dockerfile."""
    file = root / "deploy/Dockerfile"
    found = subprocess.run(  # noqa: S603
        [program("hadolint"), "--format", "json", "--failure-threshold", "style", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode not in (0, 1) or not found.stdout.startswith("["):
        yield Fault("hadolint", "deploy/Dockerfile", (found.stderr or found.stdout).strip()[:400])
        return
    for one in json.loads(found.stdout):
        yield Fault(one["code"], f"deploy/Dockerfile:{one['line']}", one["message"])


def compose_faults(root: Path) -> Iterator[Fault]:
    """What docker-compose refuses or warns of in deploy/compose.yml, and services that are not closed."""
    where = "deploy/compose.yml"
    profiles = [word for name in PROFILES for word in ("--profile", name)]
    found = subprocess.run(  # noqa: S603
        [program("docker-compose"), "-f", str(root / where), "--env-file", str(root / "deploy/compose.env.example"),
         *profiles, "config", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        yield Fault("compose", where, found.stderr.strip()[:400])
        return
    for line in found.stderr.splitlines():
        yield Fault("compose", where, line)
    for name, service in json.loads(found.stdout)["services"].items():
        for rule, text in _open_doors(name, service):
            yield Fault(rule, f"{where}: {name}", text)


def _open_doors(name: str, service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if service.get("privileged") or service.get("cap_add") or service.get("network_mode") or service.get("pid"):
        yield "privileged", "it has more rights than a container needs"
    if service.get("cap_drop") != ["ALL"]:
        yield "capabilities", "it keeps capabilities: cap_drop: [ALL]"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "privileges", "it may gain privileges: no-new-privileges:true"
    if not service.get("read_only"):
        yield "read-only", "its root file system can be written: read_only: true"
    if not service.get("mem_limit"):
        yield "memory", "it may take all memory: mem_limit"
    if str(service.get("user", "")).split(":")[0] in ("0", "root"):
        yield "root", "it runs as root"
    if not _PINNED.search(service["image"]) or service["image"].endswith(":latest"):
        yield "tag", f"{service['image']} names no version"
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            yield "port", f"port {port['target']} is open to other machines"
    if name not in (*ONCE, *UNASKED) and "healthcheck" not in service:
        yield "health", "nobody asks whether it is well: healthcheck"
    if name not in ONCE and service.get("restart") != "unless-stopped":
        yield "restart", "it is not started again: restart: unless-stopped"
    for variable, value in service.get("environment", {}).items():
        if re.search(r"://[^/@]*:[^/@]+@", str(value)):
            yield "secret", f"{variable} holds a password"
