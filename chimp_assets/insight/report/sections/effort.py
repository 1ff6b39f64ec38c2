"""What was recorded: days, hours, cameras and gaps, as in `v_effort` and `v_sampling_day`.

Does not belong here: what was seen meanwhile (`individuals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_EFFORT = sa.table(
    "v_effort",
    *(sa.column(name) for name in ("site", "camera", "month", "n_videos", "n_failed", "known_gap")),
    sa.column("recorded_s", sa.Double()),
    sa.column("usable_s", sa.Double()),
)
_DAY = sa.table("v_sampling_day", sa.column("day"))


@dataclass(frozen=True)
class CameraEffort:
    """What a camera recorded. days: with a video; silent_days: of a deployment without one; gap_days: of these and
    those, days on which somebody recorded that there was no sampling; last_month: with a video, None if no day is
    known."""

    site: str | None
    camera: str | None
    videos: int
    hours: float
    usable_hours: float
    days: int
    silent_days: int
    gap_days: int
    last_month: str | None


@dataclass(frozen=True)
class Effort:
    """What all cameras recorded. days: on which any camera did, from first_day to last_day; months: (month, hours);
    undated: videos of which nobody knows the day; failed: videos that could not be read."""

    first_day: str | None
    last_day: str | None
    days: int
    videos: int
    undated: int
    failed: int
    hours: float
    usable_hours: float
    cameras: list[CameraEffort]
    months: list[tuple[str, float]]

    @property
    def silent_days(self) -> int:
        """Camera-days of deployments without a video."""
        return sum(one.silent_days for one in self.cameras)

    @property
    def gap_days(self) -> int:
        """Camera-days on which somebody recorded that there was no sampling."""
        return sum(one.gap_days for one in self.cameras)


def effort_of(conn: sa.Connection) -> Effort:
    """The effort of the whole archive: two statements, rows by camera and month."""
    e = _EFFORT.c
    rows = conn.execute(
        sa.select(
            e.site, e.camera, e.month,
            sa.func.sum(e.n_videos).label("videos"), sa.func.sum(e.n_failed).label("failed"),
            sa.func.sum(e.recorded_s).label("seconds"), sa.func.sum(e.usable_s).label("usable"),
            _days(e.n_videos > 0).label("days"), _days(e.n_videos == 0).label("silent"),
            sa.func.sum(e.known_gap).label("gaps"),
        ).group_by(e.site, e.camera, e.month)
    ).all()  # fmt: skip
    span = conn.execute(
        sa.select(
            sa.func.min(_DAY.c.day).label("first"), sa.func.max(_DAY.c.day).label("last"), sa.func.count().label("n")
        ).select_from(_DAY)
    ).one()
    by_camera: dict[tuple[str, str], list[Any]] = {}
    months: dict[str, float] = {}
    for row in rows:
        by_camera.setdefault((row.site or "", row.camera or ""), []).append(row)
        if row.month is not None:
            months[row.month] = months.get(row.month, 0.0) + float(row.seconds or 0) / 3600
    return Effort(
        first_day=span.first,
        last_day=span.last,
        days=int(span.n),
        videos=sum(int(row.videos) for row in rows),
        undated=sum(int(row.videos) for row in rows if row.month is None),
        failed=sum(int(row.failed) for row in rows),
        hours=sum(float(row.seconds or 0) for row in rows) / 3600,
        usable_hours=sum(float(row.usable or 0) for row in rows) / 3600,
        cameras=[_camera(found) for _, found in sorted(by_camera.items())],
        months=sorted(months.items()),
    )


def _days(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    # The row whose day is not known is no day.
    return sa.func.sum(sa.case((sa.and_(which, _EFFORT.c.month.is_not(None)), 1), else_=0))


def _camera(rows: Sequence[Any]) -> CameraEffort:
    return CameraEffort(
        site=rows[0].site,
        camera=rows[0].camera,
        videos=sum(int(row.videos) for row in rows),
        hours=sum(float(row.seconds or 0) for row in rows) / 3600,
        usable_hours=sum(float(row.usable or 0) for row in rows) / 3600,
        days=sum(int(row.days) for row in rows),
        silent_days=sum(int(row.silent) for row in rows),
        gap_days=sum(int(row.gaps) for row in rows),
        last_month=max((row.month for row in rows if row.month is not None and row.videos), default=None),
    )
