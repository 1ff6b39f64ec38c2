"""From tracks to small square pictures: choosing the best detections of a track and cutting them out.

Belongs here: choosing detections, cutting, padding and scaling them, reading a video's crops in one pass.
Does not belong here: use of the crops (`embedding`), pages that show them (`web`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.video.pictures import read_frames, read_jpegs
from chimp_assets.database import schema

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

# The square is longer than the box by this share, because boxes by motion cut off ears and limbs.
CONTEXT = 0.1
PADDING = (110, 110, 110)
EDGE = 0.01  # a box nearer to the border of the picture is probably cut off by it
CUT_OFF_WEIGHT = 0.25
# A picture is grey if the channels of this share of its pixels differ by less than this (of 255); JPEG noise is lower.
GREY_SHARE, GREY_CHROMA = 0.95, 8


@dataclass(frozen=True)
class TrackCrops:
    """The crops of one track. frame_no: i64 [m], ascending; crops: u8 [m, side, side, 3] RGB."""

    track_id: int
    frame_no: np.ndarray
    crops: np.ndarray


def best_crops(frame_no: np.ndarray, boxes: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Rows of the best detections of a track, at most k, ascending in time.

    frame_no: i64 [n]; boxes: f32 [n, 4] (x, y, w, h as fractions of the picture); scores: f32 [n] in [0, 1].
    The track's life is cut into k equal parts and the best detection of each part is taken, so that poses differ;
    parts without a detection leave their place to the best of the rest. Best: score times the root of the area, a
    quarter of that for boxes at the border of the picture. Returns i64 [min(k, n)]. Raises ValueError if k < 1.
    """
    if k < 1:
        raise ValueError(f"{k} crops of a track were requested")
    order = np.argsort(frame_no, kind="stable")
    frames = np.asarray(frame_no)[order].astype(np.int64)
    x, y, w, h = (np.asarray(boxes, dtype=np.float64)[order, i] for i in range(4))
    whole = (np.minimum(x, y) > EDGE) & (x + w < 1 - EDGE) & (y + h < 1 - EDGE)
    weight = np.asarray(scores, dtype=np.float64)[order] * np.sqrt(w * h) * np.where(whole, 1.0, CUT_OFF_WEIGHT)
    if len(frames) <= k:
        return order
    part = (frames - frames[0]) * k // (frames[-1] - frames[0] + 1)
    by_weight = np.lexsort((frames, -weight))
    _, first_of_part = np.unique(part[by_weight], return_index=True)
    chosen = by_weight[first_of_part]
    if len(chosen) < k:
        rest = by_weight[~np.isin(by_weight, chosen)]
        chosen = np.concatenate([chosen, rest[: k - len(chosen)]])
    return order[np.sort(chosen)]


def are_grey(crops: np.ndarray) -> bool:
    """Whether crops u8 [m, h, w, 3] have no colour, like pictures in infrared light.

    By nearly all pixels, not by their mean: dark fur by day has little colour too, but skin, eyes and leaves have some.
    Cameras that tint their infrared pictures are not recognised.
    """
    small = np.stack([cv2.resize(crop, (16, 16), interpolation=cv2.INTER_AREA) for crop in crops]).astype(np.int16)
    return bool(np.quantile(small.max(3) - small.min(3), GREY_SHARE) < GREY_CHROMA)


def crop_square(picture: np.ndarray, box: tuple[float, float, float, float], side: int) -> np.ndarray:
    """Cut a box out of a picture as a square. picture: u8 [h, w, 3]; box: fractions; returns u8 [side, side, 3].

    The square is centred on the box and as long as its longer side and some context. The area outside the picture
    is grey: mirroring the border would give a face two more eyes.
    """
    height, width = picture.shape[:2]
    x, y, w, h = box
    length = max(2, round(max(w * width, h * height) * (1 + CONTEXT)))
    left, top = round((x + w / 2) * width - length / 2), round((y + h / 2) * height - length / 2)
    cut = picture[max(0, top) : max(1, top + length), max(0, left) : max(1, left + length)]
    above, before = max(0, -top), max(0, -left)
    below, after = length - above - cut.shape[0], length - before - cut.shape[1]
    if above or before or below > 0 or after > 0:
        cut = cv2.copyMakeBorder(cut, above, max(0, below), before, max(0, after), cv2.BORDER_CONSTANT, value=PADDING)
    shrink = cut.shape[0] > side
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def read_crops(
    db: Database,
    store: BlobStore,
    video_id: int,
    k: int,
    side: int,
    track_ids: Collection[int] | None = None,
    unreadable: list[int] | None = None,
) -> Iterator[TrackCrops]:
    """The best crops of the live tracks of a video (only track_ids, if given), in one pass over its frames.

    A track is yielded as soon as its last frame is read, so memory holds the crops of simultaneous tracks and one
    picture. unreadable: if given, frames that are not a JPEG are added to it and skipped, and a track without any
    picture is not yielded. Otherwise raises PictureError; StoreError if a shard cannot be read.
    """
    wanted = _chosen_detections(db, video_id, k, None if track_ids is None else {int(i) for i in track_ids})
    by_frame: dict[int, list[tuple[int, tuple[float, float, float, float]]]] = {}
    left: dict[int, int] = {}
    for track_id, chosen in wanted:
        left[track_id] = len(chosen)
        for frame_no, box in chosen:
            by_frame.setdefault(frame_no, []).append((track_id, box))
    held: dict[int, list[tuple[int, np.ndarray]]] = {}
    for frame_no, picture in _pictures(db, store, video_id, by_frame, unreadable) if by_frame else ():
        for track_id, box in by_frame.pop(frame_no):
            if picture is not None:
                held.setdefault(track_id, []).append((frame_no, crop_square(picture, box, side)))
            left[track_id] -= 1
            if not left[track_id] and track_id in held:
                crops = held.pop(track_id)
                yield TrackCrops(
                    track_id, np.array([n for n, _ in crops], dtype=np.int64), np.stack([crop for _, crop in crops])
                )


def _pictures(
    db: Database, store: BlobStore, video_id: int, frame_nos: Collection[int], unreadable: list[int] | None
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Frames in order; None for a frame that is not a JPEG, if it is added to unreadable instead of raised."""
    if unreadable is None:
        for frame_no, _, picture in read_frames(db, store, video_id, frame_nos):
            yield frame_no, picture
        return
    for frame_no, _, jpeg in read_jpegs(db, store, video_id, frame_nos):
        try:
            yield frame_no, simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
        except ValueError:
            unreadable.append(frame_no)
            yield frame_no, None


def _chosen_detections(
    db: Database, video_id: int, k: int, track_ids: set[int] | None
) -> list[tuple[int, list[tuple[int, tuple[float, float, float, float]]]]]:
    d, t = schema.detection.c, schema.track.c
    statement = (
        sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h, d.score)
        .join_from(schema.track, schema.detection, d.track_id == t.track_id)
        .where(t.video_id == video_id, t.state == "live")
        .order_by(d.track_id, d.frame_no)
        .execution_options(yield_per=5000)
    )
    wanted = []
    with db.read() as conn:
        for track_id, group in groupby(conn.execute(statement), key=attrgetter("track_id")):
            rows = list(group)
            if track_ids is not None and track_id not in track_ids:
                continue
            boxes = np.array([(r.x, r.y, r.w, r.h) for r in rows], dtype=np.float32)
            frames = np.array([r.frame_no for r in rows], dtype=np.int64)
            best = best_crops(frames, boxes, np.array([r.score for r in rows], dtype=np.float32), k)
            wanted.append(
                (int(track_id), [(rows[i].frame_no, (rows[i].x, rows[i].y, rows[i].w, rows[i].h)) for i in best])
            )
    return wanted
