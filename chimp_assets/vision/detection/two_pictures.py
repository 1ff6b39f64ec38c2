"""What moved between two pictures, and in which of them it is.

Belongs here: a burst of two, where no median tells the ground from the animal. Does not belong here: more pictures
(`motion`, `background`).

Both pictures differ where the animal is in the one and where it is in the other. It is in that picture in which the
place looks least like its surroundings: ground that was uncovered looks like the ground beside it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_RIM = 0.6
"""Width of the surroundings, as a share of the box's sides."""
_INSIDE = 0.8
_SMALL = 0.5
"""A part of the other picture's box is a rest if it lies inside by this share and is smaller than that share of it."""
_BINS = [8, 8, 8]
_RANGES = [0, 256, 0, 256, 0, 256]


def in_first(boxes: F32, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> F32:
    """The boxes of things that are in the first picture rather than in the second.

    boxes: f32 [k, 5] x, y, w, h as fractions, score; pictures u8 [h, w, 3] RGB of one size.
    """
    kept = [_strangeness(first, box) > _strangeness(second, box) for box in boxes]
    return boxes[np.array(kept, bool)] if len(boxes) else boxes


def without_rests(boxes: F32, of_other: F32) -> F32:
    """The boxes that are no mere part of what stands in the other picture: rests of the ground that it has uncovered.

    boxes, of_other: f32 [k, 5], as `in_first` gave them of the two pictures.
    """
    kept = [not any(_is_rest(box, other) for other in of_other) for box in boxes]
    return boxes[np.array(kept, bool)] if len(boxes) else boxes


def _is_rest(box: F32, other: F32) -> bool:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[:2] + box[2:4], other[:2] + other[2:4])
    area, whole = float(box[2:4].prod()), float(other[2:4].prod())
    return bool(np.clip(high - low, 0, None).prod() >= _INSIDE * area and area < _SMALL * whole)


def _strangeness(picture: NDArray[np.uint8], box: F32) -> float:
    """How little a place looks like its surroundings: the Hellinger distance of their colours, in [0, 1]."""
    height, width = picture.shape[:2]
    x, y, w, h = (float(value) for value in box[:4])
    inner = _slices(x, y, w, h, width, height)
    outer = _slices(x - _RIM * w, y - _RIM * h, w * (1 + 2 * _RIM), h * (1 + 2 * _RIM), width, height)
    lab = cv2.cvtColor(np.ascontiguousarray(picture[outer]), cv2.COLOR_RGB2LAB)
    beside = np.full(lab.shape[:2], 255, np.uint8)
    top, left = inner[0].start - outer[0].start, inner[1].start - outer[1].start
    rows, columns = inner[0].stop - inner[0].start, inner[1].stop - inner[1].start
    beside[top : top + rows, left : left + columns] = 0
    inside = cv2.calcHist([lab], [0, 1, 2], 255 - beside, _BINS, _RANGES)
    around = cv2.calcHist([lab], [0, 1, 2], beside, _BINS, _RANGES)
    if not around.sum() or not inside.sum():
        return 0.0
    return float(cv2.compareHist(inside / inside.sum(), around / around.sum(), cv2.HISTCMP_BHATTACHARYYA))


def _slices(x: float, y: float, w: float, h: float, width: int, height: int) -> tuple[slice, slice]:
    left, top = int(np.clip(x * width, 0, width - 1)), int(np.clip(y * height, 0, height - 1))
    right, bottom = int(np.clip((x + w) * width, left + 1, width)), int(np.clip((y + h) * height, top + 1, height))
    return slice(top, bottom), slice(left, right)
