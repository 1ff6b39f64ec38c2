"""Wrong tracks among those of a grid, and the tracks whose answer is known.

Belongs here: drawing them, remembering them, and judging the answers. Does not belong here: questions whose answer is
known among those of the queue (`gold`), what follows from a miss (a reviewer sees it), agreement between people
(`database.agreement`).

A page is told its wrong tracks only when it has been answered.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.settings import Settings
from chimp_assets.web.auth.sessions import Person

GOLD_FROM = 2**52
"""Items from this number on were gold before revision 0011: devices in the field may still hold answers to them."""
PLANTS = 2
CLEAR_QUALITY = 0.5
_POOL = 2_000
"""Newest named tracks among which gold and plants are drawn."""


@dataclass(frozen=True)
class Known:
    """A track and who it is, as somebody who may correct others has said."""

    track_id: int
    individual_id: int


class Checks:
    """Known answers of one database."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db, self._settings = db, settings

    def plant(self, person: Person, page_id: str, individual_id: int, n: int = PLANTS) -> list[int]:
        """Tracks of other individuals, to be put among those of one; remembered under the page."""
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, None) if k.individual_id != individual_id]
        chosen = random.sample(known, min(n, len(known)))

        def work(conn: sa.Connection) -> None:
            for one in chosen:
                remember(conn, "plant", page_id, person.user_id, one)

        if chosen:
            self._db.transact(work)
        return [one.track_id for one in chosen]

    def judge_page(self, person: Person, page_id: str, marked: Collection[int]) -> tuple[list[int], list[int]] | None:
        """(plants, those that were not marked as wrong) of a page; None if this person was given no such page.

        What was said first counts: sending it again, or another answer, changes nothing.
        """

        def work(conn: sa.Connection) -> tuple[list[int], list[int]] | None:
            c = t.quality_check.c
            mine = (c.page_id == page_id, c.user_id == person.user_id, c.kind == "plant")
            rows = conn.execute(sa.select(c.check_id, c.track_id, c.passed).where(*mine)).all()
            for row in rows:
                if row.passed is None:
                    conn.execute(
                        sa.update(t.quality_check)
                        .where(c.check_id == row.check_id, c.passed.is_(None))
                        .values(passed=row.track_id in marked, answered_at=datetime.now(UTC))
                    )
            if not rows:
                return None
            missed = [r.track_id for r in rows if (r.track_id not in marked if r.passed is None else not r.passed)]
            return sorted(row.track_id for row in rows), sorted(missed)

        return self._db.transact(work)


def known_tracks(conn: sa.Connection, but_user_id: int | None) -> list[Known]:
    """Clear tracks that were named lately by somebody who may correct others, and not by this user."""
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
    return [Known(row.track_id, row.individual_id) for row in conn.execute(statement)]


def remember(
    conn: sa.Connection, kind: str, page_id: str | None, user_id: int, known: Known, item_id: int | None = None
) -> int:
    """A question whose answer is known was asked; returns its check_id."""
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
