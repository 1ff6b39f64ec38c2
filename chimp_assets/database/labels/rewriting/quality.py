"""How useful a track is for naming its animal: 0 to 1, from its boxes alone.

Belongs here: the parts of that number and their weights. Does not belong here: who is in the track, what happens to bad
tracks (`vision.tracking.bundle` stores them as junk).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_ENOUGH_SECONDS = 1.5
_ENOUGH_SIDE = 0.12
_WEIGHTS = {"length": 0.5, "score": 0.5, "size": 0.5, "coverage": 0.25, "smoothness": 0.5}


def track_quality(
    frame_nos: NDArray[np.integer],
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    frame_rate: float,
    full_score: float = 1.0,
    clip_s: float = math.inf,
) -> float:
    """Product of the `quality_parts`, each to the power of its weight, in [0, 1]: one bad part is enough."""
    parts = quality_parts(frame_nos, boxes, scores, frame_rate, full_score, clip_s)
    return float(np.prod([part ** _WEIGHTS[name] for name, part in parts.items()]))


def quality_parts(
    frame_nos: NDArray[np.integer],
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    frame_rate: float,
    full_score: float = 1.0,
    clip_s: float = math.inf,
) -> dict[str, float]:
    """The parts of a track's quality, each in [0, 1].

    frame_nos: int [n] ascending; boxes: [n, 4] x, y, w, h as fractions; scores: [n] in [0, 1]; frame_rate: kept frames
    a second; clip_s: seconds that a still or a burst has in all. length: seconds seen against 1.5 s or clip_s; score:
    mean against full_score, which the detector states; size: median of the root of the box area against 0.12 (a face is
    about a third of a body, and needs some 30 of 640 pixels to be named); coverage: frames with a box between first and
    last; smoothness: how little boxes change size from frame to frame, since swaying leaves and ripples grow and shrink
    at random while an animal keeps its size. Raises ValueError if there is no box.
    """
    if not len(frame_nos):
        raise ValueError("a track without boxes has no quality")
    seconds = len(frame_nos) / frame_rate
    sides = np.sqrt(np.maximum(boxes[:, 2] * boxes[:, 3], 1e-9))
    growth = np.abs(np.diff(np.log(sides))) if len(sides) > 1 else np.zeros(1)
    return {
        "length": float(1 - np.exp(-2 * seconds / min(_ENOUGH_SECONDS, clip_s))),
        "score": float(np.clip(np.mean(scores) / full_score, 0, 1)),
        "size": float(min(1.0, np.median(sides) / _ENOUGH_SIDE)),
        "coverage": float(len(frame_nos) / (int(frame_nos[-1]) - int(frame_nos[0]) + 1)),
        "smoothness": float(np.exp(-3 * np.median(growth))),
    }
