"""A heavy step: a command of the product that any machine with the same code, database and store can run.

Belongs here: the description. Does not belong here: where it runs (`resource` and one module for each place), Dagster.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class HeavyStep:
    """`python -m module arguments`, and what it needs.

    module: of the product, with a `main`; arguments: keys of the database and names, never a path of a machine: the
    step finds its home by its environment. gpus: of each node; 0: none are asked for. nodes: machines that run it
    together, by the variables that `torchrun` sets. minutes: it is ended after this; None: no limit.
    """

    module: str
    arguments: tuple[str, ...] = ()
    gpus: int = 0
    nodes: int = 1
    minutes: float | None = None

    @property
    def local_command(self) -> list[str]:
        """The command line on this machine."""
        return [sys.executable, "-m", self.module, *self.arguments]

    @property
    def portable_command(self) -> str:
        """The command line in the product's image, for a shell: arguments hold no blanks or quotes."""
        return " ".join(["python", "-m", self.module, *self.arguments])

    def __post_init__(self) -> None:
        for word in (self.module, *self.arguments):
            if not word or not all(letter.isalnum() or letter in "-_.:=/," for letter in word):
                raise ValueError(f"{word!r} cannot stand in the command of a heavy step")
