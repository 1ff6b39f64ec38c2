"""Predictions: the champion head over the embeddings of bundles.

Belongs here: names with calibrated probabilities (`prediction`) and what acquisition reads (`track_score`), per bundle.
Does not belong here: which bundles are due (`database.work`), what is asked next (`acquisition`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.bulk import insert_rows
from chimp_assets.vision.assignment import NOBODY, name_together
from chimp_assets.vision.checkpoint import ModelError, champion
from chimp_assets.vision.embedding import embed_bundle, embedded_at, is_stale, read_embeddings
from chimp_assets.vision.head import CHUNK, Head, load_head
from chimp_assets.vision.lives import Lives, read_lives

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


@dataclass(frozen=True)
class Seen:
    """When and where n tracks were seen: video i64, first_s and last_s f64, possible f32 [n, C] (`lives`)."""

    video: np.ndarray
    first_s: np.ndarray
    last_s: np.ndarray
    possible: np.ndarray


# The chance beforehand that a track is of nobody whom the head knows: of one above its threshold, and below.
NONE_OF_THEM = 0.05
NONE_OF_THEM_BELOW = 0.5


def score_tracks(head: Head, embedding: np.ndarray, seen: Seen | None = None) -> Scores:
    """Scores of unit vectors. embedding: f16 or f32 [n, d]; seen: when and where, so that one animal is in one place at
    a time and alive; without it each track is named alone.

    margin: probability of rank 1 minus rank 2, in [0, 1] (Scheffer 2001); entropy: nats; max_logit: uncalibrated;
    novelty: 1 minus the largest cosine to a training track, in [0, 2]; is_unknown: below the head's threshold, or every
    likely name is that of another animal seen at the same time.
    """
    logits = head.logits(embedding)
    probabilities = head.probabilities(logits)
    is_unknown = head.is_unknown(logits)
    if seen is not None:
        none = np.where(is_unknown, NONE_OF_THEM_BELOW, NONE_OF_THEM).astype(np.float32)
        together = name_together(probabilities, none, seen.video, seen.first_s, seen.last_s, seen.possible)
        probabilities, is_unknown = together.probability, is_unknown | (together.column == NOBODY)
    r = min(RANKS, len(head.classes))
    best = np.argpartition(-probabilities, r - 1, axis=1)[:, :r]
    best.sort(axis=1)  # equal probabilities: in the order of the classes
    order = np.argsort(-np.take_along_axis(probabilities, best, 1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    top = np.take_along_axis(probabilities, best, 1)
    # Rounding of the softmax can leave a sum a hair above 1.
    top = np.minimum(top, 1.0) / np.maximum(1.0, top.sum(1, keepdims=True))
    entropy = -(probabilities * np.log(np.maximum(probabilities, np.float32(1e-30)))).sum(1)
    return Scores(
        class_id=head.classes[best],
        probability=top,
        margin=np.clip(top[:, 0] - top[:, 1], 0, 1),
        max_logit=logits.max(1),
        entropy=np.maximum(entropy, 0),
        novelty=head.novelty(embedding),
        is_unknown=is_unknown,
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
    with db.read() as conn:
        lives = read_lives(conn, head.classes)
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
            rows, unknown = _write_bundle(db, model.model_id, key, head, lives, track_id, embedding, as_of)
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
    lives: Lives,
    track_id: np.ndarray,
    embedding: np.ndarray,
    as_of: datetime,
) -> tuple[int, int]:
    # Scored before the transaction: whoever labels must not wait for it.
    with db.read() as conn:
        kept = np.isin(track_id, _live(conn, bundle_key))
        live_id, live_embedding = track_id[kept], embedding[kept]
    scored = []
    for part in _whole_videos(live_id):
        with db.read() as conn:
            seen = _seen(conn, bundle_key, live_id[part], lives)
        scored.append((live_id[part], score_tracks(head, live_embedding[part], seen)))

    def write(conn: sa.Connection) -> tuple[int, int]:
        live = _live(conn, bundle_key)
        _delete(conn, model_id, bundle_key)
        tracks = rows = unknown = 0
        for ids, scores in scored:
            still = np.isin(ids, live)
            rows += _write_scores(conn, model_id, ids, scores, still)
            unknown += int(scores.is_unknown[still].sum())
            tracks += int(still.sum())
        _say_scored(conn, model_id, bundle_key, tracks, as_of)
        return rows, unknown

    return db.transact(write)


def _write_scores(conn: sa.Connection, model_id: int, track_id: np.ndarray, scores: Scores, still: np.ndarray) -> int:
    """Rows of the tracks that still are live; returns those of prediction."""
    ids, r = track_id[still], scores.class_id.shape[1]
    rows = insert_rows(
        conn,
        schema.prediction,
        {
            "model_id": np.full(len(ids) * r, model_id, dtype=np.int64),
            "track_id": np.repeat(ids, r),
            "rank": np.tile(np.arange(1, r + 1), len(ids)),
            "individual_id": scores.class_id[still].reshape(-1),
            "probability": scores.probability[still].reshape(-1).astype(np.float64),
        },
    )
    insert_rows(
        conn,
        schema.track_score,
        {
            "model_id": np.full(len(ids), model_id, dtype=np.int64),
            "track_id": ids,
            "margin": scores.margin[still].astype(np.float64),
            "max_logit": scores.max_logit[still].astype(np.float64),
            "novelty": scores.novelty[still].astype(np.float64),
            "entropy": scores.entropy[still].astype(np.float64),
            "is_unknown": scores.is_unknown[still],
        },
    )
    return rows


def _whole_videos(track_id: np.ndarray) -> Iterator[slice]:
    """Parts of some CHUNK tracks (ascending) that end where a video ends: its tracks are named together."""
    video = track_id // schema.TRACKS_PER_VIDEO
    start = 0
    while start < len(video):
        stop = start + int(np.searchsorted(video[start:], video[min(start + CHUNK, len(video)) - 1], side="right"))
        yield slice(start, stop)
        start = stop


def _seen(conn: sa.Connection, bundle_key: str, track_id: np.ndarray, lives: Lives) -> Seen:
    """When and where live tracks (ascending, whole videos of a bundle) were seen."""
    track, video, bundle = schema.track, schema.video, schema.bundle
    rows = conn.execute(
        sa.select(
            track.c.track_id, track.c.video_id, track.c.first_s, track.c.last_s, video.c.recorded_on, video.c.site
        )
        .join(video, video.c.video_id == track.c.video_id)
        .join(bundle, bundle.c.bundle_id == video.c.bundle_id)
        .where(bundle.c.bundle_key == bundle_key, track.c.state == "live")
        .where(track.c.track_id.between(int(track_id[0]), int(track_id[-1])))
        .order_by(track.c.track_id)
    ).all()
    n = len(track_id)
    # A track that has just gone is seen with no other; its scores are not written.
    video_id, first_s, last_s = -1 - np.arange(n), np.zeros(n), np.zeros(n)
    days, sites = np.full(n, np.nan), np.full(n, "", dtype=object)
    for row, at in zip(rows, np.searchsorted(track_id, [row.track_id for row in rows]).tolist(), strict=True):
        if at < n and track_id[at] == row.track_id:
            video_id[at], first_s[at], last_s[at], sites[at] = row.video_id, row.first_s, row.last_s, row.site or ""
            if row.recorded_on is not None:
                days[at] = row.recorded_on.toordinal()
    return Seen(video_id, first_s, last_s, lives.possible(days, sites))


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
