"""What the database has of a matched medium: the row with its pictures, its stored pictures, and the tracks on them.

Belongs here: following copies and bursts to the row that has the pictures, reading a page of videos in few statements.
Does not belong here: matching (`matching`), writing (`taking`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database import schema
from chimp_assets.database.connection.parameters import rows_in_parts

_LONGEST_CHAIN = 5


@dataclass(frozen=True)
class StoredTrack:
    """A live track with its boxes: frame_nos i64 [n] ascending, boxes f64 [n, 4] as fractions."""

    track_id: int
    first_s: float
    last_s: float
    frame_nos: NDArray[np.int64]
    boxes: NDArray[np.float64]


@dataclass
class Footage:
    """One medium's part of the archive. row_id: the row of its own file; video_id: the row that has its pictures (of a
    burst, or of the file that it is a copy of); frame_nos, times: of its stored pictures, i64 and f64 [n] ascending;
    all_frames: how many the video has; tracks: live ones of the video. width, height as displayed.
    """

    row_id: int
    video_id: int
    bundle_id: int
    uri: str
    state: str
    width: int | None
    height: int | None
    fps: float | None
    recorded_at: datetime | None
    recorded_on: date | None
    certainty: str | None
    time_source: str | None
    frame_nos: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    all_frames: int = 0
    frame_rate: float = 1.0
    tracks: list[StoredTrack] = field(default_factory=list)

    @property
    def is_decoded(self) -> bool:
        """Whether it has stored pictures."""
        return len(self.frame_nos) > 0

    @property
    def is_picture(self) -> bool:
        """Whether there is one stored picture of it: rows need to say no time."""
        return len(self.frame_nos) == 1

    @property
    def spacing(self) -> float:
        """Seconds between stored pictures."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0


def read_footage(conn: sa.Connection, row_ids: Iterable[int]) -> dict[int, Footage]:
    """Footage of rows of `video`, by row. Rows that are gone are left out. conn: for one snapshot."""
    row_ids = list(dict.fromkeys(row_ids))
    home = _followed(conn, row_ids)
    videos = {video_id for video_id, _ in home.values()}
    v = schema.video.c
    columns = (
        v.video_id, v.bundle_id, v.uri, v.state, v.width, v.height, v.avg_fps, v.recorded_at, v.recorded_on,
        v.recorded_at_certainty, v.recorded_at_source,
    )  # fmt: skip
    rows = {row.video_id: row for row in rows_in_parts(conn, _those(sa.select(*columns)), videos | set(row_ids))}
    frames = _frames(conn, videos)
    tracks = _tracks(conn, videos)
    found: dict[int, Footage] = {}
    for row_id in row_ids:
        video_id, source = home[row_id]
        row, own = rows.get(video_id), rows.get(row_id)
        if row is None or own is None or row.state == "retired":
            continue
        numbers, times, sources = frames.get(row.video_id, _NO_FRAMES)
        mine = _of_source(sources, source, row.video_id)
        span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
        found[row_id] = Footage(
            row_id, row.video_id, row.bundle_id, own.uri, row.state, own.width or row.width, own.height or row.height,
            row.avg_fps, row.recorded_at, row.recorded_on, row.recorded_at_certainty, row.recorded_at_source,
            numbers[mine], times[mine], len(numbers), (len(times) - 1) / span if span > 0 else 1.0,
            tracks.get(row.video_id, []),
        )  # fmt: skip
    return found


_NO_FRAMES = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


def _followed(conn: sa.Connection, row_ids: list[int]) -> dict[int, tuple[int, int]]:
    """(row with the pictures, row of the file that they are from) of each row: copies lead to their original, pictures
    of a burst to the burst."""
    v = schema.video.c
    home = {row_id: (row_id, row_id) for row_id in row_ids}
    asked = set(row_ids)
    for _ in range(_LONGEST_CHAIN):
        statement = sa.select(v.video_id, v.burst_video_id, v.duplicate_of_video_id)
        steps: dict[int, tuple[int, bool]] = {}
        for row in rows_in_parts(conn, _those(statement), asked):
            if row.duplicate_of_video_id is not None:
                steps[row.video_id] = (row.duplicate_of_video_id, True)
            elif row.burst_video_id is not None:
                steps[row.video_id] = (row.burst_video_id, False)
        if not steps:
            break
        for row_id, (at, source) in home.items():
            to, is_copy = steps.get(at, (at, False))
            home[row_id] = (to, to if is_copy else source)
        asked = {to for to, _ in steps.values()}
    return home


def _those(statement: sa.Select[Any]) -> Callable[[list[Any]], sa.Select[Any]]:
    return lambda part: statement.where(schema.video.c.video_id.in_(part))


def _of_source(sources: NDArray[np.int64], source: int, video_id: int) -> NDArray[np.bool_]:
    """Which stored pictures are of a row's own file. A video that is no burst is one file."""
    if not (sources >= 0).any():
        return np.ones(len(sources), bool)
    own: NDArray[np.bool_] = np.where(sources < 0, video_id, sources) == source
    return own


def _frames(
    conn: sa.Connection, video_ids: set[int]
) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]]:
    """(frame_no, time_s, source row or -1) of each video, by frame_no."""
    f = schema.frame.c
    found: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for row in rows_in_parts(
        conn,
        lambda part: (
            sa.select(f.video_id, f.frame_no, f.time_s, f.source_video_id)
            .where(f.video_id.in_(part))
            .order_by(f.video_id, f.frame_no)
        ),
        video_ids,
    ):
        source = -1 if row.source_video_id is None else row.source_video_id
        found[row.video_id].append((row.frame_no, row.time_s, source))
    answer = {}
    for video_id, rows in found.items():
        numbers, times, sources = zip(*rows, strict=True)
        answer[video_id] = (np.array(numbers, np.int64), np.array(times, np.float64), np.array(sources, np.int64))
    return answer


def _tracks(conn: sa.Connection, video_ids: set[int]) -> dict[int, list[StoredTrack]]:
    """Live tracks of each video with their boxes, by track_id."""
    k, d = schema.track.c, schema.detection.c
    spans = {
        row.track_id: row
        for row in rows_in_parts(
            conn,
            lambda part: sa.select(k.track_id, k.video_id, k.first_s, k.last_s).where(
                k.video_id.in_(part), k.state == "live"
            ),
            video_ids,
        )
    }
    with_tracks = {row.video_id for row in spans.values()}
    boxes: dict[int, list[tuple[int, float, float, float, float]]] = defaultdict(list)
    for row in rows_in_parts(
        conn,
        lambda part: (
            sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h)
            .where(d.video_id.in_(part))
            .order_by(d.video_id, d.frame_no)
        ),
        with_tracks,
    ):
        if row.track_id in spans:
            boxes[row.track_id].append((row.frame_no, row.x, row.y, row.w, row.h))
    found: dict[int, list[StoredTrack]] = defaultdict(list)
    for track_id, span in sorted(spans.items()):
        if track_id in boxes:
            values = np.array(boxes[track_id], np.float64)
            found[span.video_id].append(
                StoredTrack(track_id, span.first_s, span.last_s, values[:, 0].astype(np.int64), values[:, 1:])
            )
    return found
