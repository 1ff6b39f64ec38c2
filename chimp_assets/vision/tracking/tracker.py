"""Boxes of single frames linked into tracks: one track is one animal followed through one video.

Belongs here: linking, with a maintained library's ByteTrack. Does not belong here: proposing boxes (`detector`),
judging tracks (`quality`), pictures and SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.interface import LinkThresholds

F32 = NDArray[np.float32]
Path = list[tuple[int, F32]]
"""frame_no and x, y, w, h, score of one animal, in order of time"""

_BUFFER = 0.25
"""Boxes are widened by this share for matching: at five frames a second a walking animal leaves its own box, but
buffered overlap (C-BIoU, Yang et al., WACV 2023) still finds it."""
_LEAST_OVERLAP = 0.15
_MOTION = LinkThresholds()


@dataclass(frozen=True)
class LinkedTrack:
    """One animal through one video.

    frame_nos: i32 [n] ascending; boxes: f32 [n, 4] x, y, w, h as fractions; scores: f32 [n] in [0, 1].
    """

    frame_nos: NDArray[np.int32]
    boxes: F32
    scores: F32


def link(
    boxes: Iterator[tuple[int, F32]],
    frame_rate: float,
    max_gap_s: float,
    spawn_score: float = _MOTION.spawns,
    sure_score: float = _MOTION.sure,
    lone: bool = False,
) -> list[LinkedTrack]:
    """Tracks of one video, ordered by first frame, then by x.

    boxes: (frame_no, f32 [k, 5] x, y, w, h in fractions and score), frame_no ascending; missing numbers count as frames
    without boxes. frame_rate: stored frames per second, above 0. max_gap_s: a track survives this long without a box.
    spawn_score, sure_score: see `LinkThresholds`. Boxes in no track are dropped, or with lone are tracks of one box if
    they could start one: an animal may be in one of few pictures. Every box is in at most one track. The same boxes
    give the same tracks.
    Raises ValueError if frame_rate or max_gap_s is not positive, or frame_no does not ascend.
    """
    if not (frame_rate > 0 and max_gap_s > 0):
        raise ValueError(f"frame_rate {frame_rate} and max_gap_s {max_gap_s} must be positive")
    patience = max(1, round(max_gap_s * frame_rate))
    paths, loose = _followed(boxes, patience, max(spawn_score, sure_score), sure_score)
    if spawn_score < sure_score:
        # An animal that never looks sure, such as one that sits in the shade, is followed among what is left over.
        faint, loose = _followed(_apart(loose, paths), patience, spawn_score, spawn_score)
        paths += faint
    tracks = [_track(part) for path in paths for part in _cut_at_jumps(path)]
    if lone:
        alone = [(frame_no, box) for frame_no, found in loose.items() for box in found if box[4] >= spawn_score]
        tracks += [_track([one]) for one in alone]
    return sorted(tracks, key=lambda t: (int(t.frame_nos[0]), float(t.boxes[0, 0]), float(t.boxes[0, 1])))


def _followed(
    boxes: Iterable[tuple[int, F32]], patience: int, spawn_score: float, sure_score: float
) -> tuple[list[Path], dict[int, list[F32]]]:
    """Paths of boxes, and for each frame the boxes in none of them. patience: frames."""
    from supervision import Detections
    from trackers import BIoU, ByteTrackTracker

    tracker = ByteTrackTracker(
        lost_track_buffer=patience,
        # The library counts its buffer in frames of 30 a second; at 30 one buffered frame is one of ours.
        frame_rate=30.0,
        track_activation_threshold=spawn_score,
        minimum_consecutive_frames=1,
        minimum_iou_threshold=_LEAST_OVERLAP,
        high_conf_det_threshold=sure_score,
        iou=BIoU(buffer_ratio=_BUFFER),
    )
    paths: dict[int, Path] = {}
    loose: dict[int, list[F32]] = {}
    previous: int | None = None
    for frame_no, found in boxes:
        if previous is not None and frame_no <= previous:
            raise ValueError(f"frame {frame_no} comes after frame {previous}")
        missing = 0 if previous is None else frame_no - previous - 1
        for _ in range(min(missing, patience + 1)):
            tracker.update(Detections.empty())
        previous = frame_no
        rows = np.asarray(found, np.float64).reshape(-1, 5)
        if not len(rows):
            tracker.update(Detections.empty())
            continue
        linked = tracker.update(
            Detections(
                xyxy=np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * _SCALE,
                confidence=rows[:, 4],
                data={"row": np.arange(len(rows))},
            )
        )
        for row, track in zip(linked.data["row"], linked.tracker_id, strict=True):
            box = np.asarray(found[row], np.float32)
            if track < 0:
                loose.setdefault(frame_no, []).append(box)
            else:
                paths.setdefault(int(track), []).append((frame_no, box))
    for key in sorted(paths):
        _take_first_box(paths[key], loose, patience)
    return [paths[key] for key in sorted(paths)], loose


def _apart(loose: dict[int, list[F32]], paths: list[Path]) -> Iterator[tuple[int, F32]]:
    """Boxes of no path that are not half inside one that is followed in their frame, nor it inside them."""
    followed: dict[int, list[F32]] = {}
    for frame_no, box in (step for path in paths for step in path):
        followed.setdefault(frame_no, []).append(box)
    for frame_no in sorted(loose):
        left = [
            box for box in loose[frame_no] if all(_inside(box, other) < 0.5 for other in followed.get(frame_no, []))
        ]
        if left:
            yield frame_no, np.stack(left)


def _inside(one: F32, other: F32) -> float:
    """Intersection over the smaller of two boxes (x, y, w, h ...)."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:4], other[:2] + other[2:4])
    return float(np.clip(high - low, 0, None).prod() / min(one[2:4].prod(), other[2:4].prod()))


_SCALE = 1000.0
"""The library's motion noise is tuned for pixels; fractions are scaled to a picture of this side."""


def _take_first_box(path: Path, loose: dict[int, list[F32]], patience: int) -> None:
    """Add the first box of a track: the library numbers a track only at its second box."""
    first_no, first = path[0]
    for frame_no in range(first_no - 1, first_no - patience - 2, -1):
        near = [(_overlap(box, first, _BUFFER), number) for number, box in enumerate(loose.get(frame_no, []))]
        if near and max(near)[0] >= _LEAST_OVERLAP:
            path.insert(0, (frame_no, loose[frame_no].pop(max(near)[1])))
            return


def _overlap(one: F32, other: F32, buffer: float) -> float:
    """Intersection over union of two boxes (x, y, w, h ...), each widened by a share of its size on every side."""
    low1, high1 = one[:2] - buffer * one[2:4], one[:2] + (1 + buffer) * one[2:4]
    low2, high2 = other[:2] - buffer * other[2:4], other[:2] + (1 + buffer) * other[2:4]
    shared = np.clip(np.minimum(high1, high2) - np.maximum(low1, low2), 0, None).prod()
    return float(shared / ((high1 - low1).prod() + (high2 - low2).prod() - shared))


def _cut_at_jumps(path: Path) -> list[Path]:
    """Parts of a path between jumps: places where boxes are missing for a while and resume without touching the last
    one.

    Two animals in one track turn a right answer into a wrong name; one animal in two tracks costs one more answer.
    """
    parts = [path[:1]]
    for (before_no, before), (frame_no, box) in pairwise(path):
        touching = _overlap(before, box, 0.0) > 0
        if frame_no - before_no > 1 and not touching:
            parts.append([])
        parts[-1].append((frame_no, box))
    return parts


def _track(path: Path) -> LinkedTrack:
    rows = np.stack([box for _, box in path])
    return LinkedTrack(
        np.array([frame_no for frame_no, _ in path], np.int32),
        np.ascontiguousarray(rows[:, :4], np.float32),
        np.ascontiguousarray(rows[:, 4], np.float32),
    )
