"""From SQL and the store to a `TrackPool`: the live tracks, their answers, and their embeddings.

Belongs here: reading them in one snapshot, in bounded memory. Does not belong here: the plan (`plan`), how tracks are
chosen (`acquisition`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.curation import NOBODY, Conclusions
from chimp_assets.acquisition.pool import (
    CANNOT_TELL,
    CHUNK_ROWS,
    FOLLOWS,
    IN_FLIGHT,
    JUNK,
    PROVISIONAL,
    UNLABELLED,
    TrackPool,
)
from chimp_assets.arrays import BoolArray, F16Array, F32Array, I32Array, I64Array, located, rows_of
from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.database.work.pages import tracks_of_leased_pages
from chimp_assets.database.work.seconds import is_answered_alone
from chimp_assets.loop.evidence import Evidence, read_evidence
from chimp_assets.monitoring.slices import DriftedTracks, drifted_tracks
from chimp_assets.vision.embedding.bundle import read_embeddings

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.models.checkpoint import ModelRow

PAGE = 50_000

TIMED = 2_000
LEAST_TIMED = 30
"""How many of the newest timed answers are used, and how many are too few to predict the time of the next."""

KEPT_BY_ROOT, KEPT_AT_LEAST = 1.2, 40
"""Tracks that are kept for the audit, by the square root of the number of tracks: 40 of 1,100, 1,200 of a million.
What is kept cannot be named by asking, and an archive of a few thousand tracks would wait for its long ones."""

SKIP_ROUNDS = 3
"""Training lanes leave a track alone for this many rounds after a skip: chosen again at once, it is skipped again.

The audit lane does ask again: an audit without the tracks that people skip would measure only the easy ones.
"""


@dataclass(frozen=True)
class TrackSnapshot:
    """The live tracks as SQL knows them at one moment; columns as in TrackPool, labels up to watermark_seq."""

    track: I64Array
    value: F32Array
    state: I32Array
    reserve: BoolArray
    test_day: BoolArray
    video: I32Array
    place: I32Array
    cost: F32Array
    repeat: BoolArray
    watermark_seq: int
    evidence: Evidence
    conclusions: Conclusions
    not_now: set[tuple[int, int | None]]
    """Pairs (the smaller track first) and disputed tracks that somebody holds or has just skipped."""
    drifted: DriftedTracks | None = None
    """The slices of open alerts."""
    opened: BoolArray | None = None
    """As in TrackPool."""


def read_snapshot(conn: sa.Connection, settings: Settings) -> TrackSnapshot:
    """One snapshot: answers and leases belong to the same moment as the watermark."""
    watermark = last_seq(conn)
    split = t.split_assignment.c.split
    # A video without a split (there should be none) is closed to training rather than open to leakage.
    closed = sa.case((split.in_(("train", "validation")), 0), else_=1)
    track, boxes, test_day, video_id = columns_of(
        conn,
        sa.select(t.track.c.track_id, t.track.c.n_detections, closed, t.track.c.video_id)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .outerjoin(t.split_assignment, t.split_assignment.c.video_id == t.track.c.video_id)
        .where(t.track.c.state == "live", t.video.c.state == "tracked")
        .order_by(t.track.c.track_id),
    )
    reserve = reserved_mask(conn, track, settings.seed, settings.acquisition.audit_reserve)
    kept = reserved_mask(conn, track, settings.seed, _kept_share(conn, settings))
    state = np.full(len(track), UNLABELLED, np.int32)
    skipped = rows_of(track, columns_of(conn, _recently_skipped())[0])
    state[skipped[~kept[skipped]]] = IN_FLIGHT
    now = datetime.now(UTC)
    leased = np.concatenate([columns_of(conn, query)[0] for query in _leased(now)])
    state[rows_of(track, leased)] = IN_FLIGHT
    answered, meaning, old = columns_of(conn, _answers(watermark, settings.acquisition.repeat_after))
    here, row = located(track, answered)
    state[row[here]] = meaning[here]
    repeat = np.zeros(len(track), bool)
    repeat[row[here]] = old[here].astype(bool)
    repeat[rows_of(track, leased)] = False
    agreed = rows_of(track, columns_of(conn, _agreed())[0])
    evidence = read_evidence(conn, watermark)
    conclusions = evidence.concluded()
    implied = np.union1d(rows_of(track, evidence.track[conclusions.implied != NOBODY]), agreed)
    # The audit asks its own tracks whatever follows from other answers: what it measures must not depend on those.
    state[implied[np.isin(state[implied], (UNLABELLED, PROVISIONAL)) & ~kept[implied]]] = FOLLOWS
    videos, video = np.unique(video_id, return_inverse=True)
    return TrackSnapshot(
        track,
        boxes.astype(np.float32),
        state,
        reserve,
        test_day.astype(bool),
        video.astype(np.int32),
        _day_of(conn, videos)[video],
        _seconds(conn, boxes),
        repeat,
        watermark,
        evidence,
        conclusions,
        _not_now(conn, now),
        drifted_tracks(conn, track),
        reserve & ~kept,
    )


def _kept_share(conn: sa.Connection, settings: Settings) -> float:
    """The share of all tracks that the audit keeps for itself.

    All of the reserve where the frames lane is not used and never was. Else it follows from the number of all tracks
    that there ever were, so that it only falls: a track that was opened is never kept again, and what is kept stays a
    random sample of the archive that nobody else has asked.
    """
    wanted = settings.acquisition
    lane = t.annotation.c.lane
    if wanted.warm_shares.get(t.FRAMES, 0) <= 0 and not conn.scalar(sa.select(lane).where(lane == t.FRAMES).limit(1)):
        return wanted.audit_reserve
    n = max(1, int(conn.scalar(sa.select(sa.func.count()).select_from(t.track)) or 0))
    most = max(KEPT_AT_LEAST, KEPT_BY_ROOT * n**0.5)
    if wanted.audit_reserve_tracks is not None:
        most = wanted.audit_reserve_tracks
    return min(wanted.audit_reserve, most / n)


def _day_of(conn: sa.Connection, videos: I64Array) -> I32Array:
    """A number for the camera and day of each video, -1 where it has none. videos: i64 [v], increasing; i32 [v]."""
    split = t.split_assignment.c
    day = np.full(len(videos), -1, np.int32)
    number: dict[str, int] = {}
    for page in pages_of(conn, sa.select(split.video_id, split.day_key)):
        here, row = located(videos, np.array([r.video_id for r in page], np.int64))
        codes = np.array([number.setdefault(r.day_key, len(number)) for r in page], np.int32)
        day[row[here]] = codes[here]
    return day


def _seconds(conn: sa.Connection, boxes: I64Array) -> F32Array:
    """Seconds that an answer is expected to take, by the boxes of its track: the median of its third of lengths."""
    answer = t.annotation.c
    newest = (
        sa.select(t.track.c.n_detections, answer.seconds)
        .join_from(t.annotation, t.track, t.track.c.track_id == answer.track_id)
        .where(answer.kind.in_(NAMING_KINDS), answer.seconds > 0, is_answered_alone(answer))
        .order_by(answer.seq.desc())
        .limit(TIMED)
    )
    timed = [(int(length), float(seconds)) for length, seconds in conn.execute(newest)]
    if len(timed) < LEAST_TIMED:
        return np.ones(len(boxes), np.float32)
    length, seconds = np.array([x for x, _ in timed]), np.array([y for _, y in timed])
    edges = np.quantile(length, [1 / 3, 2 / 3])
    third = np.digitize(length, edges)
    whole = float(np.median(seconds))
    typical = [float(np.median(seconds[third == i])) if (third == i).any() else whole for i in range(3)]
    return np.array(typical, np.float32)[np.digitize(boxes, edges)]


def _answers(watermark_seq: int, repeat_after: int) -> sa.Select[Any]:
    """Track and state of each effective answer: the individual, or why there is none; and whether it is old enough to
    be asked again, once."""
    # What stands now: the watermark is that of the same snapshot, and nothing is newer. SQL Server has no such
    # snapshot; there an answer of that moment may be known though the watermark is before it. It is not asked again.
    answer = effective_answers().subquery("answer")
    meaning = sa.case(
        (answer.c.kind.in_(NAMING_KINDS), answer.c.individual_id),
        (answer.c.kind == "unknown", PROVISIONAL),
        (answer.c.kind == "cannot_tell", CANNOT_TELL),
        else_=JUNK,
    )
    old = sa.case((sa.and_(answer.c.seq <= watermark_seq - repeat_after, answer.c.lane != "repeat"), 1), else_=0)
    return sa.select(answer.c.track_id, meaning, old)


def _agreed() -> sa.Select[Any]:
    """Tracks of which two people said who they are, so that an expert need not."""
    return sa.select(t.track_evidence.c.track_id).where(t.track_evidence.c.state == "agreed")


def _leased(now: datetime) -> list[sa.Select[Any]]:
    """The tracks that are on a screen now, both of a pair, all of a page."""
    item = t.acquisition_queue.c
    held = sa.and_(item.state == "leased", item.leased_until >= now)
    return [
        sa.select(item.track_id).where(held).distinct(),
        sa.select(item.other_track_id).where(held, item.other_track_id.is_not(None)).distinct(),
        tracks_of_leased_pages(now),
    ]


def _recently_skipped() -> sa.Select[Any]:
    item = t.acquisition_queue.c
    return sa.select(item.track_id).where(_just_skipped(), item.lane.not_in(t.SIDE_LANES)).distinct()


def _just_skipped() -> sa.ColumnElement[bool]:
    item = t.acquisition_queue.c
    newest = sa.select(sa.func.coalesce(sa.func.max(t.acquisition_round.c.round_id), 0)).scalar_subquery()
    return sa.and_(item.state == "skipped", item.round_id > newest - SKIP_ROUNDS)


def _not_now(conn: sa.Connection, now: datetime) -> set[tuple[int, int | None]]:
    item = t.acquisition_queue.c
    held = sa.and_(item.state == "leased", item.leased_until >= now)
    rows = conn.execute(
        sa.select(item.track_id, item.other_track_id).where(item.lane.in_(t.SIDE_LANES), sa.or_(held, _just_skipped()))
    )
    return {(one, None) if other is None else (min(one, other), max(one, other)) for one, other in rows}


def columns_of(conn: sa.Connection, query: sa.Select[Any]) -> list[I64Array]:
    """A query of integer columns as arrays i64 [n], read in pages."""
    parts: list[list[I64Array]] = [[] for _ in query.selected_columns]
    for page in pages_of(conn, query):
        for part, column in zip(parts, zip(*page, strict=True), strict=True):
            part.append(np.array(column, np.int64))
    return [np.concatenate(part) if part else np.empty(0, np.int64) for part in parts]


def pages_of(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
    yield from conn.execute(query, execution_options={"yield_per": PAGE}).partitions()


def pool_of(db: Database, store: BlobStore, embedder: ModelRow, snapshot: TrackSnapshot) -> TrackPool:
    emb, have = _embeddings(db, store, embedder, snapshot.track)
    everything = bool(have.all())
    kept = slice(None) if everything else have
    drifted = snapshot.drifted
    return TrackPool(
        emb if everything else _compacted(emb, have),
        snapshot.track[kept],
        snapshot.state[kept],
        snapshot.value[kept],
        snapshot.reserve[kept],
        snapshot.test_day[kept],
        snapshot.video[kept],
        snapshot.place[kept],
        snapshot.cost[kept],
        snapshot.repeat[kept],
        None if drifted is None else drifted.slice_no[kept],
        () if drifted is None else drifted.reasons,
        opened=None if snapshot.opened is None else snapshot.opened[kept],
    )


def _embeddings(db: Database, store: BlobStore, embedder: ModelRow, track: I64Array) -> tuple[F16Array, BoolArray]:
    """Embeddings f16 [n, D] of tracks in their order, and whether each has one; rows without are undefined."""
    emb: F16Array | None = None
    have = np.zeros(len(track), bool)
    for _, track_ids, embedding in read_embeddings(db, store, embedder.model_id):
        if emb is None:
            emb = np.empty((len(track), embedding.shape[1]), np.float16)
        for low in range(0, len(track_ids), CHUNK_ROWS):
            ids, rows = track_ids[low : low + CHUNK_ROWS], embedding[low : low + CHUNK_ROWS]
            here, place = located(track, ids)
            here &= np.isfinite(rows).all(axis=1)
            emb[place[here]] = rows[here]
            have[place[here]] = True
    return (np.empty((len(track), 1), np.float16) if emb is None else emb), have


def _compacted(emb: F16Array, keep: BoolArray) -> F16Array:
    """The kept rows, moved to the front in place: a copy would double the largest array there is."""
    end = 0
    for low in range(0, len(emb), CHUNK_ROWS):
        rows = emb[low : low + CHUNK_ROWS][keep[low : low + CHUNK_ROWS]]
        emb[end : end + len(rows)] = rows
        end += len(rows)
    return emb[:end]


def denied_classes(
    conn: sa.Connection, track_id: I64Array, classes: Sequence[int], same: Mapping[int, int]
) -> I64Array:
    """What people said that tracks do not show, as `TrackPool.denied`: i64 [k, 2], rows of track_id and places among
    the classes of a head. track_id: i64 [n], ascending; same: merged individuals."""
    said = t.track_evidence.c
    columns: dict[int, list[int]] = {}
    for column, who in enumerate(classes):
        columns.setdefault(same.get(who, who), []).append(column)
    denied, of = columns_of(conn, sa.select(said.track_id, said.individual_id).where(said.state == "denied"))
    here, row = located(track_id, denied)
    found = [
        (place, column)
        for place, who in zip(row[here].tolist(), of[here].tolist(), strict=True)
        for column in columns.get(same.get(who, who), ())
    ]
    return np.array(sorted(found), np.int64).reshape(-1, 2)
