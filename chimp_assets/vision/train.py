"""Training as a process of its own: `python -m chimp_assets.vision.train --home HOME --training-set ID [--task TASK]`.

Tasks: a head (seconds), a detector from drawn boxes, or an embedder (minutes to hours; on several GPUs by `torchrun`
before the same arguments, all with the same HOME). The same command runs under Dagster Pipes here, on Azure ML or on
Kubernetes, and in a plain shell.
At its end it prints one line of JSON; sentences for people go to the error stream; exit code 2 means an error that the
user can fix.

Belongs here: arguments, the report, Dagster Pipes. Does not belong here: the trainings (`identity.training`,
`embedding.fine_tuning`, `detection.box_training`), what may be learned from (`datasets`), promotion (`evaluation`).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from chimp_assets import markdown, private_files
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.vision.identity.training import TrainedHead, train_head
from chimp_assets.vision.learning.ranks import Ranks

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

    from chimp_assets.vision.detection.box_training import TrainedDetector
    from chimp_assets.vision.embedding.fine_tuning import FineTuningReport
    from chimp_assets.vision.learning.training import TrainingState


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code: 0, or 2 with a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m chimp_assets.vision.train", description="Fit a candidate model.")
    parser.add_argument("--home", required=True, help="folder of the home (CHIMP_HOME)")
    parser.add_argument(
        "--training-set", type=int, help="training_set_id; without it a detector uses all boxes drawn so far"
    )
    parser.add_argument("--task", default="head", choices=["head", "embedder", "detector"])
    asked = parser.parse_args(arguments)
    if asked.training_set is None and asked.task != "detector":
        parser.error("--training-set is required for a head or an embedder")
    private_files.keep_private()
    try:
        trained = _train(asked.home, asked.training_set, asked.task)
    except ChimpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if trained is not None:
        sys.stdout.write(json.dumps(asdict(trained), sort_keys=True) + "\n")
        sys.stdout.flush()
    return 0


def _train(
    home: str, training_set_id: int | None, task: str
) -> TrainedHead | FineTuningReport | TrainedDetector | None:
    """The report of the training; None except on rank 0."""
    ranks = Ranks.of_environment()
    opened = Home.open(home)
    db, store, settings = opened.database, opened.store, opened.settings
    with _reporter(ranks.first) as tell:
        if task == "detector":
            # Here, because it imports torch: a head is fitted in less time than that takes.
            from chimp_assets.vision.detection.box_training import box_training_set, train_detector

            boxes = box_training_set(db, store, settings) if training_set_id is None else training_set_id
            detector = train_detector(db, store, settings, boxes)
            tell.done(asdict(detector), f"Detector {detector.model_id} from {detector.boxes} drawn boxes.")
            return detector
        assert training_set_id is not None
        if task == "head":
            head = train_head(db, store, settings, training_set_id)
            tell.done(asdict(head), f"Head {head.model_id}: {head.labels} labels, {head.classes} classes.")
            return head
        from chimp_assets.vision.embedding.fine_tuning import fine_tune

        found = fine_tune(db, store, settings, training_set_id, tell.progress, ranks)
        if found is None:
            return None
        tuned, state = found
        tell.done(
            asdict(tuned),
            f"Embedder {tuned.model_id}: {tuned.retrieval:.1%} of {tuned.judging_tracks} held-out tracks retrieved,"
            f" champion {tuned.champion_retrieval:.1%}.",
            plot_of(state),
        )
        return tuned


class _Reporter:
    """Reports how a training goes: to Dagster if that started it (pipes is its context), else on the error stream."""

    def __init__(self, pipes: PipesContext | None, first: bool) -> None:
        self._pipes, self._first = pipes, first

    def progress(self, state: TrainingState) -> None:
        """A line with loss and accuracy."""
        step, loss, accuracy = state.history[-1]
        text = f"step {step}: loss {loss:.3f}, {accuracy:.1%} of the training crops classified correctly"
        if state.validated:
            text += f"; {state.validated[-1][1]:.1%} of the tracks of held-out days retrieved"
        self._say(text)

    def done(self, report: dict[str, Any], text: str, plot: bytes | None = None) -> None:
        """Report the end: a line, and for Dagster the report as metadata, with a plot (PNG)."""
        self._say(text)
        if self._pipes is None or not self._pipes.is_asset_step:
            return
        metadata: dict[str, Any] = {name: value for name, value in report.items() if value is not None}
        if plot is not None:
            metadata["plot"] = {"type": "md", "raw_value": markdown.picture(plot, "png", "loss and accuracy")}
        self._pipes.report_asset_materialization(metadata=metadata)

    def _say(self, text: str) -> None:
        if self._pipes is not None:
            self._pipes.log.info(text)
        elif self._first:
            sys.stderr.write(f"{text}\n")


@contextmanager
def _reporter(first: bool) -> Iterator[_Reporter]:
    """A reporter to Dagster on rank 0 if Dagster started the process, else to the error stream."""
    if not first or not _under_pipes():
        yield _Reporter(None, first)
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield _Reporter(pipes, first)


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


def _under_pipes() -> bool:
    from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR

    return DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ


if __name__ == "__main__":
    sys.exit(main())
