"""Which track of a new detector shows the animal of which track of the one before: by their boxes alone.

Belongs here: matching boxes frame by frame, and what follows for tracks. Does not belong here: rows (`retracking`), for
which track an answer counts since (`database.tracks.heirs`).

Two boxes of one frame are one animal if they overlap by at least LEAST_OVERLAP; within a frame each box has one partner
at most, so that the sum of overlaps is largest (Kuhn 1955). The bound is lower than the 0.5 of detection metrics,
because detectors draw different outlines (motion draws what moves, a network the whole body), and higher than what
neighbours share. A new track is an heir of an old one that it lies on in most of the frames in which both have a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chimp_assets.database.labels.rewriting.boxes import BoxSeries
from chimp_assets.vision.detection.overlaps import overlaps_of

LEAST_OVERLAP = 0.3
MOST = 0.5
"""An heir lies on the old track in more than this share of the frames in which both have a box."""
LEAST_BOXES = 2
"""Fewer boxes of a longer track that lie on another are a meeting, not a likeness."""
LEAST_RUN = 3
"""Frames: two boxes that touch each other for less than that change nothing."""
LEAST_SHARE = 0.1
"""Of an old track's boxes: a smaller share makes no heir."""


@dataclass(frozen=True)
class Likeness:
    """Row `new` of the new tracks lies on row `old` of the old ones. boxes: in so many frames; share: of the old one's
    boxes; most: in most of the frames in which both have a box."""

    old: int
    new: int
    boxes: int
    share: float
    most: bool


def partners(old: Sequence[BoxSeries], new: Sequence[BoxSeries]) -> list[NDArray[np.int64]]:
    """For each new track the row of the old one that it lies on in each of its frames, -1 where it lies on none. One
    video."""
    found = [np.full(len(one.frame_no), -1, np.int64) for one in new]
    if not old or not new:
        return found
    before, after = _by_frame(old), _by_frame(new)
    for frame_no in before.keys() & after.keys():
        rows, boxes = before[frame_no]
        columns, others = after[frame_no]
        overlap = overlaps_of(boxes, others)
        overlap[overlap < LEAST_OVERLAP] = 0
        for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[i, j] > 0:
                place = np.searchsorted(new[columns[j]].frame_no, frame_no)
                found[columns[j]][place] = rows[i]
    return found


def likenesses(old: Sequence[BoxSeries], new: Sequence[BoxSeries]) -> list[Likeness]:
    """All pairs of an old and a new track of one video of which some boxes lie on each other, in the order of new."""
    found = []
    for n, of_frames in enumerate(partners(old, new)):
        rows, counts = np.unique(of_frames[of_frames >= 0], return_counts=True)
        for o, count in zip(rows.tolist(), counts.tolist(), strict=True):
            both = int(np.isin(new[n].frame_no, old[o].frame_no).sum())
            enough = count >= min(LEAST_BOXES, len(old[o].frame_no), len(new[n].frame_no))
            found.append(Likeness(o, n, count, count / len(old[o].frame_no), bool(enough and count > MOST * both)))
    return found


def runs(of_frames: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(row of the old track, place of its first frame) of what a new track lies on one after the other, from what
    `partners` says of it; without what it lies on for less than LEAST_RUN frames before it lies on another."""
    found: list[tuple[int, int]] = []
    for part in _unbroken(of_frames):
        if len(part) < LEAST_RUN:
            continue
        row = int(of_frames[part[0]])
        if not found or found[-1][0] != row:
            found.append((row, int(part[0])))
    return found


def jumps(of_frames: NDArray[np.int64]) -> bool:
    """Whether a new track lies for most of its time on old ones that it leaves at once: it follows none of them."""
    parts = _unbroken(of_frames)
    short = sum(len(part) for part in parts if len(part) < LEAST_RUN)
    return len(parts) > LEAST_RUN and short > MOST * sum(map(len, parts))


def _unbroken(of_frames: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Places of frames in a row on one old track."""
    places = np.nonzero(of_frames >= 0)[0]
    if not len(places):
        return []
    return np.split(places, np.nonzero(np.diff(of_frames[places]))[0] + 1)


def carrying(pairs: Sequence[Likeness], new: Sequence[BoxSeries]) -> set[tuple[int, int]]:
    """(old, new) of those to whom answers carry: the new ones that lie on an old one for the most part, but of two that
    run at once the one with more boxes on it: one animal is not in two places."""
    kept: dict[int, list[Likeness]] = {}
    for one in sorted((pair for pair in pairs if pair.most), key=lambda pair: (-pair.boxes, pair.new)):
        others = (new[other.new].frame_no for other in kept.get(one.old, []))
        if not any(np.isin(new[one.new].frame_no, frames).any() for frames in others):
            kept.setdefault(one.old, []).append(one)
    return {(one.old, one.new) for those in kept.values() for one in those}


def _by_frame(tracks: Sequence[BoxSeries]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Rows of tracks and their boxes in each frame."""
    frames = np.concatenate([one.frame_no for one in tracks])
    rows = np.repeat(np.arange(len(tracks)), [len(one.frame_no) for one in tracks])
    boxes = np.concatenate([one.box for one in tracks])
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(frames[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {int(number): (rows[part], boxes[part]) for number, part in zip(numbers, parts, strict=True)}
