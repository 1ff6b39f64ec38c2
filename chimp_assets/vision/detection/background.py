"""The background of a window of pictures without its animals, and how much each picture differs from it.

Belongs here: aligning the pictures of a shaking camera, recognising one that moves, equalising the light, the
background, contrast and its noise.
Does not belong here: deciding what is an animal (`motion`).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_MIN_CORNERS = 12
_IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def align(grey: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """Similarity transforms [2, 3] that align each picture with the middle one of the window.

    Sparse Lucas-Kanade flow of corners, then RANSAC, so that an animal that fills part of the picture does not pull
    the camera with it. A picture that no transform improves (too few corners, another scene, a still camera) keeps
    the identity.
    """
    reference = grey[len(grey) // 2]
    corners = cv2.goodFeaturesToTrack(reference, 200, 0.005, max(4, reference.shape[1] // 40))
    if corners is None or len(corners) < _MIN_CORNERS:
        return [_IDENTITY] * len(grey)
    level = float(np.median(reference))
    # Flow assumes constant brightness, which clouds change: each picture is first brought to the level of the
    # reference.
    return [_warp_onto(reference, corners, cv2.add(picture, level - float(np.median(picture)))) for picture in grey]


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


def has_moved(reference: NDArray[np.uint8], picture: NDArray[np.uint8], warp: NDArray[np.float64]) -> bool:
    """Whether the camera looked elsewhere, too far for one background: `warp` is what `align` gave for the picture.

    An eighth of the width by the warp, or, if none was found, a twentieth by phase correlation of both pictures.
    """
    height, width = reference.shape
    if warp is not _IDENTITY:
        middle = np.array([width / 2, height / 2])
        return bool(np.hypot(*(warp[:, :2] @ middle + warp[:, 2] - middle)) > width / 8)
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    shift, response = cv2.phaseCorrelate(reference.astype(np.float32), picture.astype(np.float32), window)
    return bool(response > 0.1 and np.hypot(*shift) > width / 20)


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference in grey levels, limited to 24 so that an animal in one of them counts little."""
    return float(np.minimum(cv2.absdiff(one, other), 24).mean())


def aligned_lab(
    pictures: list[NDArray[np.uint8]], warps: list[NDArray[np.float64]]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Aligned, slightly blurred Lab pictures u8 [n, h, w, 3], and where each one has pixels, bool [n, h, w].

    pictures: u8 [h, w, 3] RGB; warps: as `align` gives them.
    """
    height, width = pictures[0].shape[:2]
    lab = np.empty((len(pictures), height, width, 3), np.uint8)
    valid = np.ones((len(pictures), height, width), bool)
    for index, (picture, warp) in enumerate(zip(pictures, warps, strict=True)):
        if warp is not _IDENTITY:
            picture = cv2.warpAffine(picture, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
            white = np.full((height, width), 255, np.uint8)
            valid[index] = cv2.erode(cv2.warpAffine(white, warp, (width, height)), np.ones((5, 5), np.uint8)) == 255
        lab[index] = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
    return lab, valid


def match_light(lab: NDArray[np.uint8], background: NDArray[np.uint8]) -> bool:
    """Adjust every picture to the light of the background, in place; returns whether any needed it.

    Clouds, exposure and white balance change whole pictures. For each channel a line is fitted through the median
    differences of the darker and of the lighter half of the background; an animal on a part of it does not change them.
    """
    few = background[::3, ::3].reshape(-1, 3)
    darker = few[:, 0] < np.median(few[:, 0])
    if not darker.any():
        return False
    halves = (darker, ~darker)
    changed = False
    for picture in lab:
        seen = picture[::3, ::3].reshape(-1, 3)
        gap = few.astype(np.int16) - seen
        shifts = np.stack([np.median(gap[half], axis=0) for half in halves])
        if np.abs(shifts).max() < 2:
            continue
        changed = True
        centres = np.stack([np.median(seen[half], axis=0) for half in halves])
        span = centres[1] - centres[0]
        slope = np.where(np.abs(span) > 10, (shifts[1] - shifts[0]) / np.where(span == 0, 1, span), 0)
        slope = np.clip(slope, -0.7, 2.0)
        levels = np.arange(256)[:, None]
        table = np.clip(levels + shifts.mean(0) + slope * (levels - centres.mean(0)), 0, 255).astype(np.uint8)
        cv2.LUT(picture, table.reshape(1, 256, 3), dst=picture)
    return changed


def temporal_median(lab: NDArray[np.uint8], most: int = 33) -> NDArray[np.uint8]:
    """Median over time of u8 [n, h, w, 3], from at most `most` pictures spread evenly."""
    flat = np.ascontiguousarray(lab[_spread_evenly(len(lab), most)].reshape(-1, lab[0].size).T)
    middle = flat.shape[1] // 2
    flat.partition(middle, axis=1)
    return np.ascontiguousarray(flat[:, middle]).reshape(lab.shape[1:])


def median_without(
    lab: NDArray[np.uint8], hidden: NDArray[np.bool_], fallback: NDArray[np.uint8], most: int = 33
) -> NDArray[np.uint8]:
    """Median over time of the background: pixels that are hidden (bool [n, h, w]) in a picture do not count there.

    Pixels that are free in fewer than three of the pictures used keep the fallback.
    """
    chosen = _spread_evenly(len(lab), most)
    often = hidden[chosen].any(axis=0)
    if not often.any():
        return fallback
    values = lab[chosen][:, often].astype(np.int16)
    free = ~hidden[chosen][:, often]
    values[~free] = 256
    values.sort(axis=0)
    count = free.sum(axis=0)
    middle = np.take_along_axis(values, (count // 2)[None, :, None].clip(max=len(chosen) - 1), axis=0)[0]
    enough = count >= 3
    median = fallback.copy()
    behind = median[often]
    behind[enough] = middle[enough].astype(np.uint8)
    median[often] = behind
    return median


def _spread_evenly(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(most, n)).round().astype(int))


def contrast_to(lab: NDArray[np.uint8], background: NDArray[np.uint8], valid: NDArray[np.bool_]) -> F32:
    """Difference from the background in grey levels, f32 [n, h, w]; swaying texture within one pixel counts little.

    A value counts mainly as far as it lies outside the values of the background within one pixel around: half a pixel
    of misalignment at an edge then changes little (Barnich and Van Droogenbroeck, ViBe, 2011, use the same idea).
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


def local_noise(contrast: F32, floor: float) -> F32:
    """The usual contrast of the surroundings, f32 [h, w]: foliage in wind is noisier than a rock.

    Median over time, then over a wide neighbourhood, so that an animal that moves on the spot does not count as noise.
    """
    height, width = contrast.shape[1:]
    typical = np.percentile(contrast[:: max(1, len(contrast) // 16)], 60, axis=0).astype(np.float32)
    coarse = cv2.resize(typical, (max(8, width // 4), max(8, height // 4)), interpolation=cv2.INTER_AREA)
    levels = np.clip(coarse * 8, 0, 255).astype(np.uint8)
    wide = cv2.medianBlur(levels, 2 * (min(levels.shape) // 4) + 1).astype(np.float32) / 8
    wide = cv2.GaussianBlur(wide, (0, 0), 3)
    return np.maximum(cv2.resize(wide, (width, height)), floor).astype(np.float32)
