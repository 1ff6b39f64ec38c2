"""A measurement in a process of its own, so that its peak of memory is its own.

Belongs here: the process. Does not belong here: what is measured (`x1_exports`, `x2_tables`).
"""

from __future__ import annotations

import json
import subprocess
import sys


def measured(module: str, name: str, url: str) -> dict[str, float]:
    """What `python -m benchmarks.exchange.MODULE NAME URL` prints last, which is a line of JSON."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.exchange.{module}", name, url],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
