"""A person's own answers: their state, corrections by others, and questions about them.

Belongs here: these facts for one person. Does not belong here: cases for reviewers (`review`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import ANSWER_KINDS, EVIDENCE_KINDS, NAMING_KINDS, is_word
from chimp_assets.database.labels.shown import GOLD, REVIEW

PAGE = 50
LOOKED_AT = 200_000
"""Newest events that one page reads: events of all people are mixed, and some people answered long ago."""
CORRECTED_OF = 500
"""Newest own answers that are searched for corrected ones."""
State = Literal["stands", "agreed", "replaced", "retracted", "taken_back", "corrected"]


@dataclass(frozen=True)
class ReplacingAnswer:
    """The answer that stands instead. in_review: whether a reviewer decided it."""

    kind: str
    anim_id: str | None
    name: str | None
    by: str
    at: datetime
    note: str | None
    in_review: bool


@dataclass(frozen=True)
class AuthorQuestion:
    """A question about an answer, to its author."""

    by: str
    at: datetime
    note: str


@dataclass(frozen=True)
class OwnAnswer:
    """One own answer. anim_id, name: the named individual after merges; photo: content hash of the track's best crop.

    state: stands; agreed: another answer stands and agrees; replaced: by an own newer answer; retracted: by the person;
    taken_back: by somebody else (then `instead` is the standing answer, if any); corrected: another answer stands. A
    check shows as standing until a reviewer has decided it, and a hidden repeat shows the lane that the screen showed:
    people who recognise them would answer them with more care than others.
    """

    seq: int
    annotation_id: str
    kind: str
    track_id: int | None
    anim_id: str | None
    name: str | None
    at: datetime
    lane: str
    seconds: float | None
    note: str | None
    photo: str | None
    state: State
    instead: ReplacingAnswer | None
    taken_back_by: str | None
    questions: tuple[AuthorQuestion, ...]


@dataclass(frozen=True)
class OwnAnswersPage:
    """A person's newest answers and skips. corrected: those of the newest CORRECTED_OF that somebody corrected, took
    back, or asks about; older: where the next page begins, None at the end.
    """

    answers: list[OwnAnswer]
    corrected: list[OwnAnswer]
    older: int | None


def page(conn: sa.Connection, user_id: int, before: int | None = None) -> OwnAnswersPage:
    """The first page, or the page that begins before an event."""
    high = min(last_seq(conn), (before or 2**62) - 1)
    low = max(0, high - LOOKED_AT)
    rows = _rows(conn, user_id, low, high, CORRECTED_OF if before is None else PAGE + 1)
    found = _owned(conn, user_id, rows[: PAGE if before is not None else None])
    corrected = [one for one in found if one.state in ("corrected", "taken_back") or one.questions]
    older = found[PAGE - 1].seq if len(rows) > PAGE else low + 1 if low else None
    return OwnAnswersPage(found[:PAGE], corrected if before is None else [], older)


def _rows(conn: sa.Connection, user_id: int, low: int, high: int, limit: int) -> Sequence[Any]:
    a, said, now = t.annotation.c, t.individual.alias("said"), t.individual.c
    back, m = t.annotation.alias("taken_back"), t.item_media.c
    asked = (
        sa.select(
            a.seq, a.annotation_id, a.kind, a.track_id, a.other_track_id, a.server_time, a.lane, a.seconds,
            a.note, a.shown_mode,
            now.individual_id, now.anim_id, now.name, back.c.annotator_id.label("back_by"), m.content_hash,
        )
        .outerjoin_from(t.annotation, said, said.c.individual_id == a.individual_id)
        .outerjoin(t.individual, now.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id))
        .outerjoin(back, sa.and_(back.c.kind == "retract", back.c.supersedes == a.annotation_id))
        .outerjoin(t.item_media, sa.and_(m.track_id == a.track_id, m.kind == "crop", m.place == 0))
        .where(a.seq > low, a.seq <= high, a.annotator_id == user_id, a.kind.in_(_SHOWN))
    )  # fmt: skip
    return conn.execute(asked.order_by(a.seq.desc()).limit(limit)).all()


_SHOWN = (*ANSWER_KINDS, "same", "different", *EVIDENCE_KINDS, "skip")


def _owned(conn: sa.Connection, user_id: int, rows: Sequence[Any]) -> list[OwnAnswer]:
    standing = _standing(conn, sorted({row.track_id for row in rows if _is_answer(row)}))
    questions = _questions(conn, user_id, [row.annotation_id for row in rows])
    decided = _decided(conn, sorted({row.track_id for row in rows if _is_answer(row) and row.shown_mode == GOLD}))
    names = _names(conn, {row.back_by for row in rows if row.back_by is not None})
    # A repeat looks like the questions around it.
    repeat_as = t.FRAMES if any(row.lane == t.FRAMES for row in rows) else "boundary"
    found = []
    for row in rows:
        head = standing.get(row.track_id) if _is_answer(row) else None
        state = _state(row, head, user_id, row.track_id in decided)
        other = head if state in ("corrected", "taken_back") else None
        found.append(
            OwnAnswer(
                row.seq, row.annotation_id, row.kind, row.track_id, row.anim_id, row.name, row.server_time,
                repeat_as if row.lane == "repeat" else row.lane,
                row.seconds, row.note, row.content_hash, state, _instead(other),
                names.get(row.back_by) if state == "taken_back" else None,
                tuple(questions.get(row.annotation_id, ())),
            )
        )  # fmt: skip
    return found


def _state(row: Any, head: Any, user_id: int, decided: bool) -> State:
    if row.back_by is not None:
        return "retracted" if row.back_by == user_id else "taken_back"
    if head is None or head.annotation_id == row.annotation_id:
        return "stands"
    if row.shown_mode == GOLD and not decided:
        return "stands"
    if _meaning(head) == _meaning(row):
        return "agreed"
    return "replaced" if head.annotator_id == user_id else "corrected"


def _decided(conn: sa.Connection, track_ids: list[int]) -> set[int]:
    """Those of some tracks that somebody has decided in review."""
    a = t.annotation.c
    in_review = sa.select(a.track_id).where(a.track_id.in_(track_ids), a.kind.in_(ANSWER_KINDS), a.shown_mode == REVIEW)
    return {row for row in conn.scalars(in_review) if row is not None} if track_ids else set()


def _is_answer(row: Any) -> bool:
    about_a_track = row.other_track_id is None and row.track_id is not None
    return row.kind in ANSWER_KINDS and about_a_track and not is_word(row._mapping)


def _meaning(row: Any) -> tuple[str, int | None]:
    return ("name", row.individual_id) if row.kind in NAMING_KINDS else (row.kind, None)


def _instead(row: Any) -> ReplacingAnswer | None:
    if row is None:
        return None
    return ReplacingAnswer(row.kind, row.anim_id, row.name, row.by, row.server_time, row.note, row.shown_mode == REVIEW)


def _standing(conn: sa.Connection, track_ids: list[int]) -> dict[int, Any]:
    """The standing answer of each track, with its author."""
    if not track_ids:
        return {}
    answer = effective_answers(of_tracks=track_ids).subquery("answer")
    a, u, i = t.annotation.c, t.app_user.c, t.individual.c
    rows = conn.execute(
        sa.select(
            a.track_id, a.annotation_id, a.annotator_id, a.kind, a.server_time, a.note, a.shown_mode,
            u.name.label("by"), i.individual_id, i.anim_id, i.name,
        )
        .join_from(answer, t.annotation, a.annotation_id == answer.c.annotation_id)
        .join(t.app_user, u.user_id == a.annotator_id)
        .outerjoin(t.individual, i.individual_id == answer.c.individual_id)
    )  # fmt: skip
    return {row.track_id: row for row in rows}


def _questions(conn: sa.Connection, user_id: int, ids: list[str]) -> dict[str, list[AuthorQuestion]]:
    """Questions by others about some answers."""
    a, u = t.annotation.c, t.app_user.c
    found: dict[str, list[AuthorQuestion]] = {}
    rows = conn.execute(
        sa.select(a.supersedes, a.note, a.server_time, u.name)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.kind == "skip", a.note.is_not(None), a.annotator_id != user_id, a.supersedes.in_(ids))
        .order_by(a.seq)
    )
    for row in rows if ids else ():
        found.setdefault(row.supersedes, []).append(AuthorQuestion(row.name, row.server_time, row.note))
    return found


def _names(conn: sa.Connection, user_ids: set[int]) -> dict[int, str]:
    u = t.app_user.c
    rows = conn.execute(sa.select(u.user_id, u.name).where(u.user_id.in_(sorted(user_ids)))) if user_ids else ()
    return {row.user_id: row.name for row in rows}
