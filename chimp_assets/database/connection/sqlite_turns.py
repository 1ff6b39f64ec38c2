"""How those who write to one SQLite file wait for each other: a label before the next chunk of a bulk write.

Belongs here: beginning a write transaction on SQLite, and the mode in which its readers do not wait. Does not belong
here: other settings of SQLite (`engine`).

SQLite has one writer at a time, no queue, and its own waiting looks up ever more seldom: beside eight bulk writers a
label waited six seconds. So short transactions look often and, while they wait, hold a shared lock on a file beside the
database; a bulk writer begins no chunk while somebody holds it. Short transactions of one process stand in a line, and
only the first of it looks: whoever looks by chance can miss every gap for seconds.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from chimp_assets import private_files

try:
    import fcntl
except ImportError:  # Windows: short transactions look more often, and that is all
    fcntl = None  # type: ignore[assignment]

SHORT_LOOK_S = 0.002
BULK_LOOK_S = 0.03
BULK_YIELDS_S = 5.0
"""A bulk writer waits no longer than this for short transactions: a crowd of them must not keep it out for ever."""


class WaitingLine:
    """Threads that wait for one thing: who came first goes first."""

    def __init__(self) -> None:
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def first(self, timeout_s: float) -> Iterator[bool]:
        """Runs the block as the first of the line, which moves on at its end; False: it was not our turn in time."""
        me = object()
        with self._changed:
            self._waiting.append(me)
        try:
            with self._changed:
                is_first = self._changed.wait_for(lambda: self._waiting[0] is me, timeout_s)
            yield is_first
        finally:
            with self._changed:
                self._waiting.remove(me)
                self._changed.notify_all()


_lines: dict[tuple[int, Path], WaitingLine] = {}


def line_of(file: Path) -> WaitingLine:
    """The line of this process's short transactions for a file. A forked child has its own."""
    return _lines.setdefault((os.getpid(), file), WaitingLine())


def begin_writing(connection: sqlite3.Connection, file: Path, bulk: bool, timeout_s: float) -> None:
    """BEGIN IMMEDIATE as soon as nobody else writes. bulk: let short transactions go first.

    Raises sqlite3.OperationalError (SQLITE_BUSY) when the file is held for longer than timeout_s.
    """
    # SQLite's own waiting is for everything else; here a busy file is reported at once, and we try again.
    connection.execute("PRAGMA busy_timeout=0").close()
    deadline = time.monotonic() + timeout_s
    try:
        if bulk:
            _begin_bulk(connection, file, deadline)
        else:
            with line_of(file).first(timeout_s):
                _begin_short(connection, file, deadline)
    finally:
        connection.execute(f"PRAGMA busy_timeout={round(1000 * timeout_s)}").close()


def _begin_short(connection: sqlite3.Connection, file: Path, deadline: float) -> None:
    if _has_begun(connection, last=False):
        return
    with _waiting_is_seen(file):
        while not _has_begun(connection, last=time.monotonic() >= deadline):
            time.sleep(SHORT_LOOK_S)


def _begin_bulk(connection: sqlite3.Connection, file: Path, deadline: float) -> None:
    _yield_to_short(file)
    while not _has_begun(connection, last=time.monotonic() >= deadline):
        time.sleep(BULK_LOOK_S * (0.5 + random.random()))  # noqa: S311  no secret
        _yield_to_short(file)


def keep_a_log(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Puts the file into WAL mode, in which readers and a writer do not wait for each other.

    Of several connections that open a new file at once, all but one get SQLITE_BUSY at once, whatever the timeout.
    Raises sqlite3.OperationalError (SQLITE_BUSY) when the file is held for longer than timeout_s.
    """
    deadline = time.monotonic() + timeout_s
    while not _has_run(connection, "PRAGMA journal_mode=WAL", last=time.monotonic() >= deadline):
        time.sleep(SHORT_LOOK_S)


def _has_begun(connection: sqlite3.Connection, last: bool) -> bool:
    return _has_run(connection, "BEGIN IMMEDIATE", last)


def _has_run(connection: sqlite3.Connection, statement: str, last: bool) -> bool:
    """False where the file is busy; the last time that is raised instead."""
    try:
        connection.execute(statement).close()
    except sqlite3.OperationalError as error:
        if last or not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise
        return False
    return True


def _turn_file(file: Path) -> Path:
    return file.with_name(f"{file.name}-turn")


@contextmanager
def _waiting_is_seen(file: Path) -> Iterator[None]:
    lock = _locked(file, "a", shared=True)
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


def _yield_to_short(file: Path) -> None:
    """Returns when no short transaction waits, or after BULK_YIELDS_S."""
    deadline = time.monotonic() + BULK_YIELDS_S
    while time.monotonic() < deadline:
        try:
            lock = _locked(file, "r", shared=False)
        except BlockingIOError:
            time.sleep(SHORT_LOOK_S)
            continue
        if lock is not None:
            lock.close()
        return


def _locked(file: Path, mode: str, shared: bool) -> IO[str] | None:
    """The turn file, locked; None where there is none or its file system has no locks. Raises BlockingIOError."""
    if fcntl is None:
        return None
    try:
        opened = open(_turn_file(file), mode, opener=private_files.opener)  # noqa: SIM115
    except OSError:
        return None
    try:
        # Shared: waits for a bulk writer that looks just now, which is done at once.
        fcntl.flock(opened, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        opened.close()
        raise
    except OSError:
        opened.close()
        return None
    return opened
