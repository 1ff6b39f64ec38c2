"""From the times that a file says to the pictures that are stored: boxes between, before and after.

Belongs here: times of frame numbers, boxes as fractions of the displayed picture, interpolation along a track. Does not
belong here: reading times of pictures (`archive.video.picture_times`), rows (`taking`). Knows no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chimp_assets.exchange.imports.annotations import Box, Medium

F64 = NDArray[np.float64]

_SAME_RATE = 0.02
"""Rates that differ by less are one: 29.97 and 30."""
_EVEN = 0.9
"""Share of steps between pictures that are like the usual one in a film of constant rate, which may lose some."""
_EXACT_S = 1e-3
_USUAL_FPS = 25.0


class OtherShapeError(Exception):
    """The pictures that boxes were drawn on have another shape than those of the archive."""


@dataclass(frozen=True)
class FrameTimes:
    """How frame numbers of one medium become seconds. times: of every picture, f64 [n], where they are known; fps: the
    rate by which frames are numbered otherwise. half: half the time that one source picture is shown."""

    times: F64 | None
    fps: float
    half: float

    def of(self, frames: Sequence[int]) -> F64:
        """Seconds of frame numbers, f64 [k]; NaN for numbers that the file does not have."""
        index = np.array(frames, np.float64)
        if self.times is None:
            return index / self.fps
        there = index < len(self.times)
        answer = np.full(len(index), np.nan)
        answer[there] = self.times[index[there].astype(np.int64)]
        return answer


def frame_times(medium: Medium, stated_fps: float | None, row_fps: float | None, times: F64 | None) -> FrameTimes:
    """What frame numbers of a medium mean. times: of the pictures of the archive's file, None where it cannot be read.

    A number counts pictures, whose times are known; but where a file says a rate of its own for a video of even steps,
    it numbers by that rate (people annotate every sixth picture and call it 5 frames a second).
    """
    rate = medium.fps or stated_fps
    if times is None or not len(times):
        fps = rate or row_fps or _USUAL_FPS
        return FrameTimes(None, fps, 0.5 / fps)
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 1 / (rate or _USUAL_FPS)
    counts_pictures = medium.n_frames is not None and abs(medium.n_frames - len(times)) <= max(1, 0.01 * len(times))
    # Containers round times to ticks, mostly of a millisecond.
    is_even = bool(len(steps)) and float(np.mean(np.abs(steps - usual) <= max(0.1 * usual, 2e-3))) >= _EVEN
    if rate and is_even and not counts_pictures and abs(rate * usual - 1) > _SAME_RATE:
        return FrameTimes(None, rate, 0.5 / rate)
    return FrameTimes(times, 1 / usual if usual > 0 else _USUAL_FPS, _EXACT_S)


def box_times(boxes: Sequence[Box], numbering: FrameTimes | None) -> F64:
    """Seconds of each box, f64 [n]; NaN where it says neither, or a frame that is not there. Time counts first."""
    answer = np.array([np.nan if box.time_s is None else box.time_s for box in boxes], np.float64)
    if numbering is not None:
        by_frame = [n for n, box in enumerate(boxes) if box.time_s is None and box.frame is not None]
        if by_frame:
            answer[by_frame] = numbering.of([int(boxes[n].frame or 0) for n in by_frame])
    return answer


def fractions_of(boxes: Sequence[Box], medium: Medium, width: int | None, height: int | None) -> F64:
    """Boxes (all with sides) as fractions of the displayed picture, f64 [n, 4]: clipped to it, NaN where nothing is
    left inside. width, height: of the picture in the archive. Raises OtherShapeError."""
    wide, high = medium.width or width, medium.height or height
    in_pixels = np.array([box.unit == "pixel" for box in boxes])
    if in_pixels.any():
        if not wide or not high:
            raise OtherShapeError("the size of its pictures is not known")
        if medium.width and medium.height and width and height:
            stretch = (medium.width / medium.height) / (width / height)
            if not 0.95 < stretch < 1.05:
                raise OtherShapeError(
                    f"boxes were drawn on pictures of {medium.width} x {medium.height}, here are {width} x {height}"
                )
    sides = np.array([(box.x, box.y, box.w, box.h) for box in boxes], np.float64).reshape(-1, 4)
    scale = np.where(in_pixels[:, None], [[wide or 1, high or 1, wide or 1, high or 1]], 1.0)
    sides = sides / scale
    low = np.clip(sides[:, :2], 0, 1)
    size = np.clip(sides[:, :2] + sides[:, 2:], 0, 1) - low
    clipped = np.concatenate([low, size], axis=1)
    clipped[(size <= 1e-6).any(axis=1)] = np.nan
    return clipped


@dataclass(frozen=True)
class PlacedBoxes:
    """Boxes of one track on stored pictures: frame_nos i64 [k] ascending, boxes f64 [k, 4], scores f64 [k]. exact: how
    many of the file's lie on a picture; interpolated: how many of these lie between two; moved_s: how far a lone box
    went, 0 for the others; unplaced: boxes of the file that are of no stored picture and no help to others."""

    frame_nos: NDArray[np.int64]
    boxes: F64
    scores: F64
    exact: int = 0
    interpolated: int = 0
    moved_s: float = 0.0
    unplaced: int = 0


def place(
    times: F64, boxes: F64, scores: F64, outside: NDArray[np.bool_], half: float, frame_nos: NDArray[np.int64], at: F64
) -> PlacedBoxes:
    """Boxes of one track of a file on the stored pictures of its video.

    times f64 [n], boxes f64 [n, 4], scores f64 [n], outside bool [n] (not visible from here to the next box), in any
    order; half: half the time of a source picture; frame_nos i64 [m], at f64 [m] seconds: of the stored pictures.
    A stored picture takes the nearest box within half a source picture, else what lies on the straight line between the
    boxes around it. A track without any such picture has its boxes moved to the nearest stored ones, by at most half
    of what lies between these.
    """
    known = np.isfinite(times)
    lost = int((~known).sum())
    order = np.argsort(times[known], kind="stable")
    times, boxes = times[known][order], boxes[known][order]
    scores, outside = scores[known][order], outside[known][order]
    if not len(times):
        return PlacedBoxes(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), unplaced=lost)
    inside = (at >= times[0] - half) & (at <= times[-1] + half)
    numbers, moments = frame_nos[inside], at[inside]
    after = np.searchsorted(times, moments, "left")
    right = np.clip(after, 0, len(times) - 1)
    left = np.clip(after - 1, 0, len(times) - 1)
    nearest = np.where(np.abs(times[right] - moments) < np.abs(times[left] - moments), right, left)
    hits = np.abs(times[nearest] - moments) <= half
    gap = times[right] - times[left]
    share = np.where(gap > 0, (moments - times[left]) / np.where(gap > 0, gap, 1), 0)[:, None]
    # A box without sides (outside of the picture) leads nowhere: the one before it stays until then.
    onward = np.where(np.isfinite(boxes[right]), boxes[right], boxes[left])
    between = (1 - share) * boxes[left] + share * onward
    found = np.where(hits[:, None], boxes[nearest], between)
    sureness = np.where(hits, scores[nearest], (1 - share[:, 0]) * scores[left] + share[:, 0] * scores[right])
    shown = np.where(hits, ~outside[nearest], ~outside[left]) & np.isfinite(found).all(axis=1)
    visible = ~outside & np.isfinite(boxes).all(axis=1)
    if not shown.any() and visible.any() and len(at):
        return _moved(times[visible], boxes[visible], scores[visible], half, frame_nos, at, lost)
    last = at[-1] + half if len(at) else -1.0
    beyond = int((visible & (times > last + (np.median(np.diff(at)) if len(at) > 1 else 0))).sum())
    return PlacedBoxes(
        numbers[shown], found[shown], np.clip(sureness[shown], 0, 1), int((hits & shown).sum()),
        int((~hits & shown).sum()), 0.0, lost + beyond + int((~outside & ~np.isfinite(boxes).all(axis=1)).sum()),
    )  # fmt: skip


def _moved(
    times: F64, boxes: F64, scores: F64, half: float, frame_nos: NDArray[np.int64], at: F64, lost: int
) -> PlacedBoxes:
    """Boxes at the nearest stored pictures, one each: of a track that has none of its own."""
    reach = (float(np.median(np.diff(at))) / 2 if len(at) > 1 else np.inf) + half
    best: dict[int, tuple[float, int]] = {}
    for number, moment in enumerate(times):
        picture = int(np.argmin(np.abs(at - moment)))
        distance = float(abs(at[picture] - moment))
        if distance <= reach and distance < best.get(picture, (np.inf, 0))[0]:
            best[picture] = (distance, number)
    pictures = sorted(best)
    chosen = [best[picture][1] for picture in pictures]
    return PlacedBoxes(
        frame_nos[pictures], boxes[chosen].reshape(-1, 4), scores[chosen],
        moved_s=max((best[picture][0] for picture in pictures), default=0.0),
        unplaced=lost + (0 if chosen else len(times)),
    )  # fmt: skip
