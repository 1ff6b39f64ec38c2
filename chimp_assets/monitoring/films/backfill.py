"""Signals of videos that were decoded before signals were read: from the pictures that are stored.

Belongs here: which videos have none, and reading them from their frames, some at a time. Does not belong here: the
signals (`archive.video.signals`), and those of new videos, which are read while they are decoded.

Stored pictures are JPEGs: brightness, contrast and colourfulness differ from those of the decoder by up to 3 %,
sharpness by up to 8 % (`python -m benchmarks D1`).
"""

from __future__ import annotations

import logging

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.ingest import write_signal
from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError, read_frames
from chimp_assets.archive.video.signals import VideoSignal, chosen, signal_of
from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home

log = logging.getLogger(__name__)

_ROWS = 20_000


def fill_signals(home: Home, budget_videos: int = 500) -> int:
    """Write the signals of up to so many videos that have frames and no signals, the newest first; how many were
    written. A video whose pictures cannot be read is logged, passed over, and tried again the next time; it takes
    nothing of the budget. May be killed at any moment. Raises StoreError if the store is away.
    """
    written = failed = 0
    after: int | None = None
    while written < budget_videos:
        page = _without_signals(home.database, after, min(200, budget_videos - written))
        if not page:
            break
        for video_id in page:
            try:
                written += _fill(home, video_id)
            except (PictureError, MissingBlobError) as error:
                failed += 1
                log.warning("No signals of video %d: %s", video_id, error)
        after = page[-1]
    if failed:
        log.warning("Pictures of %d videos could not be read for their signals.", failed)
    return written


def _without_signals(db: Database, before: int | None, n: int) -> list[int]:
    v, s = t.video.c, t.video_signal.c
    statement = (
        sa.select(v.video_id)
        .outerjoin_from(t.video, t.video_signal, s.video_id == v.video_id)
        .where(s.video_id.is_(None), v.state.in_(("decoded", "tracked")), v.n_frames > 0)
        .order_by(v.video_id.desc())
        .limit(n)
    )
    if before is not None:
        statement = statement.where(v.video_id < before)
    with db.read() as conn:
        return list(conn.scalars(statement))


def _fill(home: Home, video_id: int) -> bool:
    frame_nos = _spread(home.database, video_id)
    shown = read_frames(home.database, home.store, video_id, frame_nos)
    signal = signal_of((time_s, picture) for _, time_s, picture in shown)
    return signal is not None and home.database.transact(lambda conn: _write(conn, video_id, signal))


def _write(conn: sa.Connection, video_id: int, signal: VideoSignal) -> bool:
    """Unless the video was decoded again meanwhile, which has written newer ones."""
    s = t.video_signal.c
    if conn.scalar(sa.select(s.video_id).where(s.video_id == video_id)) is not None:
        return False
    write_signal(conn, video_id, signal)
    return True


def _spread(db: Database, video_id: int) -> list[int]:
    """The frames that count: of all rows only the first of each second is held."""
    f = t.frame.c
    frame_no, time_s = np.empty(0, np.int64), np.empty(0)
    after = -1
    while True:
        with db.read() as conn:
            rows = conn.execute(
                sa.select(f.frame_no, f.time_s)
                .where(f.video_id == video_id, f.frame_no > after)
                .order_by(f.frame_no)
                .limit(_ROWS)
            ).all()
        if not rows:
            return [int(frame_no[place]) for place in chosen(time_s)]
        after = rows[-1].frame_no
        frame_no = np.concatenate([frame_no, np.array([row.frame_no for row in rows], np.int64)])
        time_s = np.concatenate([time_s, np.array([row.time_s for row in rows])])
        _, first = np.unique(time_s.astype(np.int64), return_index=True)
        frame_no, time_s = frame_no[first], time_s[first]
