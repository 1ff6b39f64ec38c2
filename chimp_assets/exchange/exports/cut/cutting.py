"""Pictures of the chosen tracks: the best of each, cut from the kept frames video by video.

Belongs here: which frames, cutting, encoding, what could not be read. Does not belong here: which detections of a track
are best (`vision.pictures.crops`), formats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError, read_jpegs
from chimp_assets.database import schema as t
from chimp_assets.exchange.exports.export import ExportError, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedBox, HandedFrame, HandedTrack, HandedVideo, boxes, frames
from chimp_assets.exchange.exports.pieces.animals import animals
from chimp_assets.exchange.exports.places import without_metadata

QUALITY = 92
"""Of JPEGs: above what shards hold, so that cutting loses little more."""
MOST_PER_TRACK = 1_000
PER_TRACK = ExportOption("per_track", "pictures of each track at most, spread over its life", "5")
PICTURES = ExportOption(
    "pictures", "crops of the animal with some surroundings, or whole frames", "crops", ("crops", "frames")
)


@dataclass(frozen=True, slots=True)
class AnimalPicture:
    """A picture of a chosen track. jpeg: without what cameras write beside a picture; width, height: its pixels; x, y,
    w, h: the animal in it, in pixels; box: the animal in its frame, as fractions."""

    film: HandedVideo
    track: HandedTrack
    box: HandedBox
    frame: HandedFrame
    jpeg: bytes
    width: int
    height: int
    x: int
    y: int
    w: int
    h: int

    @property
    def key(self) -> str:
        """Names the picture, the same in every export."""
        return f"{self.track.track_id}_{self.box.frame_no}"

    @property
    def file(self) -> str:
        """The file of the archive that shows it: of a burst the picture, else the video."""
        return self.frame.uri or self.film.uri


def per_track_of(request: ExportRequest) -> int:
    """The option `per_track`. Raises ExportError for what is no number from 1 to MOST_PER_TRACK."""
    text = request.options["per_track"]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_PER_TRACK:
        raise ExportError(f"The option per_track is {text!r}.", f"It is a number from 1 to {MOST_PER_TRACK}.")
    return int(text)


def animal_pictures(
    conn: sa.Connection, request: ExportRequest, per_track: int, whole_frames: bool = False
) -> Iterator[AnimalPicture]:
    """At most per_track pictures of each chosen track, by video and frame.

    Memory: some frames' JPEGs, one decoded frame and the boxes of one video. Pictures that are no longer in the store,
    or are no JPEGs, are counted (`left_out_pictures`). Raises StoreError where the store is away, ExportError where the
    pictures are more than may be.
    """
    from chimp_assets.vision.pictures.crops import best_crops  # OpenCV: a second that listing formats does not wait for

    store = request.pictures()
    for film, tracks in animals(conn, request.selection):
        of = {one.track_id: one for one in tracks}
        mine: dict[int, list[HandedBox]] = defaultdict(list)
        of_frame = {one.frame_no: one for one in frames(conn, film)}
        for box in boxes(conn, film):
            if box.track_id in of:
                mine[box.track_id].append(box)
        wanted: dict[int, list[HandedBox]] = defaultdict(list)
        for found in mine.values():
            chosen = best_crops(
                np.array([one.frame_no for one in found], np.int64),
                np.array([(one.x, one.y, one.w, one.h) for one in found], np.float32),
                np.array([one.score for one in found], np.float32),
                per_track,
            )
            for row in chosen.tolist():
                wanted[found[row].frame_no].append(found[row])
        left = sum(map(len, wanted.values()))
        try:
            for frame_no, _, jpeg in read_jpegs(conn, store, film.video_id, wanted):
                for n, (box, cut) in enumerate(_cut(jpeg, wanted[frame_no], whole_frames)):
                    left -= 1
                    if n == 0 or not whole_frames:
                        request.spend(len(cut[0]))
                    yield AnimalPicture(film, of[box.track_id], box, of_frame[frame_no], *cut)
        except (PictureError, MissingBlobError):
            pass  # counted below: one damaged shard must not cost the pictures of all other videos
        if left:
            request.count(left_out_pictures=left)


def split_of(conn: sa.Connection, video_id: int) -> str:
    """`train`, `validation` or `test`: all videos of one camera and day are in the same; empty where none is given."""
    split = t.split_assignment.c
    return conn.scalar(sa.select(split.split).where(split.video_id == video_id)) or ""


def _cut(
    jpeg: bytes, found: list[HandedBox], whole_frames: bool
) -> Iterator[tuple[HandedBox, tuple[bytes, int, int, int, int, int, int]]]:
    import simplejpeg

    from chimp_assets.vision.pictures.crops import CONTEXT

    try:
        if whole_frames:
            height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        else:
            picture = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
            height, width = picture.shape[:2]
    except ValueError:
        return
    for box in found:
        x, y, w, h = pixels(box, width, height)
        if whole_frames:
            yield box, (without_metadata(jpeg), width, height, x, y, w, h)
            continue
        more = round(max(w, h) * CONTEXT / 2)
        left, top = max(0, x - more), max(0, y - more)
        part = np.ascontiguousarray(picture[top : min(height, y + h + more), left : min(width, x + w + more)])
        content = simplejpeg.encode_jpeg(part, quality=QUALITY)
        yield box, (bytes(content), part.shape[1], part.shape[0], x - left, y - top, w, h)


def pixels(box: HandedBox, width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, w, h of a box in whole pixels, inside of the picture and never empty."""
    left = min(width - 1, max(0, round(box.x * width)))
    top = min(height - 1, max(0, round(box.y * height)))
    right = min(width, max(left + 1, round((box.x + box.w) * width)))
    bottom = min(height, max(top + 1, round((box.y + box.h) * height)))
    return left, top, right - left, bottom - top
