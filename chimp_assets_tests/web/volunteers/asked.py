"""Questions "is this X?" on top of a home that people can label. No test belongs here."""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database

REASON = "Two people who say yes give 412 frames a name."


def ask_is_it(db: Database, anim_id: str, n: int) -> list[int]:
    """The last n tracks of the plan are not asked for a name but whether they show an individual; their items."""
    q, i = s.acquisition_queue.c, s.individual.c
    with db.write() as conn:
        who = conn.scalar(sa.select(i.individual_id).where(i.anim_id == anim_id))
        named = sa.select(q.item_id).where(q.state == "pending", q.lane == "boundary")
        ids = sorted(conn.scalars(named.order_by(q.position.desc()).limit(n)))
        conn.execute(
            sa.update(s.acquisition_queue)
            .where(q.item_id.in_(ids))
            .values(lane="is_it", individual_id=who, reason=REASON, propensity=1.0)
        )
    return ids
