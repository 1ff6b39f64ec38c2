"""Predictions: the champion head over the embeddings of bundles.

Belongs here: names with calibrated probabilities (`prediction`) and what acquisition reads (`track_score`), per bundle.
Does not belong here: which bundles are due (`database.work`), what is asked next (`acquisition`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.bulk import insert_rows
from chimp_assets.vision.checkpoint import ModelError, champion
from chimp_assets.vision.embedding import embed_bundle, embedded_at, is_stale, read_embeddings
from chimp_assets.vision.head import CHUNK, Head, load_head

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.engine import Database
    from chimp_assets.settings import Settings

RANKS = 5


@dataclass(frozen=True)
class Predicted:
    """What a scoring run wrote. n_rows: rows of prediction; left: bundles that the budget did not reach."""

    n_bundles: int
    n_tracks: int
    n_rows: int
    n_unknown: int
    left: list[str]
    seconds: float


@dataclass(frozen=True)
class Scores:
    """Scores of n tracks. individual, probability: [n, r], r = min(5, classes), best first; the rest: [n]."""

    class_id: np.ndarray
    probability: np.ndarray
    margin: np.ndarray
    max_logit: np.ndarray
    entropy: np.ndarray
    novelty: np.ndarray
    is_unknown: np.ndarray


def score_tracks(head: Head, embedding: np.ndarray) -> Scores:
    """Scores of unit vectors. embedding: f16 or f32 [n, d].

    margin: probability of rank 1 minus rank 2, in [0, 1] (Scheffer 2001); entropy: nats; max_logit: uncalibrated;
    novelty: 1 minus the largest cosine to a training track, in [0, 2].
    """
    logits = head.logits(embedding)
    probabilities = head.probabilities(logits)
    r = min(RANKS, len(head.classes))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :r]
    top = np.take_along_axis(probabilities, best, 1)
    # Rounding of the softmax can leave a sum a hair above 1.
    top = np.minimum(top, 1.0) / np.maximum(1.0, top.sum(1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(probabilities > 0, probabilities * np.log(probabilities), 0.0).sum(1)
    return Scores(
        class_id=head.classes[best],
        probability=top,
        margin=np.clip(top[:, 0] - top[:, 1], 0, 1),
        max_logit=logits.max(1),
        entropy=np.maximum(entropy, 0),
        novelty=head.novelty(embedding),
        is_unknown=head.is_unknown(logits),
    )


def predict_bundles(
    db: Database,
    store: BlobStore,
    bundle_keys: Sequence[str],
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
) -> Predicted:
    """Write the champion head's predictions and scores of the live tracks of bundles, one transaction for each bundle.

    A bundle whose embeddings are stale is embedded first. Stops after the bundle that passes
    settings.score.tracks_per_run. Raises ModelError without a champion head, or if the head belongs to another embedder
    than the champion.
    """
    began = time.monotonic()
    with db.read() as conn:
        model, embedder = champion(conn, "head"), champion(conn, "embedder")
    if model is None or embedder is None:
        raise ModelError("There is no champion head.", "Label tracks until a first head is promoted.")
    if model.parent_id != embedder.model_id:
        raise ModelError(
            f"The champion head {model.model_id} belongs to embedder {model.parent_id}, the champion embedder is"
            f" {embedder.model_id}.",
            "Say `chimp retrain`: a head is fitted on its own embedder's vectors.",
        )
    head = load_head(store, model)
    n_tracks = n_rows = n_unknown = done = 0
    for number, key in enumerate(bundle_keys):
        if n_tracks >= settings.score.tracks_per_run:
            break
        if is_stale(db, store, key):
            embed_bundle(db, store, key, settings)
        with db.read() as conn:  # before the file is read: what comes later makes the scores stale, never fresh
            as_of = embedded_at(conn, embedder.model_id, key)
        for _, track_id, embedding in read_embeddings(db, store, embedder.model_id, [key]):
            assert as_of is not None
            rows, unknown = _write_bundle(db, model.model_id, key, head, track_id, embedding, as_of)
            n_rows += rows
            n_unknown += unknown
            n_tracks += len(track_id)
        done = number + 1
        if progress is not None:
            progress("score", done, len(bundle_keys))
    return Predicted(done, n_tracks, n_rows, n_unknown, list(bundle_keys[done:]), round(time.monotonic() - began, 3))


def _write_bundle(
    db: Database,
    model_id: int,
    bundle_key: str,
    head: Head,
    track_id: np.ndarray,
    embedding: np.ndarray,
    as_of: datetime,
) -> tuple[int, int]:
    def write(conn: sa.Connection) -> tuple[int, int]:
        live = _live(conn, bundle_key)
        _delete(conn, model_id, bundle_key)
        kept = np.isin(track_id, live)
        rows = unknown = 0
        for start in range(0, int(kept.sum()), CHUNK):
            ids = track_id[kept][start : start + CHUNK]
            scores = score_tracks(head, embedding[kept][start : start + CHUNK])
            r = scores.class_id.shape[1]
            rows += insert_rows(
                conn,
                schema.prediction,
                {
                    "model_id": np.full(len(ids) * r, model_id, dtype=np.int64),
                    "track_id": np.repeat(ids, r),
                    "rank": np.tile(np.arange(1, r + 1), len(ids)),
                    "individual_id": scores.class_id.reshape(-1),
                    "probability": scores.probability.reshape(-1).astype(np.float64),
                },
            )
            insert_rows(
                conn,
                schema.track_score,
                {
                    "model_id": np.full(len(ids), model_id, dtype=np.int64),
                    "track_id": ids,
                    "margin": scores.margin.astype(np.float64),
                    "max_logit": scores.max_logit.astype(np.float64),
                    "novelty": scores.novelty.astype(np.float64),
                    "entropy": scores.entropy.astype(np.float64),
                    "is_unknown": scores.is_unknown,
                },
            )
            unknown += int(scores.is_unknown.sum())
        _say_scored(conn, model_id, bundle_key, int(kept.sum()), as_of)
        return rows, unknown

    return db.transact(write)


def _say_scored(conn: sa.Connection, model_id: int, bundle_key: str, n_tracks: int, as_of: datetime) -> None:
    bundle, score = schema.bundle, schema.bundle_score
    bundle_id = conn.execute(sa.select(bundle.c.bundle_id).where(bundle.c.bundle_key == bundle_key)).scalar_one()
    conn.execute(sa.delete(score).where(score.c.model_id == model_id, score.c.bundle_id == bundle_id))
    conn.execute(sa.insert(score).values(model_id=model_id, bundle_id=bundle_id, n_tracks=n_tracks, created_at=as_of))


def _tracks_of(bundle_key: str) -> sa.Select[tuple[int]]:
    track, video, bundle = schema.track, schema.video, schema.bundle
    return (
        sa.select(track.c.track_id)
        .join(video, video.c.video_id == track.c.video_id)
        .join(bundle, bundle.c.bundle_id == video.c.bundle_id)
        .where(bundle.c.bundle_key == bundle_key)
    )


def _live(conn: sa.Connection, bundle_key: str) -> np.ndarray:
    live = conn.scalars(_tracks_of(bundle_key).where(schema.track.c.state == "live"))
    return np.fromiter(live, dtype=np.int64)


def _delete(conn: sa.Connection, model_id: int, bundle_key: str) -> None:
    for table in (schema.prediction, schema.track_score):
        conn.execute(sa.delete(table).where(table.c.model_id == model_id, table.c.track_id.in_(_tracks_of(bundle_key))))
