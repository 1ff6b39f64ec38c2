"""Draws of a look and the answers that they got.

Belongs here: comparing answers with frozen names as they land, in the transaction that stores them, and what that makes
of the look; which draws still need an answer. Does not belong here: drawing (`loop.minutes.promises`).

All of it follows from the events, so that it is computed anew whenever one touches a drawn track: an answer that is
taken back counts no longer, and a batch that was killed leaves nothing behind. Of each drawn track counts the best
role's newest answer since the names were frozen, but for answers about many at once, which are part of what is tested.
Somebody else's name, "unknown", "no animal" or a bad box: the name was wrong; so it was where somebody cut the track.
"Cannot tell" counts neither for nor against it, nor does a track that is gone: the next draw takes its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.database.labels.answers import OTHER_ROLES, ROLE_ORDER
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS
from chimp_assets.database.labels.promises.looks import (
    PromiseLook,
    newest_look,
    now_utc,
    teaches_from,
    withdraw_questions,
)
from chimp_assets.database.labels.shown import TOGETHER
from chimp_assets.database.schema import (
    GRID,
    annotation,
    app_user,
    promise,
    promise_draw,
    promise_look,
    track,
)
from chimp_assets.statistics.betting import RarityVerdict, rarity_verdict

CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class AnsweredDraw:
    """A draw and what became of it. wrong: None where it does not count; is_open: nobody has answered yet."""

    draw_no: int
    track_id: int
    annotation_id: str | None
    wrong: bool | None
    is_open: bool


def keep_draws(conn: sa.Connection, track_ids: Collection[int], seq: int) -> None:
    """What new events about tracks mean for the look that is open or stands, in the transaction that stores them.

    seq: the number of the newest event.
    """
    look = newest_look(conn)
    if look is None or look.state not in ("auditing", "kept") or not track_ids:
        return
    d = promise_draw.c
    rows = rows_in_parts(
        conn,
        lambda part: sa.select(d.draw_no).where(d.look_id == look.look_id, d.track_id.in_(part)).limit(1),
        track_ids,
    )
    if any(True for _ in rows):
        settle_look(conn, look, seq)


def settle_look(conn: sa.Connection, look: PromiseLook, seq: int) -> RarityVerdict:
    """Writes what the answers to a look's draws say now. seq: the number of the newest event."""
    found = answered_draws(conn, look)
    d, c = promise_draw.c, promise_look.c
    kept = {
        row.draw_no: (row.annotation_id, row.wrong)
        for row in conn.execute(sa.select(d.draw_no, d.annotation_id, d.wrong).where(d.look_id == look.look_id))
    }
    for one in found:
        if kept[one.draw_no] != (one.annotation_id, one.wrong):
            conn.execute(
                sa.update(promise_draw)
                .where(d.look_id == look.look_id, d.draw_no == one.draw_no)
                .values(annotation_id=one.annotation_id, wrong=one.wrong)
            )
    goal_error = conn.scalar(sa.select(promise.c.error).where(promise.c.promise_id == look.promise_id)) or 0.0
    said = verdict_of(found, look, float(goal_error))
    state = {"kept": "kept", "hopeless": "failed", "go on": "auditing"}[said.name]
    decided = None if state == "auditing" else look.decided_at if state == look.state else now_utc()
    conn.execute(
        sa.update(promise_look)
        .where(c.look_id == look.look_id)
        .values(
            state=state,
            n_answered=said.n_answered,
            n_wrong=said.n_wrong,
            wealth=said.wealth,
            error_bound=min(1.0, look.tested_share) * said.bound,
            decided_at=decided,
            teaches_from_seq=teaches_from(conn, seq) if state == "failed" else None,
        )
    )
    if state != "auditing":
        withdraw_questions(conn)
    return said


def verdict_of(found: Sequence[AnsweredDraw], look: PromiseLook, error: float) -> RarityVerdict:
    """What the draws say that were answered without a gap: a draw counts once all before it were answered, since who
    leaves out the hard ones proves nothing."""
    wrong = []
    for one in found:
        if one.is_open:
            break
        if one.wrong is not None:
            wrong.append(one.wrong)
    most = sum(one.is_open or one.wrong is not None for one in found)
    limit = min(1.0, error / look.tested_share) if look.tested_share > 0 else 1.0
    return rarity_verdict(np.array(wrong, np.bool_), limit, look.alpha, most)


def answered_draws(conn: sa.Connection, look: PromiseLook) -> list[AnsweredDraw]:
    """The draws of a look in their order, with what the events say of them now."""
    d = promise_draw.c
    drawn = conn.execute(
        sa.select(d.draw_no, d.track_id, d.individual_id).where(d.look_id == look.look_id).order_by(d.draw_no)
    ).all()
    tracks = {row.track_id for row in drawn}
    answers = _answers(conn, tracks, look.watermark_seq)
    states = {
        row.track_id: row.state
        for row in rows_in_parts(
            conn, lambda part: sa.select(track.c.track_id, track.c.state).where(track.c.track_id.in_(part)), tracks
        )
    }
    same = merged_ids(conn)
    found = []
    for row in drawn:
        answer, state = answers.get(row.track_id), states[row.track_id]
        annotation_id, wrong = (None, None) if answer is None else (answer.annotation_id, True)
        if answer is not None and answer.kind == CANNOT_TELL:
            wrong = None
        elif answer is not None and answer.kind in NAMING_KINDS:
            said = same.get(answer.individual_id, answer.individual_id)
            wrong = said != same.get(row.individual_id, row.individual_id)
        elif answer is None and state == "split":
            wrong = True
        is_open = answer is None and state == "live"
        found.append(AnsweredDraw(row.draw_no, row.track_id, annotation_id, wrong, is_open))
    return found


def _answers(conn: sa.Connection, track_ids: Collection[int], after_seq: int) -> dict[int, sa.Row]:
    """The answer to each track that was given since, but for pages: the best role's, then the newest."""
    a, taken_back = annotation.c, annotation.alias("taken_back")
    retracted = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == a.annotation_id)
    rows = rows_in_parts(
        conn,
        lambda part: (
            sa.select(a.track_id, a.annotation_id, a.seq, a.kind, a.individual_id, app_user.c.role)
            .join_from(annotation, app_user, app_user.c.user_id == a.annotator_id)
            .where(
                a.track_id.in_(part),
                a.seq > after_seq,
                a.kind.in_(ANSWER_KINDS),
                a.other_track_id.is_(None),
                a.lane != GRID,
                sa.or_(a.shown_mode.is_(None), a.shown_mode.not_in(TOGETHER)),
                ~retracted,
            )
        ),
        track_ids,
    )
    best: dict[int, sa.Row] = {}
    for row in rows:
        before = best.get(row.track_id)
        if before is None or _rank(row) < _rank(before):
            best[row.track_id] = row
    return best


def _rank(row: sa.Row) -> tuple[int, int]:
    return ROLE_ORDER.get(row.role, OTHER_ROLES), -row.seq
