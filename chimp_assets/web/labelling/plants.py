"""Plants: tracks of other individuals among those that are confirmed at once, that look like the page's individual.

Belongs here: drawing them, and judging the answers. Does not belong here: gold among the questions of the queue
(`gold`), what follows from a missed plant (a reviewer sees it; `database.work.page_answers` stores no names).

A page learns which of its tracks were plants only after it was answered. Random others are too easy to find: they are
taken only where nobody is known whom the head takes for the individual.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.acquisition.minutes.pages import HIDDEN
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merged_ids
from chimp_assets.settings import Settings
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.labelling.known_tracks import KnownTrack, known_tracks, record_check

PLANTS = HIDDEN
"""Plants on one page."""
RUNNERS_UP = 3
"""Individuals from whose tracks plants are drawn: those that the head gives the page's tracks next."""
_REMEMBERED = 60
"""Newest plants of a person that are drawn again only where there are no others."""


class Plants:
    """Plants of one database. secret: the page's secret, by which tracks are put in an order that nobody can guess."""

    def __init__(self, db: Database, settings: Settings, secret: bytes = b"") -> None:
        self._db, self._settings, self._secret = db, settings, secret

    def page_id(self, person: Person, individual_id: int, track_ids: Iterable[int], asked: str) -> str:
        """The id of a page of which nothing is stored but its plants: tracks that a person marked. Nobody can guess it,
        and other tracks, another individual, or asked for anew (asked: a UUID of the device) make another page."""
        words = f"marks:{person.user_id}:{individual_id}:{asked}:{sorted(track_ids)}"
        return str(uuid.UUID(bytes=hmac.digest(self._secret, words.encode(), hashlib.sha256)[:16]))

    def mixed(self, page_id: str, track_ids: Iterable[int]) -> list[int]:
        """Tracks of a page in an order that does not show which are plants; the same after a reload."""

        def place(track_id: int) -> bytes:
            return hmac.digest(self._secret, f"page:{page_id}:{track_id}".encode(), hashlib.sha256)

        return sorted(track_ids, key=place)

    def known(self, individual_id: int) -> bool:
        """Whether there is a track that could be planted on a page about an individual."""
        with self._db.read() as conn:
            return any(k.individual_id != individual_id for k in known_tracks(conn, None))

    def plant(
        self,
        person: Person,
        page_id: str,
        individual_id: int,
        n: int = PLANTS,
        head_id: int | None = None,
        track_ids: Sequence[int] = (),
    ) -> list[int]:
        """Tracks of other individuals for a page about one; recorded with the page. The same ones for the same page.

        head_id, track_ids: the head that named the tracks of the page, for look-alikes.
        """
        given = self.of_page(person, page_id)
        if given:
            return given
        with self._db.read() as conn:
            known = [k for k in known_tracks(conn, None) if k.individual_id != individual_id]
            confused = [] if head_id is None else _runners_up(conn, head_id, individual_id, track_ids)
            seen = _planted_before(conn, person.user_id)
        chosen = _drawn(known, confused, seen, n)

        def work(conn: sa.Connection) -> None:
            for one in chosen:
                record_check(conn, "plant", page_id, person.user_id, one)

        if chosen:
            self._db.transact(work)
        return [one.track_id for one in chosen]

    def of_page(self, person: Person, page_id: str) -> list[int]:
        """The plants that a page of this person has; none where it was not given."""
        c = t.quality_check.c
        mine = (c.page_id == page_id, c.user_id == person.user_id, c.kind == "plant")
        with self._db.read() as conn:
            return list(conn.scalars(sa.select(c.track_id).where(*mine).order_by(c.check_id)))

    def judge_page(self, person: Person, page_id: str, marked: Collection[int]) -> tuple[list[int], list[int]] | None:
        """`judged` in a transaction of its own."""
        return self._db.transact(lambda conn: judged(conn, person.user_id, page_id, marked))


def judged(
    conn: sa.Connection, user_id: int, page_id: str, marked: Collection[int]
) -> tuple[list[int], list[int]] | None:
    """Track ids of (all plants, missed plants) of a page; None if this person has no such page.

    The first answer counts: later ones change nothing.
    """
    c = t.quality_check.c
    mine = (c.page_id == page_id, c.user_id == user_id, c.kind == "plant")
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


def _drawn(known: Sequence[KnownTrack], confused: Sequence[int], seen: Collection[int], n: int) -> list[KnownTrack]:
    """n of the known tracks: of the first individuals in `confused` that have some, then of the next, then of anybody.
    What the person was not shown before comes first."""
    of: dict[int, list[KnownTrack]] = {}
    for one in known:
        of.setdefault(one.individual_id, []).append(one)
    likely = [of[who] for who in confused if who in of]
    first = [one for tracks in likely[:RUNNERS_UP] for one in tracks]
    steps = [first, *likely[RUNNERS_UP:], list(known)]
    chosen: list[KnownTrack] = []
    for tracks in steps:
        left = [one for one in tracks if one not in chosen]
        random.shuffle(left)
        left.sort(key=lambda one: one.track_id in seen)
        chosen += left[: n - len(chosen)]
        if len(chosen) == n:
            break
    return chosen


def _runners_up(conn: sa.Connection, head_id: int, individual_id: int, track_ids: Sequence[int]) -> list[int]:
    """Whom a head gives these tracks beside the individual, by the sum of probabilities, as merged."""
    p = t.prediction.c
    rows = conn.execute(
        sa.select(p.individual_id, sa.func.sum(p.probability).label("share"))
        .where(p.model_id == head_id, p.track_id.in_(list(track_ids)))
        .group_by(p.individual_id)
    ).all()
    same = merged_ids(conn)
    shares: dict[int, float] = {}
    for row in rows:
        who = same.get(row.individual_id, row.individual_id)
        if who != individual_id:
            shares[who] = shares.get(who, 0.0) + float(row.share)
    return sorted(shares, key=lambda who: (-shares[who], who))


def _planted_before(conn: sa.Connection, user_id: int) -> set[int]:
    c = t.quality_check.c
    newest = sa.select(c.track_id).where(c.user_id == user_id, c.kind == "plant").order_by(c.check_id.desc())
    return set(conn.scalars(newest.limit(_REMEMBERED)))
