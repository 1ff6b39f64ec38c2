"""An SQLite file in a place where this user may write nothing: read as it is, last changes included.

Belongs here: opening such a file. Does not belong here: files that can be written (`engine`).

A file in WAL mode wants a file beside it, even for reading. Three cases: somebody has it open, then theirs is there and
is used; its last changes still lie in the -wal of a process that died, then they are read by this connection alone; or
it was closed well, then the file is all there is.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_ALONE = "&vfs=unix-none"
"""Without locks: nobody can write there, or a process that does would have laid its own files beside it."""
_UNCHANGING = "&immutable=1"


class Connection(sqlite3.Connection):
    """A connection that can only read."""


def cannot_be_written(file: Path) -> bool:
    """Whether this user can write neither the file nor what SQLite lays beside it."""
    if not os.access(file, os.W_OK):
        return True
    if os.access(file.parent, os.W_OK):
        return False
    # Opened by another process, which has laid there what is needed.
    return not all(os.access(_beside(file, ending), os.W_OK) for ending in ("-wal", "-shm"))


def connect(file: Path, timeout_s: float, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection to read it. Raises sqlite3.OperationalError if it cannot be read either."""

    def opened(how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{file.resolve().as_uri()}?mode=ro{how}",
            uri=True,
            timeout=timeout_s,
            check_same_thread=check_same_thread,
            factory=Connection,
        )
        try:
            if how == _ALONE:  # keeps the index of the -wal in memory, which otherwise is a file
                connection.execute("PRAGMA locking_mode=EXCLUSIVE").close()
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    try:
        return opened("")
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
    return opened(_ALONE if _has_changes(_beside(file, "-wal")) else _UNCHANGING)


def _has_changes(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)
