"""How far boxes lie on each other.

Belongs here: intersection over union. Does not belong here: what is counted by it (`detection_metrics`,
`tracking_metrics`), the widened boxes that the tracker matches (`tracker`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def overlaps_of(
    one: Sequence[NDArray[np.floating]] | NDArray[np.floating],
    other: Sequence[NDArray[np.floating]] | NDArray[np.floating],
) -> NDArray[np.float64]:
    """Intersection over union of boxes x, y, w, h: [n, 4] and [m, 4] give f64 [n, m]."""
    a, b = np.asarray(one, np.float64).reshape(-1, 4)[:, None], np.asarray(other, np.float64).reshape(-1, 4)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
