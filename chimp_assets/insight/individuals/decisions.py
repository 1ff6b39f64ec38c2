"""Decisions that name an individual, and tracks of it that wait for a reviewer.

Belongs here: reading these events. Does not belong here: making decisions (`database.labels.events`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.kinds import ANSWER_KINDS

PAGE = 60


@dataclass(frozen=True)
class NamingDecision:
    """One decision that names an individual. taken_back: by its own author or a reviewer, whatever was
    answered later; said_anim_id: the individual that was named, before merges."""

    seq: int
    annotation_id: str
    kind: str
    track_id: int | None
    by: str
    at: datetime
    lane: str
    note: str | None
    shown: str | None
    taken_back: bool
    said_anim_id: str


def decisions(conn: sa.Connection, key: int, before: int | None = None, limit: int = PAGE) -> list[NamingDecision]:
    """Decisions that name an individual, or one that was merged into it, newest first. before: only older ones."""
    a, i, u = t.annotation.c, t.individual.c, t.app_user.c
    back = t.annotation.alias("taken_back")
    theirs = sa.select(i.individual_id).where(sa.or_(i.individual_id == key, i.same_as_id == key))
    # First which ones, from the index alone: an individual may have been named 100,000 times.
    newest = sa.select(a.seq).where(a.individual_id.in_(list(conn.scalars(theirs)))).order_by(a.seq.desc()).limit(limit)
    if before is not None:
        newest = newest.where(a.seq < before)
    asked = (
        sa.select(
            a.seq, a.annotation_id, a.kind, a.track_id, u.name, a.server_time, a.lane, a.note, a.shown,
            back.c.annotation_id.label("undone"), i.anim_id,
        )
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .join(t.individual, i.individual_id == a.individual_id)
        .outerjoin(back, sa.and_(back.c.kind == "retract", back.c.supersedes == a.annotation_id))
        .where(a.seq.in_(list(conn.scalars(newest))))
    )  # fmt: skip
    return [
        NamingDecision(
            row.seq, row.annotation_id, row.kind, row.track_id, row.name, row.server_time, row.lane, row.note,
            row.shown, row.undone is not None, row.anim_id,
        )
        for row in conn.execute(asked.order_by(a.seq.desc()))
    ]  # fmt: skip


def asked_for_review(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Flagged tracks on which no reviewer has decided since: (annotation_id, name of the user who flagged it)."""
    a, u = t.annotation.c, t.app_user.c
    rows = conn.execute(
        sa.select(a.track_id, a.annotation_id, u.name)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.track_id.in_(list(track_ids)), *_is_open_flag())
        .order_by(a.seq)
    )
    return {row.track_id: (row.annotation_id, row.name) for row in rows}


def flagged_tracks() -> sa.Select[tuple[int]]:
    """The same tracks as a statement, a track once for each flag."""
    return sa.select(t.annotation.c.track_id).where(t.annotation.c.track_id.is_not(None), *_is_open_flag())


def _is_open_flag() -> list[sa.ColumnElement[bool]]:
    """Of events: asks a reviewer to look, was not taken back, and no reviewer has decided since."""
    a = t.annotation.c
    back, later, who = t.annotation.alias("taken_back"), t.annotation.alias("later"), t.app_user.alias("decider")
    taken_back = sa.exists().where(back.c.supersedes == a.annotation_id, back.c.kind == "retract")
    decided = (
        sa.exists()
        .where(later.c.track_id == a.track_id, later.c.seq > a.seq, later.c.kind.in_(ANSWER_KINDS))
        .where(who.c.user_id == later.c.annotator_id, who.c.role.in_(t.CORRECTING_ROLES))
    )
    return [a.shown_flag == sa.true(), ~taken_back, ~decided]
