"""`python -m licences`: packages and licences of requirements-scale-out.lock, which holds those of requirements.lock.

Exit code 1 if one is not allowed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from licences.check import Allowed, check, names_of

LOCK = Path(__file__).resolve().parent.parent / "requirements-scale-out.lock"


def main() -> int:
    """Prints a table and what is wrong; returns the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    found, stale = check(names_of(LOCK.read_text(encoding="utf-8")), Allowed.read())
    table = Table("package", "version", "licence", "why it is allowed", box=None)
    for one in found:
        table.add_row(one.name, one.version, one.licence, one.reason)
    console.print(table)
    faults = [f"{one.name} {one.version} {one.fault}" for one in found if one.fault] + stale
    for fault in faults:
        console.print(fault, style="red", markup=False, highlight=False)
    console.print(f"{len(found)} packages, {len(faults)} faults. What wheels carry beside their code: docs/licences.md")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
