"""Which tracks of a file are tracks that we have already, by where their boxes lie.

Belongs here: overlap in space and time, each stored box counted once. Does not belong here: what follows (`taking`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chimp_assets.exchange.imports.intake.footage import StoredTrack
from chimp_assets.exchange.imports.intake.placing import F64, PlacedBoxes

LEAST_OVERLAP = 0.4
"""IoU from which two boxes are of one animal: the measure by which detections are judged here."""
_MOST = 0.5
"""Share of a track's boxes that must agree."""


def agreeing(placed: Sequence[PlacedBoxes], stored: Sequence[StoredTrack]) -> list[int | None]:
    """Index of the stored track that each placed one is; None: none. More than half of its boxes lie on that one's.

    The pair that shares most boxes comes first, and a stored track is at any picture one animal's: a second track of
    the file may only have its other pictures.
    """
    pairs: list[tuple[int, int, int, frozenset[int]]] = []
    for ours, one in enumerate(placed):
        for theirs, other in enumerate(stored):
            shared, mine, its = np.intersect1d(one.frame_nos, other.frame_nos, return_indices=True)
            if not len(shared):
                continue
            same = overlap(one.boxes[mine], other.boxes[its]) >= LEAST_OVERLAP
            if same.sum() > _MOST * len(one.frame_nos):
                pairs.append((int(same.sum()), -ours, -theirs, frozenset(shared[same].tolist())))
    answer: list[int | None] = [None] * len(placed)
    taken: dict[int, set[int]] = {}
    for _, ours, theirs, frames in sorted(pairs, key=lambda pair: pair[:3], reverse=True):
        used = taken.setdefault(-theirs, set())
        if answer[-ours] is None and not used & frames:
            answer[-ours] = -theirs
            used |= frames
    return answer


def overlap(one: F64, other: F64) -> F64:
    """Intersection over union of boxes pair by pair, f64 [n]; one, other: f64 [n, 4] x, y, w, h."""
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    both = one[:, 2:].prod(axis=1) + other[:, 2:].prod(axis=1) - shared
    return np.where(both > 0, shared / np.where(both > 0, both, 1), 0.0)
