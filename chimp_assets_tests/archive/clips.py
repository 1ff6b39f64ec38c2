"""Small real videos for tests, made with PyAV: each picture tells its own number and which way is up."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Corners of a picture as filmed: what is upright must show these again.
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = (200, 40, 40), (40, 180, 40), (40, 40, 200), (210, 210, 40)
GREY_STEP = 8


def picture(n: int, width: int = 160, height: int = 96) -> np.ndarray:
    """u8 [height, width, 3]: four coloured corners, and a grey middle that says n (0..25)."""
    filmed = np.empty((height, width, 3), np.uint8)
    h, w = height // 2, width // 2
    filmed[:h, :w], filmed[:h, w:], filmed[h:, :w], filmed[h:, w:] = TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT
    filmed[h // 2 : h + h // 2, w // 2 : w + w // 2] = 20 + GREY_STEP * (n % 26)
    return filmed


def number_of(shown: np.ndarray) -> int:
    """The n of `picture(n)` as decoded, whatever its size or orientation."""
    h, w = shown.shape[:2]
    middle = shown[h // 2 - 4 : h // 2 + 4, w // 2 - 4 : w // 2 + 4].mean()
    return round((float(middle) - 20) / GREY_STEP)


def corners(shown: np.ndarray) -> list[tuple[int, int, int]]:
    """The corner colours of a decoded picture, each snapped to the nearest of the four: TL, TR, BL, BR."""
    h, w = shown.shape[:2]
    names = np.array([TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT])
    found = []
    for y, x in ((h // 8, w // 8), (h // 8, w - w // 8), (h - h // 8, w // 8), (h - h // 8, w - w // 8)):
        nearest = np.abs(names - shown[y, x].astype(int)).sum(axis=1).argmin()
        found.append(tuple(int(v) for v in names[nearest]))
    return found


def make_clip(
    path: Path,
    n: int = 25,
    *,
    fps: int = 25,
    size: tuple[int, int] = (160, 96),
    pts: list[int] | None = None,
    time_base: Fraction | None = None,
    counterclockwise: int = 0,
    sar: Fraction | None = None,
    b_frames: int = 0,
    gop: int = 12,
    created: str | None = None,
    codec: str = "libx264",
    crf: str = "12",
) -> Path:
    """A video of n pictures. pts: their times in time_base, for variable rates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        if created:
            container.metadata["creation_time"] = created
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.codec_context.max_b_frames = b_frames
            stream.codec_context.options = {"crf": crf, "preset": "veryfast"}
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if counterclockwise:
            stream.set_display_rotation(counterclockwise)
        base = time_base or Fraction(1, fps)
        stream.codec_context.time_base = base
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24")
            frame.pts = pts[i] if pts else i
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
