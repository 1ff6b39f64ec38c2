"""The tasks of the command as steps for `compute`.

Belongs here: their names and what they need. Does not belong here: what they do (`__main__`), trainings
(`loop.training`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimp_assets.compute.heavy_step import HeavyStep

if TYPE_CHECKING:
    from chimp_assets.settings import Settings

TASKS = ("embedder", "score", "track", "retrack")


def heavy_step(settings: Settings, task: str, *options: str) -> HeavyStep:
    """A task and its options as a step. One process on one GPU: a second would find nothing to do."""
    if task not in TASKS:
        raise ValueError(f"there is no task {task}: {', '.join(TASKS)}")
    return HeavyStep(
        "chimp_assets.loop.heavy",
        (task, *options),
        gpus=min(settings.compute.gpus, 1),
        minutes=settings.compute.minutes,
    )
