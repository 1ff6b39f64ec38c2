"""Boxes around what moves of its own accord, found without labels and without weights.

Belongs here: the motion detector: alignment of a shaking camera, background, appearance learned from what moves, boxes.
Does not belong here: linking boxes into tracks (`tracker`), and where pictures come from.

The method is a light form of Papazoglou and Ferrari, "Fast object segmentation in unconstrained video", ICCV 2013:
motion finds the animal roughly, the colours of what moved are learned from the window itself, and both together find
the whole animal, also while it sits nearly still. Background: temporal median of aligned pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = tuple[int, float, NDArray[np.uint8]]
FrameBoxes = tuple[int, NDArray[np.float32]]
F32 = NDArray[np.float32]

# Lab bins of the colour models: fine in lightness, since camera traps are often nearly colourless at night.
_BINS = (22, 16, 16)
_MIN_SIDE = 16
_MIN_CORNERS = 12
_IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


@dataclass(frozen=True)
class MotionConfig:
    """Knobs of the motion detector. Lengths in pixels of the working picture, contrasts in units of local noise."""

    method: int = 1
    """raised when the same knobs come to give other boxes, so that the model row changes too"""
    side: int = 256
    """longest side of the working picture: a chimpanzee at the far bank of a pool still covers 30 pixels"""
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
        for window, first, last in _windows(pictures, self._knobs):
            yield from window_boxes(window, self._knobs, first, last)


@dataclass
class _Small:
    """A picture at working size."""

    frame_no: int
    time_s: float
    rgb: NDArray[np.uint8]


def _windows(pictures: Iterator[Picture], knobs: MotionConfig) -> Iterator[tuple[list[_Small], int, int]]:
    """Half-overlapping windows and the range of frames each answers for, so that every frame sees both its sides."""
    held: list[_Small] = []
    answered = 0
    half = knobs.window // 2
    for frame_no, time_s, rgb in pictures:
        small = _Small(frame_no, time_s, shrink(rgb, knobs.side))
        if held and small.rgb.shape != held[0].rgb.shape:
            # Some recorders change their picture size in the middle of a file: that is another scene.
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


def window_boxes(window: list[_Small], knobs: MotionConfig, first: int, last: int) -> Iterator[FrameBoxes]:
    """Boxes of frames first..last-1 of a window; the others only help to know the background."""
    if len(window) < 3:
        for small in window[first:last]:
            yield small.frame_no, np.zeros((0, 5), np.float32)
        return
    grey = [cv2.cvtColor(small.rgb, cv2.COLOR_RGB2GRAY) for small in window]
    warps = align(grey)
    lab, valid = _aligned_lab(window, warps)
    background = temporal_median(lab)
    if _match_light(lab, background):
        background = temporal_median(lab)
    contrast = _contrast(lab, background, valid)
    noise = _local_noise(contrast, knobs.noise_floor)
    contrast /= noise
    likeness = _animal_likeness(lab, background, contrast, knobs)
    half = np.stack([cv2.resize(c, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for c in contrast])
    step = _lasting_step([small.time_s for small in window], knobs.lasting_s)
    for index in range(first, last):
        lively = _lively(half, index, step, contrast.shape[1:])
        mask = _mask(contrast[index], lively, likeness[index], knobs)
        boxes = _boxes(mask, contrast[index], lively, likeness[index], knobs)
        yield window[index].frame_no, _unwarp(boxes, warps[index], mask.shape)


def align(grey: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """Similarity transforms [2, 3] that lay each picture on the middle one of the window.

    Sparse Lucas-Kanade flow of corners, then RANSAC, so that an animal that fills part of the picture does not pull
    the camera with it. A picture that no transform brings closer (too few corners, another scene, a camera that stood
    still) keeps the identity.
    """
    reference = grey[len(grey) // 2]
    corners = cv2.goodFeaturesToTrack(reference, 200, 0.005, max(4, reference.shape[1] // 40))
    if corners is None or len(corners) < _MIN_CORNERS:
        return [_IDENTITY] * len(grey)
    return [_warp_onto(reference, corners, picture) for picture in grey]


def _warp_onto(reference: NDArray[np.uint8], corners: F32, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(reference, picture, corners, None, winSize=(13, 13), maxLevel=2)
    kept = found[:, 0] == 1
    if kept.sum() < _MIN_CORNERS:
        return _IDENTITY
    if np.median(np.abs(moved[kept] - corners[kept])) < 0.1:
        return _IDENTITY
    warp, inliers = cv2.estimateAffinePartial2D(
        moved[kept], corners[kept], method=cv2.RANSAC, ransacReprojThreshold=0.8, maxIters=300
    )
    if warp is None or inliers.sum() < _MIN_CORNERS:
        return _IDENTITY
    height, width = reference.shape
    warped = cv2.warpAffine(picture, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if _distance(reference, warped) > 0.95 * _distance(reference, picture):
        return _IDENTITY
    return np.asarray(warp, np.float64)


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference in grey levels, cut at 24 so that an animal in one of them counts little."""
    return float(np.minimum(cv2.absdiff(one, other), 24).mean())


def _aligned_lab(window: list[_Small], warps: list[NDArray[np.float64]]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Aligned, slightly blurred Lab pictures u8 [n, h, w, 3], and where each one has pixels."""
    height, width = window[0].rgb.shape[:2]
    lab = np.empty((len(window), height, width, 3), np.uint8)
    valid = np.ones((len(window), height, width), bool)
    for index, (small, warp) in enumerate(zip(window, warps, strict=True)):
        picture = small.rgb
        if warp is not _IDENTITY:
            picture = cv2.warpAffine(picture, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
            white = np.full((height, width), 255, np.uint8)
            valid[index] = cv2.erode(cv2.warpAffine(white, warp, (width, height)), np.ones((5, 5), np.uint8)) == 255
        lab[index] = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
    return lab, valid


def _match_light(lab: NDArray[np.uint8], background: NDArray[np.uint8]) -> bool:
    """Brings every picture to the light of the background, in place; says whether any needed it.

    Clouds, exposure and white balance change whole pictures. For each channel a line is laid through the median
    difference of the darker and of the lighter half of the background: an animal on a part of it does not bend it.
    """
    few = background[::3, ::3].reshape(-1, 3)
    darker = few[:, 0] < np.median(few[:, 0])
    if darker.all() or not darker.any():
        return False
    centres = np.stack([few[darker].mean(0), few[~darker].mean(0)])
    changed = False
    for picture in lab:
        gap = few.astype(np.int16) - picture[::3, ::3].reshape(-1, 3)
        shifts = np.stack([np.median(gap[darker], axis=0), np.median(gap[~darker], axis=0)])
        if np.abs(shifts).max() < 2:
            continue
        changed = True
        span = centres[1] - centres[0]
        slope = np.where(np.abs(span) > 12, (shifts[1] - shifts[0]) / np.where(span == 0, 1, span), 0)
        slope = np.clip(slope, -0.5, 0.5)
        levels = np.arange(256)[:, None]
        table = np.clip(levels + shifts.mean(0) + slope * (levels - centres.mean(0)), 0, 255).astype(np.uint8)
        cv2.LUT(picture, table.reshape(1, 256, 3), dst=picture)
    return changed


def temporal_median(lab: NDArray[np.uint8], most: int = 33) -> NDArray[np.uint8]:
    """Median over time of u8 [n, h, w, 3], from at most `most` pictures spread evenly."""
    chosen = lab[np.unique(np.linspace(0, len(lab) - 1, min(most, len(lab))).round().astype(int))]
    middle = len(chosen) // 2
    flat = np.ascontiguousarray(chosen.reshape(len(chosen), -1).T)
    flat.partition(middle, axis=1)
    return np.ascontiguousarray(flat[:, middle]).reshape(lab.shape[1:])


def _contrast(lab: NDArray[np.uint8], background: NDArray[np.uint8], valid: NDArray[np.bool_]) -> F32:
    """Difference to the background in grey levels, f32 [n, h, w]; what a pixel of swaying texture explains is nothing.

    A value counts only as far as it lies outside the values of the background within one pixel around: half a pixel
    of misalignment at an edge then changes nothing (Barnich and Van Droogenbroeck, ViBe, 2011, use the same idea).
    """
    kernel = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(background, kernel), cv2.erode(background, kernel)
    contrast = np.empty(lab.shape[:3], np.float32)
    for index, picture in enumerate(lab):
        outside = cv2.max(cv2.subtract(picture, high), cv2.subtract(low, picture))
        plain = cv2.absdiff(picture, background)
        both = cv2.addWeighted(outside, 0.6, plain, 0.4, 0)
        light, a, b = cv2.split(both)
        worst = cv2.max(light, cv2.convertScaleAbs(cv2.max(a, b), alpha=1.5))
        contrast[index] = cv2.GaussianBlur(worst, (0, 0), 1.0)
    contrast[~valid] = 0
    return contrast


def _local_noise(contrast: F32, floor: float) -> F32:
    """What the surroundings usually differ by, f32 [h, w]: foliage in wind is noisier than a rock.

    Median over time, then over a wide neighbourhood, so that an animal that moves on the spot is not called noise.
    """
    height, width = contrast.shape[1:]
    typical = np.percentile(contrast[:: max(1, len(contrast) // 16)], 60, axis=0).astype(np.float32)
    coarse = cv2.resize(typical, (max(8, width // 4), max(8, height // 4)), interpolation=cv2.INTER_AREA)
    levels = np.clip(coarse * 8, 0, 255).astype(np.uint8)
    wide = cv2.medianBlur(levels, 2 * (min(levels.shape) // 4) + 1).astype(np.float32) / 8
    wide = cv2.GaussianBlur(wide, (0, 0), 3)
    return np.maximum(cv2.resize(wide, (width, height)), floor).astype(np.float32)


def _animal_likeness(lab: NDArray[np.uint8], background: NDArray[np.uint8], contrast: F32, knobs: MotionConfig) -> F32:
    """Log likelihood ratio of each pixel's colour under what moved against the background, f32 [n, h, w]."""
    bins = _colour_bins(lab)
    n_bins = int(np.prod(_BINS))
    moving = contrast > knobs.strong
    moved = np.bincount(bins[moving], minlength=n_bins)
    if moved.sum() < 4 * knobs.min_area * moving[0].size:
        return np.zeros(contrast.shape, np.float32)
    quiet = np.median(contrast[:: max(1, len(contrast) // 9)], axis=0) < 0.5 * knobs.lively
    still_bins = _colour_bins(background[None])[0]
    # What an animal uncovers looks like motion too, but its colours are those of the background around it.
    still = np.bincount(still_bins[quiet], minlength=n_bins)
    ratio = np.log((_spread(moved) + 2e-5) / (_spread(still) + 2e-5)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(ratio[picture], (0, 0), 1.2) for picture in bins])


def _colour_bins(lab: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Bin of each pixel, i32 of the leading shape. The two colour axes are binned finely near grey, where fur is."""
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
    """Where an animal is, u8 [h, w] of 0 and 1: what moves, and what is lively and has the colours of what moves."""
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
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for part in range(1, count):
        x, y, w, h, area = stats[part]
        if area < knobs.min_area * size:
            continue
        here = np.s_[y : y + h, x : x + w]
        inside = labels[here] == part
        evidence = np.maximum(contrast[here], lively[here])[inside]
        # A part is kept when some of it moves for certain; faint parts alone are shadows and ripples.
        if (evidence > knobs.strong).sum() < 0.3 * knobs.min_area * size and evidence.max() < knobs.lively:
            continue
        colour = float(np.clip(likeness[here][inside].mean(), 0, 3))
        filled = area / (w * h)
        sureness = 1 - np.exp(-1.5 * float(np.percentile(evidence, 75)) / knobs.strong)
        found.append((x, y, w, h, sureness * (0.7 + 0.1 * colour) * min(1.0, 0.5 + filled)))
    boxes = np.array(found, np.float32).reshape(-1, 5)
    return absorb_fragments(boxes, reach=knobs.reach * max(mask.shape), share=knobs.fragment)


def absorb_fragments(boxes: F32, reach: float, share: float) -> F32:
    """Joins limbs to their body: a box smaller than `share` of another within `reach` of it is taken into that one.

    boxes: f32 [k, 5] x, y, w, h, score in any unit; reach in the same unit. The joined box keeps the body's score.
    Animals of like size stay apart however close they are.
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
    """Free space between two boxes along the axis where they are farther apart; negative where they overlap."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:4], other[:2] + other[2:4])
    return float((low - high).max())


def _unwarp(boxes: F32, warp: NDArray[np.float64], shape: tuple[int, ...]) -> F32:
    """Boxes of the aligned picture as fractions of the picture as it was, clipped to it."""
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
