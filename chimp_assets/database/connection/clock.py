"""This machine's clock against the database's.

Belongs here: measuring how far they are apart. Does not belong here: who compares moments.

Leases, cool-downs, the patience of discovery and the sweep compare moments that other hosts have written with this
host's clock. All of them wait for a minute at least, or, like the moments of work (`work.stamps`), are made to agree in
the transaction that writes them: seconds do no harm. So clocks are not replaced by the database's; a host whose clock
is further off does not begin a run, and nothing else has to think of clocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError

MOST_S = 5.0
"""Clocks that a time server sets are within milliseconds; the shortest wait between hosts is a minute."""
_LOOKS = 3


class ClockError(ChimpError):
    """The clock of this machine is wrong, or that of the database's server."""


@dataclass(frozen=True)
class ClockSkew:
    """seconds: how far the database's clock is ahead of ours; either way by at most doubt_s, half a round trip."""

    seconds: float
    doubt_s: float

    @property
    def is_too_large(self) -> bool:
        """Whether the clocks are certainly further apart than MOST_S."""
        return abs(self.seconds) - self.doubt_s > MOST_S

    def __str__(self) -> str:
        return f"{abs(self.seconds):.1f} s {'behind' if self.seconds > 0 else 'ahead of'} that of the database"


def utc_now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def clock_skew(db: Database, now: Callable[[], datetime] = utc_now) -> ClockSkew:
    """How far the clocks are apart, from the quickest of three looks. An SQLite file has no clock but ours: 0."""
    moment = _moments().get(db.dialect)
    if moment is None:
        return ClockSkew(0.0, 0.0)
    looks = []
    with db.read() as conn:
        for _ in range(_LOOKS):
            before = now()
            there = conn.scalar(sa.select(moment))
            after = now()
            assert isinstance(there, datetime)
            there = there.astimezone(UTC) if there.tzinfo else there.replace(tzinfo=UTC)
            half = (after - before) / 2
            looks.append(ClockSkew((there - (before + half)).total_seconds(), half.total_seconds()))
    return min(looks, key=lambda look: look.doubt_s)


def require_right_clock(db: Database, now: Callable[[], datetime] = utc_now) -> None:
    """Raises ClockError if the clocks are further apart than MOST_S."""
    skew = clock_skew(db, now)
    if skew.is_too_large:
        raise ClockError(
            f"The clock of this machine is {skew}; leases and waits between hosts allow {MOST_S:.0f} s.",
            "Let a time server set it (timedatectl set-ntp true), and look at the clock of the database's server.",
        )


def _moments() -> dict[str, sa.ColumnElement[datetime]]:
    return {"postgresql": sa.func.clock_timestamp(), "mssql": sa.func.sysutcdatetime()}
