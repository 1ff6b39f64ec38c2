"""The time that people spend answering, so that it adds up whatever they answered.

A page of many tracks shares its seconds among its events; where a hidden look-alike was missed it has none, and the
page keeps them. So do marked tracks of a search. A share says nothing about what a single answer takes.

Belongs here: which seconds count, once. Does not belong here: prices learned from them (`loop.minutes.prices`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.shown import TOGETHER


def is_answered_alone(a: Any) -> sa.ColumnElement[bool]:
    """Whether an event was one answer on the screen, not a share of a page. a: the columns of `annotation`."""
    return sa.and_(a.lane != t.GRID, sa.or_(a.shown_mode.is_(None), a.shown_mode.not_in(TOGETHER)))


def seconds_spent(conn: sa.Connection, *which: sa.ColumnElement[bool], watermark_seq: int | None = None) -> float:
    """Seconds of all answers that meet `which`, conditions on `annotation`, up to a watermark of labels (None: now),
    and of the pages up to then that stored none."""
    a, page = t.annotation.c, t.grid_page.c
    events = sa.select(sa.func.coalesce(sa.func.sum(a.seconds), 0.0)).where(a.seconds > 0, *which)
    missed = sa.select(sa.func.coalesce(sa.func.sum(page.seconds), 0.0)).where(page.n_missed > 0, page.seconds > 0)
    if watermark_seq is not None:
        events = events.where(a.seq <= watermark_seq)
        last = sa.select(sa.func.max(a.server_time)).where(a.seq == watermark_seq).scalar_subquery()
        missed = missed.where(page.answered_at <= last)
    return float(conn.scalar(events) or 0.0) + float(conn.scalar(missed) or 0.0)
