"""How fast the archive is decoded and how long the rest will take, from rows alone.

Belongs here: the estimate. Does not belong here: how it is printed (`console`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t


@dataclass(frozen=True)
class DecodingPace:
    """hours_done: hours of video decoded. hours_left: an estimate for the registered ones, by their bytes.

    speed: hours of video decoded in one hour by all workers together (times real time). seconds_left: until the last
    registered video is decoded. None where nothing has been measured yet.
    """

    hours_done: float
    hours_left: float | None
    speed: float | None
    seconds_left: float | None


def pace_of(conn: sa.Connection, workers: int) -> DecodingPace:
    """The pace of decoding with this many workers. Copies and files that are no videos make it pessimistic."""
    video = t.video.c
    timed = video.decode_s > 0
    seconds, size, timed_seconds, decode_s = conn.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(video.duration_s), 0.0),
            sa.func.coalesce(sa.func.sum(sa.case((video.duration_s > 0, video.bytes))), 0),
            sa.func.coalesce(sa.func.sum(sa.case((timed, video.duration_s))), 0.0),
            sa.func.coalesce(sa.func.sum(video.decode_s), 0.0),
        ).where(video.state.in_(("decoded", "tracked")))
    ).one()
    left, left_bytes = conn.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(video.bytes), 0)).where(video.state == "registered")
    ).one()
    speed = float(timed_seconds) / float(decode_s) * max(workers, 1) if decode_s and timed_seconds else None
    seconds_of_left: float | None = 0.0
    if left:
        seconds_of_left = float(seconds) / int(size) * int(left_bytes) if size else None
    return DecodingPace(
        hours_done=float(seconds) / 3600,
        hours_left=None if seconds_of_left is None else seconds_of_left / 3600,
        speed=speed,
        seconds_left=None if speed is None or seconds_of_left is None else seconds_of_left / speed,
    )
