"""Moments as other programs write them.

Belongs here: a moment in the zone of the cameras or in UTC, seconds since 1970. Does not belong here: what a recording
time is and how far to trust it (`archive.times`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from chimp_assets.settings import Settings

JULIAN_1970 = 2_440_588
"""Day number of 1970-01-01, as v_video_day counts days."""


def zone_of(settings: Settings) -> ZoneInfo:
    """The zone in which the cameras' clocks run, as far as files do not say their own."""
    return ZoneInfo(settings.archive.timezone)


def at(recorded_at: datetime | None, seconds: float) -> datetime | None:
    """The moment some seconds after the first picture of a video, in UTC, to the millisecond."""
    return None if recorded_at is None else recorded_at + timedelta(milliseconds=round(1000 * seconds))


def in_utc(moment: datetime | None) -> str:
    """2013-05-06T07:08:30.250Z, always with milliseconds, for pandas takes the form of a column's first moment for that
    of all; empty where the moment is not known."""
    if moment is None:
        return ""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The digits that a clock in the zone shows, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def unix_s(moment: datetime | None) -> float | None:
    """Seconds since 1970 (UTC)."""
    return None if moment is None else round(moment.timestamp(), 3)


def day_of(day_no: float | None) -> date | None:
    """The day of a day number of the views; None outside of the years 1 to 9999, which views use for "always"."""
    if day_no is None or not 1_721_426 <= day_no <= 5_373_484:
        return None
    return date(1970, 1, 1) + timedelta(days=int(day_no) - JULIAN_1970)


def day_no_of(day: date) -> int:
    """The day number of a day, as v_video_day counts days: a difference of two is a number of days."""
    return (day - date(1970, 1, 1)).days + JULIAN_1970
