"""A strip of small pictures side by side, one JPEG: what a person looks over to find a moment.

Belongs here: drawing it. Does not belong here: which pictures (`stored`), reading and decoding them (`making`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import simplejpeg

WIDTH, HEIGHT = 128, 72
QUALITY = 60


def strip_of(pictures: Iterable[np.ndarray | None]) -> bytes:
    """A JPEG of HEIGHT lines with a cell of WIDTH for each picture, u8 [h, w, 3] RGB, whole and in its shape, on black;
    one that cannot be read (None) leaves its cell black."""
    cells = [_cell(picture) for picture in pictures]
    return bytes(simplejpeg.encode_jpeg(np.concatenate(cells, axis=1), quality=QUALITY, colorsubsampling="420"))


def _cell(picture: np.ndarray | None) -> np.ndarray:
    import cv2

    cell = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if picture is None:
        return cell
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    width, height = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    cell[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cell
