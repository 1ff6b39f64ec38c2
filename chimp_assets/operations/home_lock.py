"""One `chimp up` (or demo) a home: a lock that the kernel gives back however its process ends.

Belongs here: the lock, and who holds it in words. Does not belong here: what its holder starts (`supervisor`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from chimp_assets import private_files
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home, home_error

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second one out
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "up.lock"


class RunningError(ChimpError):
    """Another process runs this home."""


@dataclass
class Holder:
    """Who runs a home: the command, its process, since when (UTC), and where its pages are, by their names."""

    command: str
    pid: int
    since: str
    pages: dict[str, str] = field(default_factory=dict)

    def in_words(self) -> str:
        """One clause: who, since when, and where."""
        pages = " and ".join(f"its {name} at {address}" for name, address in self.pages.items())
        return f"`{self.command}`, process {self.pid} since {self.since} UTC" + (f", with {pages}" if pages else "")


class HomeLock:
    """The lock of a home while it is ours."""

    def __init__(self, file: IO[str], holder: Holder) -> None:
        self._file = file
        self._holder = holder
        self.note({})

    def note(self, pages: dict[str, str]) -> None:
        """Writes where the pages are, for whoever comes second."""
        self._holder.pages = pages
        self._write(json.dumps(asdict(self._holder)))

    def _write(self, text: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()


@contextmanager
def only_one(home: Home, command: str) -> Iterator[HomeLock]:
    """Runs the block as the only `chimp up` or demo of a home. Raises RunningError, which names the other."""
    path = home.settings.home / LOCK_NAME
    try:
        private_files.make_folder(home.settings.home)  # that of the environment alone may not be there yet
        file = open(path, "a+", encoding="utf-8", opener=private_files.opener)  # noqa: SIM115
    except OSError as error:
        raise home_error(home.settings.home, error) from None
    with file:
        if not _is_locked(file):
            there = _read(path)
            raise RunningError(
                f"{home.settings.home} is in use by {there.in_words() if there else 'another process'}.",
                "Use that one, or stop it first (Ctrl-C"
                + (f", or `kill {there.pid}`" if there else "")
                + "), or choose another home with CHIMP_HOME.",
            )
        lock = HomeLock(file, Holder(command, os.getpid(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}"))
        try:
            yield lock
        finally:
            lock._write("")


def holder_of(home: Home) -> Holder | None:
    """Who runs a home now; None: nobody."""
    path = home.settings.home / LOCK_NAME
    if fcntl is None:
        return None
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path) or Holder("chimp up", 0, "")
    except OSError:
        return None
    return None


def _is_locked(file: IO[str]) -> bool:
    """Whether the lock is ours now. A file system without locks lets everybody in."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _read(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
