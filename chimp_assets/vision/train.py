"""Training as a process of its own: `python -m chimp_assets.vision.train --home HOME --training-set ID`.

The same command runs under Dagster Pipes here, on Azure ML or on Kubernetes, and in a plain shell. It prints one line
of JSON at its end; sentences for people go to the error stream; exit code 2 means that the user can mend it.

Belongs here: reading the training set, fitting, the candidate's file and row, the report.
Does not belong here: the fit itself (`head`), what may be learned from (`datasets`), promotion (`gate`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.errors import ChimpError
from chimp_assets.vision.checkpoint import ModelError, champion, register_model, save_checkpoint
from chimp_assets.vision.datasets import describe_training_set, read_members
from chimp_assets.vision.embedding import embeddings_of_tracks
from chimp_assets.vision.head import fit_head, head_tensors

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.engine import Database
    from chimp_assets.settings import Settings


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
        task = describe_training_set(conn, training_set_id).task
    if embedder is None:
        raise ModelError("There is no embedder.", "Fit one first: `chimp ingest` does when tracks are enough.")
    if task != "head":
        raise ModelError(f"Training set {training_set_id} is for the task {task!r}, not for a head.")
    found, embedding = embeddings_of_tracks(db, store, embedder.model_id, members.track_id)
    if not len(found):
        raise ModelError(
            f"None of the {len(members.track_id)} labelled tracks has an embedding.", "Say `chimp score` first."
        )
    fit = fit_head(embedding, members.class_id[found], members.group[found], settings.head, settings.seed)
    seen = fit.out_of_fold
    accuracy = None if math.isnan(seen.accuracy) else round(seen.accuracy, 6)
    config = {
        "dimensions": int(fit.head.W.shape[1]),
        "classes": len(fit.head.classes),
        "labels": len(found),
        "without_embedding": len(members.track_id) - len(found),
        "l2": seen.l2,
        "temperature": fit.head.temperature,
        "unknown_threshold": fit.head.unknown_threshold,
        "out_of_fold": {"accuracy": accuracy, "n": seen.n, "n_new": seen.n_new, "folds": seen.folds},
        "seed": settings.seed,
    }
    uri, digest = save_checkpoint(store, "models/head/head", head_tensors(fit.head), config)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point. Returns the exit code: 0, or 2 with a sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m chimp_assets.vision.train", description="Fit a candidate model.")
    parser.add_argument("--home", required=True, help="CHIMP_HOME")
    parser.add_argument("--training-set", required=True, type=int, help="training_set_id")
    parser.add_argument("--task", default="head", choices=["head"])
    asked = parser.parse_args(arguments)
    try:
        trained = _train(asked.home, asked.training_set)
    except ChimpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(asdict(trained), sort_keys=True) + "\n")
    sys.stdout.flush()
    return 0


def _train(home: str, training_set_id: int) -> TrainedHead:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.engine import Database
    from chimp_assets.database.migrations import require_head
    from chimp_assets.settings import load_settings

    def work() -> TrainedHead:
        settings = load_settings(home)
        db = Database(settings.database_url)
        require_head(db)
        return train_head(db, BlobStore.open(settings.store_url), settings, training_set_id)

    if not _under_pipes():
        return work()
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        trained = work()
        report: dict[str, Any] = {name: value for name, value in asdict(trained).items() if value is not None}
        pipes.log.info(f"Head {trained.model_id}: {trained.labels} labels, {trained.classes} classes.")
        if pipes.is_asset_step:
            pipes.report_asset_materialization(metadata=report)
        return trained


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
