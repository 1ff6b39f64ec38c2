"""Predictions: the champion head over the embeddings of bundles.

Belongs here: names with calibrated probabilities (`prediction`) and what acquisition reads (`track_score`), per bundle.
Does not belong here: which bundles are due (`database.work`), what is asked next (`acquisition`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from threadpoolctl import threadpool_limits

from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.references import stand_for
from chimp_assets.vision.embedding.bundle import embed_bundle, embedded_at, embeddings_of_tracks, read_embeddings
from chimp_assets.vision.identity.assignment import NOBODY, name_together
from chimp_assets.vision.identity.context import (
    ASKED_AT_ONCE,
    NO_PAIRS,
    TrackContext,
    context_of_tracks,
    denied_pairs,
)
from chimp_assets.vision.identity.head import CHUNK, IdentityHead, load_head
from chimp_assets.vision.identity.plausibility import NamePlausibility, read_plausibility
from chimp_assets.vision.models.checkpoint import ModelError, champion

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

RANKS = 5


@dataclass(frozen=True)
class PredictionReport:
    """Result of a scoring run. n_rows: rows of prediction; n_embedded: vectors of these bundles; left: bundles that the
    budget did not reach."""

    n_bundles: int
    n_embedded: int
    n_tracks: int
    n_rows: int
    n_unknown: int
    left: list[str]
    seconds: float


@dataclass(frozen=True)
class TrackScores:
    """Scores of n tracks. class_id, probability: [n, r], r = min(5, classes), best first, class_id NOBODY for those
    that people denied; the rest: [n]. denied: what the head would have proposed."""

    class_id: np.ndarray
    probability: np.ndarray
    margin: np.ndarray
    max_logit: np.ndarray
    entropy: np.ndarray
    novelty: np.ndarray
    is_unknown: np.ndarray
    denied: DeniedNames


@dataclass(frozen=True)
class DeniedNames:
    """What a head says of k denied pairs, each track by itself. row: i64 [k], the track; class_id: i64 [k]; rank: i64
    [k], from 1; probability: f32 [k]."""

    row: np.ndarray
    class_id: np.ndarray
    rank: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class TrackNames:
    """probability: f32 [n, C], rows add up to at most 1; is_unknown: bool [n]; familiarity: f32 [n] (`head`)."""

    probability: np.ndarray
    is_unknown: np.ndarray
    familiarity: np.ndarray


_LEAST = np.float32(-1e30)
"""The logit of a class that a track is not."""
# Prior probability that a track shows nobody whom the head knows: above its threshold, and below.
NONE_OF_THEM = 0.05
NONE_OF_THEM_BELOW = 0.5


def score_tracks(head: IdentityHead, embedding: np.ndarray, seen: TrackContext | None = None) -> TrackScores:
    """Scores of unit vectors. embedding: f16 or f32 [n, d]; seen: when and where, so that one animal is in one place at
    a time and alive; without it each track is named independently.

    margin: probability of rank 1 minus rank 2, in [0, 1] (Scheffer 2001); entropy: nats; max_logit: uncalibrated;
    novelty: 1 minus the largest cosine to a training track, in [0, 2]; is_unknown: below the head's threshold, or every
    likely name is denied or belongs to another animal seen at the same time.
    """
    logits = head.logits(embedding)
    named = name_tracks(head, embedding, logits, seen)
    probabilities = named.probability
    denied = NO_PAIRS if seen is None else seen.denied
    ranked = probabilities
    if len(denied):
        ranked = probabilities.copy()
        ranked[denied[:, 0], denied[:, 1]] = -1  # behind all others
    r = min(RANKS, len(head.classes))
    best = np.argpartition(-ranked, r - 1, axis=1)[:, :r]
    best.sort(axis=1)  # equal probabilities: in the order of the classes
    order = np.argsort(-np.take_along_axis(ranked, best, 1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    top = np.take_along_axis(probabilities, best, 1)
    # Rounding of the softmax can leave a sum slightly above 1.
    top = np.minimum(top, 1.0) / np.maximum(1.0, top.sum(1, keepdims=True))
    entropy = -(probabilities * np.log(np.maximum(probabilities, np.float32(1e-30)))).sum(1)
    return TrackScores(
        class_id=np.where(np.take_along_axis(ranked, best, 1) < 0, NOBODY, head.classes[best]),
        probability=top,
        margin=np.clip(top[:, 0] - top[:, 1], 0, 1),
        max_logit=logits.max(1),
        entropy=np.maximum(entropy, 0),
        novelty=head.novelty(embedding),
        is_unknown=named.is_unknown,
        denied=_denied_names(head, logits, denied),
    )


def _denied_names(head: IdentityHead, logits: np.ndarray, denied: np.ndarray) -> DeniedNames:
    row, column = denied.T
    own = head.probabilities(logits[row])
    said = own[np.arange(len(row)), column]
    return DeniedNames(row, head.classes[column], 1 + (own > said[:, None]).sum(1), np.minimum(said, 1))


def name_tracks(
    head: IdentityHead, embedding: np.ndarray, logits: np.ndarray, seen: TrackContext | None = None
) -> TrackNames:
    """Names by vectors [n, d] and logits f32 [n, C], jointly if seen is given: the names that people see. What people
    denied has probability 0, and whether a track is known is asked of the likeliest class that is left."""
    probabilities = head.probabilities(logits)
    denied = NO_PAIRS if seen is None else seen.denied
    familiarity = head.familiarity(embedding, logits)
    if len(denied):
        rows = np.unique(denied[:, 0])
        left = logits[rows]
        left[np.searchsorted(rows, denied[:, 0]), denied[:, 1]] = _LEAST
        familiarity[rows] = head.familiarity(embedding[rows], left)
    is_unknown = familiarity < head.unknown_threshold
    if seen is None:
        return TrackNames(probabilities, is_unknown, familiarity)
    none = np.where(is_unknown, NONE_OF_THEM_BELOW, NONE_OF_THEM).astype(np.float32)
    possible = None if seen.possible is None else seen.possible[seen.video_row]
    if len(denied):
        possible = np.ones_like(probabilities) if possible is None else possible
        possible[denied[:, 0], denied[:, 1]] = 0
    together = name_together(probabilities, none, seen.video, seen.first_s, seen.last_s, possible)
    return TrackNames(together.probability, is_unknown | (together.column == NOBODY), familiarity)


def named_in_company(
    db: Database, store: BlobStore, head: IdentityHead, embedder_id: int, track_id: np.ndarray
) -> tuple[np.ndarray, TrackNames]:
    """The names that `predict_bundles` writes for some tracks (i64 [n], ascending): each is named jointly with the
    other live tracks of its video. What people denied is not left out: a head is judged by what it says itself.

    Returns rows of track_id that have a vector i64 [k], and their names. Memory: parts of
    whole videos with about CHUNK tracks, and k x C of f32.
    """
    everyone, embedding, seen = _in_company(db, store, head, embedder_id, track_id)
    rows, probability, unknown, familiar = [], [], [], []
    for part in _whole_videos(everyone):
        named = name_tracks(head, embedding[part], head.logits(embedding[part]), seen.part(part))
        asked = np.isin(everyone[part], track_id)
        rows.append(np.searchsorted(track_id, everyone[part][asked]))
        probability.append(named.probability[asked])
        unknown.append(named.is_unknown[asked])
        familiar.append(named.familiarity[asked])
    if not rows:
        nothing = np.zeros((0, len(head.classes)), dtype=np.float32)
        return np.zeros(0, dtype=np.int64), TrackNames(nothing, np.zeros(0, dtype=bool), nothing[:, 0])
    return np.concatenate(rows), TrackNames(*(np.concatenate(parts) for parts in (probability, unknown, familiar)))


def predict_tracks(db: Database, store: BlobStore, tracks: Sequence[int], again: Sequence[int] = ()) -> int:
    """Write the champion head's predictions and scores of live tracks that it has not scored yet, ahead of their
    bundles; each is named jointly with the others of its video.

    again: tracks that are named anew if it has, because people have said meanwhile whom they do not show, or took that
    back. Returns how many were scored; 0 without a champion head, or if it does not belong to the champion embedder.
    One transaction; memory as `named_in_company`.
    """
    with db.read() as conn:
        model, embedder = champion(conn, "head"), champion(conn, "embedder")
        if model is None or embedder is None or model.parent_id != embedder.model_id:
            return 0
        anew = np.unique(np.array(again, dtype=np.int64))
        track_id = np.unique(np.array(tracks, dtype=np.int64))
        track_id = np.union1d(np.setdiff1d(track_id, _scored_of(conn, model.model_id, track_id)), anew)
    if not len(track_id):
        return 0
    head = load_head(store, model)
    everyone, embedding, seen = _in_company(db, store, head, embedder.model_id, track_id)
    with db.read() as conn:
        seen = replace(seen, denied=denied_pairs(conn, everyone, head.classes))
    parts = [(everyone[rows], score_tracks(head, embedding[rows], seen.part(rows))) for rows in _whole_videos(everyone)]

    def write(conn: sa.Connection) -> int:
        # What changed meanwhile: a bundle may have been scored, a track retired.
        live, scored = _live_of(conn, track_id), _scored_of(conn, model.model_id, track_id)
        stale = np.intersect1d(np.intersect1d(anew, everyone), np.intersect1d(live, scored))
        for some in in_parts(stale.tolist()):
            _delete_of(conn, model.model_id, some)
        wanted = np.union1d(np.setdiff1d(live, scored), stale)
        for ids, scores in parts:
            _write_scores(conn, model.model_id, ids, scores, np.isin(ids, wanted))
        return sum(int(np.isin(ids, wanted).sum()) for ids, _ in parts)

    scored = db.transact(write)
    stand_for(db, [int(one) for one in head.classes])
    return scored


def _in_company(
    db: Database, store: BlobStore, head: IdentityHead, embedder_id: int, track_id: np.ndarray
) -> tuple[np.ndarray, np.ndarray, TrackContext]:
    """Tracks and all live ones of their videos, if they have vectors: i64 [n], ascending; f16 [n, d]; when and where.
    Requested tracks that are no longer live are named independently."""
    with db.read() as conn:
        lives = read_plausibility(conn, head.classes)
        live = _live_of_videos(conn, np.unique(track_id // schema.TRACKS_PER_VIDEO))
    everyone = np.union1d(live, track_id)
    found, embedding = embeddings_of_tracks(db, store, embedder_id, everyone)
    everyone = everyone[found]
    with db.read() as conn:
        return everyone, embedding, context_of_tracks(conn, everyone, lives)


def predict_bundles(
    db: Database,
    store: BlobStore,
    bundle_keys: Sequence[str],
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
    budget: int | None = None,
) -> PredictionReport:
    """Write the champion head's predictions and scores of the live tracks of bundles, one transaction for each bundle.

    A bundle whose embeddings are stale is embedded first. budget: tracks; None takes settings.score.tracks_per_run; the
    run stops after the bundle that exceeds it. Memory: two bundles. Raises ModelError without a champion head, or if it
    does not belong to the champion embedder.
    """
    began = time.monotonic()
    with db.read() as conn:
        model, embedder = champion(conn, "head"), champion(conn, "embedder")
    if model is None or embedder is None:
        raise ModelError("There is no champion head.", "Label tracks until the first head is promoted.")
    if model.parent_id != embedder.model_id:
        raise ModelError(
            f"The champion head {model.model_id} belongs to embedder {model.parent_id}, but the champion embedder is"
            f" {embedder.model_id}.",
            "Fit a head on its vectors with `chimp retrain`.",
        )
    head = load_head(store, model)
    stand_for(db, [int(one) for one in head.classes])
    with db.read() as conn:
        lives = read_plausibility(conn, head.classes)
    limit = settings.score.tracks_per_run if budget is None else budget
    n_tracks = n_rows = n_unknown = n_embedded = done = 0

    def write(key: str, scored: _BundleScores) -> None:
        nonlocal n_rows, n_unknown, n_tracks, done
        rows, unknown = _write_bundle(db, model.model_id, key, scored)
        n_rows += rows
        n_unknown += unknown
        n_tracks += scored.n_tracks
        done += 1
        if progress is not None:
            progress(f"score {key}", done, len(bundle_keys))

    # The next bundle is scored while one is written, on another core.
    waiting: tuple[str, Future[_BundleScores]] | None = None
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(1) as scorer:
        for key in bundle_keys:
            if n_embedded >= limit:
                break
            n_embedded += embed_bundle(db, store, key, settings).n_tracks
            coming = key, scorer.submit(_scored_bundle, db, store, embedder.model_id, key, head, lives)
            if waiting is not None:
                write(waiting[0], waiting[1].result())
            waiting = coming
        if waiting is not None:
            write(waiting[0], waiting[1].result())
    return PredictionReport(
        done, n_embedded, n_tracks, n_rows, n_unknown, list(bundle_keys[done:]), round(time.monotonic() - began, 3)
    )


@dataclass(frozen=True)
class _BundleScores:
    """A bundle's scores in parts of whole videos, as of the time of its vectors. n_tracks: vectors in its file."""

    parts: list[tuple[np.ndarray, TrackScores]]
    as_of: datetime
    n_tracks: int


def _scored_bundle(
    db: Database, store: BlobStore, embedder_id: int, bundle_key: str, head: IdentityHead, lives: NamePlausibility
) -> _BundleScores:
    with db.read() as conn:  # before the file is read: later changes then make the scores stale
        as_of = embedded_at(conn, embedder_id, bundle_key)
        live = _live(conn, bundle_key)
    assert as_of is not None
    (_, track_id, embedding) = next(iter(read_embeddings(db, store, embedder_id, [bundle_key])))
    kept = np.isin(track_id, live)
    live_id, live_embedding = track_id[kept], embedding[kept]
    with db.read() as conn:
        seen = replace(context_of_tracks(conn, live_id, lives), denied=denied_pairs(conn, live_id, head.classes))
    parts = [
        (live_id[rows], score_tracks(head, live_embedding[rows], seen.part(rows))) for rows in _whole_videos(live_id)
    ]
    return _BundleScores(parts, as_of, len(track_id))


def _write_bundle(db: Database, model_id: int, bundle_key: str, scored: _BundleScores) -> tuple[int, int]:
    """One transaction: the bundle's rows are replaced. Returns rows of prediction, and unknown tracks."""

    def write(conn: sa.Connection) -> tuple[int, int]:
        live = _live(conn, bundle_key)
        _delete_of(conn, model_id, _tracks_of(bundle_key))
        tracks = rows = unknown = 0
        for ids, scores in scored.parts:
            still = np.isin(ids, live)
            rows += _write_scores(conn, model_id, ids, scores, still)
            unknown += int(scores.is_unknown[still].sum())
            tracks += int(still.sum())
        _say_scored(conn, model_id, bundle_key, tracks, scored.as_of)
        return rows, unknown

    return db.transact(write)


def _write_scores(
    conn: sa.Connection, model_id: int, track_id: np.ndarray, scores: TrackScores, still: np.ndarray
) -> int:
    """Write the rows of the tracks that are still live; returns the number of predictions."""
    ids, r = track_id[still], scores.class_id.shape[1]
    class_id = scores.class_id[still].reshape(-1)
    said = class_id != NOBODY
    rows = insert_rows(
        conn,
        schema.prediction,
        {
            "model_id": np.full(int(said.sum()), model_id, dtype=np.int64),
            "track_id": np.repeat(ids, r)[said],
            "rank": np.tile(np.arange(1, r + 1), len(ids))[said],
            "individual_id": class_id[said],
            "probability": scores.probability[still].reshape(-1).astype(np.float64)[said],
        },
    )
    denied = scores.denied
    kept = still[denied.row]
    insert_rows(
        conn,
        schema.denied_prediction,
        {
            "model_id": np.full(int(kept.sum()), model_id, dtype=np.int64),
            "track_id": track_id[denied.row[kept]],
            "individual_id": denied.class_id[kept],
            "rank": denied.rank[kept],
            "probability": denied.probability[kept].astype(np.float64),
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


def _scored_of(conn: sa.Connection, model_id: int, track_id: np.ndarray) -> np.ndarray:
    """i64: those of some tracks that a head has scored."""
    score = schema.track_score.c
    return _those(conn, sa.select(score.track_id).where(score.model_id == model_id), score.track_id, track_id)


def _live_of(conn: sa.Connection, track_id: np.ndarray) -> np.ndarray:
    """i64: those of some tracks that are live."""
    track = schema.track.c
    return _those(conn, sa.select(track.track_id).where(track.state == "live"), track.track_id, track_id)


def _those(
    conn: sa.Connection, statement: sa.Select[tuple[int]], key: sa.ColumnElement[int], track_id: np.ndarray
) -> np.ndarray:
    """i64: the results of a statement for some tracks, a part of them at a time."""
    found: list[int] = []
    for start in range(0, len(track_id), ASKED_AT_ONCE):
        found += conn.scalars(statement.where(key.in_(track_id[start : start + ASKED_AT_ONCE].tolist())))
    return np.array(found, dtype=np.int64)


def _live_of_videos(conn: sa.Connection, videos: np.ndarray) -> np.ndarray:
    """i64 [n]: live tracks of videos, ascending."""
    track = schema.track.c
    parts = [
        conn.scalars(
            sa.select(track.track_id).where(
                track.video_id.in_(videos[start : start + ASKED_AT_ONCE].tolist()), track.state == "live"
            )
        ).all()
        for start in range(0, len(videos), ASKED_AT_ONCE)
    ]
    return np.sort(np.array([track_id for part in parts for track_id in part], dtype=np.int64))


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
    live = conn.scalars(_tracks_of(bundle_key).where(schema.track.c.state == "live")).all()
    return np.array(live, dtype=np.int64)


def _delete_of(conn: sa.Connection, model_id: int, track_ids: sa.Select[tuple[int]] | list[int]) -> None:
    for table in (schema.prediction, schema.denied_prediction, schema.track_score):
        conn.execute(sa.delete(table).where(table.c.model_id == model_id, table.c.track_id.in_(track_ids)))
