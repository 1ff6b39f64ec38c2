"""The clip of a track: the seconds around its best frame without boxes, and the boxes beside it.

Belongs here: choosing the seconds, encoding within a budget, the file of boxes. Does not belong here: stills
(`stills`), storing (`item_media`).

Boxes are not drawn into the clip, so that a corrected box changes the boxes and not the pictures.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema as t
from chimp_assets.vision.pictures.media_file import MediaFile, Picture, scaled

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

CLIP_BYTES = 400_000
"""What a station on a slow link can load while one item is answered, beside the stills."""
CLIP_S = 4.0
CLIP_LINES = 480
MIN_CLIP_FRAMES = 3
# Lines and x264's constant rate factor: the first that fits.
CLIPS = ((CLIP_LINES, 25), (CLIP_LINES, 29), (CLIP_LINES, 33), (360, 33), (240, 35), (144, 40))


def clip_and_boxes(
    db: Database, store: BlobStore, video_id: int, track_id: int, best_frame_no: int, pictures: dict[int, Picture]
) -> list[MediaFile]:
    """Clip and boxes of the seconds around the best frame; none if too few frames are stored."""
    best_s = pictures[best_frame_no][0]
    f, d = t.frame.c, t.detection.c
    with db.read() as conn:
        near = conn.execute(
            sa.select(f.frame_no, f.time_s)
            .where(f.video_id == video_id, f.time_s >= best_s - CLIP_S, f.time_s <= best_s + CLIP_S)
            .order_by(f.frame_no)
        ).all()
        first, last = _window([row.time_s for row in near], best_s)
        frame_nos = [row.frame_no for row in near[first:last]]
        if len(frame_nos) < MIN_CLIP_FRAMES:
            return []
        boxes = conn.execute(
            sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h)
            .join_from(t.detection, t.track, t.track.c.track_id == d.track_id)
            .where(
                d.video_id == video_id,
                d.frame_no >= frame_nos[0],
                d.frame_no <= frame_nos[-1],
                t.track.c.state == "live",
            )
            .order_by(d.track_id, d.frame_no)
        ).all()
    shots = [(time_s, picture) for _, time_s, picture in read_frames(db, store, video_id, frame_nos)]
    start_s = shots[0][0]
    content, width, height = _encoded_to_fit(shots)
    fps = (len(shots) - 1) / (shots[-1][0] - start_s)
    times = dict(zip(frame_nos, (time_s - start_s for time_s, _ in shots), strict=True))
    return [
        MediaFile(
            "clip",
            0,
            content,
            {
                "frame_no": best_frame_no, "time_s": best_s - start_s, "start_s": start_s, "fps": fps,
                "width": width, "height": height,
            },
        ),
        MediaFile("boxes", 0, _boxes_json(track_id, boxes, times, fps), {"start_s": start_s, "fps": fps}),
    ]  # fmt: skip


def _window(times: list[float], best_s: float) -> tuple[int, int]:
    """The pictures in the clip: [first, last) within CLIP_S, with the best one in the middle if possible."""
    first = last = min(range(len(times)), key=lambda i: abs(times[i] - best_s))
    while True:
        before = times[last] - times[first - 1] if first > 0 else None
        after = times[last + 1] - times[first] if last + 1 < len(times) else None
        fits_before, fits_after = (span is not None and span <= CLIP_S for span in (before, after))
        if not fits_before and not fits_after:
            return first, last + 1
        if fits_before and (not fits_after or best_s - times[first] <= times[last] - best_s):
            first -= 1
        else:
            last += 1


def _encoded_to_fit(shots: list[Picture]) -> tuple[bytes, int, int]:
    content, width, height = b"", 0, 0
    for lines, rate_factor in CLIPS:
        content, width, height = encode_clip(shots, lines, rate_factor)
        if len(content) <= CLIP_BYTES:
            break
    return content, width, height


def encode_clip(shots: Sequence[Picture], lines: int, rate_factor: int) -> tuple[bytes, int, int]:
    """H.264 in MP4, as every browser plays it: (bytes, width, height). shots: (seconds, u8 [h, w, 3] RGB), ascending.

    The index is at the beginning, so that a browser can start playing before it has the whole file; times are those of
    the pictures.
    """
    import av  # a second that a page does not wait for: it needs stills alone

    scale = min(1.0, lines / min(shots[0][1].shape[:2]))
    first = scaled(shots[0][1], scale)
    height, width = (side // 2 * 2 for side in first.shape[:2])
    # To move the index to the beginning the muxer reopens its own file, so it needs a name, not a stream.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        with av.open(str(file), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            # One thread: other work has the other core.
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"crf": str(rate_factor), "preset": "veryfast", "profile": "high", "bf": "0"}
            for time_s, picture in shots:
                shown = scaled(picture, scale)
                if shown.shape != first.shape:  # pictures of a burst may have several sizes
                    shown = cv2.resize(picture, first.shape[1::-1], interpolation=cv2.INTER_AREA)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown[:height, :width]), format="rgb24")
                frame.pts, frame.time_base = round(1000 * (time_s - shots[0][0])), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.read_bytes(), width, height


def _boxes_json(track_id: int, boxes: Sequence[Any], times: dict[int, float], fps: float) -> bytes:
    """{fps, frames: [[time_s, x, y, w, h], ...], others: [{track_id, frames}]}; seconds of the clip, fractions."""
    by_track: dict[int, list[list[float]]] = {}
    for row in boxes:
        if row.frame_no in times:
            by_track.setdefault(row.track_id, []).append(
                [round(float(value), 4) for value in (times[row.frame_no], row.x, row.y, row.w, row.h)]
            )
    document = {
        "fps": round(fps, 3),
        "frames": by_track.pop(track_id, []),
        "others": [{"track_id": key, "frames": frames} for key, frames in by_track.items()],
    }
    return json.dumps(document, separators=(",", ":")).encode()
