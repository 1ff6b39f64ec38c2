"""The archive: videos by state, progress of decoding, storage.

Belongs here: these facts. Does not belong here: retrying failed videos (`database.work`), drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.texts import ESCAPE, pattern_within
from chimp_assets.database.work.due import exhausted_bundles, tracks_without_pictures
from chimp_assets.database.work.pace import DecodingPace, pace_of

PAGE = 50
LOST = "lost"
"""A state of the filter beside those of the table: usable videos that lost something."""
SHOWN = 20


@dataclass(frozen=True)
class VideoFilter:
    """Which videos. state: one of schema.VIDEO_STATES, or LOST; camera: (site, camera) as in `cameras`; text: part of
    the path; since, until: recording days.
    """

    state: str | None = None
    camera: tuple[str, str] | None = None
    since: date | None = None
    until: date | None = None
    text: str = ""


@dataclass(frozen=True)
class VideoSummary:
    """One video. n_tracks: live tracks; problem: what was lost and why, a sentence; copy_of: path with the same bytes;
    certainty: of recorded_at."""

    video_id: int
    uri: str
    site: str | None
    camera: str | None
    recorded_at: datetime | None
    duration_s: float | None
    n_frames: int
    n_tracks: int
    bytes: int
    state: str
    problem: str | None
    note: str | None
    copy_of: str | None
    certainty: str | None = None


@dataclass(frozen=True)
class ArchiveProgress:
    """Progress of the archive. states: videos and bursts by state; lost: usable ones that lost something;
    copies: retired as same bytes; tracks: by state; given_up: bundles whose runs kept dying; without_pictures: waiting
    tracks without pictures (counted up to a thousand).
    """

    states: dict[str, int]
    lost: int
    copies: int
    frames: int
    hours: float
    tracks: dict[str, int]
    waiting: int
    given_up: list[str]
    without_pictures: int
    pace: DecodingPace


@dataclass(frozen=True)
class StorageUse:
    """Stored bytes by kind: (kind, files, bytes)."""

    rows: list[tuple[str, int, int]]

    @property
    def total(self) -> int:
        """Total bytes."""
        return sum(size for _, _, size in self.rows)


def videos(conn: sa.Connection, asked: VideoFilter, before: int | None = None, limit: int = PAGE) -> list[VideoSummary]:
    """Videos that match, newest entry first, replaced versions included. before: only older entries."""
    v, original = t.video.c, t.video.alias("original")
    statement = (
        sa.select(
            v.video_id, v.uri, v.site, v.camera, v.recorded_at, v.duration_s, v.n_frames, v.bytes, v.state, v.error,
            v.note, v.recorded_at_certainty, original.c.uri.label("copy_of"),
        )
        .outerjoin_from(t.video, original, original.c.video_id == v.duplicate_of_video_id)
        .where(*_conditions(asked))
    )  # fmt: skip
    if before is not None:
        statement = statement.where(v.video_id < before)
    rows = conn.execute(statement.order_by(v.video_id.desc()).limit(limit)).all()
    n_tracks = _tracks_of(conn, [row.video_id for row in rows])
    return [
        VideoSummary(
            row.video_id, row.uri, row.site, row.camera, row.recorded_at, row.duration_s, row.n_frames,
            n_tracks.get(row.video_id, 0), row.bytes, row.state, row.error, row.note, row.copy_of,
            row.recorded_at_certainty,
        )
        for row in rows
    ]  # fmt: skip


def _conditions(asked: VideoFilter) -> list[sa.ColumnElement[bool]]:
    v = t.video.c
    which: list[sa.ColumnElement[bool]] = []
    if asked.state == LOST:
        which += [v.state.in_(("decoded", "tracked")), v.error.is_not(None)]
    elif asked.state is not None:
        which.append(v.state == asked.state)
    if asked.camera is not None:
        site, camera = asked.camera
        which += [v.site == site if site else v.site.is_(None), v.camera == camera if camera else v.camera.is_(None)]
    if asked.since is not None:
        which.append(v.recorded_on >= asked.since)
    if asked.until is not None:
        which.append(v.recorded_on <= asked.until)
    if asked.text:
        which.append(sa.func.lower(v.uri).like(pattern_within(asked.text.lower()), escape=ESCAPE))
    return which


def _tracks_of(conn: sa.Connection, video_ids: Sequence[int]) -> dict[int, int]:
    k = t.track.c
    rows = conn.execute(
        sa.select(k.video_id, sa.func.count().label("n"))
        .where(k.video_id.in_(list(video_ids)), k.state == "live")
        .group_by(k.video_id)
    )
    return {row.video_id: row.n for row in rows}


def cameras(conn: sa.Connection) -> list[tuple[str, str]]:
    """Every (site, camera) with videos; empty text where unknown."""
    v = t.video.c
    rows = conn.execute(sa.select(v.site, v.camera).distinct().order_by(v.site, v.camera))
    return [(row.site or "", row.camera or "") for row in rows]


def failures(conn: sa.Connection, limit: int = SHOWN) -> list[VideoSummary]:
    """The newest videos that failed."""
    return videos(conn, VideoFilter(state="failed"), limit=limit)


def progress(conn: sa.Connection, workers: int) -> ArchiveProgress:
    """Progress of the archive now. workers: decoding processes, for the speed."""
    v, q = t.video.c, t.acquisition_queue.c
    states = _counts(conn, v.state, v.burst_video_id.is_(None))
    usable = v.state.in_(("decoded", "tracked"))
    frames, seconds = conn.execute(
        sa.select(sa.func.coalesce(sa.func.sum(v.n_frames), 0), sa.func.coalesce(sa.func.sum(v.duration_s), 0.0)).where(
            usable
        )
    ).one()
    count = sa.select(sa.func.count())
    lost = conn.scalar(count.where(usable, v.error.is_not(None)))
    copies = conn.scalar(count.where(v.duplicate_of_video_id.is_not(None)))
    waiting = conn.scalar(count.where(q.state.in_(("pending", "leased"))))
    return ArchiveProgress(
        states=states,
        lost=lost or 0,
        copies=copies or 0,
        frames=int(frames),
        hours=float(seconds) / 3600,
        tracks=_counts(conn, t.track.c.state),
        waiting=waiting or 0,
        given_up=exhausted_bundles(conn),
        without_pictures=len(tracks_without_pictures(conn)),
        pace=pace_of(conn, workers),
    )


def storage_use(conn: sa.Connection) -> StorageUse:
    """Stored files by kind, according to the rows that name them."""
    kinds: list[tuple[str, Any, Any]] = [
        ("archive", t.video.c.video_id, t.video.c.bytes),
        ("frames", t.frame_shard.c.shard_id, t.frame_shard.c.bytes),
        ("pictures", t.item_media.c.track_id, t.item_media.c.bytes),
    ]
    found = []
    for kind, key, size in kinds:
        statement = sa.select(sa.func.count(key), sa.func.coalesce(sa.func.sum(size), 0))
        if kind == "archive":
            there = sa.or_(t.video.c.state != "retired", t.video.c.burst_video_id.is_not(None))
            statement = statement.where(there)
        n, total = conn.execute(statement).one()
        found.append((kind, int(n), int(total)))
    return StorageUse(found)


def _counts(conn: sa.Connection, column: Any, *only: sa.ColumnElement[bool]) -> dict[str, int]:
    rows = conn.execute(sa.select(column, sa.func.count()).where(*only).group_by(column).order_by(column))
    return {key: n for key, n in rows}
