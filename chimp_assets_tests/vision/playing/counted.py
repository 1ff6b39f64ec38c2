"""A video whose every picture says its number, in squares that survive compression; in each its box is elsewhere.

Belongs here: drawing, storing and reading such pictures. No test belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.home import Home
from chimp_assets_tests.database import world

BITS = 12
PLACES = 40


def picture(n: int, width: int = 320, height: int = 180) -> np.ndarray:
    """u8 [height, width, 3]: a scene, n in black and white squares along the top, and in digits."""
    rng = np.random.default_rng(7)
    scene = rng.integers(60, 190, (9, 16, 3), dtype=np.uint8)
    shown = cv2.resize(np.roll(scene, n, axis=1), (width, height), interpolation=cv2.INTER_CUBIC)
    side = width // BITS
    for bit in range(BITS):
        shown[: height // 6, bit * side : (bit + 1) * side] = 235 if n >> bit & 1 else 20
    cv2.putText(shown, str(n), (8, height - 12), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
    return shown


def number_of(shown: np.ndarray) -> int:
    """The number in the squares."""
    side = shown.shape[1] // BITS
    row = shown[shown.shape[0] // 12].mean(axis=-1)
    return sum(int(row[bit * side + side // 2] > 128) << bit for bit in range(BITS))


def left_of(n: int) -> float:
    """Where the box of a picture begins, as a share of the width."""
    return 0.1 + 0.6 * (n % PLACES) / PLACES


def store_counted(home: Home, video_id: int, times_s: Sequence[float], width: int = 320, height: int = 180) -> None:
    """A new video with one track, whose pictures are stored at these seconds."""
    jpegs = [simplejpeg.encode_jpeg(picture(n, width, height), quality=85) for n in range(len(times_s))]
    offsets = np.cumsum([0, *map(len, jpegs)])[:-1].tolist()
    home.store.put(f"shards/{video_id}.tar", b"".join(jpegs))
    with home.database.write() as conn:
        world.add_video(conn, video_id, 1, len(jpegs), duration_s=float(times_s[-1]), width=width, height=height)
        f, d, k = s.frame.c, s.detection.c, s.track.c
        for n, jpeg in enumerate(jpegs):
            conn.execute(
                sa.update(s.frame)
                .where(f.video_id == video_id, f.frame_no == n)
                .values(time_s=float(times_s[n]), byte_offset=offsets[n], byte_length=len(jpeg))
            )
            conn.execute(
                sa.update(s.detection)
                .where(d.video_id == video_id, d.frame_no == n)
                .values(x=left_of(n), y=0.5, w=0.2, h=0.2)
            )
        conn.execute(sa.update(s.track).where(k.video_id == video_id).values(last_s=float(times_s[-1])))


def uneven(n: int, seed: int = 3) -> list[float]:
    """n seconds of a film of variable rate: 5 to 15 pictures a second, with a pause."""
    gaps = np.random.default_rng(seed).choice([1 / 15, 0.1, 0.2], n - 1)
    gaps[n // 2] = 1.7
    return [0.0, *np.cumsum(gaps).round(6).tolist()]
