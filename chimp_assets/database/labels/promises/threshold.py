"""From which probability on a name of the model counts, where nobody says otherwise.

Belongs here: reading it. Does not belong here: how a threshold comes about (`loop.minutes.promises`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from chimp_assets.database.schema import UtcDateTime

USUAL = 0.9
"""Where no promise holds; as in v_sighting."""

_T = sa.table(
    "v_name_threshold",
    sa.column("probability", sa.Double()),
    sa.column("look_id", sa.BigInteger()),
    sa.column("frozen_at", UtcDateTime()),
)


@dataclass(frozen=True)
class NameThreshold:
    """probability: from which the champion head's names count; look_id, frozen_at: of the promise that holds, whose
    threshold it is; None: none holds."""

    probability: float
    look_id: int | None = None
    frozen_at: datetime | None = None

    @property
    def promised_on(self) -> date | None:
        """The day of the names that are promised."""
        return None if self.frozen_at is None else self.frozen_at.date()

    @property
    def shown(self) -> float:
        """The same in few digits, rounded down so that no name is lost."""
        return int(self.probability * 10_000) / 10_000


def name_threshold(conn: sa.Connection) -> NameThreshold:
    """The threshold of the promise that holds, else 0.9: one row of small tables."""
    row = conn.execute(sa.select(_T.c.probability, _T.c.look_id, _T.c.frozen_at)).first()
    return NameThreshold(USUAL) if row is None else NameThreshold(float(row.probability), row.look_id, row.frozen_at)
