"""The processes that belong to one start of a home, however far down and in whatever session: found by a mark.

Belongs here: the mark in their environment, finding them, ending them. Does not belong here: which processes a home
needs and when they are started again (`supervisor`).

A process group is not enough: Dagster's daemon starts code servers, those start runs, those start decoders, and some of
them have sessions of their own. All of them inherit the environment.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

UP_ID = "CHIMP_UP_ID"
"""Of one `chimp up` (or demo): new at each start."""
PART = "CHIMP_UP_PART"
"""Which of its processes, and the how-manieth of that name: `page.2`."""

_LOOK_S = 0.1


def new_id() -> str:
    """A mark that no other start has."""
    return secrets.token_hex(8)


def marked(up_id: str | None = None, part: str | None = None, home: Path | None = None) -> list[psutil.Process]:
    """Living processes with a mark: of one start, of one part of it, or of all starts of a home. Never this process
    and those above it.
    """
    mine = {os.getpid(), *(above.pid for above in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in mine or process.status() == psutil.STATUS_ZOMBIE:
                continue
            environment = process.environ()
        except (psutil.Error, OSError):  # gone meanwhile, or somebody else's
            continue
        fits = (
            UP_ID in environment
            and (up_id is None or environment[UP_ID] == up_id)
            and (part is None or environment.get(PART) == part)
        )
        if fits and (home is None or _same(environment.get("CHIMP_HOME"), home)):
            found.append(process)
    return found


def _same(path: str | None, home: Path) -> bool:
    return path is not None and (path == str(home) or os.path.realpath(path) == os.path.realpath(home))


def end(find: Callable[[], Sequence[psutil.Process]], grace_s: float, hurry: Callable[[], bool] = bool) -> list[int]:
    """Asks what `find` finds to end, each once; kills what is left after grace_s, or as soon as hurry() is true.

    Returns the pids, [] if there were none. What they start meanwhile is found too.
    """
    asked: list[int] = []
    deadline = time.monotonic() + grace_s
    while processes := list(find()):
        late = time.monotonic() >= deadline or hurry()
        for process in processes:
            with suppress(psutil.Error):  # gone meanwhile
                if late:
                    process.kill()
                elif process.pid not in asked:
                    process.terminate()
            if process.pid not in asked:
                asked.append(process.pid)
        if late and time.monotonic() >= deadline + 5:
            break  # a process in the kernel's hands (a dead disk) cannot be killed, and must not keep us
        time.sleep(_LOOK_S)
    return asked


def described(pid: int) -> str:
    """A process in words: its name and number, and its home where it has one."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            words = f"{process.name()}, process {pid}"
            home = process.environ().get("CHIMP_HOME")
    except (psutil.Error, OSError):
        return f"process {pid}"
    return f"{words}, of the home {home}" if home else words
