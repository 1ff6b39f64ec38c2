"""One box an animal: of boxes on one another the best stays.

Belongs here: suppression of whatever class, also of a box inside a better one. Does not belong here: overlaps of
tracks (`overlaps`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

OVERLAP = 0.5
INSIDE = 0.85
"""A box of which so much lies in a better one is a part of that animal: a head, a trunk."""
MOST_LOOKED_AT, MOST = 1000, 300


def best_boxes(corners: F32, scores: F32) -> NDArray[np.int64]:
    """Rows of the boxes that stay, best first, at most 300. corners: f32 [k, 4] x1, y1, x2, y2 in any unit.

    Classes do not count: one ape may be found as a bear and as a dog.
    """
    order = np.argsort(-scores, kind="stable")[:MOST_LOOKED_AT]
    boxes = corners[order].astype(np.float64)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    left = area > 0
    kept: list[int] = []
    for row in range(len(order)):
        if not left[row]:
            continue
        kept.append(int(order[row]))
        if len(kept) == MOST:
            break
        low, high = np.maximum(boxes[row, :2], boxes[:, :2]), np.minimum(boxes[row, 2:], boxes[:, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        left &= (shared <= OVERLAP * (area + area[row] - shared)) & (shared <= INSIDE * area)
    return np.array(kept, np.int64)
