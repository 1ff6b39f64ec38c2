"""Average precision and recall of boxes, as COCO counts them at an overlap of one half.

Belongs here: matching boxes to drawn ones, precision over recall. Does not belong here: where the boxes come from
(`box_training`), tracks (`tracking_metrics`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chimp_assets.vision.detection.overlaps import overlaps_of


@dataclass(frozen=True)
class AveragePrecision:
    """ap: mean of the precisions at 101 recalls; recall: of drawn boxes, at the lowest score; n: drawn boxes."""

    ap: float
    recall: float
    n: int


def average_precision(
    found: Sequence[np.ndarray],
    true: Sequence[np.ndarray],
    area: tuple[float, float] = (0.0, 1.01),
    overlap: float = 0.5,
    most: int = 100,
) -> AveragePrecision:
    """AP of boxes over pictures. found: f32 [k, 5] x, y, w, h, score for each picture; true: f32 [m, 4].

    area: only drawn boxes of these shares of the picture count (the upper end excluded); a box on a drawn one of
    another size, or an unmatched box of another size, is ignored, as in COCO. most: best boxes of a picture that count.
    NaN if nothing was drawn.
    """
    scores, hits, n = [], [], 0
    for boxes, drawn in zip(found, true, strict=True):
        boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")][:most]
        sizes = drawn[:, 2] * drawn[:, 3]
        counts = (sizes >= area[0]) & (sizes < area[1])
        order = np.argsort(~counts, kind="stable")  # those that count are matched first
        drawn, counts = drawn[order], counts[order]
        n += int(counts.sum())
        alike = overlaps_of(boxes[:, :4], drawn)
        free = np.ones(len(drawn), bool)
        for row, box in enumerate(boxes):
            best = _best(alike[row], free, counts, overlap)
            if best is None:
                if area[0] <= box[2] * box[3] < area[1]:
                    scores.append(float(box[4]))
                    hits.append(False)
                continue
            free[best] = False
            if counts[best]:
                scores.append(float(box[4]))
                hits.append(True)
    if not n:
        return AveragePrecision(float("nan"), float("nan"), 0)
    order = np.argsort(-np.array(scores), kind="stable")
    right = np.cumsum(np.array(hits, bool)[order])
    recall = right / n
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    at = np.where(place < len(envelope), np.append(envelope, 0.0)[np.minimum(place, len(envelope))], 0.0)
    return AveragePrecision(float(at.mean()), float(recall[-1]) if len(recall) else 0.0, n)


def _best(alike: np.ndarray, free: np.ndarray, counts: np.ndarray, overlap: float) -> int | None:
    """The free drawn box that a box overlaps most; one that does not count only if there is no other."""
    for kind in (counts, ~counts):
        rows = np.flatnonzero(free & kind & (alike >= overlap))
        if len(rows):
            return int(rows[alike[rows].argmax()])
    return None
