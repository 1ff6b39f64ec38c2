"""Boxes of tracks: reading them, putting two tracks together, writing a track with its boxes.

Belongs here: what cuts, joins and re-tracking share. Does not belong here: bulk writing of a video's first tracks
(`vision.tracking.bundle`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.schema import TRACKS_PER_VIDEO, detection, frame, track


@dataclass(frozen=True)
class BoxSeries:
    """Boxes of one track in the order of its frames. frame_no: i64 [n]; box: f32 [n, 4] x, y, w, h; score: f32 [n]."""

    frame_no: NDArray[np.int64]
    box: NDArray[np.float32]
    score: NDArray[np.float32]

    def part(self, rows: NDArray[np.bool_]) -> BoxSeries:
        """Some of them."""
        return BoxSeries(self.frame_no[rows], self.box[rows], self.score[rows])


@dataclass(frozen=True)
class FrameTimes:
    """seconds: of each frame of a video, by its number; rate: stored frames a second, 1.0 if there are too few."""

    seconds: dict[int, float]
    rate: float

    @classmethod
    def of(cls, conn: sa.Connection, video_id: int) -> FrameTimes:
        """Reads them."""
        rows = conn.execute(sa.select(frame.c.frame_no, frame.c.time_s).where(frame.c.video_id == video_id))
        times = {row.frame_no: row.time_s for row in rows.all()}
        first, last = min(times.values(), default=0.0), max(times.values(), default=0.0)
        return cls(times, (len(times) - 1) / (last - first) if len(times) > 1 and last > first else 1.0)


def boxes_of(conn: sa.Connection, track_id: int) -> BoxSeries:
    """The boxes of a track."""
    d = detection.c
    rows = conn.execute(
        sa.select(d.frame_no, d.x, d.y, d.w, d.h, d.score).where(d.track_id == track_id).order_by(d.frame_no)
    ).all()
    return BoxSeries(
        np.array([row.frame_no for row in rows], np.int64),
        np.array([(row.x, row.y, row.w, row.h) for row in rows], np.float32).reshape(-1, 4),
        np.array([row.score for row in rows], np.float32),
    )


def joined(one: BoxSeries, other: BoxSeries) -> BoxSeries:
    """The boxes of both; in a frame of both the one of the better score, at equal scores the larger."""
    frames = np.concatenate([one.frame_no, other.frame_no])
    box, score = np.concatenate([one.box, other.box]), np.concatenate([one.score, other.score])
    order = np.lexsort((-(box[:, 2] * box[:, 3]), -score, frames))
    _, first = np.unique(frames[order], return_index=True)
    kept = order[first]
    return BoxSeries(frames[kept], box[kept], score[kept])


def write_track(
    conn: sa.Connection,
    track_id: int,
    boxes: BoxSeries,
    times: FrameTimes,
    quality: float,
    model_id: int,
    state: str,
    parent: int | None = None,
) -> None:
    """Writes a new track and its boxes beside those that its video has."""
    video_id = track_id // TRACKS_PER_VIDEO
    first, last = int(boxes.frame_no[0]), int(boxes.frame_no[-1])
    conn.execute(
        sa.insert(track).values(
            track_id=track_id,
            video_id=video_id,
            first_frame_no=first,
            last_frame_no=last,
            first_s=times.seconds[first],
            last_s=times.seconds[last],
            n_detections=len(boxes.frame_no),
            quality=quality,
            model_id=model_id,
            state=state,
            parent_track_id=parent,
        )
    )
    d = detection.c
    used: dict[int, int] = {}
    for part in in_parts(boxes.frame_no.tolist()):
        rows = conn.execute(
            sa.select(d.frame_no, sa.func.max(d.detection_no).label("last"))
            .where(d.video_id == video_id, d.frame_no.in_(part))
            .group_by(d.frame_no)
        )
        used |= {row.frame_no: row.last for row in rows.all()}
    n = len(boxes.frame_no)
    insert_rows(
        conn,
        detection,
        {
            "video_id": [video_id] * n,
            "frame_no": boxes.frame_no.tolist(),
            "detection_no": [used.get(frame_no, -1) + 1 for frame_no in boxes.frame_no.tolist()],
            "track_id": [track_id] * n,
            **{name: boxes.box[:, i].tolist() for i, name in enumerate("xywh")},
            "score": boxes.score.tolist(),
        },
    )
