"""Label events: the append-only record of what people decided, and the answer that stands for each track.

Belongs here: judging, numbering and storing events; what they do to the queue item that asked; the effective answer.
Does not belong here: files of labels (`label_files`), claims (`queue`), pages (`web`).

An event is never changed or removed. Its id is made by the client, so that sending it twice stores it once; it is
refused only when storing it would say something that cannot be true, and then the reason is a sentence for its author.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one, insert_rows
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import as_merged_at
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.people.lookup import user_called
from chimp_assets.database.people.names import code_of, doubt_about, fault_in, key_of, looks
from chimp_assets.database.schema import (
    ANNOTATION_KINDS,
    CORRECTING_ROLES,
    DISPUTED,
    LANES,
    PAIRS,
    acquisition_queue,
    annotation,
    app_user,
    frame,
    individual,
    individual_alias,
    standing_answer,
    track,
    video,
)
from chimp_assets.database.texts import fault_of, is_storable

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=4383)
"""Twelve years. A device's clock is kept as it is within these bounds: an empty battery sets it years off, and nothing
depends on it. Beyond them it was no clock."""
LONGEST_S = 3600.0
"""Who looks at one track for longer went away from the screen."""

# What may be the effective answer of a track. A skip is an event, never an answer.
ANSWER_KINDS = ("identify", "unknown", "new_individual", "not_animal", "bad_box", "cannot_tell")
NAMING_KINDS = ("identify", "new_individual")
PAIR_KINDS = ("merge", "same", "different")
# What may be the effective answer about a pair of tracks: the last only with an other_track_id.
PAIR_ANSWER_KINDS = ("same", "different", "cannot_tell")
# Whose answer stands when several people answered one track: a smaller number wins, then the later answer.
ROLE_ORDER = {"expert": 0, "admin": 1, "reviewer": 1}
OTHER_ROLES = 2
FREE = "free"
"""The lane of what was said without having been asked."""
WAITING = ("pending", "leased")
DONE = ("answered", "skipped")
COUNTER = ANNOTATION

_LOOKUP = 500


@dataclass(frozen=True)
class LabelEvent:
    """One decision as the client sends it. Boxes are fractions of the displayed picture; times say their zone.

    annotation_id: a UUID made by the client. annotator: a user's name. anim_id: the individual of `identify` (code or
    alias) and of `new_individual` (made from annotation_id where it is not given). other_track_id: the second track of
    `merge`, `same` and `different`, and of a `cannot_tell` or `skip` about a pair. supersedes: what a `retract` takes
    back. item_id: the queue item that asked; it, not the client, says lane and propensity. shown: JSON.

    lane and propensity of an event without an item are taken as they are: they are for imports of own exports, and
    whoever passes on what comes over a network leaves them out.
    """

    annotation_id: str
    kind: str
    annotator: str
    lane: str = "free"
    track_id: int | None = None
    other_track_id: int | None = None
    anim_id: str | None = None
    name: str | None = None
    video_id: int | None = None
    frame_no: int | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    supersedes: str | None = None
    propensity: float | None = None
    item_id: int | None = None
    shown: str | None = None
    note: str | None = None
    seconds: float | None = None
    client_time: datetime | None = None


@dataclass(frozen=True)
class EventResult:
    """What became of one event. seq: its number if it is stored (now or before). reason, field: why it is rejected."""

    annotation_id: str
    status: Literal["stored", "duplicate", "rejected"]
    seq: int | None = None
    reason: str | None = None
    field: str | None = None


class _Rejection(Exception):
    """The sentence that an event's author reads, and the field it is about."""

    def __init__(self, field_name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field_name


class _NothingStored(Exception):
    """Leaves the transaction, so that it is rolled back."""

    def __init__(self, results: list[EventResult]) -> None:
        super().__init__()
        self.results = results


def record_events(db: Database, events: Sequence[LabelEvent], all_or_nothing: bool = False) -> list[EventResult]:
    """Store events in one transaction, in their order; returns one result for each, in the same order.

    `seq` is taken inside the transaction, gapless and in commit order. An event whose id is known is `duplicate` if it
    decides the same, else `rejected` ("id_reused: ..."). Answers mark the item that asked and the waiting items of
    their track, or of their pair, `answered`, a skip `skipped`; a retraction reopens them if no other answer stands.
    Waiting pairs of a track that is answered, but for `unknown`, are `withdrawn`: a name says more than a pair could.
    all_or_nothing: one rejected event keeps the new ones of the batch from being stored.
    """

    def work(conn: sa.Connection) -> list[EventResult]:
        results = record_in(conn, events)
        if all_or_nothing and any(result.status == "rejected" for result in results):
            raise _NothingStored(results)
        return results

    try:
        return db.transact(work)
    except _NothingStored as left:
        reason = "another event of the same batch was rejected"
        return [
            EventResult(result.annotation_id, "rejected", None, reason) if result.status == "stored" else result
            for result in left.results
        ]


def record_in(conn: sa.Connection, events: Sequence[LabelEvent]) -> list[EventResult]:
    """`record_events` inside the caller's write transaction, for those who store many batches or none."""
    next_seq = take_numbers(conn, COUNTER, 0)  # from here on no other transaction stores events
    facts = _Facts.of(conn, events)
    results: list[EventResult] = []
    rows: list[dict[str, Any]] = []
    for event in events:
        try:
            row, earlier_seq = _judge(conn, event, facts)
        except _Rejection as rejection:
            results.append(EventResult(event.annotation_id, "rejected", None, str(rejection), rejection.field))
            continue
        if row is None:
            results.append(EventResult(event.annotation_id, "duplicate", earlier_seq))
            continue
        row["seq"] = next_seq + len(rows)
        rows.append(row)
        facts.learn(row)
        results.append(EventResult(event.annotation_id, "stored", row["seq"]))
    if rows:
        take_numbers(conn, COUNTER, len(rows))
        insert_rows(conn, annotation, {column.name: [row[column.name] for row in rows] for column in annotation.c})
        _keep_standing(conn, rows)
        _settle_items(conn, facts)
    return results


def last_seq(conn: sa.Connection) -> int:
    """The number of the newest event; 0 if there is none. Who has read up to it has read all before it."""
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.max(annotation.c.seq), 0))).scalar_one())


def effective_answers(
    watermark_seq: int | None = None,
    merge_watermark: int | None = None,
    of_tracks: sa.Select[tuple[int]] | Sequence[int] | None = None,
) -> sa.Select[Any]:
    """The answer that stands for each answered track, as of a watermark of labels and one of merges (None: now).

    of_tracks: only these, by their ids or by a statement that selects them; None: all.
    Columns: track_id, annotation_id, seq, kind (one of ANSWER_KINDS), individual_id, lane, annotator_id, propensity.
    Retracted answers and those about a pair do not count; of the others the best role wins (expert; admin and reviewer;
    others), then the newest. individual_id: who that individual is after the merges, not whom the person named.
    Without a watermark of labels `standing_answer` is read, which says the same; so does `v_effective_answer`.
    """
    standing: sa.FromClause = standing_answer
    if watermark_seq is not None:
        standing = derived_answers(watermark_seq, of_tracks).subquery("standing")
    same = as_merged_at(merge_watermark)
    merged = sa.func.coalesce(same.c.root_id, standing.c.individual_id).label("individual_id")
    answers = sa.select(
        *(merged if column.name == "individual_id" else column for column in standing.c)
    ).outerjoin_from(standing, same, same.c.individual_id == standing.c.individual_id)
    if of_tracks is not None and watermark_seq is None:
        answers = answers.where(standing.c.track_id.in_(of_tracks))
    return answers


def derived_answers(
    watermark_seq: int | None = None,
    of_tracks: sa.Select[tuple[int]] | Sequence[int] | sa.BindParameter[Any] | None = None,
) -> sa.Select[Any]:
    """The answers that stand, found among all events: the columns of `standing_answer`, before merges."""
    place = _place_of(annotation.c.track_id)
    standing = (
        sa.select(
            annotation.c.track_id,
            annotation.c.annotation_id,
            annotation.c.seq,
            annotation.c.kind,
            annotation.c.individual_id,
            annotation.c.lane,
            annotation.c.annotator_id,
            annotation.c.propensity,
            place.label("place"),
        )
        .join(app_user, app_user.c.user_id == annotation.c.annotator_id)
        .where(
            annotation.c.kind.in_(ANSWER_KINDS),
            ~sa.and_(annotation.c.kind == "cannot_tell", annotation.c.other_track_id.is_not(None)),
            *_standing(watermark_seq),
        )
    )
    if of_tracks is not None:
        standing = standing.where(annotation.c.track_id.in_(of_tracks))
    ranked = standing.subquery("ranked")
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def effective_pair_answers(watermark_seq: int | None = None) -> sa.Select[Any]:
    """The answer that stands for each pair of tracks about which somebody said something, as of a watermark.

    Columns: track_id < other_track_id, annotation_id, seq, kind (one of PAIR_ANSWER_KINDS), role of who said it. The
    same rules as of `effective_answers`.
    """
    a = annotation.c
    first = sa.case((a.track_id < a.other_track_id, a.track_id), else_=a.other_track_id)
    second = sa.case((a.track_id < a.other_track_id, a.other_track_id), else_=a.track_id)
    ranked = (
        sa.select(
            first.label("track_id"),
            second.label("other_track_id"),
            a.annotation_id,
            a.seq,
            a.kind,
            app_user.c.role,
            _place_of(first, second).label("place"),
        )
        .join(app_user, app_user.c.user_id == a.annotator_id)
        # Tracks have positive numbers; said as a range, so that the index is read and not every answer.
        .where(a.kind.in_(PAIR_ANSWER_KINDS), a.other_track_id > 0, *_standing(watermark_seq))
        .subquery("ranked")
    )
    return sa.select(*(column for column in ranked.c if column.name != "place")).where(ranked.c.place == 1)


def _standing(watermark_seq: int | None) -> list[sa.ColumnElement[bool]]:
    """Events up to a watermark that nobody took back up to it."""
    taken_back = annotation.alias("taken_back")
    retracted = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == annotation.c.annotation_id)
    if watermark_seq is None:
        return [~retracted]
    return [~retracted.where(taken_back.c.seq <= watermark_seq), annotation.c.seq <= watermark_seq]


def _place_of(*subject: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """1 for the answer about a subject that stands: of the best role, and of these the newest."""
    role_order = sa.case(ROLE_ORDER, value=app_user.c.role, else_=OTHER_ROLES)
    return sa.func.row_number().over(partition_by=subject, order_by=[role_order, annotation.c.seq.desc()])


def provisional_anim_id(annotation_id: str) -> str:
    """The code of a new individual whose finder gave none: the same for the same event, wherever it is replayed."""
    return f"NEW-{hashlib.blake2b(annotation_id.encode(), digest_size=4).hexdigest().upper()}"


@dataclass
class _Item:
    track_id: int
    lane: str
    propensity: float
    state: str
    round_id: int
    other_track_id: int | None
    leased_by: int | None = None
    leased_until: datetime | None = None

    @property
    def subject(self) -> frozenset[int]:
        """The track, or both of a pair."""
        return frozenset({self.track_id} if self.other_track_id is None else {self.track_id, self.other_track_id})

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    def is_held_by_another(self, user_id: int, now: datetime) -> bool:
        """Whether somebody else is at it: what others say of its subject is theirs, and it stays with who holds it."""
        held = self.state == "leased" and self.leased_until is not None and self.leased_until > now
        return held and self.leased_by != user_id

    def is_answered_by(self, row: dict[str, Any]) -> bool:
        """Whether an event answers it: a box does not, and what is said of two tracks says nothing of one's name."""
        kind, pair = row["kind"], _pair_of(row)
        if self.other_track_id is not None:
            return bool(pair)
        return kind == "merge" or (not pair and kind in (*ANSWER_KINDS, "skip", "split"))

    def asks_about(self, row: dict[str, Any]) -> bool:
        """Whether an event can be an answer to it, or take one back."""
        if self.other_track_id is None:
            return self.track_id in (row["track_id"], row["other_track_id"])
        return row["track_id"] in self.subject if row["kind"] == "retract" else _pair_of(row) == self.subject


@dataclass
class _Facts:
    """What the database knows about the things that a batch of events names; grows as events are accepted."""

    users: dict[str, tuple[int, str, bool]] = field(default_factory=dict)
    tracks: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    videos: set[int] = field(default_factory=set)
    individuals: dict[str, int] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    retracted: set[str] = field(default_factory=set)
    items: dict[int, _Item] = field(default_factory=dict)
    settled: dict[int, str] = field(default_factory=dict)
    reopened: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, conn: sa.Connection, events: Sequence[LabelEvent]) -> _Facts:
        facts = cls()
        ids = _askable(
            {_canonical(event.annotation_id) for event in events}
            | {_canonical(event.supersedes) for event in events if event.supersedes}
        )
        a = annotation.c
        columns = (
            a.annotation_id, a.seq, a.kind, a.track_id, a.other_track_id, a.item_id, a.annotator_id, a.fingerprint
        )  # fmt: skip
        for row in _rows(conn, lambda part: sa.select(*columns).where(a.annotation_id.in_(part)), ids):
            facts.known[row.annotation_id] = dict(row._mapping)
        facts.retracted = {
            row.supersedes
            for row in _rows(
                conn, lambda part: sa.select(a.supersedes).where(a.kind == "retract", a.supersedes.in_(part)), ids
            )
        }
        names = _askable({event.annotator for event in events})
        u = app_user.c
        for row in _rows(
            conn, lambda part: sa.select(u.name, u.user_id, u.role, u.disabled).where(u.name.in_(part)), names
        ):
            facts.users[row.name] = (row.user_id, row.role, bool(row.disabled))
        for name in names - facts.users.keys():
            if (found := user_called(conn, name)) is not None:
                facts.users[name] = (found.user_id, found.role, bool(found.disabled))
        track_ids = {i for event in events for i in (event.track_id, event.other_track_id) if i is not None}
        t = track.c
        for row in _rows(
            conn,
            lambda part: sa.select(t.track_id, t.video_id, t.first_frame_no, t.last_frame_no).where(
                t.track_id.in_(part)
            ),
            track_ids,
        ):
            facts.tracks[row.track_id] = (row.video_id, row.first_frame_no, row.last_frame_no)
        video_ids = {event.video_id for event in events if event.video_id is not None}
        v = video.c.video_id
        facts.videos = {row.video_id for row in _rows(conn, lambda part: sa.select(v).where(v.in_(part)), video_ids)}
        codes = {_code(event) for event in events if event.kind in NAMING_KINDS}
        facts._load_individuals(conn, _askable(codes) - {""})
        facts._load_items(conn, events)
        return facts

    def _load_individuals(self, conn: sa.Connection, codes: set[str]) -> None:
        i = individual.c
        for row in _rows(conn, lambda part: sa.select(i.anim_id, i.individual_id).where(i.anim_id.in_(part)), codes):
            self.individuals[row.anim_id] = row.individual_id
        # A code wins over an alias of somebody else.
        others = codes - self.individuals.keys()
        if others:
            # Databases disagree about the capitals of other alphabets: Python compares, as it does everywhere else.
            known = {
                key_of(alias): key
                for alias, key in conn.execute(sa.select(individual_alias.c.alias, individual_alias.c.individual_id))
            }
            known |= {
                key_of(code): key
                for code, key in conn.execute(sa.select(i.anim_id, i.individual_id).order_by(i.individual_id.desc()))
            }
            self.individuals |= {code: known[key_of(code)] for code in others if key_of(code) in known}

    def _load_items(self, conn: sa.Connection, events: Sequence[LabelEvent]) -> None:
        targets = [self.known.get(_canonical(event.supersedes)) for event in events if event.kind == "retract"]
        item_ids = {event.item_id for event in events if event.item_id is not None}
        item_ids |= {row["item_id"] for row in targets if row and row["item_id"] is not None}
        live_of = {event.track_id for event in events if event.track_id is not None}
        done_of = {row["track_id"] for row in targets if row and row["track_id"] is not None}
        q = acquisition_queue.c
        columns = (
            q.item_id, q.round_id, q.track_id, q.lane, q.propensity, q.state, q.other_track_id, q.leased_by,
            q.leased_until,
        )  # fmt: skip

        def of_tracks(track: sa.ColumnElement[int], states: tuple[str, ...]) -> Callable[[list[Any]], sa.Select[Any]]:
            return lambda part: sa.select(*columns).where(track.in_(part), q.state.in_(states))

        for rows in (
            _rows(conn, lambda part: sa.select(*columns).where(q.item_id.in_(part)), item_ids),
            # A pair is found by either of its tracks: an index each, where "or" would be none.
            _rows(conn, of_tracks(q.track_id, WAITING), live_of),
            _rows(conn, of_tracks(q.other_track_id, WAITING), live_of),
            _rows(conn, of_tracks(q.track_id, DONE), done_of),
            _rows(conn, of_tracks(q.other_track_id, DONE), done_of),
        ):
            for row in rows:
                self.items[row.item_id] = _Item(
                    row.track_id, row.lane, row.propensity, row.state, row.round_id, row.other_track_id, row.leased_by,
                    row.leased_until,
                )  # fmt: skip

    def learn(self, row: dict[str, Any]) -> None:
        """An event was accepted: later events of the batch see it, and the queue items it settles are noted."""
        self.known[row["annotation_id"]] = row
        kind = row["kind"]
        if kind == "retract":
            target = self.known[row["supersedes"]]
            self.retracted.add(row["supersedes"])
            self._reopen(target["item_id"], _subject_of(target))
            return
        touched = {row["item_id"]} if row["item_id"] is not None else set()
        if kind in ANSWER_KINDS or _pair_of(row) or kind == "skip":
            subject, author, now = _subject_of(row), row["annotator_id"], row["server_time"]
            touched |= {
                i
                for i, item in self.items.items()
                if item.waits and item.subject == subject and not item.is_held_by_another(author, now)
            }
        self._settle(touched, "skipped" if kind == "skip" else "answered")
        if kind in ANSWER_KINDS and kind != "unknown" and not _pair_of(row):
            pairs = {i for i, item in self.items.items() if item.waits and item.lane == PAIRS}
            self._settle({i for i in pairs if row["track_id"] in self.items[i].subject}, "withdrawn")

    def _settle(self, item_ids: Iterable[int], state: str) -> None:
        for item_id in item_ids:
            self.items[item_id].state = self.settled[item_id] = state
            self.reopened.discard(item_id)

    def _reopen(self, item_id: int | None, subject: frozenset[int]) -> None:
        done = {i: item for i, item in self.items.items() if item.state in DONE}
        if item_id is None:
            # The answer came unasked: the newest item that it had settled is asked again.
            item_id = max((i for i, item in done.items() if item.subject == subject), default=None)
        if item_id in done:
            self.items[item_id].state = "pending"
            self.settled.pop(item_id, None)
            self.reopened.add(item_id)


def _judge(conn: sa.Connection, event: LabelEvent, facts: _Facts) -> tuple[dict[str, Any] | None, int | None]:
    """The row of a new event, or (None, seq) of one that is already stored. Raises _Rejection."""
    row = _meaning(event, facts)
    known = facts.known.get(row["annotation_id"])
    if known is not None:
        if bytes(known["fingerprint"]) in (_fingerprint(row), _exact_fingerprint(row)):
            return None, known["seq"]
        raise _Rejection(
            "annotation_id", "id_reused: an event with this id is already stored and decides something else"
        )
    _check_sender(event, row, facts)
    _check_extras(event)
    _check_subject(conn, event, row, facts)
    item = facts.items.get(event.item_id) if event.item_id is not None else None
    if event.item_id is not None and (item is None or not item.asks_about(row)):
        about = "whether these two tracks are one animal" if item and item.other_track_id else "about this track"
        raise _Rejection("item_id", f"queue item {event.item_id} does not ask {about}")
    now = datetime.now(UTC)
    lane, propensity, item_id = event.lane, event.propensity, event.item_id
    if item is not None:
        lane, propensity = item.lane, item.propensity
        takes_back = event.kind == "retract"
        if not takes_back and (item.is_held_by_another(row["annotator_id"], now) or not item.is_answered_by(row)):
            # Said without having been asked: kept, but nothing of the item's, which goes on waiting.
            lane, propensity, item_id = FREE, None, None
    if event.kind in NAMING_KINDS and row["individual_id"] is None:
        row["individual_id"] = _new_individual(conn, event, facts)
    return row | {
        "lane": lane,
        "propensity": propensity,
        "item_id": item_id,
        "shown": event.shown,
        "note": event.note,
        "seconds": event.seconds,
        "client_time": event.client_time,
        "server_time": now,
        "fingerprint": _fingerprint(row),
    }, None


def _meaning(event: LabelEvent, facts: _Facts) -> dict[str, Any]:
    """What an event decides, as columns; nothing is checked. A retraction is about the track of what it takes back."""
    user = facts.users.get(event.annotator)
    supersedes = _canonical(event.supersedes) if event.supersedes else None
    target = facts.known.get(supersedes or "") if event.kind == "retract" else None
    return {
        "annotation_id": _canonical(event.annotation_id),
        "kind": event.kind,
        "track_id": target["track_id"] if target else event.track_id,
        "other_track_id": event.other_track_id,
        "individual_id": facts.individuals.get(_code(event)) if event.kind in NAMING_KINDS else None,
        "video_id": event.video_id,
        "frame_no": event.frame_no,
        "x": event.x,
        "y": event.y,
        "w": event.w,
        "h": event.h,
        "supersedes": supersedes,
        "annotator_id": user[0] if user else None,
    }


def _fingerprint(row: dict[str, Any]) -> bytes:
    # The numbers of a box as their columns keep them (REAL): SQL Server gives 0.1 back as 0.10000000149011612.
    return _exact_fingerprint(row | {name: _as_real(row[name]) for name in ("x", "y", "w", "h")})


def _as_real(value: float | None) -> float | None:
    """The shortest number that a REAL keeps as the same one."""
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e30:
        return value  # refused later, by name
    return float(str(np.float32(value)))


def _exact_fingerprint(row: dict[str, Any]) -> bytes:
    # Only what was decided: the same decision with another note or time is the same decision.
    # supersedes decides something only in a retraction; elsewhere it is a remark. Events of earlier versions have this
    # one, with the numbers as they were sent.
    taken_back = row["supersedes"] if row["kind"] == "retract" else None
    text = json.dumps([*(row[name] for name in _MEANING), taken_back], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


_MEANING = (
    "annotation_id", "kind", "track_id", "other_track_id", "individual_id", "video_id", "frame_no", "x", "y", "w", "h",
    "annotator_id",
)  # fmt: skip


def _check_sender(event: LabelEvent, row: dict[str, Any], facts: _Facts) -> None:
    try:
        uuid.UUID(event.annotation_id)
    except (ValueError, AttributeError, TypeError):
        raise _Rejection("annotation_id", f"{event.annotation_id!r} is not a UUID") from None
    if event.kind not in ANNOTATION_KINDS:
        raise _Rejection("kind", f"{event.kind!r} is not a kind of answer; there are {', '.join(ANNOTATION_KINDS)}")
    if event.lane not in LANES:
        raise _Rejection("lane", f"{event.lane!r} is not a lane; there are {', '.join(LANES)}")
    if row["annotator_id"] is None:
        raise _Rejection("annotator", f"there is no user {event.annotator!r}")
    _, role, disabled = facts.users[event.annotator]
    if disabled:
        raise _Rejection("annotator", f"the user {event.annotator!r} is disabled")
    if role == "viewer":
        raise _Rejection("annotator", f"the user {event.annotator!r} may look but not answer")


def _check_extras(event: LabelEvent) -> None:
    if event.seconds is not None and not (math.isfinite(event.seconds) and event.seconds >= 0):
        raise _Rejection("seconds", f"{event.seconds} is not a number of seconds")
    if event.propensity is not None and not 0 < event.propensity <= 1:
        raise _Rejection("propensity", f"propensity {event.propensity} is not a chance between 0 and 1")
    if event.client_time is not None and event.client_time.tzinfo is None:
        raise _Rejection("client_time", "client_time has no time zone")
    if event.client_time is not None and not _is_of_our_calendar(event.client_time):
        raise _Rejection("client_time", "client_time lies outside the years 1 to 9999 in UTC")
    if note_fault := fault_of(event.note or "", 2000):
        raise _Rejection("note", f"the note {note_fault}")
    if event.shown is not None:
        try:
            json.loads(event.shown)
        except ValueError:
            raise _Rejection("shown", "'shown' is not JSON") from None
        if shown_fault := fault_of(event.shown, 4000):
            raise _Rejection("shown", f"'shown' {shown_fault}")


def _is_of_our_calendar(time: datetime) -> bool:
    try:
        time.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _check_subject(conn: sa.Connection, event: LabelEvent, row: dict[str, Any], facts: _Facts) -> None:
    if row["supersedes"] is not None and row["supersedes"] not in facts.known:
        raise _Rejection("supersedes", f"there is no event {row['supersedes']} to take back or replace")
    for track_id in (event.track_id, event.other_track_id):
        if track_id is not None and track_id not in facts.tracks:
            raise _Rejection("track_id", f"there is no track {track_id}")
    if event.video_id is not None and event.video_id not in facts.videos:
        raise _Rejection("video_id", f"there is no video {event.video_id}")
    if event.track_id is not None and event.video_id not in (None, facts.tracks[event.track_id][0]):
        raise _Rejection("video_id", f"track {event.track_id} is not in video {event.video_id}")
    if event.anim_id and event.kind not in NAMING_KINDS:
        raise _Rejection("anim_id", f"an answer of kind {event.kind!r} cannot name an individual")
    if event.kind == "retract":
        _check_retraction(event, row, facts)
    elif event.kind in PAIR_KINDS or (event.kind in ("cannot_tell", "skip") and event.other_track_id is not None):
        if event.track_id is None or event.other_track_id is None or event.track_id == event.other_track_id:
            raise _Rejection("other_track_id", f"{event.kind!r} needs two different tracks")
    elif event.kind == "box":
        _check_box(conn, event)
    elif event.track_id is None:
        raise _Rejection("track_id", f"an answer of kind {event.kind!r} needs a track")
    elif event.kind == "split":
        _, first, last = facts.tracks[event.track_id]
        if event.frame_no is None or not first < event.frame_no <= last:
            raise _Rejection("frame_no", f"track {event.track_id} can be split at frames {first + 1} to {last}")
    elif event.kind == "identify" and row["individual_id"] is None:
        raise _Rejection(
            "anim_id", f"there is no individual {_code(event)!r}" if event.anim_id else "identify needs an anim_id"
        )


def _check_retraction(event: LabelEvent, row: dict[str, Any], facts: _Facts) -> None:
    if row["supersedes"] is None:
        raise _Rejection("supersedes", "a retraction must name the event it takes back")
    target = facts.known[row["supersedes"]]
    if target["kind"] == "retract":
        raise _Rejection("supersedes", "a retraction cannot be taken back; answer again instead")
    if row["supersedes"] in facts.retracted:
        raise _Rejection("supersedes", "this event was already taken back")
    user_id, role, _ = facts.users[event.annotator]
    if target["annotator_id"] != user_id and role not in CORRECTING_ROLES:
        raise _Rejection(
            "annotator", "only an expert, a reviewer or an administrator may take back somebody else's answer"
        )


def _check_box(conn: sa.Connection, event: LabelEvent) -> None:
    if event.video_id is None or event.frame_no is None:
        raise _Rejection("frame_no", "a box needs a video and a frame")
    x, y, w, h = event.x, event.y, event.w, event.h
    if x is None or y is None or w is None or h is None:
        raise _Rejection("x", "a box needs x, y, w and h")
    # A box drawn to the very edge may pass it by a rounding.
    inside = x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 1.0001 and y + h <= 1.0001
    if not inside:  # also true of NaN
        raise _Rejection("x", "the box must lie inside the picture, in fractions from 0 to 1")
    there = sa.select(frame.c.frame_no).where(frame.c.video_id == event.video_id, frame.c.frame_no == event.frame_no)
    if conn.execute(there).first() is None:
        raise _Rejection("frame_no", f"video {event.video_id} has no frame {event.frame_no}")


def _new_individual(conn: sa.Connection, event: LabelEvent, facts: _Facts) -> int:
    code = _code(event)
    if code == UNKNOWN_ANIM_ID:
        raise _Rejection("anim_id", f"{code} stands for an animal that nobody can name: answer 'unknown'")
    if code_fault := fault_of(code, 40) or fault_in(code):
        raise _Rejection("anim_id", f"the anim_id {code_fault}")
    if name_fault := fault_of(event.name or "", 200) or fault_in(event.name or ""):
        raise _Rejection("name", f"the name {name_fault}")
    if event.anim_id and (doubt := doubt_about(code, _looks_of_individuals(conn))):
        raise _Rejection("anim_id", f"the anim_id {doubt}; chimp individuals import --force takes it all the same")
    made = insert_one(
        conn, individual, anim_id=code, name=event.name or None, provisional=True, created_at=datetime.now(UTC)
    )
    facts.individuals[code] = made
    return made


def _looks_of_individuals(conn: sa.Connection) -> dict[str, str]:
    aliases = conn.scalars(sa.select(individual_alias.c.alias))
    return looks([*(alias.upper() for alias in aliases), *conn.scalars(sa.select(individual.c.anim_id))])


def _keep_standing(conn: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Which answers stand now for the tracks that new events are about. The caller's transaction stores both."""
    a = annotation.c
    tracks = {row["track_id"] for row in rows if row["kind"] in ANSWER_KINDS}
    taken_back = {row["supersedes"] for row in rows if row["kind"] == "retract"}
    tracks |= {
        row.track_id
        for row in _rows(conn, lambda part: sa.select(a.track_id).where(a.annotation_id.in_(part)), taken_back)
        if row.track_id is not None
    }
    for part in _parts(sorted(tracks)):
        found = conn.execute(_DERIVED, {"tracks": part}).mappings().all()
        conn.execute(_FORGET, {"tracks": part})
        if found:
            conn.execute(sa.insert(standing_answer), [dict(one) for one in found])


_TRACKS: sa.BindParameter[Any] = sa.bindparam("tracks", value=(), expanding=True)
# Made once: making them takes as long as running them, at every answer.
_DERIVED = derived_answers(of_tracks=_TRACKS)
_FORGET = sa.delete(standing_answer).where(standing_answer.c.track_id.in_(_TRACKS))


def _settle_items(conn: sa.Connection, facts: _Facts) -> None:
    q = acquisition_queue
    for state in (*DONE, "withdrawn"):
        ids = [item_id for item_id, settled in facts.settled.items() if settled == state]
        for part in _parts(ids):
            conn.execute(
                sa.update(q).where(q.c.item_id.in_(part)).values(state=state, leased_by=None, leased_until=None)
            )
    if not facts.reopened:
        return
    items = {item_id: facts.items[item_id] for item_id in sorted(facts.reopened)}
    named = _kinds_of(conn, {item.track_id for item in items.values() if item.other_track_id is None})
    settled = answered_pairs(conn, {item.subject for item in items.values() if item.lane == PAIRS})
    waiting = [
        item_id
        for item_id, item in items.items()
        # What is disputed is answered already: that it is asked again is the point.
        if item.lane == DISPUTED or not (item.subject in settled or item.subject <= named.keys())
    ]
    for part in _parts(waiting):
        conn.execute(
            sa.update(q).where(q.c.item_id.in_(part)).values(state="pending", leased_by=None, leased_until=None)
        )


def answered_pairs(conn: sa.Connection, pairs: Collection[frozenset[int]]) -> set[frozenset[int]]:
    """Of these pairs of tracks those that need no question: an answer about the pair stands, or one about a track of it
    that says more than `unknown`."""
    answer = effective_pair_answers().subquery().c
    kinds = _kinds_of(conn, {track_id for pair in pairs for track_id in pair})
    found = {pair for pair in pairs if any(kinds.get(track_id, "unknown") != "unknown" for track_id in pair)}
    rows = _rows(
        conn,
        lambda part: sa.select(answer.track_id, answer.other_track_id).where(answer.track_id.in_(part)),
        {min(pair) for pair in pairs},
    )
    return found | (set(pairs) & {frozenset({row.track_id, row.other_track_id}) for row in rows})


def _kinds_of(conn: sa.Connection, track_ids: Iterable[int]) -> dict[int, str]:
    """The kind of the answer that stands for each of some tracks, where there is one."""
    answer = effective_answers().subquery().c
    rows = _rows(conn, lambda part: sa.select(answer.track_id, answer.kind).where(answer.track_id.in_(part)), track_ids)
    return {row.track_id: row.kind for row in rows}


def _pair_of(row: dict[str, Any]) -> frozenset[int]:
    """The two tracks of an event about a pair; empty for others."""
    about_two = row["kind"] in PAIR_KINDS or (
        row["kind"] in ("cannot_tell", "skip") and row["other_track_id"] is not None
    )
    return frozenset({row["track_id"], row["other_track_id"]}) if about_two else frozenset()


def _subject_of(row: dict[str, Any]) -> frozenset[int]:
    return _pair_of(row) or frozenset({row["track_id"]})


def _askable(texts: Iterable[str]) -> set[str]:
    """Those texts that a database can be asked for; the others are in none."""
    return {text for text in texts if is_storable(text)}


def _code(event: LabelEvent) -> str:
    code = code_of(event.anim_id or "")
    return provisional_anim_id(_canonical(event.annotation_id)) if not code and event.kind == "new_individual" else code


def _canonical(identifier: str | None) -> str:
    """A UUID in its one spelling; what is not a UUID stays as it is and is rejected later."""
    try:
        return str(uuid.UUID(identifier))
    except (ValueError, AttributeError, TypeError):
        return str(identifier)


def _parts(values: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _LOOKUP):
        yield list(values[start : start + _LOOKUP])


def _rows(
    conn: sa.Connection, statement: Callable[[list[Any]], sa.Select[Any]], values: Iterable[Any]
) -> Iterator[Any]:
    """Rows of statement(part) for parts of the values: databases limit the number of parameters."""
    for part in _parts(sorted(values)):
        yield from conn.execute(statement(part)).all()
