"""Boxes around animals that move, found without labels and without weights.

Belongs here: the motion detector: its windows, the colours learned from what moves, masks, boxes.
Does not belong here: the background and the contrast to it (`background`), linking boxes into tracks (`tracker`),
reading pictures.

The method is a light form of Papazoglou and Ferrari, "Fast object segmentation in unconstrained video", ICCV 2013:
motion finds the animal roughly, the colours of what moved are learned from the window itself, and together they find
the whole animal, even while it sits nearly still. Background: temporal median of aligned pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.background import (
    align,
    aligned_lab,
    contrast_to,
    has_moved,
    local_noise,
    match_light,
    median_without,
    temporal_median,
)
from chimp_assets.vision.detection.interface import FrameBoxes, Picture
from chimp_assets.vision.detection.two_pictures import in_first, without_rests

F32 = NDArray[np.float32]

# Lab bins of the colour models: fine in lightness, because pictures at night are often nearly colourless.
_BINS = (22, 16, 16)
_MIN_SIDE = 16
_WORSE = 0.5
"""Log likelihood by which the background must be more like an animal before a picture counts as uncovered ground."""
_SPECK = np.ones((3, 3), np.uint8)
_HOLE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
_BODY = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))


@dataclass(frozen=True)
class MotionConfig:
    """Knobs of the motion detector. Lengths in pixels of the working picture, contrasts in units of local noise."""

    method: int = 1
    """raised when the same knobs give other boxes, so that the model row changes too"""
    side: int = 256
    """longest side of the working picture: a chimpanzee on the far bank of a pool still covers 30 pixels"""
    window: int = 64
    """frames whose median is the background; memory is bounded by one window"""
    strong: float = 6.0
    """contrast that is motion by itself"""
    lively: float = 2.2
    """contrast, lasting and blurred, near which pixels of animal colours belong to an animal"""
    animal_colour: float = 1.0
    """log likelihood ratio of colours of moving things against colours of the background"""
    noise_floor: float = 2.0
    """grey levels: compression noise of a perfectly still scene"""
    neck: float = 0.65
    """bodies that touch are cut apart where they join by less than this share of their thickness"""
    reach: float = 0.012
    """share of the longest side: parts of one body are not farther apart than this"""
    fragment: float = 0.2
    """parts smaller than this share of a neighbour within reach are its limbs"""
    min_area: float = 0.002
    """share of the picture; smaller specks are dropped"""
    max_area: float = 0.6
    """share of the picture: a picture that changes more than this is a flash or a shake, not an animal"""
    lasting_s: float = 4.0
    """how long to each side a change must last to count as lively"""


class MotionDetector:
    """Finds moving animals in pictures of a fixed, swaying or slowly panning camera. Deterministic; no weights."""

    name = "motion"

    def __init__(self, **knobs: Any) -> None:
        self._knobs = MotionConfig(**knobs)
        self.moved: list[bool] = []
        """for each of the last pictures: whether the camera looked elsewhere, too far for one background"""
        self.of_pictures = False
        """whether the next pictures are files of a burst, of which two are compared with each other: two frames of a
        film show a fifth of a second, in which nothing is sure"""

    @property
    def config(self) -> dict[str, Any]:
        """Everything needed to build the same detector again: `MotionDetector(**config)`."""
        return asdict(self._knobs)

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """Boxes of every picture, in order.

        pictures: (frame_no, time_s, u8 [h, w, 3] RGB), in order of time.
        Yields (frame_no, f32 [k, 5]): x, y, w, h as fractions of the picture in [0, 1], score in [0, 1]; k may be 0.
        Holds at most one and a half windows of working pictures, whatever the length of the video.
        """
        self.moved = []
        for window, first, last in _windows(pictures, self._knobs):
            if self.of_pictures and len(window) == 2:
                yield from _boxes_of_two(window, self._knobs)
            else:
                yield from window_boxes(window, self._knobs, first, last, self.moved)


@dataclass
class _WorkingPicture:
    """A picture at working size."""

    frame_no: int
    time_s: float
    rgb: NDArray[np.uint8]


def _windows(pictures: Iterator[Picture], knobs: MotionConfig) -> Iterator[tuple[list[_WorkingPicture], int, int]]:
    """Half-overlapping windows and the range of frames that each covers, so that every frame has both neighbours."""
    held: list[_WorkingPicture] = []
    answered = 0
    half = knobs.window // 2
    for frame_no, time_s, rgb in pictures:
        small = _WorkingPicture(frame_no, time_s, shrink(rgb, knobs.side))
        if held and small.rgb.shape != held[0].rgb.shape:
            # Some recorders change the picture size in the middle of a file: treat it as another scene.
            yield held, answered, len(held)
            held, answered = [], 0
        held.append(small)
        if len(held) == knobs.window + half:
            window = held[: knobs.window]
            upto = half + half // 2
            yield window, answered, upto
            answered = upto - half
            held = held[half:]
    if held:
        yield held, answered, len(held)


def shrink(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture scaled down until its longest side is `side`; never up. u8 [h, w, 3] in and out."""
    height, width = rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return np.ascontiguousarray(rgb)
    size = (max(_MIN_SIDE, round(width * scale)), max(_MIN_SIDE, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def window_boxes(
    window: list[_WorkingPicture], knobs: MotionConfig, first: int, last: int, moved: list[bool] | None = None
) -> Iterator[FrameBoxes]:
    """Boxes of frames first..last-1 of a window; the other frames only serve the background.

    moved: appended to, for each of them whether the camera looked elsewhere.
    """
    if len(window) < 3:
        for small in window[first:last]:
            yield small.frame_no, np.zeros((0, 5), np.float32)
        return
    grey = [cv2.cvtColor(small.rgb, cv2.COLOR_RGB2GRAY) for small in window]
    warps = align(grey)
    if moved is not None:
        middle = grey[len(grey) // 2]
        moved += [has_moved(middle, grey[index], warps[index]) for index in range(first, last)]
    lab, valid = aligned_lab([small.rgb for small in window], warps)
    contrast, likeness = _evidence(lab, valid, knobs)
    half = np.stack([cv2.resize(c, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for c in contrast])
    step = _lasting_step([small.time_s for small in window], knobs.lasting_s)
    for index in range(first, last):
        lively = _lively(half, index, step, contrast.shape[1:])
        mask = _mask(contrast[index], lively, likeness[index], knobs)
        boxes = _boxes(mask, contrast[index], lively, likeness[index], knobs)
        yield window[index].frame_no, _unwarp(boxes, warps[index], mask.shape)


def _boxes_of_two(window: list[_WorkingPicture], knobs: MotionConfig) -> Iterator[FrameBoxes]:
    """Boxes of both pictures: each against the other as background."""
    found = []
    for here, other in (window, window[::-1]):
        three = [here, replace(other, frame_no=-1), replace(other, frame_no=-2)]
        _, boxes = next(window_boxes(three, knobs, 0, 1))
        found.append(in_first(boxes, here.rgb, other.rgb))
    yield window[0].frame_no, without_rests(found[0], found[1])
    yield window[1].frame_no, without_rests(found[1], found[0])


def _evidence(lab: NDArray[np.uint8], valid: NDArray[np.bool_], knobs: MotionConfig) -> tuple[F32, F32]:
    """Contrast in units of local noise and likeness to an animal, both f32 [n, h, w].

    Two passes: an animal that stays in one place for most of the window is part of the first median, and the ground it
    uncovers would look like motion. The first pass distinguishes the two by their colours; the second uses each pixel
    only while no animal hides it.
    """
    background = temporal_median(lab)
    if match_light(lab, background):
        background = temporal_median(lab)
    bins = _colour_bins(lab)
    contrast = contrast_to(lab, background, valid)
    noise = local_noise(contrast, knobs.noise_floor)
    contrast /= noise
    ratio = _colour_ratio(bins, background, contrast, knobs)
    if ratio is None:
        return contrast, np.zeros(contrast.shape, np.float32)
    likeness = _smooth_lookup(ratio, bins)
    still = _smooth_lookup(ratio, _colour_bins(background[None]))[0]
    uncovered = _uncovered(contrast, likeness, still, knobs)
    animal = (contrast > knobs.strong * 0.7) & ~uncovered
    # If an animal is in the background, pictures with that animal have no contrast there, but its colours.
    animal |= uncovered.any(axis=0) & ~uncovered & (likeness > still - _WORSE)
    hidden = np.stack([cv2.dilate(picture.astype(np.uint8), _BODY) for picture in animal]) > 0
    behind = median_without(lab, hidden, background)
    contrast = contrast_to(lab, behind, valid)
    contrast /= noise
    ratio = _colour_ratio(bins, behind, contrast, knobs)
    if ratio is None:
        return contrast, likeness
    likeness = _smooth_lookup(ratio, bins)
    still = _smooth_lookup(ratio, _colour_bins(behind[None]))[0]
    contrast[_uncovered(contrast, likeness, still, knobs)] = 0
    return contrast, likeness


def _uncovered(contrast: F32, likeness: F32, still: F32, knobs: MotionConfig) -> NDArray[np.bool_]:
    """Where a picture shows the ground and the background an animal, bool [n, h, w].

    There the background is more like an animal than the picture is. Stones and leaves of unusual colours inside such
    a place were uncovered too, so small holes are closed.
    """
    worse = likeness < still - _WORSE
    places = ((contrast > knobs.strong / 2) & worse).astype(np.uint8)
    closed = [cv2.morphologyEx(cv2.morphologyEx(p, cv2.MORPH_OPEN, _SPECK), cv2.MORPH_CLOSE, _HOLE) for p in places]
    return (np.stack(closed) > 0) | worse


def _colour_ratio(
    bins: NDArray[np.int32], background: NDArray[np.uint8], contrast: F32, knobs: MotionConfig
) -> F32 | None:
    """Log likelihood ratio of each colour bin, moving pixels against background; None if nothing moved."""
    n_bins = int(np.prod(_BINS))
    # Colours are learned from bodies only: an opening removes specks of swaying leaves.
    moving = (
        np.stack([cv2.morphologyEx((c > knobs.strong).astype(np.uint8), cv2.MORPH_OPEN, _BODY) for c in contrast]) > 0
    )
    moved = np.bincount(bins[moving], minlength=n_bins)
    if moved.sum() < 4 * knobs.min_area * moving[0].size:
        return None
    quiet = np.median(contrast[:: max(1, len(contrast) // 9)], axis=0) < 0.5 * knobs.lively
    still = np.bincount(_colour_bins(background[None])[0][quiet], minlength=n_bins)
    return np.asarray(np.log((_spread(moved) + 2e-5) / (_spread(still) + 2e-5)), np.float32)


def _smooth_lookup(ratio: F32, bins: NDArray[np.int32]) -> F32:
    return np.stack([cv2.GaussianBlur(ratio[picture], (0, 0), 1.2) for picture in bins])


def _colour_bins(lab: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Bin of each pixel, i32 of the leading shape. The two colour axes have fine bins near grey, the colour of fur."""
    light = np.arange(256) * _BINS[0] // 256
    colour = np.clip((np.arange(256) - 128) // 6 + _BINS[1] // 2, 0, _BINS[1] - 1)
    return (
        (light * (_BINS[1] * _BINS[2])).astype(np.int32)[lab[..., 0]]
        + (colour * _BINS[2]).astype(np.int32)[lab[..., 1]]
        + colour.astype(np.int32)[lab[..., 2]]
    )


def _spread(counts: NDArray[np.int64]) -> F32:
    """A histogram smoothed over neighbouring bins, adding up to 1."""
    smooth = counts.reshape(_BINS).astype(np.float32)
    for axis in range(3):
        neighbours = np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
        smooth = 0.6 * smooth + 0.2 * neighbours
    return np.asarray(smooth.ravel() / max(smooth.sum(), 1e-9), np.float32)


def _lasting_step(times: list[float], lasting_s: float) -> int:
    """Frames between the nine samples that cover lasting_s to each side."""
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return max(1, round(lasting_s / 4 / max(interval, 1e-3)))


def _lively(half: F32, index: int, step: int, shape: tuple[int, ...]) -> F32:
    """Contrast that lasts around this frame, blurred over the reach of a body, f32 [h, w]."""
    around = np.clip(np.arange(index - 4 * step, index + 4 * step + 1, step), 0, len(half) - 1)
    lasting = np.partition(half[around], 5, axis=0)[5]
    reach = max(1.5, half.shape[2] / 40)
    return np.asarray(cv2.resize(cv2.GaussianBlur(lasting, (0, 0), reach), (shape[1], shape[0])), np.float32)


def _mask(contrast: F32, lively: F32, likeness: F32, knobs: MotionConfig) -> NDArray[np.uint8]:
    """Where an animal is, u8 [h, w] of 0 and 1: what moves, and what is lively and has the colours of moving things."""
    moving = (contrast > knobs.strong) & (likeness > -0.5)
    weakly = (contrast > knobs.strong / 2) & (likeness > knobs.animal_colour / 2)
    sitting = (lively > knobs.lively / 2) & (likeness > knobs.animal_colour)
    mask = (moving | weakly | sitting).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, ellipse), np.uint8)
    return mask


def _boxes(mask: NDArray[np.uint8], contrast: F32, lively: F32, likeness: F32, knobs: MotionConfig) -> F32:
    """Boxes of the connected parts of a mask in working pixels, f32 [k, 5]: x, y, w, h, score."""
    size = mask.size
    if mask.sum() > knobs.max_area * size:
        return np.zeros((0, 5), np.float32)
    found = []
    for x, y, inside in _bodies(mask, knobs):
        h, w = inside.shape
        area = int(inside.sum())
        here = np.s_[y : y + h, x : x + w]
        evidence = np.maximum(contrast[here], lively[here])[inside]
        # A part counts if some of it certainly moves; parts that are only faint are shadows and ripples.
        if (evidence > knobs.strong).sum() < 0.3 * knobs.min_area * size and evidence.max() < knobs.lively:
            continue
        colour = float(np.clip(likeness[here][inside].mean(), 0, 3))
        filled = area / (w * h)
        sureness = 1 - np.exp(-1.5 * float(np.percentile(evidence, 75)) / knobs.strong)
        found.append((x, y, w, h, sureness * (0.7 + 0.1 * colour) * min(1.0, 0.5 + filled)))
    boxes = np.array(found, np.float32).reshape(-1, 5)
    return absorb_fragments(boxes, reach=knobs.reach * max(mask.shape), share=knobs.fragment)


def _bodies(mask: NDArray[np.uint8], knobs: MotionConfig) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Connected parts of a mask that are large enough, cut where two bodies only touch: x, y, bool [h, w] of each."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for part in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[part])
        if area < knobs.min_area * mask.size:
            continue
        for piece in cut_at_necks(labels[y : y + h, x : x + w] == part, knobs.neck):
            if piece.sum() < knobs.min_area * mask.size:
                continue
            rows, columns = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
            top, left = int(rows[0]), int(columns[0])
            yield x + left, y + top, piece[top : rows[-1] + 1, left : columns[-1] + 1]


def cut_at_necks(part: NDArray[np.bool_], neck: float) -> list[NDArray[np.bool_]]:
    """The bodies in one connected part, bool [h, w] each: cut where it is narrow between two thick places.

    Two places are bodies of their own if each is at least 0.6 times as thick as the thickest and what joins them is
    thinner than `neck` times the thinner of the two (a watershed on the distance to the edge).
    """
    depth = cv2.distanceTransform(np.pad(part.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    thickest = float(depth.max())
    if thickest < 4:
        return [part]
    count, labels = cv2.connectedComponents((depth > 0.6 * neck * thickest).astype(np.uint8))
    peaks = [float(depth[labels == core].max()) for core in range(1, count)]
    cores = [core for core, peak in enumerate(peaks, start=1) if peak >= 0.6 * thickest]
    if len(cores) < 2:
        return [part]
    away = [cv2.distanceTransform((labels != core).astype(np.uint8), cv2.DIST_L2, 3) for core in cores]
    nearest = np.argmin(away, axis=0)
    return [part & (nearest == number) for number in range(len(cores))]


def absorb_fragments(boxes: F32, reach: float, share: float) -> F32:
    """Join limbs to their body: a box smaller than `share` of another within `reach` of it is merged into that one.

    boxes: f32 [k, 5] x, y, w, h, score in any unit; reach in the same unit. The joined box keeps the body's score.
    Animals of similar size stay separate however close they are.
    """
    left = list(boxes[np.argsort(boxes[:, 2] * boxes[:, 3], kind="stable")])
    bodies: list[F32] = []
    while left:
        small = left.pop(0)
        hosts = [
            number
            for number, big in enumerate(left)
            if small[2] * small[3] < share * big[2] * big[3] and _gap(small, big) <= reach
        ]
        if not hosts:
            bodies.append(small)
            continue
        nearest = min(hosts, key=lambda number: (_gap(small, left[number]), -number))
        big = left[nearest]
        low = np.minimum(small[:2], big[:2])
        high = np.maximum(small[:2] + small[2:4], big[:2] + big[2:4])
        left[nearest] = np.array([*low, *(high - low), big[4]], np.float32)
    return np.array(bodies, np.float32).reshape(-1, 5)[::-1]


def _gap(one: F32, other: F32) -> float:
    """Gap between two boxes along the axis on which they are farther apart; negative if they overlap."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:4], other[:2] + other[2:4])
    return float((low - high).max())


def _unwarp(boxes: F32, warp: NDArray[np.float64], shape: tuple[int, ...]) -> F32:
    """Boxes of the aligned picture as fractions of the original picture, clipped to it."""
    if not len(boxes):
        return boxes
    height, width = shape[:2]
    back = cv2.invertAffineTransform(warp)
    x0, y0 = boxes[:, 0], boxes[:, 1]
    x1, y1 = x0 + boxes[:, 2], y0 + boxes[:, 3]
    corners = np.stack([np.stack([x0, y0], 1), np.stack([x1, y0], 1), np.stack([x1, y1], 1), np.stack([x0, y1], 1)], 1)
    corners = corners @ back[:, :2].T + back[:, 2]
    low = np.clip(corners.min(1) / [width, height], 0, 1)
    high = np.clip(corners.max(1) / [width, height], 0, 1)
    sized = np.concatenate([low, high - low, np.clip(boxes[:, 4:], 0, 1)], 1).astype(np.float32)
    return sized[(sized[:, 2] > 0) & (sized[:, 3] > 0)]
