"""Any picture of an archived file by its time, at full size: for a person who wants to see what lies between the kept
frames, or the detail that scaling took.

Belongs here: finding one picture in a file. Does not belong here: stored pictures (`pictures`), sampling (`decode`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.conversion import Converter, Deinterlacer
from chimp_assets.archive.video.decode import FrameClock, with_neighbours
from chimp_assets.archive.video.probe import (
    UnevenPartError,
    UnreadableVideoError,
    decoded_pictures,
    limit_pixels,
    opened,
    pixel_aspect,
    seek_before,
)
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError
from chimp_assets.settings import DecodeSettings


@dataclass(frozen=True)
class OriginalFrame:
    """A picture of the file itself. pts in the stream's time base; time_s since the first picture; picture u8 [h, w, 3]
    RGB as displayed, unscaled but for square pixels.
    """

    pts: int
    time_s: float
    picture: np.ndarray


def read_original(
    db: Database, archive: BlobStore, video_id: int, time_s: float, settings: DecodeSettings
) -> OriginalFrame:
    """The picture that a player shows time_s seconds after the first one: the last that is not later.

    Of a still or a burst: the file of that frame, at its full size. Reads the archive's file, so the file must still be
    there, and be the one that was decoded.
    Raises ChimpError if the video is unknown or its file is gone or another; UnreadableVideoError; StoreError.
    """
    video = schema.video.c
    with db.read() as conn:
        row = conn.execute(
            sa.select(video.uri, video.etag, video.state, video.time_base_num, video.time_base_den).where(
                video.video_id == video_id
            )
        ).first()
        still = None if row is None else _still_at(conn, video_id, time_s)
        steady = row is not None and still is None and _is_steady(conn, video_id, time_s, row)
    if row is None:
        raise ChimpError(f"There is no video {video_id}.", "Take a video_id from the table video.")
    if still is not None:
        return _still_of(archive, video_id, still, time_s, settings)
    found = archive.head(row.uri)
    if row.state == "retired" or found is None or found.etag[:200] != row.etag:
        raise ChimpError(
            f"The file of video {video_id}, {row.uri}, is gone or was replaced.",
            "Its kept frames are still in the store; bring the file back for what lies between them.",
        )
    path = archive.local_path(row.uri)
    if path is not None:
        return original_at(path, time_s, settings, search=steady)
    with tempfile.TemporaryDirectory(prefix="chimp-") as folder:
        path = Path(folder) / PurePosixPath(row.uri).name
        archive.download(row.uri, path, lambda: None)
        return original_at(path, time_s, settings, search=steady)


def _still_at(conn: sa.Connection, video_id: int, time_s: float) -> Any | None:
    """The frame of a still or burst at this time, and the row of its own file; None for a video."""
    frame, video, fact = schema.frame.c, schema.video.alias("source"), schema.picture_fact.c
    source_id = sa.func.coalesce(frame.source_video_id, frame.video_id)
    frames = (
        sa.select(frame.pts, frame.time_s, video.c.uri, video.c.etag)
        .join_from(schema.frame, video, video.c.video_id == source_id)
        .join(schema.picture_fact, fact.video_id == video.c.video_id)
        .where(frame.video_id == video_id)
    )
    earlier = frames.where(frame.time_s <= time_s + _TICK_S).order_by(frame.frame_no.desc()).limit(1)
    return conn.execute(earlier).first() or conn.execute(frames.order_by(frame.frame_no).limit(1)).first()


# Times of pictures are kept to the millisecond.
_TICK_S = 0.0005


def _still_of(archive: BlobStore, video_id: int, still: Any, time_s: float, settings: DecodeSettings) -> OriginalFrame:
    from chimp_assets.archive.video.still import read_still

    if not time_s >= 0:
        raise UnreadableVideoError(
            f"{time_s} s is not a time in {PurePosixPath(still.uri).name}.", "Times count from 0, the first picture."
        )
    found = archive.head(still.uri)
    if found is None or found.etag[:200] != still.etag:
        raise ChimpError(
            f"The file of a picture of video {video_id}, {still.uri}, is gone or was replaced.",
            "Its kept frame is still in the store; bring the file back for its full size.",
        )
    with tempfile.TemporaryDirectory(prefix="chimp-") as folder:
        path = archive.local_path(still.uri)
        if path is None:
            path = Path(folder) / PurePosixPath(still.uri).name
            archive.download(still.uri, path, lambda: None)
        return OriginalFrame(still.pts, still.time_s, read_still(path, None, settings.max_pixels).picture)


def _is_steady(conn: sa.Connection, video_id: int, time_s: float, video: Any) -> bool:
    """Whether the clock of the file has not jumped before this time, by the kept frames around it."""
    frame = schema.frame.c
    of_video = sa.select(frame.pts, frame.time_s).where(frame.video_id == video_id)
    first = conn.execute(of_video.where(frame.frame_no == 0)).first()
    after = conn.execute(of_video.where(frame.time_s >= time_s).order_by(frame.frame_no).limit(1)).first()
    last = conn.execute(of_video.order_by(frame.frame_no.desc()).limit(1)).first()
    if first is None or last is None or not video.time_base_den:
        return False
    at = after or last
    tick = video.time_base_num / video.time_base_den
    return bool(abs((at.pts - first.pts) * tick - at.time_s) < tick)


# The search lands at a key picture; where times are loose it may lie after the picture that is wanted.
_SEARCH_BACK_S = (0.0, 2.0, 20.0)


def original_at(path: Path, time_s: float, settings: DecodeSettings, search: bool = True) -> OriginalFrame:
    """`read_original` for a file of this machine. Raises UnreadableVideoError, also if time_s is no number or below 0.

    Decodes from the key picture before; from the beginning where the file cannot be searched by time, or search is
    False.
    """
    if not time_s >= 0:
        raise UnreadableVideoError(
            f"{time_s} s is not a time in {path.name}.", "Times count from 0, the first picture."
        )
    for back_s in _SEARCH_BACK_S if search else ():
        try:
            return _found(path, time_s, settings, back_s)
        except UnevenPartError:
            continue
    return _found(path, time_s, settings, None)


def _found(path: Path, time_s: float, settings: DecodeSettings, back_s: float | None) -> OriginalFrame:
    searched = back_s is not None
    with opened(path) as (container, stream):
        limit_pixels(stream, settings.max_pixels, path.name)
        clock = FrameClock(stream, None, settings.max_duration_s)
        pictures: Iterable[Any] = decoded_pictures(container, stream, None)
        if back_s is not None:
            first = next(iter(pictures), None)
            if first is None or first.pts is None:
                raise UnevenPartError("its first picture has no time")
            clock.read(first)
            target = first.pts + round(time_s / stream.time_base)
            if target > first.pts:
                seek_before(container, stream, max(first.pts, target - round(back_s / stream.time_base)))
                pictures = _trusted(decoded_pictures(container, stream, None), first.pts, target)
            else:
                pictures = [first]
        shown: tuple[Any, Any, Any] | None = None
        at: tuple[int, float] = (0, 0.0)
        # Half a tick: times that were rounded to ticks name their picture.
        latest = time_s + float(stream.time_base) / 2
        with closing(with_neighbours(pictures)) as trios:
            for trio in trios:
                pts, seconds = (trio[1].pts, clock.seconds_at(trio[1].pts)) if searched else clock.read(trio[1])
                if seconds > latest and shown is not None:
                    break
                shown, at = trio, (pts, seconds)
        if shown is None:
            raise UnreadableVideoError(
                f"{path.name} has no picture that can be decoded.", "It may be damaged: look for another copy."
            )
        before, frame, after = shown
        convert = Converter(pixel_aspect(stream), None, settings.max_pixels, path.name, lambda sentence: None)
        woven = frame.interlaced_frame
        picture = convert(frame, Deinterlacer().between(before, frame, after) if woven else None)
        return OriginalFrame(*at, picture)


def _trusted(frames: Iterable[Any], first: int, target: int) -> Iterable[Any]:
    """The frames after a search by time. Raises UnevenPartError where they show that it missed or times are odd."""
    last: int | None = None
    for frame in frames:
        if frame.pts is None or (last is not None and frame.pts <= last):
            raise UnevenPartError("its pictures do not come in the order of their times")
        if last is None and (frame.pts > target or frame.pts < first):
            raise UnevenPartError("the search landed elsewhere")
        last = frame.pts
        yield frame
