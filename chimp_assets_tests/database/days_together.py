"""An archive of many days in which a tie changes at a birth, and another does not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets_tests.database.world import START, event, make_world, track

DAYS = 160
BIRTH = START.date() + timedelta(days=DAYS // 2)
"""Of Fred, the son of Fifi."""


def make_days_together(db: Database, gone: float = 0.08, seed: int = 3) -> None:
    """A video a day; Fifi is in each. Gremlin is with her on seven of ten days before the birth of Fred, and on `gone`
    of the days after it; Freud on half of all days; Fred on every day from his birth on. Persons named them all."""
    make_world(db, videos=DAYS, tracks=4, frames=2)
    rng = np.random.default_rng(seed)
    told = []
    for day in range(DAYS):
        born = day >= DAYS // 2
        told.append(event("identify", track(day + 1, 0), "FF"))
        if rng.random() < (gone if born else 0.7):
            told.append(event("identify", track(day + 1, 1), "GM"))
        if rng.random() < 0.5:
            told.append(event("identify", track(day + 1, 2), "FD"))
        if born:
            told.append(event("identify", track(day + 1, 3), "FI"))
    with db.write() as conn:
        conn.execute(
            sa.update(s.individual).where(s.individual.c.anim_id == "FI").values(birth_date=BIRTH, bd_min=BIRTH)
        )
    stored = record_events(db, told)
    assert {one.status for one in stored} == {"stored"}
