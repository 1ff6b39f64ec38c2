"""Training as a process of its own: `python -m chimp_assets.vision.train --training-set ID [--task TASK]`.

Tasks: a head (seconds), a detector from drawn boxes, or an embedder (minutes to hours; on several GPUs by `torchrun`
before the same arguments, all with the same home). The same command runs under Dagster Pipes here, on Azure ML or on
Kubernetes, and in a plain shell.
At its end it prints one line of JSON; sentences for people go to the error stream; exit code 2 means an error that the
user can fix.

Belongs here: arguments, the report. Does not belong here: the trainings (`identity.training`, `embedding.fine_tuning`,
`detection.box_training`), what may be learned from (`datasets`), promotion (`evaluation`), where reports go
(`chimp_assets.pipes_session`).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from chimp_assets import private_files
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.pipes_session import PipesSession, pipes_session
from chimp_assets.vision.identity.training import train_head
from chimp_assets.vision.learning.ranks import Ranks

if TYPE_CHECKING:
    from chimp_assets.vision.learning.training import TrainingState


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code: 0, or 2 with a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m chimp_assets.vision.train", description="Fit a candidate model.")
    parser.add_argument("--home", help="folder of the home; without it the environment says (CHIMP_HOME)")
    parser.add_argument(
        "--training-set", type=int, help="training_set_id; without it a detector uses all boxes drawn so far"
    )
    parser.add_argument("--task", default="head", choices=["head", "embedder", "detector"])
    asked = parser.parse_args(arguments)
    if asked.training_set is None and asked.task != "detector":
        parser.error("--training-set is required for a head or an embedder")
    private_files.keep_private()
    try:
        ranks = Ranks.of_environment()
        with pipes_session(ranks.first) as session:
            _train(Home.open(asked.home), asked.training_set, asked.task, ranks, session)
    except ChimpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _train(home: Home, training_set_id: int | None, task: str, ranks: Ranks, session: PipesSession) -> None:
    """Trains, and reports on rank 0."""
    db, store, settings = home.database, home.store, home.settings
    if task == "detector":
        # Here, because it imports torch: a head is fitted in less time than that takes.
        from chimp_assets.vision.detection.box_training import box_training_set, train_detector

        boxes = box_training_set(db, store, settings) if training_set_id is None else training_set_id
        detector = train_detector(db, store, settings, boxes)
        session.done(asdict(detector), f"Detector {detector.model_id} from {detector.boxes} drawn boxes.")
        return
    assert training_set_id is not None
    if task == "head":
        head = train_head(db, store, settings, training_set_id)
        session.done(asdict(head), f"Head {head.model_id}: {head.labels} labels, {head.classes} classes.")
        return
    from chimp_assets.vision.embedding.fine_tuning import fine_tune

    found = fine_tune(db, store, settings, training_set_id, lambda state: session.say(_line_of(state)), ranks)
    if found is None:
        return
    tuned, state = found
    session.done(
        asdict(tuned),
        f"Embedder {tuned.model_id}: {tuned.retrieval:.1%} of {tuned.judging_tracks} held-out tracks retrieved,"
        f" champion {tuned.champion_retrieval:.1%}.",
        plot_of(state),
    )


def _line_of(state: TrainingState) -> str:
    """Loss and accuracy in words."""
    step, loss, accuracy = state.history[-1]
    text = f"step {step}: loss {loss:.3f}, {accuracy:.1%} of the training crops classified correctly"
    if state.validated:
        text += f"; {state.validated[-1][1]:.1%} of the tracks of held-out days retrieved"
    return text


def plot_of(state: TrainingState) -> bytes:
    """Loss and accuracy over the steps, a PNG well below 100 kB (it lies in Dagster's event log)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    steps = [step for step, _, _ in state.history]
    left.plot(steps, [loss for _, loss, _ in state.history], color="#8a4b2f", label="loss")
    right.plot(steps, [share for _, _, share in state.history], color="#4a7c59", label="correct (training crops)")
    if state.validated:
        right.plot(*zip(*state.validated, strict=True), "o-", color="#2f5d8a", label="retrieved (held-out days)")
    left.set_xlabel("step")
    left.set_ylabel("loss")
    right.set_ylim(0, 1)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    return picture.getvalue()


if __name__ == "__main__":
    sys.exit(main())
