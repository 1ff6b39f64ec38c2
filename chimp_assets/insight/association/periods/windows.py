"""Windows of the filmed days, one after the other: months, quarters, years.

Belongs here: which windows there are. Does not belong here: counting in them (`network_cache`), drawing.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.periods.presets import Period

Step = Literal["month", "quarter", "year"]
MONTHS: dict[str, int] = {"month": 1, "quarter": 3, "year": 12}
MOST = 1_200
"""Windows, the newest: a clock that said 1970 must not make thousands of empty ones."""


def windows(conn: sa.Connection, step: Step) -> list[Period]:
    """Half-open windows that begin with a calendar month, quarter or year and hold a filmed day, in order."""
    v = t.video.c
    filmed = conn.scalars(
        sa.select(v.recorded_on).where(v.recorded_on.is_not(None), v.state != "retired").distinct()
    ).all()
    length = MONTHS[step]
    starts = sorted({(day.year * 12 + day.month - 1) // length * length for day in filmed})
    return [Period(_day(start), _day(start + length)) for start in starts[-MOST:]]


def _day(months: int) -> date:
    return date(months // 12, months % 12 + 1, 1)
