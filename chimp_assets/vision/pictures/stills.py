"""The still pictures of a track: its sharpest crops and its best frame.

Belongs here: choosing, cutting, encoding within a budget. Does not belong here: clips (`clips`), storing
(`item_media`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema as t
from chimp_assets.vision.pictures.crops import CONTEXT, best_crops, crop_square
from chimp_assets.vision.pictures.media_file import MediaFile, Picture, scaled

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

CROPS = 8
LOOKED_AT = 24
"""Detections whose sharpness is measured; a third of them is shown."""
STILL_BYTES = 150_000
"""What a station on a slow link can load beside a clip while one item is answered (49 items a minute, 1.5 Mbit/s)."""
FACE_SIDE, FACE_QUALITY = 256, 82
# Side and quality of crops, longest side and quality of the frame: the first that fits.
STILLS = (
    (256, 82, 640, 78),
    (224, 78, 640, 70),
    (192, 75, 512, 68),
    (160, 70, 448, 62),
    (128, 65, 384, 55),
    (96, 50, 256, 45),
    (64, 35, 160, 35),
)
SMALLEST_CROP = 64

_SHARPNESS_SIDE = 96


@dataclass(frozen=True)
class TrackBoxes:
    """The boxes of one track: frame_no i64 [n] ascending, boxes f64 [n, 4], scores f64 [n]."""

    frame_no: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class StillSource:
    """What the stills of a track are cut from. candidates: rows of seen whose sharpness is measured.

    key: a hash of the boxes and of the bytes of their frames: equal keys give equal pictures.
    """

    video_id: int
    seen: TrackBoxes
    candidates: np.ndarray
    key: str


def source_of(db: Database, track_id: int) -> StillSource | None:
    """What the pictures of a track are cut from; None if there is no such track or it has no detections.

    Reads rows only. Raises PictureError if the database lacks a frame that has a box.
    """
    f, h = t.frame.c, t.frame_shard.c
    with db.read() as conn:
        video_id = conn.scalar(sa.select(t.track.c.video_id).where(t.track.c.track_id == track_id))
        if video_id is None:
            return None
        seen = _boxes_of(conn, track_id)
        if not len(seen.frame_no):
            return None
        candidates = best_crops(seen.frame_no, seen.boxes, seen.scores, LOOKED_AT)
        wanted = seen.frame_no[candidates].tolist()
        frames = conn.execute(
            sa.select(f.frame_no, h.content_hash, f.byte_offset, f.byte_length)
            .join_from(t.frame, t.frame_shard, h.shard_id == f.shard_id)
            .where(f.video_id == video_id, f.frame_no.in_(wanted))
            .order_by(f.frame_no)
        ).all()
    parts = [[tuple(row) for row in frames], seen.boxes[candidates].tolist(), seen.scores[candidates].tolist()]
    key = hashlib.sha256(json.dumps([FACE_SIDE, FACE_QUALITY, CONTEXT, *parts]).encode()).hexdigest()
    return StillSource(video_id, seen, candidates, key)


def cut_face(db: Database, store: BlobStore, source: StillSource) -> bytes:
    """The best crop of a track as a JPEG, the one that comes first among its pictures. Memory: two decoded frames.

    Raises PictureError and StoreError if its frames cannot be read.
    """
    seen = source.seen
    row_of = {int(seen.frame_no[row]): row for row in source.candidates.tolist()}
    best, best_value, picture_of_best = -1, -np.inf, {}
    for frame_no, time_s, picture in read_frames(db, store, source.video_id, row_of):
        value = _sharpness(seen, row_of[frame_no], picture)
        if value > best_value:
            best, best_value, picture_of_best = row_of[frame_no], value, {frame_no: (time_s, picture)}
    return _crop(seen, best, 0, picture_of_best, FACE_SIDE, FACE_QUALITY).content


def read_candidates(db: Database, store: BlobStore, source: StillSource) -> dict[int, Picture]:
    """The frames of a source's candidates, decoded, by frame_no. Raises PictureError, StoreError."""
    wanted = source.seen.frame_no[source.candidates].tolist()
    return {
        frame_no: (time_s, picture) for frame_no, time_s, picture in read_frames(db, store, source.video_id, wanted)
    }


def _boxes_of(conn: sa.Connection, track_id: int) -> TrackBoxes:
    d = t.detection.c
    rows = conn.execute(
        sa.select(d.frame_no, d.x, d.y, d.w, d.h, d.score).where(d.track_id == track_id).order_by(d.frame_no)
    ).all()
    return TrackBoxes(
        np.array([row.frame_no for row in rows], np.int64),
        np.array([(row.x, row.y, row.w, row.h) for row in rows], np.float64).reshape(-1, 4),
        np.array([row.score for row in rows], np.float64),
    )


def sharpest(seen: TrackBoxes, candidates: np.ndarray, pictures: dict[int, Picture]) -> list[int]:
    """Rows of the crops to show: the best first, the others in order of time, one for each part of the track's life.

    Best: the variance of the Laplacian of the crop at one size (Pech-Pacheco et al. 2000), times score and the root of
    its area; blur and distance both count against it.
    """
    value = {row: _sharpness(seen, row, pictures[int(seen.frame_no[row])][1]) for row in candidates.tolist()}
    first, last = seen.frame_no[candidates[0]], seen.frame_no[candidates[-1]]
    parts: dict[int, int] = {}
    for row in sorted(value, key=lambda row: -value[row]):
        parts.setdefault(int((seen.frame_no[row] - first) * CROPS // (last - first + 1)), row)
    best = max(value, key=lambda row: value[row])
    return [best, *sorted(row for row in parts.values() if row != best)]


def _sharpness(seen: TrackBoxes, row: int, picture: np.ndarray) -> float:
    """The measure described in `sharpest`."""
    x, y, w, h = seen.boxes[row]
    crop = crop_square(picture, (x, y, w, h), _SHARPNESS_SIDE)
    variance = cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()
    return float(np.log1p(variance) * seen.scores[row] * np.sqrt(w * h))


def stills(seen: TrackBoxes, shown: list[int], pictures: dict[int, Picture]) -> list[MediaFile]:
    """Crops and the best frame, in the best quality that the budget allows."""
    blobs: list[MediaFile] = []
    for side, crop_quality, longest, frame_quality in STILLS:
        blobs = [_crop(seen, row, place, pictures, side, crop_quality) for place, row in enumerate(shown)]
        blobs.append(_frame(seen, shown[0], pictures, longest, frame_quality))
        if sum(len(blob.content) for blob in blobs) <= STILL_BYTES:
            break
    return blobs


def _crop(seen: TrackBoxes, row: int, place: int, pictures: dict[int, Picture], side: int, quality: int) -> MediaFile:
    frame_no = int(seen.frame_no[row])
    time_s, picture = pictures[frame_no]
    x, y, w, h = (float(value) for value in seen.boxes[row])
    # Never larger than filmed: that costs bytes and shows no more.
    filmed = round(max(w * picture.shape[1], h * picture.shape[0]) * (1 + CONTEXT))
    side = int(np.clip(filmed, SMALLEST_CROP, side)) if filmed < side else side
    crop = crop_square(picture, (x, y, w, h), side)
    content = simplejpeg.encode_jpeg(np.ascontiguousarray(crop), quality=quality, colorspace="RGB")
    return MediaFile(
        "crop",
        place,
        content,
        {"frame_no": frame_no, "time_s": time_s, "width": side, "height": side, "x": x, "y": y, "w": w, "h": h},
    )


def _frame(seen: TrackBoxes, row: int, pictures: dict[int, Picture], longest: int, quality: int) -> MediaFile:
    frame_no = int(seen.frame_no[row])
    time_s, picture = pictures[frame_no]
    small = scaled(picture, min(1.0, longest / max(picture.shape[:2])))
    x, y, w, h = (float(value) for value in seen.boxes[row])
    return MediaFile(
        "frame",
        0,
        simplejpeg.encode_jpeg(small, quality=quality, colorspace="RGB"),
        {
            "frame_no": frame_no, "time_s": time_s, "width": small.shape[1], "height": small.shape[0],
            "x": x, "y": y, "w": w, "h": h,
        },
    )  # fmt: skip
