"""Training as a process of its own: `python -m chimp_assets.vision.train --home HOME --training-set ID [--task TASK]`.

Tasks: a head (seconds), a detector from drawn boxes, or an embedder (minutes to hours; on several GPUs by `torchrun`
before the same arguments, all with the same HOME). The same command runs under Dagster Pipes here, on Azure ML or on
Kubernetes, and in a plain shell.
It prints one line of JSON at its end; sentences for people go to the error stream; exit code 2 means that the user can
mend it.

Belongs here: reading the training set, fitting, the candidate's file and row, the report.
Does not belong here: the fit itself (`head`, `fine_tuning`), what may be learned from (`datasets`), promotion (`gate`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets import markdown, private_files
from chimp_assets.database import schema
from chimp_assets.errors import ChimpError
from chimp_assets.vision.datasets.training_set import audit_answers, describe_training_set, read_members
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks
from chimp_assets.vision.identity.head import fit_head, head_tensors
from chimp_assets.vision.models.checkpoint import ModelError, ModelRow, champion, register_model, save_checkpoint
from chimp_assets.vision.models.registry import code_version

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.detection.box_training import TrainedDetector
    from chimp_assets.vision.embedding.fine_tuning import FineTuned
    from chimp_assets.vision.learning.training import State


@dataclass(frozen=True)
class TrainedHead:
    """What a training made. without_embedding: members that have no vector (yet) and were left out."""

    model_id: int
    training_set_id: int
    labels: int
    classes: int
    without_embedding: int
    out_of_fold_accuracy: float | None
    out_of_fold_rows: int
    l2: float
    temperature: float
    seconds: float


def train_head(db: Database, store: BlobStore, settings: Settings, training_set_id: int) -> TrainedHead:
    """Fit a head on a training set and register it as a candidate whose parent is the champion embedder.

    Run twice on one training set it returns the model that is there. Raises ModelError without an embedder, for an
    unknown training set, or if fewer than 2 classes have vectors.
    """
    began = time.monotonic()
    members = read_members(db, store, training_set_id)
    with db.read() as conn:
        embedder = champion(conn, "embedder")
        described = describe_training_set(conn, training_set_id)
        audit_id, audit_class = audit_answers(conn, described.watermark_seq, described.merge_watermark)
    if embedder is None:
        raise ModelError("There is no embedder.", "Fit one first: `chimp ingest` does when tracks are enough.")
    if described.task != "head":
        raise ModelError(f"Training set {training_set_id} is for the task {described.task!r}, not for a head.")
    found, embedding = embeddings_of_tracks(db, store, embedder.model_id, members.track_id)
    if not len(found):
        raise ModelError(
            f"None of the {len(members.track_id)} labelled tracks has an embedding.", "Say `chimp score` first."
        )
    fresh = _not_learned_from(db, store, embedder, settings, members.track_id[found])
    fair = ~np.isin(audit_id, members.track_id)
    audit_id, audit_class = audit_id[fair], audit_class[fair]
    asked, audit_embedding = embeddings_of_tracks(db, store, embedder.model_id, audit_id)
    fit = fit_head(
        embedding, members.class_id[found], members.group[found], settings.head, settings.seed, fresh,
        (audit_embedding, audit_class[asked]),
    )  # fmt: skip
    seen = fit.out_of_fold
    accuracy = None if math.isnan(seen.accuracy) else round(seen.accuracy, 6)
    config = {
        "dimensions": int(fit.head.W.shape[1]),
        "classes": len(fit.head.classes),
        "labels": len(found),
        "without_embedding": len(members.track_id) - len(found),
        "l2": seen.l2,
        "temperature": fit.head.temperature,
        "audit_rows": fit.audit_rows,
        "unknown_threshold": fit.head.unknown_threshold,
        "out_of_fold": {
            "accuracy": accuracy,
            "n": seen.n,
            "n_new": seen.n_new,
            "folds": seen.folds,
            "likely_errors": seen.likely_errors,
        },
        "seed": settings.seed,
        # What else decides the bytes: `chimp models show` says it.
        "settings": {
            "head.l2_grid": list(settings.head.l2_grid),
            "head.unknown_false_alarm": settings.head.unknown_false_alarm,
        },
    }
    uri, digest = save_checkpoint(store, "models/head/head", head_tensors(fit.head), config)
    # Not in the file: a change of the code that changes nothing of the head must not change its hash.
    config["code"] = code_version()
    model_id = _known(db, training_set_id, embedder.model_id, digest)
    if model_id is None:
        name = f"linear on embedder {embedder.version}, {len(found)} labels, {len(fit.head.classes)} classes"
        model_id = register_model(db, "head", name, config, uri, digest, embedder.model_id, training_set_id)
    return TrainedHead(
        model_id=model_id,
        training_set_id=training_set_id,
        labels=len(found),
        classes=len(fit.head.classes),
        without_embedding=len(members.track_id) - len(found),
        out_of_fold_accuracy=accuracy,
        out_of_fold_rows=seen.n,
        l2=seen.l2,
        temperature=round(fit.head.temperature, 6),
        seconds=round(time.monotonic() - began, 3),
    )


def _not_learned_from(
    db: Database, store: BlobStore, embedder: ModelRow, settings: Settings, track_id: np.ndarray
) -> np.ndarray:
    """bool [n]: tracks that the embedder did not learn from; all, where it learned from no names."""
    if embedder.training_set_id is None:
        return np.ones(len(track_id), dtype=bool)
    from chimp_assets.vision.embedding.fine_tuning import roles_of_days

    taught = read_members(db, store, embedder.training_set_id)
    teaches, _, _ = roles_of_days(taught, settings.seed)
    return ~np.isin(track_id, taught.track_id[teaches])


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code: 0, or 2 with a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m chimp_assets.vision.train", description="Fit a candidate model.")
    parser.add_argument("--home", required=True, help="CHIMP_HOME")
    parser.add_argument(
        "--training-set", type=int, help="training_set_id; a detector makes its own where none is given"
    )
    parser.add_argument("--task", default="head", choices=["head", "embedder", "detector"])
    asked = parser.parse_args(arguments)
    if asked.training_set is None and asked.task != "detector":
        parser.error("--training-set is needed")
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


def _train(home: str, training_set_id: int | None, task: str) -> TrainedHead | FineTuned | TrainedDetector | None:
    """The report of what was trained; None on all ranks but the first."""
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.database.upkeep.migrations import require_head
    from chimp_assets.settings import load_settings
    from chimp_assets.vision.learning.ranks import Ranks

    ranks = Ranks.of_environment()
    settings = load_settings(home)
    db = Database(settings.database_url)
    require_head(db)
    store = BlobStore.open(settings.store_url)
    with _told(ranks.first) as tell:
        if task == "detector":
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
            f"Embedder {tuned.model_id}: {tuned.retrieval:.1%} of {tuned.judging_tracks} held-out tracks found again,"
            f" champion {tuned.champion_retrieval:.1%}.",
            plot_of(state),
        )
        return tuned


class _Teller:
    """Says how a training goes: to Dagster where it started us (pipes is its context), else on the error stream."""

    def __init__(self, pipes: PipesContext | None, first: bool) -> None:
        self._pipes, self._first = pipes, first

    def progress(self, state: State) -> None:
        """A line with loss and accuracy."""
        step, loss, accuracy = state.history[-1]
        text = f"step {step}: loss {loss:.3f}, {accuracy:.1%} of the crops shown named rightly"
        if state.validated:
            text += f"; {state.validated[-1][1]:.1%} of the tracks of held-out days found again"
        self._say(text)

    def done(self, report: dict[str, Any], text: str, plot: bytes | None = None) -> None:
        """The end: a line, and for Dagster the report as metadata, with a plot (PNG)."""
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
def _told(first: bool) -> Iterator[_Teller]:
    """Pipes for the first of the processes that torchrun started, where Dagster started it."""
    if not first or not _under_pipes():
        yield _Teller(None, first)
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield _Teller(pipes, first)


def plot_of(state: State) -> bytes:
    """Loss and accuracy over the steps, a PNG well below 100 kB (it lies in Dagster's event log)."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    steps = [step for step, _, _ in state.history]
    left.plot(steps, [loss for _, loss, _ in state.history], color="#8a4b2f", label="loss")
    right.plot(steps, [share for _, _, share in state.history], color="#4a7c59", label="named rightly (shown)")
    if state.validated:
        right.plot(*zip(*state.validated, strict=True), "o-", color="#2f5d8a", label="found again (held-out days)")
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


def _known(db: Database, training_set_id: int, embedder_id: int, digest: str) -> int | None:
    c = schema.model.c
    with db.read() as conn:
        return conn.scalar(
            sa.select(sa.func.min(c.model_id)).where(
                c.task == "head",
                c.training_set_id == training_set_id,
                c.parent_id == embedder_id,
                c.checkpoint_hash == digest,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
