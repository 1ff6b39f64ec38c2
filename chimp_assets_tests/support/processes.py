"""Processes that tests start.

Belongs here: what holds for all of them. Does not belong here: which ones there are.
"""

from __future__ import annotations

import shutil
import threading


def dying_with_us() -> list[str]:
    """To write before a command: its process is killed when the thread that starts it ends, also by kill -9.

    Empty where util-linux is missing, and off the main thread, since a thread ends before what it started should: then
    it outlives a test that is killed.
    """
    setpriv = shutil.which("setpriv") if threading.current_thread() is threading.main_thread() else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
