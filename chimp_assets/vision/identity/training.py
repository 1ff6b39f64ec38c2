"""A candidate head from a training set: its vectors, the fit, the candidate's file and row.

Belongs here: which rows the fit sees, and the config that a head can be made again from. Does not belong here: the fit
itself (`fitting`), which tracks may be learned from (`training_set`), promotion (`evaluation.promotion`). Imports no
torch: its import takes as long as fitting a small head.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chimp_assets.vision.datasets.roles import roles_of_days
from chimp_assets.vision.datasets.training_set import audit_answers, days_of_tracks, describe_training_set, read_members
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks
from chimp_assets.vision.identity.fitting import HeadFit, fit_head
from chimp_assets.vision.identity.head import head_tensors
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    ModelRow,
    champion,
    register_model,
    registered_model,
    save_checkpoint,
)
from chimp_assets.vision.models.code_version import code_version

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings


@dataclass(frozen=True)
class TrainedHead:
    """Result of a training. without_embedding: members skipped because they have no embedding (yet)."""

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

    A second run on the same training set returns the existing model. Raises ModelError without an embedder, for an
    unknown training set, or if fewer than 2 classes have vectors.
    """
    began = time.monotonic()
    members = read_members(db, store, training_set_id)
    with db.read() as conn:
        embedder = champion(conn, "embedder")
        described = describe_training_set(conn, training_set_id)
        audit_id, audit_class = audit_answers(conn, described.watermark_seq, described.merge_watermark)
    if embedder is None:
        raise ModelError("There is no embedder.", "`chimp ingest` fits one as soon as there are enough tracks.")
    if described.task != "head":
        raise ModelError(f"Training set {training_set_id} is for the task {described.task!r}, not for a head.")
    found, embedding = embeddings_of_tracks(db, store, embedder.model_id, members.track_id)
    if not len(found):
        raise ModelError(
            f"None of the {len(members.track_id)} labelled tracks has an embedding.", "Run `chimp score` first."
        )
    fresh = _not_learned_from(db, store, embedder, settings, members.track_id[found])
    fair = ~np.isin(audit_id, members.track_id)
    audit_id, audit_class = audit_id[fair], audit_class[fair]
    asked, audit_embedding = embeddings_of_tracks(db, store, embedder.model_id, audit_id)
    with db.read() as conn:
        new_day = ~np.isin(days_of_tracks(conn, audit_id[asked]), members.day)
    fit = fit_head(
        embedding, members.class_id[found], members.group[found], settings.head, settings.seed, fresh,
        (audit_embedding, audit_class[asked]), new_day,
    )  # fmt: skip
    seen = fit.out_of_fold
    accuracy = None if math.isnan(seen.accuracy) else round(seen.accuracy, 6)
    config = _config(fit, settings, len(found), len(members.track_id) - len(found), accuracy)
    uri, digest = save_checkpoint(store, "models/head/head", head_tensors(fit.head), config)
    # Not in the file: code that changes without changing the head must not change its hash.
    config["code"] = code_version()
    model_id = registered_model(db, "head", training_set_id, digest, embedder.model_id)
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


def _config(
    fit: HeadFit, settings: Settings, labels: int, without_embedding: int, accuracy: float | None
) -> dict[str, Any]:
    """The config of the head's file and row."""
    seen = fit.out_of_fold
    return {
        "dimensions": int(fit.head.W.shape[1]),
        "classes": len(fit.head.classes),
        "labels": labels,
        "without_embedding": without_embedding,
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
        # The other settings that decide the bytes, for `chimp models show`.
        "settings": {
            "head.l2_grid": list(settings.head.l2_grid),
            "head.unknown_false_alarm": settings.head.unknown_false_alarm,
        },
    }


def _not_learned_from(
    db: Database, store: BlobStore, embedder: ModelRow, settings: Settings, track_id: np.ndarray
) -> np.ndarray:
    """bool [n]: tracks that the embedder did not learn from; all if it learned from no names."""
    if embedder.training_set_id is None:
        return np.ones(len(track_id), dtype=bool)
    taught = read_members(db, store, embedder.training_set_id)
    teaches, _, _ = roles_of_days(taught, settings.seed)
    return ~np.isin(track_id, taught.track_id[teaches])
