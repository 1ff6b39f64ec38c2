"""What a fine-tuning is expected to save of the expert's minutes: a part of those that are left.

In simulation a matured embedder left a quarter fewer minutes to go. Each fine-tuning of this archive says what it saved
here, and soon counts more than the simulation.

Belongs here: that expectation, from rows. Does not belong here: when a fine-tuning is due (`due`), measuring what one
saved (`chimp_assets.vision.embedding`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t

PRIOR_SHARE = 0.2
"""Of the minutes to go: 15 to 28 % on two sets of real cows."""
LARGEST_SHARE = 0.6
"""More is an accident of few tracks."""


@dataclass(frozen=True)
class ExpectedSaving:
    """to_go: minutes that the newest forecast leaves; share: of these that a fine-tuning is expected to save; n:
    earlier fine-tunings of this archive whose saving was measured."""

    to_go: float
    share: float
    n: int

    @property
    def minutes(self) -> float:
        """Expected to be saved."""
        return self.to_go * self.share


def expected_saving(conn: sa.Connection) -> ExpectedSaving | None:
    """By the newest forecast and what earlier fine-tunings saved; None where no end is forecast."""
    f = t.archive_forecast.c
    row = conn.execute(sa.select(f.to_go_s).order_by(f.forecast_id.desc()).limit(1)).first()
    if row is None or row.to_go_s is None:
        return None
    saved = _measured_shares(conn)
    share = (PRIOR_SHARE + sum(saved)) / (1 + len(saved))
    return ExpectedSaving(row.to_go_s / 60, share, len(saved))


def _measured_shares(conn: sa.Connection) -> list[float]:
    """Of each candidate that was compared: the share of the minutes that it saved, not below 0."""
    m = t.model.c
    shares = []
    for config in conn.scalars(sa.select(m.config).where(m.task == "embedder", m.parent_id.is_not(None))):
        seen = json.loads(config).get("held_out") or {}
        before, after = seen.get("champion_minutes"), seen.get("candidate_minutes")
        if before and after is not None:
            shares.append(min(max((before - after) / before, 0.0), LARGEST_SHARE))
    return shares
