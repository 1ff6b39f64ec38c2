"""What motion says of the boxes of a network: it agrees, or, if asked, it has seen something alone.

Belongs here: both boxes of a picture become one list, trust in motion. Does not belong here: finding boxes (`motion`,
`nanodet_detector`), linking.

A network knows animals by their looks, also those that sit; motion knows that something is not the ground. Where both
say so, a doubtful box of the network counts; nothing is taken away where motion sees nothing.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.overlaps import overlaps_of

F32 = NDArray[np.float32]

AGREES = 0.3
"""intersection over union from which motion means the same animal"""
GAIN = 0.1
"""added to the score where motion agrees: from 0.2 instead of 0.3 a box is then sure"""
LEAST_MOTION = 0.5
"""motion's score from which it is asked"""
_INSIDE = 0.5
"""a lone box of motion with more of itself inside a box of the network, or round more of one, is part of that animal"""
_LAST, _MOVES = 48, 0.25  # pictures: what motion answers at once


class MotionTrust:
    """Whether motion is to be believed in a picture: not while the camera looked elsewhere in a quarter of the last
    pictures."""

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=_LAST)

    def after(self, moved: list[bool]) -> bool:
        """moved: of pictures since the last call, as `MotionDetector.moved` has them."""
        self._last.extend(moved)
        return sum(self._last) < max(1.0, _MOVES * len(self._last))


def with_opinion(boxes: F32, motion: F32, alone: bool, lone_score: float) -> F32:
    """Boxes of a network after motion was asked, f32 [k, 5] x, y, w, h, score.

    boxes, motion: f32 [n, 5], [m, 5] of one picture. alone: whether boxes that motion alone has seen count too, with
    `lone_score` at most.
    """
    motion = motion[motion[:, 4] >= LEAST_MOTION]
    if not len(motion):
        return boxes
    agreed = boxes.copy()
    if len(boxes):
        agrees = overlaps_of(boxes[:, :4], motion[:, :4]).max(axis=1) > AGREES
        agreed[agrees, 4] = np.minimum(agreed[agrees, 4] + GAIN, 1)
    if not alone:
        return agreed
    sure = agreed[agreed[:, 4] >= lone_score, :4]
    lone = motion[_shared(motion[:, :4], sure).max(axis=1, initial=0) < _INSIDE].copy()
    lone[:, 4] = lone_score
    return np.concatenate([agreed, lone]).astype(np.float32)


def _shared(one: F32, other: F32) -> NDArray[np.float64]:
    """Intersection over the smaller of two boxes: [n, 4] and [m, 4] give f64 [n, m]."""
    a, b = one.astype(np.float64)[:, None], other.astype(np.float64)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    smaller = np.minimum(a[..., 2:].prod(-1), b[..., 2:].prod(-1))
    return np.asarray(np.clip(high - low, 0, None).prod(-1) / np.maximum(smaller, 1e-12))
