"""A piece of a video as H.264 in fragmented MP4, as Media Source Extensions take it, made of stored pictures.

Belongs here: encoding. Does not belong here: which pictures (`stored`), reading and decoding them (`making`).

Measured over stored pictures at 5 a second, 640 pixels, veryfast, crf 32: 16 ms of one processor and 93 to 244 kbit
a second of video. Times are those of the pictures, however irregular. A piece begins at 0 by its own clock; whoever
plays it sets `timestampOffset`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from chimp_assets.archive.video.pictures import PictureError

if TYPE_CHECKING:
    from av.packet import Packet

LONGEST_SIDE = 640
RATE_FACTOR = 32
KEY_EVERY = 50
"""Pictures from one that stands for itself to the next: a browser decodes them before it shows one in between."""
TIME_BASE = Fraction(1, 90_000)
_GREY = 128


def encode_piece(pictures: Iterable[np.ndarray | None], times_s: Sequence[float], until_s: float) -> tuple[bytes, int]:
    """(MP4, pictures that could not be read). pictures: u8 [h, w, 3] RGB, or None for one that cannot be read: it is
    shown as grey, so that all others keep their places. times_s: seconds, ascending, one for each picture; the last one
    is shown until until_s. Pictures of another size than the first are stretched to it, as boxes are.

    Holds one picture. Raises PictureError if none can be read, ValueError if there are more or fewer pictures than
    times.
    """
    import av  # FFmpeg's libraries: this process may never encode

    waiting = iter(pictures)
    lost = 0
    first = next(waiting, None)
    while first is None:
        lost += 1
        if lost >= len(times_s):
            raise PictureError(
                "None of these pictures can be read.", "Their shard was changed: restore it, or ingest the video again."
            )
        first = next(waiting, None)
    width, height = fitted(first.shape[1], first.shape[0])
    grey = np.full((height * 3 // 2, width), _GREY, np.uint8)
    unreadable = lost
    stamps = _stamps(times_s, until_s)
    until = dict(pairwise(stamps))
    file = io.BytesIO()
    flags = "frag_keyframe+empty_moov+default_base_moof"
    with av.open(file, "w", format="mp4", options={"movflags": flags}) as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1  # requests for names have the other cores
        stream.codec_context.options = {
            "crf": str(RATE_FACTOR), "preset": "veryfast", "profile": "high", "level": "4.0", "bf": "0",
            "g": str(KEY_EVERY), "colorspace": "smpte170m", "color_range": "tv",
        }  # fmt: skip
        number = 0
        for picture in chain([None] * lost, [first], waiting):
            unreadable += picture is None and number >= lost
            yuv = grey if picture is None else _yuv(picture, width, height)
            frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
            frame.pts, frame.time_base = stamps[number], TIME_BASE
            container.mux(_timed(stream.encode(frame), until))
            number += 1
        if number != len(times_s):
            raise ValueError(f"{number} pictures and {len(times_s)} times")
        container.mux(_timed(stream.encode(None), until))
    return file.getvalue(), unreadable


def fitted(width: int, height: int, side: int = LONGEST_SIDE) -> tuple[int, int]:
    """Even width and height of at most `side`, in the same shape; never larger than the picture but for rounding."""
    scale = min(1.0, side / max(width, height))
    return max(16, round(width * scale / 2) * 2), max(16, round(height * scale / 2) * 2)


def _stamps(times_s: Sequence[float], until_s: float) -> list[int]:
    """Times of the pictures and of the end in TIME_BASE, from 0, each after the one before. The end lies a hair before
    the next piece: a browser throws away the first picture of a piece that it has when one before it reaches over."""
    stamps: list[int] = []
    for time_s in times_s:
        stamp = round((float(time_s) - float(times_s[0])) / TIME_BASE)
        stamps.append(stamp if not stamps else max(stamp, stamps[-1] + 1))
    end = floor((float(until_s) - float(times_s[0])) / TIME_BASE) - 1
    return [*stamps, max(end, stamps[-1] + 1)]


def _timed(packets: list[Packet], until: dict[int, int]) -> list[Packet]:
    """Packets that last until the next picture: by itself FFmpeg gives the last one of a piece no length."""
    for packet in packets:
        assert packet.pts is not None
        packet.duration = until[packet.pts] - packet.pts
    return packets


def _yuv(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """u8 [h * 3 / 2, w]: planes as BT.601 has them, which browsers take pictures of this size for."""
    import cv2

    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420))
