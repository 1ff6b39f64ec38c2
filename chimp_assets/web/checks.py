"""Questions whose answer is known, among the others: gold for people who do not correct, wrong tracks in a grid.

Belongs here: drawing them, remembering them, and judging the answers. Does not belong here: what follows from a miss
(a reviewer sees it), agreement between people (`database.agreement`).

Nobody sees which questions these are: a gold item has a number like any other, and a page is told its wrong tracks
only when it has been answered.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.bulk import insert_one
from chimp_assets.database.engine import Database
from chimp_assets.database.events import ANSWER_KINDS, NAMING_KINDS, effective_answers
from chimp_assets.database.merges import merged_ids
from chimp_assets.settings import Settings
from chimp_assets.web.items import Asked
from chimp_assets.web.sessions import Person

GOLD_FROM = 2**52
"""Items from this number on are gold; below 2**53, so exact in JavaScript."""
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

    def gold(self, person: Person, n: int, exclude: Collection[int]) -> list[Asked]:
        """Fewer than n questions whose answer is known, for one claim of n. None for people who may correct others.

        Those that were given and not answered come again first, so that a page that is loaded anew has the same ones.
        """
        if person.role in t.CORRECTING_ROLES or n < 2:
            return []
        web = self._settings.web
        with self._db.read() as conn:
            a = t.annotation.c
            answered = conn.scalar(
                sa.select(sa.func.count()).where(a.annotator_id == person.user_id, a.kind.in_(ANSWER_KINDS))
            )
            asked = self._asked(conn, person.user_id)
        share = web.gold_first_share if (answered or 0) < web.gold_first else web.gold_share
        # One at least is of the queue: gold alone would show itself.
        wanted = min(n - 1, sum(random.random() < share for _ in range(n)))  # noqa: S311  no secret
        open_ = [check for check in asked if check.answered_at is None]
        again = [(c.check_id, c.track_id) for c in open_ if c.check_id + GOLD_FROM not in exclude]
        lease = timedelta(minutes=self._settings.acquisition.lease_minutes)
        fresh = wanted - sum(check.asked_at > datetime.now(UTC) - lease for check in open_)
        given = again[:wanted]
        if fresh > 0:
            given += self._draw(person, fresh, {check.track_id for check in asked})
        return [
            Asked(GOLD_FROM + check_id, 0, track_id, "boundary", 0, "", as_new=True) for check_id, track_id in given
        ]

    def _asked(self, conn: sa.Connection, user_id: int) -> Sequence[Any]:
        c = t.quality_check.c
        return conn.execute(
            sa.select(c.check_id, c.track_id, c.asked_at, c.answered_at)
            .where(c.user_id == user_id, c.kind == "gold")
            .order_by(c.check_id.desc())
            .limit(_POOL)
        ).all()

    def _draw(self, person: Person, n: int, but: Collection[int]) -> list[tuple[int, int]]:
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, person.user_id) if k.track_id not in but]
        chosen = random.sample(known, min(n, len(known)))

        def work(conn: sa.Connection) -> list[tuple[int, int]]:
            return [(_remember(conn, "gold", None, person.user_id, known), known.track_id) for known in chosen]

        return self._db.transact(work) if chosen else []

    def plant(self, person: Person, page_id: str, individual_id: int, n: int = PLANTS) -> list[int]:
        """Tracks of other individuals, to be put among those of one; remembered under the page."""
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, None) if k.individual_id != individual_id]
        chosen = random.sample(known, min(n, len(known)))

        def work(conn: sa.Connection) -> None:
            for one in chosen:
                _remember(conn, "plant", page_id, person.user_id, one)

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

    def learn(self, person: Person, item_ids: Collection[int]) -> None:
        """Whether the answers to gold items were right; items of the queue are passed over. Safe to run again."""
        checks = sorted({item_id - GOLD_FROM for item_id in item_ids if item_id >= GOLD_FROM})
        if not checks:
            return

        def work(conn: sa.Connection) -> None:
            c, a = t.quality_check.c, t.annotation.c
            rows = conn.execute(
                sa.select(c.check_id, c.individual_id, a.kind, a.individual_id.label("said"))
                .join_from(
                    t.quality_check, t.annotation, sa.and_(a.track_id == c.track_id, a.annotator_id == c.user_id)
                )
                .where(c.check_id.in_(checks), c.user_id == person.user_id, c.passed.is_(None))
                .where(a.kind.in_(ANSWER_KINDS), a.server_time >= c.asked_at)
                .order_by(a.seq)
            ).all()
            same = merged_ids(conn) if rows else {}
            first: dict[int, bool] = {}
            for row in rows:
                named = row.kind in NAMING_KINDS
                right = named and same.get(row.said, row.said) == same.get(row.individual_id, row.individual_id)
                first.setdefault(row.check_id, right)
            for check_id, right in first.items():
                conn.execute(
                    sa.update(t.quality_check)
                    .where(c.check_id == check_id)
                    .values(passed=right, answered_at=datetime.now(UTC))
                )

        self._db.transact(work)


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


def _remember(conn: sa.Connection, kind: str, page_id: str | None, user_id: int, known: Known) -> int:
    return insert_one(
        conn,
        t.quality_check,
        kind=kind,
        page_id=page_id,
        user_id=user_id,
        track_id=known.track_id,
        individual_id=known.individual_id,
        asked_at=datetime.now(UTC),
    )
