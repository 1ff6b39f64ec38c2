"""Tracks whose individual is known, for checks of the people who answer.

Belongs here: finding such tracks, and recording that one was shown. Does not belong here: gold among the questions of
the queue (`gold`), wrong tracks in a grid (`plants`), agreement between people (`database.labels.agreement`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS

GOLD_FROM = 2**52
"""Before revision 0011, items from this number on were gold. Devices in the field may still hold answers to them."""
CLEAR_QUALITY = 0.5
_POOL = 2_000
"""Newest named tracks from which gold and plants are drawn."""


@dataclass(frozen=True)
class KnownTrack:
    """A track, and the individual that somebody who may correct others named."""

    track_id: int
    individual_id: int


def known_tracks(conn: sa.Connection, but_user_id: int | None) -> list[KnownTrack]:
    """Clear tracks named recently by somebody who may correct others, without those that this user answered."""
    a, u, k = t.annotation.c, t.app_user.c, t.track.c
    named = (
        sa.select(a.track_id)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.kind.in_(NAMING_KINDS), u.role.in_(t.CORRECTING_ROLES))
        .order_by(a.seq.desc())
        .limit(_POOL)
    ).subquery()
    answers = effective_answers(of_tracks=sa.select(named.c.track_id)).subquery()
    statement = (
        sa.select(k.track_id, answers.c.individual_id)
        .join_from(answers, t.track, k.track_id == answers.c.track_id)
        .join(t.app_user, u.user_id == answers.c.annotator_id)
        .where(answers.c.kind.in_(NAMING_KINDS), u.role.in_(t.CORRECTING_ROLES))
        .where(k.state == "live", k.quality >= CLEAR_QUALITY)
    )
    if but_user_id is not None:
        own = t.annotation.alias("own")
        statement = statement.where(~sa.exists().where(own.c.track_id == k.track_id, own.c.annotator_id == but_user_id))
    return [KnownTrack(row.track_id, row.individual_id) for row in conn.execute(statement)]


def record_check(
    conn: sa.Connection, kind: str, page_id: str | None, user_id: int, known: KnownTrack, item_id: int | None = None
) -> int:
    """Records that a known track was shown to a user; returns the check_id. kind: gold or plant."""
    return insert_one(
        conn,
        t.quality_check,
        kind=kind,
        page_id=page_id,
        user_id=user_id,
        track_id=known.track_id,
        individual_id=known.individual_id,
        asked_at=datetime.now(UTC),
        item_id=item_id,
    )
