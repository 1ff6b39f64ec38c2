"""One file of what people see of a track, before it is stored.

Belongs here: the file and its row's columns, the picture it is made from, scaling. Does not belong here: cutting
(`stills`), encoding (`clips`), storing (`item_media`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

Picture = tuple[float, np.ndarray]
"""Seconds since the beginning of the video; u8 [h, w, 3] RGB."""


@dataclass(frozen=True)
class MediaFile:
    """Bytes that become a file, and the columns of their row."""

    kind: str
    place: int
    content: bytes
    columns: dict[str, Any]


def scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    """The picture u8 [h, w, 3], made smaller by scale; never larger."""
    if scale >= 1.0:
        return np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
