"""A fault: what a checker found, and where.

Does not belong here: a checker.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    """rule: what is broken, such as DL3006 or CKV_AZURE_59; place: a file, and what of it; text: for people."""

    rule: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.text}"


def program(name: str) -> str:
    """Path of a program that lies beside this Python."""
    return str(Path(sys.executable).parent / name)
