"""What columns in memory are made of, as numbers that change whenever names, films or tracks do.

Belongs here: the stamp, and who is too careless to be counted. Does not belong here: columns (`insight.search`,
`insight.association`), which tracks a newer decision is about (`newer_decisions`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.people.carefulness import careless_people


class Stamp(NamedTuple):
    """seq: the last decision; checks: how many hidden checks were judged, and when the last; names: champion, its
    scores, merges, biographies, splits; filmed: which tracks and films there are."""

    seq: int
    checks: tuple[Any, ...]
    names: tuple[Any, ...]
    filmed: tuple[Any, ...]


def stamp_of(conn: sa.Connection) -> Stamp:
    """Where two stamps are equal, no name, track, film or head differs.

    Checks are part of it because words of people who guess are no longer counted, without an event that says so.
    """
    m, b, c, v = t.model.c, t.bundle_score.c, t.quality_check.c, t.video.c
    head = sa.select(m.model_id).where(m.task == "head", m.state == "champion").scalar_subquery()
    judged = sa.and_(c.kind == "gold", c.answered_at.is_not(None))
    many, newest = sa.func.count(), sa.func.max
    checks = [sa.select(many).where(judged), sa.select(newest(c.answered_at)).where(judged)]
    names = [
        # A bundle that is scored anew has a newer moment.
        sa.select(many).where(b.model_id == head), sa.select(newest(b.created_at)).where(b.model_id == head),
        sa.select(newest(t.individual_merge.c.merge_id)), sa.select(newest(t.biography_log.c.log_id)),
        sa.select(newest(t.split_move.c.split_move_id)), sa.select(many).select_from(t.split_assignment),
    ]  # fmt: skip
    filmed = [
        # Which videos are in the archive is not said by a newest number alone.
        sa.select(newest(v.video_id)), sa.select(newest(v.updated_at)), sa.select(many).where(v.state == "retired"),
        sa.select(newest(t.track.c.track_id)), sa.select(newest(t.bundle.c.changed_at)),
    ]  # fmt: skip
    parts = [one.scalar_subquery() for one in (*checks, *names, *filmed)]
    row = tuple(conn.execute(sa.select(sa.select(newest(t.annotation.c.seq)).scalar_subquery(), head, *parts)).one())
    return Stamp(int(row[0] or 0), row[2:4], (row[1], *row[4:10]), row[10:])


def careless(conn: sa.Connection) -> frozenset[int]:
    """Whose words about names count for nothing, at this moment."""
    return frozenset(careless_people(conn))
