"""Networks of hosts: a bridge and network namespaces of their own where we are root, else the loopback for all.

Belongs here: names and addresses that no other network of this machine has, and their end, also that of networks whose
process was killed. Does not belong here: what runs on a host (`hosts`).

A network's number is claimed by a lock on a file: whoever is killed gives it back, and names and addresses follow from
the number. So two networks never meet, neither in one process nor in two, and what a dead one has left is known.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

_CLAIMS = Path("/run/chimp-networks")
_MOST = 512
"""Networks of 254 addresses in 198.18.0.0/15, which is set apart for measurements within one site (RFC 2544)."""


class Network:
    """A bridge of its own, on which each host has an address; without namespaces, the loopback for all.

    Use as a context manager. number: None on the loopback.
    """

    def __init__(self, isolated: bool) -> None:
        self.isolated = isolated
        self.address = "127.0.0.1"
        self.number: int | None = None
        self._claim: int | None = None
        self._hosts = 0

    def __enter__(self) -> Network:
        if self.isolated:
            remove_left()
            self.number, self._claim = _claimed()
            self.address = self._address(1)
            try:
                _remove(self.number)
                _ip("link", "add", self._bridge, "type", "bridge")
                _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
                _ip("link", "set", self._bridge, "up")
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        claim, self._claim = self._claim, None
        if claim is not None and self.number is not None:
            try:
                _remove(self.number)
            finally:
                os.close(claim)

    def join(self, name: str) -> tuple[str | None, str]:
        """A new network namespace on the bridge and its address; no namespace on the loopback."""
        if not self.isolated:
            return None, self.address
        self._hosts += 1
        namespace, link = f"chimp{self.number}-{name}", f"chimp{self.number}v{self._hosts}"
        address = self._address(1 + self._hosts)
        _ip("netns", "add", namespace)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        return namespace, address

    @property
    def _bridge(self) -> str:
        return f"chimp{self.number}b"

    def _address(self, host: int) -> str:
        assert self.number is not None
        return f"198.{18 + self.number // 256}.{self.number % 256}.{host}"


def left_of(number: int) -> list[str]:
    """Names of namespaces and links that a network of this number has now."""
    return [*_namespaces(number), *_links(number)]


def remove_left() -> list[int]:
    """Removes what networks of killed processes have left; returns their numbers."""
    removed = []
    for file in sorted(_CLAIMS.glob("[0-9]*")):
        number = int(file.name)
        if left_of(number) and (claim := _claim_of(number)) is not None:
            try:
                _remove(number)
                removed.append(number)
            finally:
                os.close(claim)
    return removed


def _claimed() -> tuple[int, int]:
    """The lowest free number, and what holds it until it is closed."""
    for number in range(_MOST):
        if (claim := _claim_of(number)) is not None:
            return number, claim
    raise AssertionError(f"{_MOST} networks are in use")


def _claim_of(number: int) -> int | None:
    _CLAIMS.mkdir(exist_ok=True)
    claim = os.open(_CLAIMS / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        return None
    return claim


def _remove(number: int) -> None:
    """All of a network, at once.

    Links by name first: those of a deleted namespace go when the kernel finds the time, and their names with them.
    """
    for namespace in _namespaces(number):
        for process in _ip("netns", "pids", namespace, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
    for link in _links(number):
        _ip("link", "del", link, check=False)
    for namespace in _namespaces(number):
        _ip("netns", "del", namespace, check=False)
    assert left_of(number) == []


def _namespaces(number: int) -> list[str]:
    return [path.name for path in Path("/run/netns").glob(f"chimp{number}-*")]


def _links(number: int) -> list[str]:
    """The bridge last."""
    links = [path.name for path in Path("/sys/class/net").glob(f"chimp{number}[vb]*")]
    return sorted((link for link in links if re.fullmatch(rf"chimp{number}(v\d+|b)", link)), reverse=True)


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout
