"""Which of several training processes this is.

Belongs here: the rank, from the environment. Does not belong here: the loop (`training`), which imports torch: the
entry point asks for its rank before it knows whether the task needs torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_RANK_VARIABLES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))


@dataclass(frozen=True)
class Ranks:
    """This process among those that `torchrun` started; otherwise the only one."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """From the variables that torchrun sets."""
        return cls(*(int(os.environ.get(name, default)) for name, default in _RANK_VARIABLES))

    @property
    def first(self) -> bool:
        """Whether this process writes files and rows."""
        return self.rank == 0


ALONE = Ranks()
