"""What is left to be named, for the comparison of two embedders: from the newest forecast.

Belongs here: reading it. Does not belong here: forecasting (`loop.minutes`), comparing (`vision.embedding`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.embedders import RemainingWork
from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.arrays import F64Array
from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts


def work_to_do(conn: sa.Connection) -> RemainingWork | None:
    """What the newest forecast leaves; None where there is none. Frames that show nobody who can be named do not
    count."""
    f = t.archive_forecast
    row = conn.execute(sa.select(f).order_by(f.c.forecast_id.desc()).limit(1)).first()
    if row is None:
        return None
    person, page = row.n_frames * row.by_person, row.n_frames * row.by_page
    left = row.n_frames * (1 - row.nameless) - person - page
    return RemainingWork(Goal(row.goal_named, row.goal_error), max(0.0, left), person, page)


def frames_of_tracks(conn: sa.Connection, track_ids: Sequence[int]) -> F64Array:
    """Boxes of each track, at least 1: f64 [n]."""
    found: dict[int, int] = {}
    for part in in_parts([int(track_id) for track_id in track_ids]):
        rows = conn.execute(sa.select(t.track.c.track_id, t.track.c.n_detections).where(t.track.c.track_id.in_(part)))
        found.update({row.track_id: row.n_detections for row in rows})
    return np.array([max(1, found.get(int(track_id), 1)) for track_id in track_ids], np.float64)
