"""Starting and stopping the long-lived processes together: Dagster's daemon and web UI, the ranker, the labelling page.

Belongs here: process groups, logs, addresses. Does not belong here: what they do.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.settings import shipped_file

GRACE_S = 15.0
"""A run in flight gets so long to write where it stopped before its process group is killed."""


class SupervisorError(ChimpError):
    """A process that should stay up went down, or an address is taken."""


@dataclass
class Child:
    """One process of ours, in a process group of its own so that all it started stops with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def free_port(wanted: int) -> int:
    """`wanted` if it is free on 127.0.0.1, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SupervisorError("No port of this machine is free.", "Stop some of its servers.")


def _start(home: Home, name: str, arguments: list[str], extra: Mapping[str, str]) -> Child:
    logs = home.settings.home / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{name}.log"
    out: IO[bytes]
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 (commands of our own environment)
            arguments,
            env={**home.environment(), **extra},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, process, log)


def _command(name: str) -> str:
    """A command that was installed beside this Python. Raises SupervisorError."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SupervisorError(f"{name} is not installed beside {sys.executable}.", "Install chimp-assets again.")
    return str(path)


def daemon_arguments() -> list[str]:
    """The daemon: sensors, schedules, run queue."""
    return [_command("dagster-daemon"), "run", "-w", str(shipped_file("workspace.yaml"))]


def web_arguments(host: str, port: int) -> list[str]:
    """Dagster's web UI behind our door; a plain `dagster-webserver` lets in everybody who can reach its port."""
    return [sys.executable, "-m", "chimp_assets.web.dagster_ui", host, str(port)]


def ranker_arguments() -> list[str]:
    """What ranks the waiting items again after each answer."""
    return [sys.executable, "-m", "chimp_assets.reranking"]


def page_arguments(port: int) -> list[str]:
    """The labelling page, on the address of its settings."""
    return [sys.executable, "-m", "chimp_assets.web.serve", str(port)]


def launcher_advice(home: Home) -> str | None:
    """What to say to a home whose Dagster does not notice runs that died with the machine; None: nothing."""
    file = home.settings.dagster_home / "dagster.yaml"
    if not re.search(r"^\s*class:\s*DefaultRunLauncher\b", file.read_text(encoding="utf-8"), re.MULTILINE):
        return None
    return (
        f"{file} names DefaultRunLauncher, with which a run that a power cut ended counts as running for a day: write "
        "module: chimp_assets.automation.launcher and class: LocalRunLauncher there."
    )


def stop(children: list[Child]) -> None:
    """Asks all of them to end at once, waits, and kills what is left, with everything that they started."""
    for child in children:
        if child.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(deadline - time.monotonic(), 0.1))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(home: Home, commands: Mapping[str, list[str]], **extra: str) -> Iterator[list[Child]]:
    """The named processes, up while the block runs and stopped with it, also on SIGTERM."""

    def end(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    children: list[Child] = []
    before = signal.signal(signal.SIGTERM, end)
    try:
        for name, arguments in commands.items():
            children.append(_start(home, name, arguments, extra))
        yield children
    finally:
        stop(children)
        signal.signal(signal.SIGTERM, before)


def fallen(children: list[Child]) -> Child | None:
    """The first process that ended although it should stay up."""
    return next((child for child in children if child.process.poll() is not None), None)


def watch(children: list[Child]) -> None:
    """Waits until interrupted. Raises SupervisorError with the last words of a process that went down by itself."""
    while True:
        down = fallen(children)
        if down is not None:
            raise fell(down)
        time.sleep(0.5)


def fell(child: Child) -> SupervisorError:
    """The error for a process that went down: its last words and its log."""
    lines = child.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    return SupervisorError(f"The {child.name} process ended: {lines[-1]}", f"Its log is {child.log}.")
