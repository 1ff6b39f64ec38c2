"""Corrections that stand: those that nobody has revoked, as they apply to the videos of a camera.

Belongs here: reading them from their rows, which videos they cover, time zones by name.
Does not belong here: making and revoking them (`corrections`), their effect on one time (`weighing.correction`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from chimp_assets.archive.times.weighing.correction import Correction
from chimp_assets.archive.times.witnesses import DateOrder
from chimp_assets.database import schema


@dataclass(frozen=True)
class StandingCorrection:
    """A correction that stands: for which camera, when, and what it says."""

    correction: Correction
    date_order: DateOrder | None
    site: str | None
    camera: str | None
    everywhere: bool
    shown_from: datetime | None
    shown_to: datetime | None

    def is_of(self, site: str | None, camera: str | None) -> bool:
        """Whether it is about this camera."""
        return self.everywhere or (site == self.site and camera == self.camera)

    def covers(self, clock: datetime) -> bool:
        """Whether what a clock showed (local digits) lies in its period."""
        return (self.shown_from is None or self.shown_from <= clock) and (
            self.shown_to is None or clock < self.shown_to
        )


def zone_named(name: str) -> tzinfo | None:
    """An IANA zone or a fixed one such as +03:00; None if it is none."""
    text = name.strip()
    if text[:1] in "+-" and text[1:].replace(":", "").isdigit() and len(text) > 1:
        digits = text[1:].replace(":", "")
        hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
        if hours > 14 or minutes > 59:
            return None
        span = timedelta(hours=hours, minutes=minutes)
        return timezone(span if text[0] == "+" else -span)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def same(column: sa.ColumnElement[Any], value: str | None) -> sa.ColumnElement[bool]:
    """Equal, also where there is nothing."""
    return column.is_(None) if value is None else column == value


def standing_corrections(conn: sa.Connection) -> list[StandingCorrection]:
    """Corrections that nobody has revoked, the newest first: that is the one which counts."""
    correction = schema.time_correction.c
    rows = conn.execute(
        sa.select(schema.time_correction)
        .where(correction.revoked_at.is_(None))
        .order_by(correction.correction_id.desc())
    )
    return [correction_of(row._asdict(), row.correction_id) for row in rows]


def correction_of(row: Mapping[str, Any], correction_id: int) -> StandingCorrection:
    """A row of `time_correction`, or one to be inserted, which may leave out what is not set."""
    zone = row.get("zone")
    correction = Correction(
        correction_id,
        row.get("offset_s"),
        None if zone is None else zone_named(zone),
        _digits(row.get("showed_at")),
        row.get("true_at"),
    )
    return StandingCorrection(
        correction,
        row.get("date_order"),
        row["site"],
        row["camera"],
        row["everywhere"],
        _digits(row.get("shown_from")),
        _digits(row.get("shown_to")),
    )


def _digits(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=None)
