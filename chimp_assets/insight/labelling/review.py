"""What somebody who may correct should look at again: where people, or people and the model, say different things.

Belongs here: which tracks, pairs, boxes and individuals those are, and what each person said of them. Does not belong
here: the decision (an event like any other, `database.events`), drawing.

Events are numbered without gaps, so one look goes through the newest LOOKED_AT of them (TRACKS_LOOKED_AT where tracks
are read), and an older look begins where it ended: the cost does not grow with the archive. A decision that was made in
review (`"mode":"review"` in what was shown) settles what was said before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import OTHER_ROLES, ROLE_ORDER, effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS, PAIR_ANSWER_KINDS
from chimp_assets.database.labels.shown import GOLD, REVIEW, Shown
from chimp_assets.loop.evidence import doubts, read_evidence

QUEUES = ("names", "pairs", "missed", "provisional", "doubtful", "flags", "conflicts", "asked")
LOOKED_AT = 10_000
"""Newest events that one look goes through."""
TRACKS_LOOKED_AT = 2_000
"""The same where everything is read that people ever said of the tracks of these events."""
PROVISIONAL = 100
"""Provisional individuals, the newest, among which cases are; more wait until these are settled."""
PICTURED = 5
"""Newest tracks of a provisional individual that are looked at."""
SURE = 0.8
"""Probability from which the champion is sure enough to doubt a person."""
MOST = 200
"""Cases of a queue that one look finds."""
_PART = 500


@dataclass(frozen=True)
class Said:
    """One event that stands: what somebody said of a track, a pair or a box, and how. shown: as it was stored.

    individual_id, anim_id, name: who that is now, after merges. weight: 0 counts most.
    """

    annotation_id: str
    seq: int
    kind: str
    track_id: int | None
    other_track_id: int | None
    video_id: int | None
    frame_no: int | None
    box: tuple[float, float, float, float] | None
    individual_id: int | None
    anim_id: str | None
    name: str | None
    annotator_id: int
    weight: int
    at: datetime
    seconds: float | None
    note: str | None
    supersedes: str | None
    shown: Shown

    @property
    def corrects(self) -> bool:
        """Whether it was said by somebody who may correct others."""
        return self.weight < OTHER_ROLES

    @property
    def in_review(self) -> bool:
        """Whether it is a decision between others' answers."""
        return self.shown.mode == REVIEW and self.corrects

    @property
    def meaning(self) -> tuple[Any, ...]:
        """Equal for events that say the same."""
        if self.box is not None:
            return ("box", *self.box)
        return ("name", self.individual_id) if self.kind in NAMING_KINDS else (self.kind, None)


@dataclass(frozen=True)
class Doubted:
    """Whom the champion takes a track for, and how surely, against the name that stands."""

    anim_id: str
    name: str | None
    probability: float


@dataclass(frozen=True)
class Case:
    """One thing to decide. said: what stands of it, one event of each person, the oldest first; head: what counts.

    reason: in words, of a contradiction; individual: (anim_id, name, tracks that were named so) of a provisional one,
    and more: its newest tracks; check: gold or plant, of a missed question; asked: the open question to an author.
    """

    key: str
    queue: str
    track_id: int | None
    other_track_id: int | None
    said: tuple[Said, ...]
    head: str | None = None
    reason: str | None = None
    model: Doubted | None = None
    individual: tuple[str, str | None, int] | None = None
    more: tuple[int, ...] = ()
    check: str | None = None
    asked: Said | None = None


@dataclass(frozen=True)
class Look:
    """The cases of one look, the newest first. older: where the next look begins; None: nothing older is there."""

    cases: list[Case]
    older: int | None


def look(conn: sa.Connection, queue: str, before: int | None = None) -> Look:
    """The cases of a queue, as far as one look goes. before: only events with a smaller seq (of queues of events)."""
    if queue in _WHOLE:
        return Look(_WHOLE[queue](conn), None)
    high = min(last_seq(conn), (before or 2**62) - 1)
    low = max(0, high - (TRACKS_LOOKED_AT if queue in ("names", "doubtful") else LOOKED_AT))
    found = _OF_EVENTS[queue](conn, low, high)
    return Look(found, low + 1 if low else None)


def counts(conn: sa.Connection) -> dict[str, int]:
    """How many cases the newest look finds in each queue; MOST stands for that many or more."""
    return {queue: len(look(conn, queue).cases) for queue in QUEUES}


def authors(conn: sa.Connection, annotation_ids: Sequence[str]) -> dict[str, str]:
    """Who said what: the name of the person behind each of some events."""
    a, u = t.annotation.c, t.app_user.c
    rows = conn.execute(
        sa.select(a.annotation_id, u.name)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.annotation_id.in_(list(annotation_ids)[:_PART]))
    )
    return {row.annotation_id: row.name for row in rows}


def _touched(low: int, high: int) -> sa.Select[tuple[int]]:
    """Tracks that an answer of this look is about."""
    a = t.annotation.alias("looked_at").c
    return (
        sa.select(a.track_id)
        .where(a.seq > low, a.seq <= high, a.kind.in_(ANSWER_KINDS), a.other_track_id.is_(None))
        .distinct()
    )


def _undone() -> sa.Exists:
    back = t.annotation.alias("taken_back")
    return sa.exists().where(back.c.kind == "retract", back.c.supersedes == t.annotation.c.annotation_id)


def _weight() -> sa.ColumnElement[int]:
    return sa.case(ROLE_ORDER, value=t.app_user.c.role, else_=OTHER_ROLES)


def _events(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Events that nobody took back, with their author's weight and the individual they name, in order."""
    a, said, now = t.annotation.c, t.individual.alias("said"), t.individual.c
    return (
        sa.select(
            a.annotation_id, a.seq, a.kind, a.track_id, a.other_track_id, a.video_id, a.frame_no, a.x, a.y, a.w, a.h,
            a.annotator_id, a.server_time, a.seconds, a.note, a.supersedes, a.shown, _weight().label("weight"),
            now.individual_id, now.anim_id, now.name,
        )
        .join_from(t.annotation, t.app_user, t.app_user.c.user_id == a.annotator_id)
        .outerjoin(said, said.c.individual_id == a.individual_id)
        .outerjoin(t.individual, now.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id))
        .where(~_undone(), *which)
        .order_by(a.seq)
    )  # fmt: skip


def _said(row: Any) -> Said:
    box = (row.x, row.y, row.w, row.h) if row.kind == "box" else None
    return Said(
        row.annotation_id, row.seq, row.kind, row.track_id, row.other_track_id, row.video_id, row.frame_no, box,
        row.individual_id, row.anim_id, row.name, row.annotator_id, row.weight, row.server_time, row.seconds, row.note,
        row.supersedes, Shown.of(row.shown),
    )  # fmt: skip


@dataclass(frozen=True)
class _Track:
    """All that people say of one track now. answers: the newest of each person; asked: questions to their authors."""

    answers: list[Said]
    asked: list[Said]

    @property
    def reviewed(self) -> int:
        """The seq of the newest decision in review; 0 without one."""
        return max((one.seq for one in self.answers if one.in_review), default=0)

    @property
    def head(self) -> Said | None:
        """The answer that stands."""
        return min(self.answers, key=lambda one: (one.weight, -one.seq), default=None)

    @property
    def open_question(self) -> Said | None:
        """The newest question that nobody has answered: no newer answer, and the one it is about still stands."""
        newest = max((one.seq for one in self.answers), default=0)
        ids = {one.annotation_id for one in self.answers}
        return next((q for q in reversed(self.asked) if q.seq > newest and q.supersedes in ids), None)

    @property
    def disputed(self) -> bool:
        """Whether answers that nobody has settled differ: a decision in review settles all before it, the answer of
        somebody who may correct settles those before it of people who may not. Gold is counted as `missed`.
        """
        corrected = max((one.seq for one in self.answers if one.corrects), default=0)
        open_ones = [
            one
            for one in self.answers
            if one.seq >= (self.reviewed if one.corrects else corrected) and one.shown.mode != GOLD
        ]
        return len({one.meaning for one in open_ones}) > 1


def _tracks(conn: sa.Connection, track_ids: Iterable[int]) -> dict[int, _Track]:
    """What people say of some tracks now."""
    a = t.annotation.c
    newest: dict[int, dict[int, Said]] = defaultdict(dict)
    asked: dict[int, list[Said]] = defaultdict(list)
    ids = list(dict.fromkeys(track_ids))
    for part in _parts(ids):
        answers = sa.and_(a.kind.in_(ANSWER_KINDS), a.other_track_id.is_(None))
        questions = sa.and_(a.kind == "skip", a.supersedes.is_not(None))
        for row in conn.execute(_events(a.track_id.in_(part), sa.or_(answers, questions))):
            one = _said(row)
            if one.kind == "skip":
                if one.in_review:
                    asked[row.track_id].append(one)
            else:
                newest[row.track_id][one.annotator_id] = one
    return {i: _Track(sorted(newest[i].values(), key=lambda one: one.seq), asked[i]) for i in ids}


def _case(queue: str, track_id: int, known: _Track, **more: Any) -> Case:
    head = known.head
    return Case(
        f"{queue}:{track_id}", queue, track_id, None, tuple(known.answers), head.annotation_id if head else None,
        asked=known.open_question, **more,
    )  # fmt: skip


def _names(conn: sa.Connection, low: int, high: int) -> list[Case]:
    """Tracks of which people say different things."""
    a, who = t.annotation.c, t.individual.c
    person = sa.func.row_number().over(partition_by=[a.track_id, a.annotator_id], order_by=a.seq.desc())
    # One number for each meaning: individuals as merged, other answers below zero.
    other = sa.case({kind: -1 - n for n, kind in enumerate(ANSWER_KINDS)}, value=a.kind, else_=0)
    meaning = sa.case((a.kind.in_(NAMING_KINDS), sa.func.coalesce(who.same_as_id, a.individual_id)), else_=other)
    newest = (
        sa.select(a.track_id, a.seq, meaning.label("meaning"), person.label("place"))
        .outerjoin_from(t.annotation, t.individual, who.individual_id == a.individual_id)
        .where(
            a.track_id.in_(_touched(low, high)), a.kind.in_(ANSWER_KINDS), a.other_track_id.is_(None), ~_undone(),
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
    known = _tracks(conn, ids)
    return [_case("names", i, known[i]) for i in ids if known[i].disputed and known[i].open_question is None]


def _doubtful(conn: sa.Connection, low: int, high: int) -> list[Case]:
    """Names that stand where the champion head is sure of another, unless they were decided in review."""
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
    known = _tracks(conn, [row.track_id for row in rows])
    found = []
    for row in rows:
        one = known[row.track_id]
        if one.reviewed or one.open_question is not None:
            continue
        found.append(_case("doubtful", row.track_id, one, model=Doubted(row.anim_id, row.name, float(row.probability))))
    return found


def _flags(conn: sa.Connection, low: int, high: int) -> list[Case]:
    """Tracks that somebody asked a reviewer to look at."""
    flagged = _marked(conn, low, high, t.annotation.c.shown_flag == sa.true())
    known = _tracks(conn, [one.track_id for one in flagged if one.track_id is not None])
    found: dict[int, Case] = {}
    for one in flagged:
        track = known.get(one.track_id or 0)
        if track is None or one.track_id is None or track.reviewed > one.seq or track.open_question is not None:
            continue
        said = {**{s.annotation_id: s for s in track.answers}, one.annotation_id: one}
        case = _case("flags", one.track_id, track)
        ordered = tuple(sorted(said.values(), key=lambda s: s.seq))
        found.setdefault(one.track_id, replace(case, said=ordered))
    return list(found.values())


def _conflicts(conn: sa.Connection, low: int, high: int) -> list[Case]:
    """Edits whose author had not seen the newest version: a box, an answer in review."""
    marked = _marked(conn, low, high, t.annotation.c.shown_conflict.is_not(None))
    known = _tracks(conn, [one.track_id for one in marked if one.track_id is not None and one.box is None])
    boxes = _boxes(conn, [one for one in marked if one.box is not None])
    found: dict[str, Case] = {}
    for one in marked:
        if one.box is None:
            track = known.get(one.track_id or 0)
            # One's own newer answer settles it, and so does a decision after it.
            stands = track is not None and one.annotation_id in {s.annotation_id for s in track.answers}
            newer = track is not None and any(s.in_review and s.seq > one.seq for s in track.answers)
            if track is not None and one.track_id is not None and stands and not newer:
                found.setdefault(f"track {one.track_id}", _case("conflicts", one.track_id, track))
            continue
        beside = boxes[_thing(one)]
        newest: dict[int, Said] = {s.annotator_id: s for s in beside}
        if newest[one.annotator_id].annotation_id != one.annotation_id:
            continue
        if any(s.in_review and s.seq > one.seq for s in beside) or len({s.meaning for s in newest.values()}) < 2:
            continue
        key = f"box {one.video_id} {one.frame_no} {one.track_id}"
        found.setdefault(
            key,
            Case(
                f"conflicts:{key}", "conflicts", one.track_id, None,
                tuple(sorted(newest.values(), key=lambda s: s.seq)), beside[-1].annotation_id,
            ),
        )  # fmt: skip
    return list(found.values())


def _asked(conn: sa.Connection, low: int, high: int) -> list[Case]:
    """Questions to authors that they have not answered."""
    a = t.annotation.c
    questions = [
        _said(row)
        for row in conn.execute(
            _events(a.seq > low, a.seq <= high, a.kind == "skip", a.supersedes.is_not(None), a.shown_mode == REVIEW)
        )
    ]
    known = _tracks(conn, [one.track_id for one in reversed(questions) if one.track_id is not None])
    return [_case("asked", i, track) for i, track in known.items() if track.open_question is not None][:MOST]


def _marked(conn: sa.Connection, low: int, high: int, mark: sa.ColumnElement[bool]) -> list[Said]:
    """Events of a look with a mark in what was shown, the newest first."""
    a = t.annotation.c
    # The events themselves first: only those with the mark are joined to their people.
    with_mark = sa.select(a.annotation_id).where(a.seq > low, a.seq <= high, mark)
    rows = conn.execute(_events(a.annotation_id.in_(with_mark)))
    return [_said(row) for row in rows][::-1][:MOST]


def _thing(one: Said) -> tuple[Any, ...]:
    return (one.video_id, one.frame_no, one.track_id)


def _boxes(conn: sa.Connection, marked: Sequence[Said]) -> dict[tuple[Any, ...], list[Said]]:
    """Every box that stands of the same things, the oldest first."""
    a = t.annotation.c
    wanted = {_thing(one) for one in marked}
    found: dict[tuple[Any, ...], list[Said]] = defaultdict(list)
    for part in _parts(sorted({one.video_id for one in marked if one.video_id is not None})):
        frames = sorted({one.frame_no for one in marked if one.frame_no is not None and one.video_id in part})
        for row in conn.execute(_events(a.kind == "box", a.video_id.in_(part), a.frame_no.in_(frames))):
            one = _said(row)
            if _thing(one) in wanted:
                found[_thing(one)].append(one)
    return found


def _pairs(conn: sa.Connection) -> list[Case]:
    """Answers about pairs, and names, that cannot all be true."""
    evidence = read_evidence(conn)
    found = doubts(evidence, evidence.concluded())[:MOST] if len(evidence.pair) else []
    single = _tracks(conn, [d.track_id for d in found if d.other_track_id is None])
    a = t.annotation.c
    wanted = {frozenset({d.track_id, d.other_track_id}) for d in found if d.other_track_id is not None}
    newest: dict[frozenset[int], dict[int, Said]] = defaultdict(dict)
    for part in _parts(sorted({i for pair in wanted for i in pair if i is not None})):
        for row in conn.execute(_events(a.track_id.in_(part), a.kind.in_(PAIR_ANSWER_KINDS))):
            pair = frozenset({row.track_id, row.other_track_id})
            if pair in wanted:
                newest[pair][row.annotator_id] = _said(row)
    cases = []
    for doubt in found:
        if doubt.other_track_id is None:
            cases.append(_case("pairs", doubt.track_id, single[doubt.track_id], reason=doubt.reason))
            continue
        said = sorted(newest[frozenset({doubt.track_id, doubt.other_track_id})].values(), key=lambda one: one.seq)
        head = min(said, key=lambda one: (one.weight, -one.seq), default=None)
        cases.append(
            Case(
                f"pairs:{doubt.track_id}:{doubt.other_track_id}", "pairs", doubt.track_id, doubt.other_track_id,
                tuple(said), head.annotation_id if head else None, doubt.reason,
            )
        )  # fmt: skip
    return cases


def _missed(conn: sa.Connection) -> list[Case]:
    """Questions whose answer is known, and that somebody answered wrongly: not decided since."""
    c = t.quality_check.c
    rows = conn.execute(
        sa.select(c.check_id, c.kind, c.user_id, c.track_id, c.individual_id, c.answered_at)
        .where(c.passed == sa.false())
        .order_by(c.check_id.desc())
        .limit(MOST)
    ).all()
    known = _tracks(conn, [row.track_id for row in rows])
    found: dict[int, Case] = {}
    for row in rows:
        track = known[row.track_id]
        decided = any(s.in_review and row.answered_at is not None and s.at > row.answered_at for s in track.answers)
        theirs = next((s for s in track.answers if s.annotator_id == row.user_id), None)
        # An answer to gold that was taken back, or mended, is no longer wrong; a grid stores nothing.
        mended = row.kind == "gold" and (theirs is None or not _differs(theirs, track))
        if not decided and not mended and track.open_question is None:
            found.setdefault(row.track_id, _case("missed", row.track_id, track, check=row.kind))
    return list(found.values())


def _differs(one: Said, track: _Track) -> bool:
    head = track.head
    return head is not None and head.meaning != one.meaning


def _provisional(conn: sa.Connection) -> list[Case]:
    """Individuals that were entered while labelling, and that nobody has confirmed; those with most tracks first."""
    i, a = t.individual.c, t.annotation.c
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name)
        .where(i.provisional == sa.true(), i.same_as_id.is_(None))
        .order_by(i.individual_id.desc())
        .limit(PROVISIONAL)
    ).all()
    merged = t.individual.alias("merged")
    now = sa.func.coalesce(merged.c.same_as_id, merged.c.individual_id)
    ids = [row.individual_id for row in rows]
    named = (
        sa.select(
            now.label("individual_id"), a.track_id, a.seq,
            sa.func.row_number().over(partition_by=now, order_by=a.seq.desc()).label("place"),
            sa.func.count().over(partition_by=now).label("n"),
        )
        .join_from(merged, t.annotation, a.individual_id == merged.c.individual_id)
        .where(
            sa.or_(merged.c.individual_id.in_(ids), merged.c.same_as_id.in_(ids)), a.kind.in_(NAMING_KINDS), ~_undone()
        )
        .subquery("named")
    )  # fmt: skip
    tracks: dict[int, list[int]] = defaultdict(list)
    counted: dict[int, int] = {}
    for row in conn.execute(sa.select(named).where(named.c.place <= PICTURED).order_by(named.c.place)):
        counted[row.individual_id] = row.n
        if row.track_id not in tracks[row.individual_id]:
            tracks[row.individual_id].append(row.track_id)
    known = _tracks(conn, [found[0] for found in tracks.values()])
    cases = []
    for one in rows:
        theirs = tracks[one.individual_id]
        track = known[theirs[0]] if theirs else None
        head = track.head if track else None
        cases.append(
            Case(
                f"provisional:{one.anim_id}", "provisional", theirs[0] if theirs else None, None,
                tuple(track.answers if track else ()), head.annotation_id if head else None,
                individual=(one.anim_id, one.name, counted.get(one.individual_id, 0)), more=tuple(theirs[1:]),
            )
        )  # fmt: skip
    return sorted(cases, key=lambda case: -(case.individual or ("", None, 0))[2])


_OF_EVENTS: dict[str, Callable[[sa.Connection, int, int], list[Case]]] = {
    "names": _names,
    "doubtful": _doubtful,
    "flags": _flags,
    "conflicts": _conflicts,
    "asked": _asked,
}
_WHOLE: dict[str, Callable[[sa.Connection], list[Case]]] = {
    "pairs": _pairs,
    "missed": _missed,
    "provisional": _provisional,
}


def _parts(values: Sequence[int]) -> list[list[int]]:
    return [list(values[start : start + _PART]) for start in range(0, len(values), _PART)]
