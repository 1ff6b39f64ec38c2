"""The tracks of what changed: the slices of open alerts, for a plan that asks about them.

Belongs here: which track belongs to which alert, and the sentence beside a question. Does not belong here: the share of
a plan (`acquisition.policy`), the draw (`acquisition.lanes.drift`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import I32Array, I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.database.work.drifted import acting, tracks_filmed_in
from chimp_assets.monitoring.alerts import Alert, alerts_where
from chimp_assets.monitoring.words import change, day_of

NONE = -1
PAGE = 50_000


@dataclass(frozen=True)
class DriftedTracks:
    """The slices of a moment. slice_no: i32 [n], of each track its slice, NONE where it has none; alert_ids, reasons:
    of each slice; the reason ends before the full stop."""

    slice_no: I32Array
    alert_ids: tuple[int, ...]
    reasons: tuple[str, ...]


def drifted_tracks(conn: sa.Connection, track: I64Array) -> DriftedTracks | None:
    """Which of these tracks (i64 [n], ascending) belong to open alerts that act; None where no alert acts.

    A track of several slices belongs to the smallest: a change of one camera is not lost in one of all cameras.
    """
    found = alerts_where(conn, acting())
    if not found:
        return None
    found.sort(key=lambda one: one.alert_id)
    rows = [_rows(conn, track, one) for one in found]
    slice_no = np.full(len(track), NONE, np.int32)
    # The largest first: what is written last stays. Of equal slices the oldest alert keeps the tracks.
    for number in sorted(range(len(found)), key=lambda i: (len(rows[i]), i), reverse=True):
        slice_no[rows[number]] = number
    return DriftedTracks(slice_no, tuple(one.alert_id for one in found), tuple(reason(one) for one in found))


def reason(alert: Alert) -> str:
    """Why a track is asked, without what was drawn: "Filmed by camera C1 since 3 May 2024, when it was moved"."""
    filmed = f"Filmed by camera {alert.camera}" if alert.camera else "Filmed"
    if alert.until is None:
        return f"{filmed} since {day_of(alert.since)}, when {change(alert)}"
    return f"{filmed} from {day_of(alert.since)} until {day_of(alert.until)}, when {change(alert)}"


def _rows(conn: sa.Connection, track: I64Array, alert: Alert) -> I64Array:
    query = tracks_filmed_in(alert.camera, alert.since, alert.until).order_by(t.track.c.track_id)
    parts = [np.empty(0, np.int64)]
    for page in conn.execute(query, execution_options={"yield_per": PAGE}).partitions():
        here, row = located(track, np.array([one.track_id for one in page], np.int64))
        parts.append(row[here])
    return np.concatenate(parts)
