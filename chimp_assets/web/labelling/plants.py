"""Plants: tracks of other individuals among those of a grid page.

Belongs here: drawing them, and judging the answers. Does not belong here: gold among the questions of the queue
(`gold`), what follows from a missed plant (a reviewer sees it).

A page learns which of its tracks were plants only after it was answered.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import Settings
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.labelling.known_tracks import known_tracks, record_check

PLANTS = 2
"""Plants on one page."""


class Plants:
    """Plants of one database."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db, self._settings = db, settings

    def plant(self, person: Person, page_id: str, individual_id: int, n: int = PLANTS) -> list[int]:
        """Tracks of other individuals for a page about one; recorded with the page."""
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, None) if k.individual_id != individual_id]
        chosen = random.sample(known, min(n, len(known)))

        def work(conn: sa.Connection) -> None:
            for one in chosen:
                record_check(conn, "plant", page_id, person.user_id, one)

        if chosen:
            self._db.transact(work)
        return [one.track_id for one in chosen]

    def judge_page(self, person: Person, page_id: str, marked: Collection[int]) -> tuple[list[int], list[int]] | None:
        """Track ids of (all plants, missed plants) of a page; None if this person has no such page.

        The first answer counts: later ones change nothing.
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
