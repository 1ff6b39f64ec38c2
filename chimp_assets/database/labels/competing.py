"""Two people who edit the same thing: whoever did not see the newest version learns of it, and both opinions stay.

Belongs here: the newest version of a thing (the standing answer of a track, the newest box of a track in a frame), and
storing decisions with the version their author had seen. Does not belong here: judging and storing itself (`events`).

Naming a track that somebody else has named is no conflict but a second opinion; only an edit (of a box, or of an answer
under review) names with base_event_id the event it edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import COUNTER, EventResult, LabelEvent, record_in
from chimp_assets.database.labels.kinds import ANSWER_KINDS
from chimp_assets.database.labels.shown import with_conflict


@dataclass(frozen=True)
class Opinion:
    """A decision, and the event that its author saw as the newest. None: a first opinion, which nothing contradicts."""

    event: LabelEvent
    base_event_id: str | None = None


@dataclass(frozen=True)
class OpinionResult:
    """The result of storing a decision. head: the newer event that its author had not seen; both stay stored."""

    result: EventResult
    head: dict[str, Any] | None = None


def record_opinions(db: Database, opinions: Sequence[Opinion]) -> list[OpinionResult]:
    """`record_events`, and for each edit the newer event that its author had not seen. One transaction."""

    def work(conn: sa.Connection) -> list[OpinionResult]:
        take_numbers(conn, COUNTER, 0)  # nobody else stores events between reading the heads and storing
        edits = [opinion for opinion in opinions if opinion.base_event_id is not None]
        heads = _heads(conn, edits) if edits else {}
        results = record_in(conn, _with_marks(opinions, heads))
        recorded = []
        for opinion, result in zip(opinions, results, strict=True):
            head = heads.get(_thing(opinion.event)) if opinion.base_event_id is not None else None
            unseen = head is not None and head["annotation_id"] != opinion.base_event_id
            recorded.append(OpinionResult(result, head if unseen and result.status == "stored" else None))
            if result.status == "stored" and opinion.base_event_id is not None:
                # What follows in the same batch was made by the same person, who saw this one.
                heads.pop(_thing(opinion.event), None)
        return recorded

    return db.transact(work)


def _with_marks(
    opinions: Sequence[Opinion], heads: Mapping[tuple[Any, ...] | None, dict[str, Any]]
) -> list[LabelEvent]:
    """The events to store. An edit that overlooks the head is marked in `shown`, where a reviewer finds it."""
    seen: set[tuple[Any, ...] | None] = set()
    events = []
    for opinion in opinions:
        event, thing = opinion.event, _thing(opinion.event)
        head = None if opinion.base_event_id is None or thing in seen else heads.get(thing)
        if head is not None and head["annotation_id"] != opinion.base_event_id:
            event = replace(event, shown=with_conflict(event.shown, head["annotation_id"]))
        if opinion.base_event_id is not None:
            seen.add(thing)
        events.append(event)
    return events


def _thing(event: LabelEvent) -> tuple[Any, ...] | None:
    if event.kind == "box":
        return ("box", event.video_id, event.frame_no, event.track_id)
    if event.kind in ANSWER_KINDS:
        return ("track", event.track_id)
    return None


def _heads(conn: sa.Connection, edits: Sequence[Opinion]) -> dict[tuple[Any, ...] | None, dict[str, Any]]:
    tracks = sorted({e.event.track_id for e in edits if e.event.kind in ANSWER_KINDS and e.event.track_id is not None})
    boxes = {(e.event.video_id, e.event.frame_no, e.event.track_id) for e in edits if e.event.kind == "box"}
    found: dict[tuple[Any, ...] | None, dict[str, Any]] = {}
    for part in in_parts(tracks):
        answers = effective_answers(of_tracks=part).subquery()
        for row in conn.execute(_described(answers.c.annotation_id)):
            found[("track", row.track_id)] = dict(row._mapping)
    videos = sorted({video_id for video_id, _, _ in boxes if video_id is not None})
    a, taken_back = t.annotation.c, t.annotation.alias("taken_back")
    undone = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == a.annotation_id)
    frames = sorted({frame_no for _, frame_no, _ in boxes if frame_no is not None})
    for part in in_parts(videos):
        newest = sa.select(a.annotation_id).where(
            a.kind == "box", a.video_id.in_(part), a.frame_no.in_(frames), ~undone
        )
        for row in conn.execute(_described(newest.subquery().c.annotation_id)):
            key = (row.video_id, row.frame_no, row.track_id)
            if key in boxes:
                found[("box", *key)] = dict(row._mapping)  # in the order of seq: the newest stays
    return found


def _described(annotation_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Events by their ids, with the names a person reads, in commit order."""
    a, u, i = t.annotation.c, t.app_user.c, t.individual.c
    return (
        sa.select(
            a.annotation_id, a.seq, a.kind, a.track_id, a.video_id, a.frame_no, a.x, a.y, a.w, a.h, a.server_time,
            u.name.label("annotator"), i.anim_id, i.name,
        )
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .outerjoin(t.individual, i.individual_id == a.individual_id)
        .where(a.annotation_id.in_(sa.select(annotation_id)))
        .order_by(a.seq)
    )  # fmt: skip
