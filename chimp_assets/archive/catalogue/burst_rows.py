"""Rows of clips of pictures: which are still to be decoded, and the one row that a burst becomes.

Belongs here: pictures of a bundle as clips, the rows of their other files. Does not belong here: grouping
(`stills.bursts`), decoding (`video.clip`), the row and frames of the clip itself (`ingest`), files that come and go
(`burst_files`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.archive.stills.bursts import DatedStill, StillFile, bursts_of
from chimp_assets.archive.video.clip import StillEnding
from chimp_assets.database import schema


class LostRaceError(Exception):
    """A row of a clip is no longer what it was when its file was read: nothing may be written."""


def waiting_clips(conn: sa.Connection, bundle_id: int, burst_s: float) -> list[list[StillFile]]:
    """The pictures of a bundle that are to be decoded, as clips, each in order of time."""
    video, fact = schema.video.c, schema.picture_fact.c
    rows = conn.execute(
        sa.select(video.video_id, video.uri, video.etag, video.bytes, fact.taken, fact.make, fact.model, fact.serial)
        .join_from(schema.video, schema.picture_fact, fact.video_id == video.video_id)
        .where(video.bundle_id == bundle_id, video.state == "registered")
        .order_by(video.video_id)
    ).all()
    return bursts_of(
        [
            DatedStill(
                StillFile(row.video_id, row.uri, row.etag, row.bytes), (row.make, row.model, row.serial), row.taken
            )
            for row in rows
        ],
        burst_s,
    )


def join_burst(conn: sa.Connection, burst_id: int, members: Sequence[StillEnding], at: datetime) -> None:
    """The other files of a burst become a part of its row. Raises LostRaceError if one is no longer registered.

    members: those kept, without the first. conn: in the transaction of the burst's own row.
    """
    video = schema.video.c
    for member in members:
        changed = conn.execute(
            sa.update(schema.video)
            .where(video.video_id == member.file.video_id, video.state == "registered", video.etag == member.file.etag)
            .values(
                state="retired",
                burst_video_id=burst_id,
                content_hash=member.content_hash,
                error=None,
                updated_at=at,
            )
        )
        if changed.rowcount != 1:
            raise LostRaceError


def leave_burst(conn: sa.Connection, burst_id: int) -> None:
    """The other files of a burst are no longer a part of it: files with the same pictures have taken their places."""
    video = schema.video.c
    conn.execute(sa.update(schema.video).where(video.burst_video_id == burst_id).values(burst_video_id=None))


def name_sources(conn: sa.Connection, burst_id: int, video_ids: Sequence[int]) -> None:
    """Which row's file each frame of a burst is, in the order of its frames. conn: inside a write transaction."""
    frame = schema.frame.c
    rows: list[dict[str, Any]] = [{"number": number, "source": video_id} for number, video_id in enumerate(video_ids)]
    conn.execute(
        sa.update(schema.frame)
        .where(frame.video_id == burst_id, frame.frame_no == sa.bindparam("number"))
        .values(source_video_id=sa.bindparam("source")),
        rows,
    )
