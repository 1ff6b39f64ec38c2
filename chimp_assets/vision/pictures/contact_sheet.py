"""Sheets of small pictures: a video with its boxes, a bundle at a glance.

Belongs here: drawing from SQL and shards. Does not belong here: detection, tracking.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.pictures import PictureError, read_frames
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database

_WIDTH = 320
_BUNDLE_WIDTH = 200
_BUNDLE_HEIGHT = 150
_BUNDLE_COLUMNS = 4
_JUNK_COLOUR = (150, 150, 150)


def contact_sheet(
    db: Database, store: BlobStore, video_id: int, out: Path, columns: int = 6, pictures: int = 24
) -> Path:
    """Write a PNG with up to `pictures` evenly spread frames; live tracks in colours, junk in grey. Returns out.

    For notebooks; no command or page uses it. Numbers are the ordinals of the tracks in their video. Raises
    PictureError if the video has no frames.
    """
    with db.read() as conn:
        frame_nos = list(
            conn.scalars(
                sa.select(schema.frame.c.frame_no).where(schema.frame.c.video_id == video_id).order_by("frame_no")
            )
        )
        if not frame_nos:
            raise PictureError(f"Video {video_id} has no pictures.", "Ingest it first.")
        spread = np.unique(np.linspace(0, len(frame_nos) - 1, min(pictures, len(frame_nos))).round().astype(int))
        chosen = [frame_nos[index] for index in spread]
        boxes = _boxes(conn, video_id, chosen)
    tiles = [_tile(rgb, frame_no, time_s, boxes) for frame_no, time_s, rgb in read_frames(db, store, video_id, chosen)]
    height = max(tile.shape[0] for tile in tiles)
    blank = np.zeros((height, _WIDTH, 3), np.uint8)
    rows = []
    for start in range(0, len(tiles), columns):
        row = [np.vstack([tile, blank[tile.shape[0] :]]) for tile in tiles[start : start + columns]]
        rows.append(np.hstack(row + [blank] * (min(columns, len(tiles)) - len(row))))
    encoded = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1]
    out.write_bytes(encoded.tobytes())
    return out


def bundle_sheet(
    db: Database, store: BlobStore, bundle_key: str, pictures: int = 12, max_bytes: int = 100_000
) -> bytes | None:
    """A JPEG of at most max_bytes with up to `pictures` stored frames of a bundle, from as many videos as possible.

    In the order of the videos, from the middle of each stretch of frames. None if the bundle has no frames. Raises
    PictureError or StoreError if a picture cannot be read.
    """
    with db.read() as conn:
        video, bundle = schema.video.c, schema.bundle.c
        videos = conn.execute(
            sa.select(video.video_id, video.n_frames)
            .join_from(schema.video, schema.bundle, bundle.bundle_id == video.bundle_id)
            .where(bundle.bundle_key == bundle_key, video.state.in_(("decoded", "tracked")), video.n_frames > 0)
            .order_by(video.video_id)
        ).all()
    if not videos:
        return None
    # Frames are numbered from 0 without gaps; the pictures are distributed evenly among the videos.
    dealt = np.bincount(np.arange(pictures) * len(videos) // pictures, minlength=len(videos))
    tiles = []
    for (video_id, n_frames), n in zip(videos, dealt.tolist(), strict=True):
        middles = sorted({int((k + 0.5) * n_frames / n) for k in range(n)})
        tiles += [_small(rgb) for _, _, rgb in read_frames(db, store, video_id, middles)]
    return _sheet_of(tiles, max_bytes)


def picture_sheet(
    db: Database, store: BlobStore, moments: Sequence[tuple[int, int]], max_bytes: int = 100_000
) -> bytes | None:
    """A JPEG of at most max_bytes with these stored frames, (video_id, frame_no), in their order.

    None without any. Raises PictureError or StoreError if a picture cannot be read.
    """
    tiles = [
        _small(rgb) for video_id, frame_no in moments for _, _, rgb in read_frames(db, store, video_id, [frame_no])
    ]
    return _sheet_of(tiles, max_bytes) if tiles else None


def _sheet_of(tiles: list[NDArray[np.uint8]], max_bytes: int) -> bytes | None:
    blank = np.zeros((_BUNDLE_HEIGHT, _BUNDLE_WIDTH, 3), np.uint8)
    columns = min(_BUNDLE_COLUMNS, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    sheet = np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])
    for quality in (80, 60, 40, 20):
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(sheet), quality=quality)
        if len(jpeg) <= max_bytes:
            return bytes(jpeg)
    return None


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole picture inside one tile, on black."""
    scale = min(_BUNDLE_WIDTH / rgb.shape[1], _BUNDLE_HEIGHT / rgb.shape[0])
    width, height = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    tile = np.zeros((_BUNDLE_HEIGHT, _BUNDLE_WIDTH, 3), np.uint8)
    top, left = (_BUNDLE_HEIGHT - height) // 2, (_BUNDLE_WIDTH - width) // 2
    tile[top : top + height, left : left + width] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return tile


def _boxes(conn: sa.Connection, video_id: int, frame_nos: list[int]) -> dict[int, list[sa.Row]]:
    detection, track = schema.detection.c, schema.track.c
    statement = sa.select(
        detection.frame_no, detection.x, detection.y, detection.w, detection.h, detection.track_id, track.state
    ).join_from(schema.detection, schema.track, detection.track_id == track.track_id)
    found: dict[int, list[sa.Row]] = {}
    for row in conn.execute(statement.where(detection.video_id == video_id, detection.frame_no.in_(frame_nos))):
        found.setdefault(int(row.frame_no), []).append(row)
    return found


def _tile(rgb: NDArray[np.uint8], frame_no: int, time_s: float, boxes: dict[int, list[sa.Row]]) -> NDArray[np.uint8]:
    height = max(1, round(_WIDTH * rgb.shape[0] / rgb.shape[1]))
    tile = cv2.resize(rgb, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    for row in boxes.get(frame_no, []):
        ordinal = int(row.track_id) % schema.TRACKS_PER_VIDEO
        colour = _JUNK_COLOUR if row.state == "junk" else _colour(ordinal)
        x, y = round(row.x * _WIDTH), round(row.y * height)
        corner = (round((row.x + row.w) * _WIDTH), round((row.y + row.h) * height))
        cv2.rectangle(tile, (x, y), corner, colour, 1)
        cv2.putText(tile, str(ordinal), (x + 2, max(9, y - 2)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, 1)
    label = f"{frame_no}  {time_s:.1f} s"
    cv2.putText(tile, label, (3, height - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1)
    return np.asarray(tile, np.uint8)


def _colour(ordinal: int) -> tuple[int, int, int]:
    # Steps of the golden ratio around the colour wheel: neighbours in number differ most.
    red, green, blue = colorsys.hsv_to_rgb(ordinal * 0.618 % 1, 0.9, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)
