"""The product's training, made small: `python -m chimp_assets_tests.support.azureml.training --training-set 1`.

Belongs here: a recipe of a few seconds, and a training that waits in its middle for a gate. Does not belong here: any
work of its own, which is that of `chimp_assets.vision.train`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

STEP_OF_GATE = 4
EVERY = 2


def main() -> int:
    """Arguments of `chimp_assets.vision.train`, and `--gate FILE`: step 4 is not left before this file is there."""
    told = sys.argv[1:]
    gate = None
    if "--gate" in told:
        at = told.index("--gate")
        gate = Path(told[at + 1])
        del told[at : at + 2]
    from chimp_assets.vision import train

    if "embedder" in told:
        from chimp_assets.vision.embedding import fine_tuning, metric_learning
        from chimp_assets.vision.embedding.metric_learning import Recipe

        fine_tuning.Recipe = partial(replace, Recipe(), side=32, min_views=320, batch=16)  # type: ignore[misc,assignment]
        plan = metric_learning.TrainingPlan
        metric_learning.TrainingPlan = lambda **asked: plan(  # type: ignore[misc,assignment]
            **{**asked, "checkpoint_every": EVERY}
        )
        said = train._line_of

        def line_of(state: Any) -> str:
            sys.stderr.write(f"at step {state.step}\n")
            sys.stderr.flush()
            while gate is not None and state.step > STEP_OF_GATE and not gate.exists():
                time.sleep(0.05)
            return said(state)

        train._line_of = line_of
    elif gate is not None:
        while not gate.exists():
            time.sleep(0.05)
    return train.main(told)


if __name__ == "__main__":
    sys.exit(main())
