"""Tracks of boxes that another program proposed, at the pictures which it looked at.

Belongs here: linking at the pace of the other program, boxes between. Does not belong here: reading proposals
(`detection.imported`), judging (`bundle`).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chimp_assets.settings import DetectSettings
from chimp_assets.vision.detection.imported import VideoProposals
from chimp_assets.vision.tracking.tracker import LinkedTrack, link


def link_proposals(proposals: VideoProposals, settings: DetectSettings) -> list[LinkedTrack]:
    """Tracks of one video, as `tracker.link` orders them. Programs look at a picture a second or fewer, we keep five:
    only pictures that were looked at are linked, and those between get what lies between.

    In a single picture every box that may begin a track is one.
    """
    good = proposals.boxes[:, 4] >= settings.min_score
    places, boxes = proposals.picture[good], proposals.boxes[good]
    looked = _looked_at(proposals)
    if len(proposals.frame_nos) == 1 or len(looked) < 2:
        return [
            LinkedTrack(np.array([proposals.frame_nos[place]], np.int32), box[None, :4], box[4:5])
            for place, box in zip(places, boxes, strict=True)
        ]
    steps = np.diff(proposals.times[looked])
    pace = float(np.median(steps))
    found = ((number, boxes[places == place]) for number, place in enumerate(looked))
    linked = link(found, 1 / pace, max(settings.max_gap_s, 2.5 * pace))
    return [_between(track, looked, proposals.frame_nos, proposals.times) for track in linked]


def _looked_at(proposals: VideoProposals) -> NDArray[np.int64]:
    """Indices of the stored pictures at the pace of the boxes: also those between, in which nothing was found."""
    sampled = proposals.sampled
    if len(sampled) < 2:
        return sampled
    pace = int(np.diff(sampled).min())
    extra = [np.arange(left, right, pace)[1:] for left, right in pairwise(sampled) if right - left > pace]
    return np.unique(np.concatenate([sampled, *extra])).astype(np.int64)


def _between(
    track: LinkedTrack, looked: NDArray[np.int64], frame_nos: NDArray[np.int64], times: NDArray[np.float64]
) -> LinkedTrack:
    """The same track with boxes on the stored pictures between two that were looked at one after the other."""
    places = looked[track.frame_nos]
    inner = [np.zeros(0, np.int64)]
    for (one, left), (other, right) in pairwise(zip(track.frame_nos, places, strict=True)):
        if other - one == 1:
            inner.append(np.arange(left + 1, right))
    everywhere = np.unique(np.concatenate([places, *inner]))
    at, known = times[everywhere], times[places]
    rows = np.column_stack([track.boxes, track.scores])
    values = np.stack([np.interp(at, known, rows[:, side]) for side in range(5)], axis=1).astype(np.float32)
    return LinkedTrack(frame_nos[everywhere].astype(np.int32), np.ascontiguousarray(values[:, :4]), values[:, 4])
