"""A training as a heavy step: the same command here, on Azure ML and on Kubernetes.

Belongs here: that step, and running it in the foreground. Does not belong here: what it does (`vision.train`), where
Dagster has it run (`chimp_assets.compute`).
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from chimp_assets.compute.heavy_step import HeavyStep
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from chimp_assets.home import Home
    from chimp_assets.settings import Settings

_MINUTES_AROUND_FINE_TUNING = 180.0
"""To start a node, read the crops of all labelled tracks, and measure both embedders."""


class TrainingError(ChimpError):
    """The training process ended badly."""


def training_step(training_set_id: int, task: str, settings: Settings) -> HeavyStep:
    """The step that fits a model. task: head, which needs no GPU; embedder, on all nodes; detector, on one."""
    compute = settings.compute
    arguments = ("--training-set", str(training_set_id), "--task", task)
    minutes = compute.minutes
    if minutes is None and task == "embedder":
        minutes = settings.embed.fine_tune_minutes + _MINUTES_AROUND_FINE_TUNING
    return HeavyStep(
        "chimp_assets.vision.train",
        arguments,
        gpus={"head": 0, "detector": min(compute.gpus, 1)}.get(task, compute.gpus),
        nodes=compute.nodes if task == "embedder" else 1,
        minutes=minutes,
    )


def train_in_own_process(home: Home, training_set_id: int) -> int:
    """Fits a head and returns its model_id. Raises TrainingError with the last words of the process."""
    step = training_step(training_set_id, "head", home.settings)
    done = subprocess.run(  # noqa: S603 (our own interpreter and module)
        step.local_command, env=home.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainingError(
            f"Training on set {training_set_id} failed: {last}", "Run it again with --debug to see more."
        )
    return int(json.loads(done.stdout.strip().splitlines()[-1])["model_id"])
