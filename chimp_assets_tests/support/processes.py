"""Processes that tests start.

Belongs here: what holds for all of them. Does not belong here: which ones there are.
"""

from __future__ import annotations

import shutil


def dying_with_us() -> list[str]:
    """To write before a command: its process is killed when the thread that starts it ends, also by kill -9.

    Empty where util-linux is missing: then it outlives a test that is killed.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
