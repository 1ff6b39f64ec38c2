"""Videos, their wanted tracks and their boxes, a page of videos at a time, so that memory stays bounded.

Belongs here: reading what most formats need. Does not belong here: formats, which tracks are wanted (`selection`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts, rows_in_parts
from chimp_assets.exchange.exports.export import ExportRequest
from chimp_assets.exchange.exports.places import without_metadata
from chimp_assets.exchange.exports.selection import Selection

PAGE = 200
"""Videos that are read at once."""


@dataclass(frozen=True)
class HandedTrack:
    """A wanted track. Times are seconds since the video's first picture; the name is None where none counts."""

    track_id: int
    video_id: int
    individual_id: int | None
    anim_id: str | None
    source: str | None
    status: str
    probability: float | None
    annotation_id: str | None
    model_id: int | None
    first_frame_no: int
    last_frame_no: int
    first_s: float
    last_s: float
    n_detections: int


@dataclass(frozen=True)
class HandedVideo:
    """A video with its wanted tracks, by track_id. width, height: pixels as displayed; frame_s: mean seconds between
    kept frames."""

    video_id: int
    uri: str
    content_hash: str | None
    site: str | None
    camera: str | None
    recorded_at: datetime | None
    recorded_on: date | None
    duration_s: float | None
    width: int
    height: int
    avg_fps: float | None
    frame_s: float | None
    n_frames: int
    state: str
    recorded_at_certainty: str | None
    tracks: tuple[HandedTrack, ...]


class HandedFrame(NamedTuple):
    """A kept frame. uri: of the picture file that it is, where its video is a burst of pictures."""

    frame_no: int
    pts: int
    time_s: float
    uri: str | None


class HandedBox(NamedTuple):
    """A box of a track in a kept frame: fractions of the displayed picture, top left corner and size."""

    frame_no: int
    track_id: int
    x: float
    y: float
    w: float
    h: float
    score: float


def videos(conn: sa.Connection, selection: Selection, without_tracks: bool = False) -> Iterator[HandedVideo]:
    """Every video with a wanted track, by video_id. without_tracks: also those that the conditions on videos let
    through and in which no wanted track is."""
    v, after = t.video.c, 0
    columns = [v[name] for name in HandedVideo.__dataclass_fields__ if name != "tracks"]
    while True:
        rows = conn.execute(
            sa.select(*columns)
            .where(v.video_id > after, v.state != "retired", *selection.video_conditions())
            .order_by(v.video_id)
            .limit(PAGE)
        ).all()
        if not rows:
            return
        after = rows[-1].video_id
        yield from _with_tracks(conn, selection, rows, without_tracks)


def videos_of(conn: sa.Connection, selection: Selection, video_ids: Sequence[int]) -> Iterator[HandedVideo]:
    """Those of these videos, at most PAGE, in which a wanted track is, in the order of video_ids."""
    v = t.video.c
    columns = [v[name] for name in HandedVideo.__dataclass_fields__ if name != "tracks"]
    found = {row.video_id: row for row in conn.execute(sa.select(*columns).where(v.video_id.in_(video_ids)))}
    yield from _with_tracks(conn, selection, [found[key] for key in video_ids if key in found], False)


def _with_tracks(
    conn: sa.Connection, selection: Selection, rows: Sequence[Any], without_tracks: bool
) -> Iterator[HandedVideo]:
    of = _tracks(conn, selection, [row.video_id for row in rows])
    for row in rows:
        tracks = of.get(row.video_id, ())
        if tracks or without_tracks:
            known = {**row._mapping, "width": row.width or 0, "height": row.height or 0}
            yield HandedVideo(**known, tracks=tuple(tracks))


def _tracks(conn: sa.Connection, selection: Selection, video_ids: Sequence[int]) -> dict[int, list[HandedTrack]]:
    wanted, k = selection.tracks(among=video_ids).subquery("wanted"), t.track.c
    rows: Any = conn.execute(
        sa.select(*wanted.c, k.first_frame_no, k.last_frame_no, k.first_s, k.last_s, k.n_detections)
        .join_from(wanted, t.track, k.track_id == wanted.c.track_id)
        .order_by(wanted.c.track_id)
    ).all()
    found: dict[int, list[HandedTrack]] = defaultdict(list)
    for row in rows:
        found[row.video_id].append(HandedTrack(*row))
    return found


def has_size(video: HandedVideo, request: ExportRequest) -> bool:
    """Whether the size of its pictures is known; else the video is counted as left out, since pixels need it."""
    if video.width and video.height:
        return True
    request.count(left_out_without_size=1)
    return False


def frames(conn: sa.Connection, video: HandedVideo) -> list[HandedFrame]:
    """Its kept frames, in order."""
    f, v = t.frame.c, t.video.c
    rows = conn.execute(
        sa.select(f.frame_no, f.pts, f.time_s, f.source_video_id)
        .where(f.video_id == video.video_id)
        .order_by(f.frame_no)
    ).all()
    # Few are of bursts: a join costs more than all the rest of a million frames.
    sources = {row[3] for row in rows} - {None}
    found = rows_in_parts(conn, lambda part: sa.select(v.video_id, v.uri).where(v.video_id.in_(part)), sources)
    uris = {row.video_id: row.uri for row in found}
    return [HandedFrame(frame_no, pts, time_s, uris.get(source)) for frame_no, pts, time_s, source in rows]


def boxes(conn: sa.Connection, video: HandedVideo) -> list[HandedBox]:
    """The boxes of its wanted tracks, by frame and track."""
    d = t.detection.c
    wanted = {track.track_id for track in video.tracks}
    rows = conn.execute(
        sa.select(d.frame_no, d.track_id, d.x, d.y, d.w, d.h, d.score).where(d.video_id == video.video_id)
    ).all()
    found = [HandedBox(*row) for row in rows if row[1] in wanted]
    found.sort()  # they come nearly so by their key
    return found


def pictures(
    conn: sa.Connection, request: ExportRequest, video: HandedVideo, frame_nos: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """Kept frames as JPEG, with their numbers, without what a camera wrote beside the picture (`without_metadata`).
    Raises ExportError where there is no store, or where they are more than may be."""
    f, h, store = t.frame.c, t.frame_shard.c, request.pictures()
    for part in in_parts(sorted(frame_nos)):
        rows = conn.execute(
            sa.select(f.frame_no, h.uri, f.byte_offset, f.byte_length)
            .join_from(t.frame, t.frame_shard, h.shard_id == f.shard_id)
            .where(f.video_id == video.video_id, f.frame_no.in_(part))
            .order_by(f.frame_no)
        ).all()
        for row in rows:
            request.spend(row.byte_length)
            yield row.frame_no, without_metadata(store.get_range(row.uri, row.byte_offset, row.byte_length))


def boxes_of_tracks(conn: sa.Connection, track_ids: Sequence[int]) -> Iterator[HandedBox]:
    """The boxes of some tracks, by track and frame, of a few hundred tracks at a time."""
    d = t.detection.c
    for part in in_parts(sorted(track_ids)):
        for row in conn.execute(
            sa.select(d.frame_no, d.track_id, d.x, d.y, d.w, d.h, d.score)
            .where(d.track_id.in_(part))
            .order_by(d.track_id, d.frame_no)
        ).all():
            yield HandedBox(*row)
