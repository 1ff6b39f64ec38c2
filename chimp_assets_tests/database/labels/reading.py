"""What the tests of label events send and read. No test belongs here."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import EventResult, LabelEvent, record_events
from chimp_assets_tests.database.world import track

A, B, C, D = track(1), track(1, 1), track(1, 2), track(2)


def record_one(db: Database, told: LabelEvent) -> EventResult:
    (result,) = record_events(db, [told])
    return result


def stored(db: Database) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(sa.select(s.annotation).order_by(s.annotation.c.seq)))


def standing(db: Database, watermark: int | None = None) -> dict[int, str]:
    with db.read() as conn:
        return {row.track_id: row.kind for row in conn.execute(effective_answers(watermark))}
