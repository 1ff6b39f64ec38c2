"""Queues that are read from the newest events: contradicting names, doubtful names, flags, conflicts, open questions.

Belongs here: one function for each queue, over a range of events. Does not belong here: queues that are always read in
full (`whole_queues`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.labels.answers import counts, effective_answers, holds_at
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS, is_answer
from chimp_assets.database.labels.shown import REVIEW
from chimp_assets.insight.labelling.review.cases import MOST, ModelOpinion, ReviewCase, track_case
from chimp_assets.insight.labelling.review.events import StandingEvent, event_of, is_taken_back, standing_events
from chimp_assets.insight.labelling.review.tracks import answers_of_tracks

SURE = 0.8
"""Probability from which the champion's name casts doubt on the name that a person gave."""


def _touched(low: int, high: int) -> sa.Select[tuple[int]]:
    """Tracks for which an answer in this range of events counts, and tracks that a merge in it has made."""
    looked_at, h, joined = t.annotation.alias("looked_at"), t.answer_heir.alias("heir"), t.track_heir.alias("joined").c
    a = looked_at.c
    answered = (
        sa.select(sa.func.coalesce(h.c.heir_track_id, a.track_id).label("track_id"))
        .outerjoin_from(a.track_id.table, h, sa.and_(h.c.track_id == a.track_id, holds_at(h, None)))
        .where(a.seq > low, a.seq <= high, is_answer(looked_at), a.other_track_id.is_(None), counts(h))
    )
    made = (
        sa.select(joined.heir_track_id)
        .join_from(a.track_id.table, joined.track_id.table, joined.annotation_id == a.annotation_id)
        .where(a.seq > low, a.seq <= high, a.kind == "merge", joined.until_seq.is_(None))
    )
    return sa.select(sa.union(answered, made).subquery("touched").c.track_id)


def _names(conn: sa.Connection, low: int, high: int) -> list[ReviewCase]:
    """Tracks that people named differently, or that were joined though they had two names."""
    a, who, h = t.annotation.c, t.individual.c, t.answer_heir.alias("heir")
    subject = sa.func.coalesce(h.c.heir_track_id, a.track_id)
    source = t.answer_heir.alias("source")
    before = sa.select(source.c.track_id).where(source.c.heir_track_id.in_(_touched(low, high)), holds_at(source, None))
    # Of each person the newest answer to each track that was joined: two names of hers differ as well.
    person = sa.func.row_number().over(partition_by=[subject, a.track_id, a.annotator_id], order_by=a.seq.desc())
    # One number for each meaning: individuals as merged, other answers below zero.
    other = sa.case({kind: -1 - n for n, kind in enumerate(ANSWER_KINDS)}, value=a.kind, else_=0)
    meaning = sa.case((a.kind.in_(NAMING_KINDS), sa.func.coalesce(who.same_as_id, a.individual_id)), else_=other)
    newest = (
        sa.select(subject.label("track_id"), a.seq, meaning.label("meaning"), person.label("place"))
        .outerjoin_from(t.annotation, t.individual, who.individual_id == a.individual_id)
        .outerjoin(h, sa.and_(h.c.track_id == a.track_id, holds_at(h, None)))
        .where(
            sa.or_(a.track_id.in_(_touched(low, high)), a.track_id.in_(before)), counts(h),
            is_answer(t.annotation), a.other_track_id.is_(None),
            ~is_taken_back(),
        )
        .subquery("newest")
    )  # fmt: skip
    last = sa.func.max(newest.c.seq)
    differ = (
        sa.select(newest.c.track_id)
        .where(newest.c.place == 1)
        .group_by(newest.c.track_id)
        .having(sa.func.min(newest.c.meaning) != sa.func.max(newest.c.meaning), last <= high)
        .order_by(last.desc())
        .limit(MOST)
    )
    ids = list(conn.scalars(differ))
    known = answers_of_tracks(conn, ids)
    return [track_case("names", i, known[i]) for i in ids if known[i].disputed and known[i].open_question is None]


def _doubtful(conn: sa.Connection, low: int, high: int) -> list[ReviewCase]:
    """Standing names where the champion head is sure of another, unless a reviewer decided them.

    Those about tracks that measure the model are among them: `queues` leaves them out.
    """
    p, said, now, m = t.prediction.c, t.individual.alias("said"), t.individual.c, t.model.c
    head = sa.select(m.model_id).where(m.task == "head", m.state == "champion").scalar_subquery()
    answers = effective_answers(of_tracks=_touched(low, high)).subquery("answer")
    rows = conn.execute(
        sa.select(answers.c.track_id, now.anim_id, now.name, p.probability)
        .join_from(
            answers,
            t.prediction,
            sa.and_(
                p.track_id == answers.c.track_id, p.model_id == head, p.rank == t.FIRST_RANK, p.probability >= SURE
            ),
        )
        .join(said, said.c.individual_id == p.individual_id)
        .join(t.individual, now.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id))
        .where(answers.c.kind.in_(NAMING_KINDS), answers.c.individual_id != now.individual_id, answers.c.seq <= high)
        .order_by(p.probability.desc(), answers.c.seq.desc())
        .limit(MOST)
    ).all()
    known = answers_of_tracks(conn, [row.track_id for row in rows])
    found = []
    for row in rows:
        one = known[row.track_id]
        if one.reviewed or one.open_question is not None:
            continue
        found.append(
            track_case("doubtful", row.track_id, one, model=ModelOpinion(row.anim_id, row.name, float(row.probability)))
        )
    return found


def _flags(conn: sa.Connection, low: int, high: int) -> list[ReviewCase]:
    """Tracks that somebody flagged for a reviewer."""
    flagged = _marked(conn, low, high, t.annotation.c.shown_flag == sa.true())
    known = answers_of_tracks(conn, [one.track_id for one in flagged if one.track_id is not None])
    found: dict[int, ReviewCase] = {}
    for one in flagged:
        track = known.get(one.track_id or 0)
        if track is None or one.track_id is None or track.reviewed > one.seq or track.open_question is not None:
            continue
        events = {**{s.annotation_id: s for s in track.answers}, one.annotation_id: one}
        case = track_case("flags", one.track_id, track)
        ordered = tuple(sorted(events.values(), key=lambda s: s.seq))
        found.setdefault(one.track_id, replace(case, events=ordered))
    return list(found.values())


def _conflicts(conn: sa.Connection, low: int, high: int) -> list[ReviewCase]:
    """Boxes, and answers in review, whose author had not seen the newest version."""
    marked = _marked(conn, low, high, t.annotation.c.shown_conflict.is_not(None))
    known = answers_of_tracks(conn, [one.track_id for one in marked if one.track_id is not None and one.box is None])
    boxes = _boxes(conn, [one for one in marked if one.box is not None])
    found: dict[str, ReviewCase] = {}
    for one in marked:
        if one.box is None:
            track = known.get(one.track_id or 0)
            # A newer answer by its author settles it, and so does a later decision in review.
            stands = track is not None and one.annotation_id in {s.annotation_id for s in track.answers}
            newer = track is not None and any(s.in_review and s.seq > one.seq for s in track.answers)
            if track is not None and one.track_id is not None and stands and not newer:
                found.setdefault(f"track {one.track_id}", track_case("conflicts", one.track_id, track))
            continue
        beside = boxes[_thing(one)]
        newest: dict[int, StandingEvent] = {s.annotator_id: s for s in beside}
        if newest[one.annotator_id].annotation_id != one.annotation_id:
            continue
        if any(s.in_review and s.seq > one.seq for s in beside) or len({s.meaning for s in newest.values()}) < 2:
            continue
        key = f"box {one.video_id} {one.frame_no} {one.track_id}"
        found.setdefault(
            key,
            ReviewCase(
                f"conflicts:{key}", "conflicts", one.track_id, None,
                tuple(sorted(newest.values(), key=lambda s: s.seq)), beside[-1].annotation_id,
            ),
        )  # fmt: skip
    return list(found.values())


def _asked(conn: sa.Connection, low: int, high: int) -> list[ReviewCase]:
    """Questions that their addressees have not answered."""
    a = t.annotation.c
    questions = [
        event_of(row)
        for row in conn.execute(
            standing_events(
                a.seq > low, a.seq <= high, a.kind == "skip", a.supersedes.is_not(None), a.shown_mode == REVIEW
            )
        )
    ]
    known = answers_of_tracks(conn, [one.track_id for one in reversed(questions) if one.track_id is not None])
    return [track_case("asked", i, track) for i, track in known.items() if track.open_question is not None][:MOST]


def _marked(conn: sa.Connection, low: int, high: int, mark: sa.ColumnElement[bool]) -> list[StandingEvent]:
    """Events of a range whose `shown` contains the mark, newest first."""
    a = t.annotation.c
    # In a subquery, so that only events with the mark are joined to their authors.
    with_mark = sa.select(a.annotation_id).where(a.seq > low, a.seq <= high, mark)
    rows = conn.execute(standing_events(a.annotation_id.in_(with_mark)))
    return [event_of(row) for row in rows][::-1][:MOST]


def _thing(one: StandingEvent) -> tuple[Any, ...]:
    return (one.video_id, one.frame_no, one.track_id)


def _boxes(conn: sa.Connection, marked: Sequence[StandingEvent]) -> dict[tuple[Any, ...], list[StandingEvent]]:
    """Every standing box of the same track in the same frame, oldest first."""
    a = t.annotation.c
    wanted = {_thing(one) for one in marked}
    found: dict[tuple[Any, ...], list[StandingEvent]] = defaultdict(list)
    for part in in_parts(sorted({one.video_id for one in marked if one.video_id is not None})):
        frames = sorted({one.frame_no for one in marked if one.frame_no is not None and one.video_id in part})
        for row in conn.execute(standing_events(a.kind == "box", a.video_id.in_(part), a.frame_no.in_(frames))):
            one = event_of(row)
            if _thing(one) in wanted:
                found[_thing(one)].append(one)
    return found


EVENT_QUEUES: dict[str, Callable[[sa.Connection, int, int], list[ReviewCase]]] = {
    "names": _names,
    "doubtful": _doubtful,
    "flags": _flags,
    "conflicts": _conflicts,
    "asked": _asked,
}
