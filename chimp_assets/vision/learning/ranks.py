"""Which of several training processes this is.

Beside `training`, because that imports torch: the seconds which that takes are a fifth of fitting a head, and a head
needs none of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_RANK_VARIABLES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))


@dataclass(frozen=True)
class Ranks:
    """This process among those that `torchrun` started; one of one otherwise."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """From the variables that torchrun sets."""
        return cls(*(int(os.environ.get(name, default)) for name, default in _RANK_VARIABLES))

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0


ALONE = Ranks()
