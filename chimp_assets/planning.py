"""From SQL and the store to a plan, and back: fills a `TrackPool`, lets `acquisition` choose, writes the round.

Belongs here: reading live tracks, answers, leases, splits, embeddings and the champion head; the choice of the phase.
Does not belong here: how tracks are chosen (`acquisition`), when a plan is due (`database.work`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.curation import NOBODY, Curated
from chimp_assets.acquisition.pairs import Pairs, Said, pairs
from chimp_assets.acquisition.plan import LaneError, Phase, Policy, plan
from chimp_assets.acquisition.pool import (
    CANNOT_TELL,
    CHUNK_ROWS,
    FOLLOWS,
    IN_FLIGHT,
    JUNK,
    PROVISIONAL,
    UNLABELLED,
    BoolArray,
    F16Array,
    F32Array,
    Head,
    I32Array,
    I64Array,
    TrackPool,
)
from chimp_assets.database import schema as t
from chimp_assets.database.events import NAMING_KINDS, effective_answers, last_seq
from chimp_assets.database.pairs import Doubt, Evidence, doubts, read_evidence
from chimp_assets.database.queue import write_round
from chimp_assets.database.splits import audit_reserve_mask
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.checkpoint import ModelRow

PAGE = 50_000
_PART = 500

WELL_KNOWN = 5
"""Labels of an individual from which its boundary with others is worth asking about."""

TIMED = 2_000
LEAST_TIMED = 30
"""The newest timed answers that are looked at, and how few of them say nothing about how long the next will take."""

SKIP_ROUNDS = 3
"""Training lanes leave a track alone for so many rounds after a skip: chosen again at once, it would be skipped again.

The audit lane does ask again: an audit without the tracks that people skip would measure only the easy ones.
"""


class PlanningError(ChimpError):
    """A plan cannot be made from what is there."""


@dataclass(frozen=True)
class PlanReport:
    """What a plan did.

    lanes: items of each lane that asks for names; pairs, disputed: items of the other two; contradictions: answers that
    cannot all be true; follows: tracks whose name follows from what was said of others, so that nobody is asked;
    proposals: merges to decide about; n_pool: tracks that could be asked; why: the reason of the phase;
    without_embedding: live tracks that could not be considered because they have no (finite) embedding yet.
    """

    round_id: int
    lanes: dict[str, int]
    pairs: int
    disputed: int
    contradictions: int
    follows: int
    proposals: int
    phase: Phase
    n_pool: int
    seconds: float
    why: str
    without_embedding: int


@dataclass(frozen=True)
class _Known:
    """What SQL knows of the live tracks, in one snapshot; columns as in TrackPool, labels up to watermark_seq."""

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
    said: Evidence
    concluded: Curated
    not_now: set[tuple[int, int | None]]
    """Pairs (the smaller track first) and disputed tracks that somebody holds or has just skipped."""


def build_pool(db: Database, store: BlobStore, settings: Settings) -> TrackPool:
    """Every live track that the champion embedder has embedded. Raises PlanningError where there is no embedder.

    state comes from the effective answers; leased tracks are IN_FLIGHT; those that "same" answers join to a named one
    are FOLLOWS; value is the number of boxes. Memory: the embeddings (f16) and some 20 bytes a track.
    """
    from chimp_assets.vision.checkpoint import champion

    with db.read() as conn:
        embedder = champion(conn, "embedder")
        known = _read_known(conn, settings)
    return _pool(db, store, _required(embedder), known)


def replan(
    db: Database, store: BlobStore, settings: Settings, batch: int | None = None, seed: int | None = None
) -> PlanReport:
    """Plan the next batch and make it the queue. The same labels, models, leases and seed give the same items.

    batch, seed: instead of settings.acquisition.batch and settings.seed. Raises PlanningError where there is no
    embedder, or where the settings name a lane that cannot be planned; nothing is written then.
    """
    from chimp_assets.vision.checkpoint import champion

    began = time.perf_counter()
    batch = settings.acquisition.batch if batch is None else batch
    seed = settings.seed if seed is None else seed
    with db.read() as conn:
        embedder = _required(champion(conn, "embedder"))
        head_row = champion(conn, "head")
        known = _read_known(conn, settings)
        accuracy = _audit_accuracy(conn, head_row.model_id) if head_row else None
        names = _names(conn)
    pool = _pool(db, store, embedder, known)
    head, phase, why = _phase(
        store, settings, embedder, head_row, accuracy, half_is_well_known(known.state, known.reserve), names
    )
    shares = settings.acquisition.warm_shares if phase == "warm" else settings.acquisition.cold_shares
    wanted = settings.acquisition
    policy = Policy(
        phase,
        shares,
        identity_cap=wanted.identity_cap,
        video_cap=wanted.video_cap,
        place_cap=wanted.place_cap,
        value_weight=wanted.value_weight,
        duplicate_likeness=wanted.duplicate_likeness,
    )
    # The watermark makes rounds independent of each other: with one stream of random numbers for all of them, the
    # second audit sample would lie beside the first.
    rng = np.random.default_rng([seed % (1 << 63), known.watermark_seq])
    try:
        made = plan(pool, head, policy, batch, rng)
    except LaneError as error:
        raise PlanningError(
            f"The {phase} plan cannot be made: {error}.", f"Mend acquisition.{phase}_shares in chimp.toml."
        ) from None
    found = _pairs(db, pool, known, made.rows, policy, wanted.pairs_per_round)
    doubtful = _doubts(known, set(pool.track[made.rows].tolist()), wanted.pairs_per_round)
    n_pool = int(np.count_nonzero(pool.may_train())) + int(np.count_nonzero(pool.may_audit()))
    round_id = write_round(
        db,
        policy=json.dumps(
            {**asdict(policy), "batch": batch, "pairs_per_round": wanted.pairs_per_round, "why": why}, sort_keys=True
        ),
        seed=seed,
        embedder_model_id=embedder.model_id,
        # Also in the cold phase: the plan knew this head, and found it too weak.
        head_model_id=head_row.model_id if head_row else None,
        watermark_seq=known.watermark_seq,
        n_pool=n_pool,
        track_ids=[*pool.track[made.rows].tolist(), *(d.track_id for d in doubtful), *pool.track[found.one].tolist()],
        other_track_ids=[
            *[None] * len(made),
            *(d.other_track_id for d in doubtful),
            *pool.track[found.other].tolist(),
        ],
        lanes=[*made.lanes, *[t.DISPUTED] * len(doubtful), *[t.PAIRS] * len(found.one)],
        # Doubts and pairs follow from the pool and the answers: nothing is drawn.
        propensity=[*made.propensity.tolist(), *[1.0] * (len(doubtful) + len(found.one))],
        reasons=[*made.reasons, *(d.reason for d in doubtful), *found.reasons],
    )
    return PlanReport(
        round_id=round_id,
        lanes={lane: made.lanes.count(lane) for lane in sorted(set(made.lanes))},
        pairs=len(found.one),
        disputed=len(doubtful),
        contradictions=len(known.concluded.contradictions),
        follows=int(np.count_nonzero(known.state == FOLLOWS)),
        proposals=len(known.concluded.proposals),
        phase=phase,
        n_pool=n_pool,
        seconds=time.perf_counter() - began,
        why=why,
        without_embedding=len(known.track) - len(pool),
    )


def _pairs(db: Database, pool: TrackPool, known: _Known, asked: I64Array, policy: Policy, b: int) -> Pairs:
    """Pairs to ask "same animal?" that no item of the plan, no answer and nobody's screen has already."""
    row_of = np.full(len(known.said.track), -1)
    here, row = _found(pool.track, known.said.track)
    row_of[here] = row[here]
    group = np.arange(len(pool))
    # A group is known by the row of one of its tracks.
    first = np.full(int(known.concluded.group.max(initial=-1)) + 1, -1)
    first[known.concluded.group[here]] = row[here]
    group[row[here]] = first[known.concluded.group[here]]
    said = row_of[known.said.pair]
    both = (said >= 0).all(axis=1)
    tracks = [(one, other) for one, other in known.not_now if other is not None]
    found, waiting = _found(pool.track, np.array(tracks, np.int64).reshape(-1, 2))
    return pairs(
        pool,
        Said(
            known=np.concatenate([said[both], waiting[found.all(axis=1)]]),
            group=group,
            apart=said[both & (known.said.kind == "different")],
        ),
        b,
        # Of a large pool some tracks are looked at: other answers, others; the seed of the plan does not matter.
        np.random.default_rng([20, len(pool), known.watermark_seq]),
        taken=asked,
        duplicate_likeness=policy.duplicate_likeness,
        impossible=lambda one, other: _seen_together(db, pool, one, other),
    )


def _seen_together(db: Database, pool: TrackPool, one: I64Array, other: I64Array) -> BoolArray:
    """Which pairs of rows were filmed by one camera at one moment: two animals, whatever they look like. bool [k]."""
    assert pool.video is not None
    together = pool.video[one] == pool.video[other]
    rows = np.unique(np.concatenate([one[together], other[together]]))
    first, last = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    track = t.track.c
    with db.read() as conn:
        for low in range(0, len(rows), _PART):
            some = pool.track[rows[low : low + _PART]]
            for row in conn.execute(
                sa.select(track.track_id, track.first_frame_no, track.last_frame_no).where(
                    track.track_id.in_(some.tolist())
                )
            ):
                place = low + int(np.searchsorted(some, row.track_id))
                first[place], last[place] = row.first_frame_no, row.last_frame_no
    a, b = np.searchsorted(rows, one[together]), np.searchsorted(rows, other[together])
    together[together] = (first[a] <= last[b]) & (first[b] <= last[a])
    return together


def _doubts(known: _Known, asked: set[int], b: int) -> list[Doubt]:
    """At most b answers to look at again, none of which is on a screen or asked by the plan already."""
    new = [d for d in doubts(known.said, known.concluded) if (d.track_id, d.other_track_id) not in known.not_now]
    return [d for d in new if d.other_track_id is not None or d.track_id not in asked][:b]


def _required(embedder: ModelRow | None) -> ModelRow:
    if embedder is None:
        raise PlanningError(
            "Nothing can be planned: there is no embedder yet.",
            "It is fitted when enough tracks are there; see chimp status.",
        )
    return embedder


def _phase(
    store: BlobStore,
    settings: Settings,
    embedder: ModelRow,
    head_row: ModelRow | None,
    accuracy: float | None,
    well_known: bool,
    names: dict[int, str],
) -> tuple[Head | None, Phase, str]:
    """The head to ask, if it is good enough to be asked. well_known: half of the individuals have enough labels."""
    if head_row is None:
        return None, "cold", "there is no head yet"
    if head_row.parent_id != embedder.model_id:
        return None, "cold", f"head {head_row.model_id} belongs to another embedder"
    if accuracy is None:
        return None, "cold", f"head {head_row.model_id} has no audit accuracy yet"
    least = settings.acquisition.warm_accuracy
    if accuracy < least and not well_known:
        return None, "cold", f"head {head_row.model_id} names {accuracy:.0%} of the audit right, below {least:.0%}"
    head = _load_head(store, head_row, names)
    if head.n_classes < 2:
        return None, "cold", f"head {head_row.model_id} knows one individual"
    return head, "warm", f"head {head_row.model_id} names {accuracy:.0%} of the audit right"


def _load_head(store: BlobStore, row: ModelRow, names: dict[int, str]) -> Head:
    from chimp_assets.vision.head import load_head

    head = load_head(store, row)
    return Head(
        weight=head.W,
        bias=head.b,
        temperature=head.temperature,
        version=row.model_id,
        names=tuple(names.get(c, str(c)) for c in head.classes.tolist()),
        classes=tuple(head.classes.tolist()),
    )


def half_is_well_known(state: I32Array, reserve: BoolArray) -> bool:
    """Whether at least half of the named individuals, and two of them, have WELL_KNOWN training labels or more."""
    counts = np.unique(state[(state >= 0) & ~reserve], return_counts=True)[1]
    return len(counts) >= 2 and 2 * int((counts >= WELL_KNOWN).sum()) >= len(counts)


def _audit_accuracy(conn: sa.Connection, model_id: int) -> float | None:
    metric = t.evaluation_metric.c
    value = conn.scalar(
        sa.select(metric.value)
        .where(
            metric.model_id == model_id,
            metric.dataset == "audit",
            metric.slice_kind == "all",
            metric.name == "top1",
            metric.n > 0,
        )
        .order_by(metric.metric_id.desc())
        .limit(1)
    )
    return None if value is None else float(value)


def _names(conn: sa.Connection) -> dict[int, str]:
    said, i = t.individual.alias("said"), t.individual
    rows = conn.execute(
        sa.select(said.c.individual_id, i.c.name, i.c.anim_id).join_from(
            said, i, i.c.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id)
        )
    )
    return {row.individual_id: f"{row.name} ({row.anim_id})" if row.name else row.anim_id for row in rows}


def _read_known(conn: sa.Connection, settings: Settings) -> _Known:
    """One snapshot: answers and leases belong to the same moment as the watermark."""
    watermark = last_seq(conn)
    split = t.split_assignment.c.split
    # A video without a split (there should be none) is closed to training rather than open to leakage.
    closed = sa.case((split.in_(("train", "validation")), 0), else_=1)
    track, boxes, test_day, video_id = _columns(
        conn,
        sa.select(t.track.c.track_id, t.track.c.n_detections, closed, t.track.c.video_id)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .outerjoin(t.split_assignment, t.split_assignment.c.video_id == t.track.c.video_id)
        .where(t.track.c.state == "live", t.video.c.state == "tracked")
        .order_by(t.track.c.track_id),
    )
    reserve = audit_reserve_mask(track, settings.seed, settings.acquisition.audit_reserve)
    state = np.full(len(track), UNLABELLED, np.int32)
    skipped = _places(track, _columns(conn, _recently_skipped())[0])
    state[skipped[~reserve[skipped]]] = IN_FLIGHT
    now = datetime.now(UTC)
    leased = np.concatenate([_columns(conn, query)[0] for query in _leased(now)])
    state[_places(track, leased)] = IN_FLIGHT
    answered, meaning, old = _columns(conn, _answers(watermark, settings.acquisition.repeat_after))
    here, row = _found(track, answered)
    state[row[here]] = meaning[here]
    repeat = np.zeros(len(track), bool)
    repeat[row[here]] = old[here].astype(bool)
    repeat[_places(track, leased)] = False
    said = read_evidence(conn, watermark)
    concluded = said.concluded()
    implied = _places(track, said.track[concluded.implied != NOBODY])
    # The audit asks its own tracks whatever others have said: what it measures must not depend on that.
    state[implied[np.isin(state[implied], (UNLABELLED, PROVISIONAL)) & ~reserve[implied]]] = FOLLOWS
    videos, video = np.unique(video_id, return_inverse=True)
    return _Known(
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
        said,
        concluded,
        _not_now(conn, now),
    )


def _day_of(conn: sa.Connection, videos: I64Array) -> I32Array:
    """A number for the camera and day of each video, -1 where it has none. videos: i64 [v], increasing; i32 [v]."""
    split = t.split_assignment.c
    day = np.full(len(videos), -1, np.int32)
    number: dict[str, int] = {}
    for page in _pages(conn, sa.select(split.video_id, split.day_key)):
        here, row = _found(videos, np.array([r.video_id for r in page], np.int64))
        codes = np.array([number.setdefault(r.day_key, len(number)) for r in page], np.int32)
        day[row[here]] = codes[here]
    return day


def _seconds(conn: sa.Connection, boxes: I64Array) -> F32Array:
    """Seconds that an answer about a track of so many boxes is expected to take: the median of its third of lengths."""
    answer = t.annotation.c
    newest = (
        sa.select(t.track.c.n_detections, answer.seconds)
        .join_from(t.annotation, t.track, t.track.c.track_id == answer.track_id)
        .where(answer.kind.in_(NAMING_KINDS), answer.seconds > 0)
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
    """Track and state of each effective answer: the individual, or what kept it from having one; and whether it is old
    enough to be asked again, once."""
    answer = effective_answers(watermark_seq).subquery("answer")
    meaning = sa.case(
        (answer.c.kind.in_(NAMING_KINDS), answer.c.individual_id),
        (answer.c.kind == "unknown", PROVISIONAL),
        (answer.c.kind == "cannot_tell", CANNOT_TELL),
        else_=JUNK,
    )
    old = sa.case((sa.and_(answer.c.seq <= watermark_seq - repeat_after, answer.c.lane != "repeat"), 1), else_=0)
    return sa.select(answer.c.track_id, meaning, old)


def _leased(now: datetime) -> list[sa.Select[Any]]:
    """The tracks that somebody looks at now, both of a pair."""
    item = t.acquisition_queue.c
    held = sa.and_(item.state == "leased", item.leased_until >= now)
    return [
        sa.select(item.track_id).where(held).distinct(),
        sa.select(item.other_track_id).where(held, item.other_track_id.is_not(None)).distinct(),
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


def _columns(conn: sa.Connection, query: sa.Select[Any]) -> list[I64Array]:
    """A query of integer columns as arrays i64 [n], read in pages."""
    parts: list[list[I64Array]] = [[] for _ in query.selected_columns]
    for page in _pages(conn, query):
        for part, column in zip(parts, zip(*page, strict=True), strict=True):
            part.append(np.array(column, np.int64))
    return [np.concatenate(part) if part else np.empty(0, np.int64) for part in parts]


def _pages(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
    yield from conn.execute(query, execution_options={"yield_per": PAGE}).partitions()


def _found(track: I64Array, wanted: I64Array) -> tuple[BoolArray, I64Array]:
    """Whether each wanted track is there, and its row if it is. track: i64 [n], increasing."""
    if len(track) == 0:
        return np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
    place = np.minimum(np.searchsorted(track, wanted), len(track) - 1)
    return track[place] == wanted, place


def _places(track: I64Array, wanted: I64Array) -> I64Array:
    """Rows of those wanted tracks that are there."""
    here, place = _found(track, wanted)
    return place[here]


def _pool(db: Database, store: BlobStore, embedder: ModelRow, known: _Known) -> TrackPool:
    emb, have = _embeddings(db, store, embedder, known.track)
    everything = bool(have.all())
    kept = slice(None) if everything else have
    return TrackPool(
        emb if everything else _compacted(emb, have),
        known.track[kept],
        known.state[kept],
        known.value[kept],
        known.reserve[kept],
        known.test_day[kept],
        known.video[kept],
        known.place[kept],
        known.cost[kept],
        known.repeat[kept],
    )


def _embeddings(db: Database, store: BlobStore, embedder: ModelRow, track: I64Array) -> tuple[F16Array, BoolArray]:
    """Embeddings f16 [n, D] of tracks in their order, and whether each has one; rows without are undefined."""
    from chimp_assets.vision.embedding import read_embeddings

    emb: F16Array | None = None
    have = np.zeros(len(track), bool)
    for _, track_ids, embedding in read_embeddings(db, store, embedder.model_id):
        if emb is None:
            emb = np.empty((len(track), embedding.shape[1]), np.float16)
        for low in range(0, len(track_ids), CHUNK_ROWS):
            ids, rows = track_ids[low : low + CHUNK_ROWS], embedding[low : low + CHUNK_ROWS]
            here, place = _found(track, ids)
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
