"""Hosts: where we are root, namespaces of network, mounts, processes and host name; else processes with own folders.

Belongs here: making a host, starting and ending what runs on it. Does not belong here: servers (`servers`), what is
installed on which host (`cluster`).

In a namespace a host can write into its own folder alone: everything else is mounted read-only, so that a step that
relies on a file elsewhere fails there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from chimp_assets_tests.paths import REPOSITORY
from chimp_assets_tests.support.cluster.network import Network
from chimp_assets_tests.support.processes import dying_with_us

# Everything but the host's folder becomes read-only. Semaphores of the host's processes live in its own /dev/shm.
_ENTER = """
set -e
hostname "$1"; folder=$2; shift 2
mount --bind "$folder" "$folder"
disks='^(ext4|xfs|btrfs|overlay|tmpfs|zfs|9p|virtiofs|fuse.*)$'
awk -v disks="$disks" '$3 ~ disks {print $2}' /proc/self/mounts | while read -r point; do
  test "$point" = "$folder" || mount -o remount,bind,ro "$point" 2>/dev/null || true
done
mount -t tmpfs tmpfs /dev/shm
cd "$folder"
exec "$@"
"""


def has_namespaces() -> bool:
    """Whether this user may make namespaces of network, mounts and processes."""
    if os.getuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter", "mount", "hostname"))):
        return False
    probe = ["unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "mount", "--bind", "/tmp", "/tmp"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


class Host:
    """One machine. Its home, scratch folder and logs lie below `folder`, which is not in /dev/shm: it has its own."""

    def __init__(self, name: str, folder: Path, network: Network, environment: Mapping[str, str]) -> None:
        assert not folder.is_relative_to("/dev/shm"), f"{folder} would be hidden from the host"
        self.name = name
        self.folder = folder
        self._namespace, self.address = network.join(name)
        self.home = folder / "home"
        scratch = folder / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "TMPDIR": str(scratch),
            "CHIMP_HOME": str(self.home),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def log(self, name: str) -> Path:
        """What a process of this host has printed."""
        return self.folder / f"{name}.log"

    def start(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process, until it ends or is ended. name: of its log."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [*dying_with_us(), *self._entered(arguments)],
                env={**self.environment, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def run(self, *arguments: str, seconds: float = 600) -> str:
        """A command, to its end; what it printed. Raises AssertionError if it fails."""
        done = subprocess.run(
            self._entered(arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{self.name}: {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def _entered(self, arguments: Sequence[str]) -> list[str]:
        if self._namespace is None:
            return list(arguments)
        apart = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        shell = ["sh", "-c", _ENTER, "sh", self.name, str(self.folder), *arguments]
        return ["nsenter", f"--net=/run/netns/{self._namespace}", "unshare", *apart, *shell]

    def ask_to_end(self) -> None:
        """SIGTERM to what was started here, as `systemctl stop` or a drained node sends it; waits for the end."""
        for process in self._started:
            with suppress(psutil.NoSuchProcess):
                within = psutil.Process(process.pid)
                if self._namespace is not None:
                    within = within.children()[0]  # its first process; `unshare` passes nothing on
                within.send_signal(signal.SIGTERM)
        for process in self._started:
            process.wait(timeout=120)
        self._started.clear()

    def kill(self) -> None:
        """The machine loses its power: everything on it is gone at once, and nothing can say so."""
        for process in self._started:
            with suppress(psutil.NoSuchProcess):
                below = [] if self._namespace else psutil.Process(process.pid).children(recursive=True)
                for one in [psutil.Process(process.pid), *below]:
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
        for process in self._started:
            process.wait(timeout=60)
        self._started.clear()


@contextmanager
def hosts(names: Sequence[str], folder: Path, network: Network, environment: Mapping[str, str]) -> Iterator[list[Host]]:
    """Hosts with these names, which are off in the end."""
    made = [Host(name, folder / name, network, environment) for name in names]
    try:
        yield made
    finally:
        for host in made:
            host.kill()
