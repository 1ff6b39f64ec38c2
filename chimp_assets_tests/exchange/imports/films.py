"""Films whose every picture says which it is, decoded into a home. No test belongs here.

A bright square stands at a place that follows from the number of the picture, far from that of the picture before and
after: a box one picture off does not hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.home import Home, remember_archive
from chimp_assets.loop import bundle

WIDTH, HEIGHT, SIDE = 192, 112, 16
_STEP, _ROOM = 53, WIDTH - SIDE


def place_of(number: int) -> tuple[int, int]:
    """Left and top of the square of a picture, in pixels."""
    return number * _STEP % _ROOM, (number * 29) % (HEIGHT - SIDE)


def picture(number: int) -> np.ndarray:
    """u8 [HEIGHT, WIDTH, 3]."""
    shown = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    left, top = place_of(number)
    shown[top : top + SIDE, left : left + SIDE] = 250
    return shown


def film(path: Path, moments: Sequence[float]) -> Path:
    """An H.264 film of a picture at each moment (seconds, on a clock of milliseconds), with B pictures."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "crf": "18", "bf": "2", "g": "30"}
        from fractions import Fraction

        stream.codec_context.time_base = Fraction(1, 1000)
        for number, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = round(moment * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def even(n: int, fps: float) -> list[float]:
    """Moments of a constant rate."""
    return [number / fps for number in range(n)]


def uneven(n: int, seed: int) -> list[float]:
    """Moments of a rate that varies threefold."""
    steps = np.random.default_rng(seed).integers(25, 95, n - 1) / 1000
    return [0.0, *np.cumsum(steps).round(3).tolist()]


def with_archive(home: Home, archive: Path) -> Home:
    """The home with this archive listed and decoded, and nothing detected."""
    opened = remember_archive(home, str(archive))
    discover(opened.database, opened.archive, opened.settings)
    import sqlalchemy as sa

    from chimp_assets.database.schema import bundle as table

    with opened.database.read() as conn:
        keys = list(conn.scalars(sa.select(table.c.bundle_key).order_by(table.c.bundle_id)))
    for key in keys:
        done = bundle.decode(opened, key)
        assert done.failed == [], done.failed
    return opened
