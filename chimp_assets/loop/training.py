"""A training in a process of its own: the same command here, on Azure ML and on Kubernetes.

Belongs here: that command, and running it in the foreground. Does not belong here: what it does (`vision.train`).
"""

from __future__ import annotations

import json
import subprocess
import sys

from chimp_assets.errors import ChimpError
from chimp_assets.home import Home


class TrainingError(ChimpError):
    """The training process ended badly."""


def training_command(home: Home, training_set_id: int, task: str = "head") -> list[str]:
    """The command line of the training process. task: head or embedder."""
    return [
        sys.executable,
        "-m",
        "chimp_assets.vision.train",
        "--home",
        str(home.settings.home),
        "--training-set",
        str(training_set_id),
        "--task",
        task,
    ]


def train_in_own_process(home: Home, training_set_id: int) -> int:
    """Fits a head and returns its model_id. Raises TrainingError with the last words of the process."""
    done = subprocess.run(  # noqa: S603 (our own interpreter and module)
        training_command(home, training_set_id), env=home.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainingError(
            f"Training on set {training_set_id} failed: {last}", "Run it again with --debug to see more."
        )
    return int(json.loads(done.stdout.strip().splitlines()[-1])["model_id"])
