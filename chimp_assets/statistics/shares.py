"""Intervals of shares of independent answers, in closed form.

Belongs here: Wilson's interval. Does not belong here: what is counted (`vision.evaluation`), answers that depend on
each other (`blocks`), answers looked at again and again (`anytime`).
"""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a share (Wilson 1927); (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(hits * (n - hits) / n + z**2 / 4)
    share = hits / n  # rounding puts it outside, by 1e-16, where all or none are hits
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
