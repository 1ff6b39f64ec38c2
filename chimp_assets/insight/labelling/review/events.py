"""Label events that stand, with their authors.

Belongs here: reading them, and what two of them have in common. Does not belong here: which of them somebody should
decide about (`queues`), storing events (`database.labels`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import OTHER_ROLES, ROLE_ORDER
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.labels.shown import REVIEW, Shown


@dataclass(frozen=True)
class StandingEvent:
    """An event about a track, a pair or a box that nobody took back. shown: what the screen showed, as stored.

    individual_id, anim_id, name: the individual after merges. weight: of the author's role; 0 counts most.
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
        """Whether its author may correct others."""
        return self.weight < OTHER_ROLES

    @property
    def in_review(self) -> bool:
        """Whether it decides between the answers of others."""
        return self.shown.mode == REVIEW and self.corrects

    @property
    def meaning(self) -> tuple[Any, ...]:
        """Equal for events that agree."""
        if self.box is not None:
            return ("box", *self.box)
        return ("name", self.individual_id) if self.kind in NAMING_KINDS else (self.kind, None)


def is_taken_back() -> sa.Exists:
    """Whether a row of `annotation` was retracted."""
    back = t.annotation.alias("taken_back")
    return sa.exists().where(back.c.kind == "retract", back.c.supersedes == t.annotation.c.annotation_id)


def _weight() -> sa.ColumnElement[int]:
    return sa.case(ROLE_ORDER, value=t.app_user.c.role, else_=OTHER_ROLES)


def standing_events(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Events that nobody took back, with the weight of their author and the individual they name, by seq."""
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
        .where(~is_taken_back(), *which)
        .order_by(a.seq)
    )  # fmt: skip


def event_of(row: Any) -> StandingEvent:
    """The event in a row of `standing_events`."""
    box = (row.x, row.y, row.w, row.h) if row.kind == "box" else None
    return StandingEvent(
        row.annotation_id, row.seq, row.kind, row.track_id, row.other_track_id, row.video_id, row.frame_no, box,
        row.individual_id, row.anim_id, row.name, row.annotator_id, row.weight, row.server_time, row.seconds, row.note,
        row.supersedes, Shown.of(row.shown),
    )  # fmt: skip
