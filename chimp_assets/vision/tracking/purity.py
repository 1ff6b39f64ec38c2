"""One animal per track: cut where the animal changes, joined where it continues, distinguished from scenery.

Belongs here: the appearance of a box (its colours), cutting, joining, likeness to the empty scene. Does not belong
here: linking by motion (`tracker`), pictures and rows (`bundle`), the identity of the animal (`embedding`, `identity`).

A track with two animals turns a right answer into a wrong label, so tracks are cut on strong evidence of appearance and
joined on stronger. Appearance is a fixed histogram of colours, not a learned embedder: tracks have computed keys, and
another home, or this one after the next training, must draw the same tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.tracking.tracker import LinkedTrack

F32 = NDArray[np.float32]
Look = NDArray[np.float16]

Spot = tuple[int, tuple[float, float, float, float]]
"""A frame number and a box in it (x, y, w, h as fractions)."""
Looks = Callable[[Sequence[Spot]], dict[Spot, Look]]
"""Unit vectors of the appearance of boxes."""


@dataclass(frozen=True)
class PurityConfig:
    """When a track is cut and when two are joined. Measured by `python -m benchmarks.tracking`."""

    window: int = 5
    """detections compared on either side of a place"""
    least: int = 3
    """fewest detections of a part"""
    cut_below: float = 0.85
    """likeness of both sides below which a track is cut"""
    near: float = 0.0
    """a cut requires another track within this many box sides"""
    join_above: float = 0.97
    join_s: float = 4.0
    """longest time between the end of one track and the beginning of the other"""
    reach: float = 2.5
    """box sides that the animal may have moved while unseen, and as many again each second"""
    sampled: int = 4
    """boxes of a track that are compared with the empty scene"""
    empty: int = 6
    """pictures, spread over the video, in which the place of a box is empty"""
    scenery_above: float = 0.92
    """likeness to its own empty place above which a track is junk: in generated clips with 68 live tracks 13 of 24
    false tracks lie above, and none of 42 animals; at 0.85 one animal was lost"""


# Lab bins: fine in colour near grey, where fur is; lightness in steps of 32, since shade moves over an animal.
_BINS = (8, 8, 8)
_RANGES = (0, 256, 90, 170, 90, 170)
_INNER = 0.7
"""Share of each side of a box that is used: the rim shows the ground."""


def colours(picture: NDArray[np.uint8], box: Sequence[float]) -> Look:
    """Appearance of a box: the root of the histogram of its Lab colours, f16 [512] of length 1.

    The product of two of them is the Bhattacharyya coefficient, in [0, 1]. picture: u8 [h, w, 3] RGB; box: x, y, w, h
    as fractions.
    """
    height, width = picture.shape[:2]
    x, y, w, h = box
    middle_x, middle_y = (x + w / 2) * width, (y + h / 2) * height
    half_x, half_y = max(1.0, _INNER * w * width / 2), max(1.0, _INNER * h * height / 2)
    left, right = int(np.clip(middle_x - half_x, 0, width - 1)), int(np.clip(middle_x + half_x, 1, width))
    top, bottom = int(np.clip(middle_y - half_y, 0, height - 1)), int(np.clip(middle_y + half_y, 1, height))
    inner = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    lab = cv2.cvtColor(np.ascontiguousarray(inner), cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), list(_RANGES)).ravel()
    total = float(counts.sum())
    if total == 0:  # colours outside all bins: like nothing
        return np.zeros(len(counts), np.float16)
    return np.sqrt(counts / total).astype(np.float16)


def purify(
    tracks: Sequence[LinkedTrack], frame_rate: float, looks: Looks, config: PurityConfig | None = None
) -> list[LinkedTrack]:
    """The tracks of one video, cut and joined by appearance, in the order that `tracker.link` gives.

    looks: called once, with every box. No box is added, lost or moved. The same tracks and pictures give the same
    result. Memory: 1 kB a box. Raises what `looks` raises.
    """
    knobs = config or PurityConfig()
    seen = looks([spot for track in tracks for spot in spots_of(track)]) if tracks else {}
    met = _met(tracks, knobs)
    parts = [part for track, near in zip(tracks, met, strict=True) for part in _cut(track, near, seen, knobs)]
    whole = _join(parts, frame_rate, seen, knobs)
    return sorted(whole, key=lambda t: (int(t.frame_nos[0]), float(t.boxes[0, 0]), float(t.boxes[0, 1])))


def scenery(
    tracks: Sequence[LinkedTrack], frame_nos: NDArray[np.integer], looks: Looks, config: PurityConfig | None = None
) -> NDArray[np.float64]:
    """How much each track looks like its own place while empty, f64 [n] in [0, 1]; NaN if it is never empty.

    A swaying stem or a stone crossed by a shadow look the same before, during and after; an animal does not.
    frame_nos: of all pictures of the video, ascending. looks: called once.
    """
    knobs = config or PurityConfig()
    taken: dict[int, list[F32]] = {}
    for track in tracks:
        for frame_no, box in zip(track.frame_nos.tolist(), track.boxes, strict=True):
            taken.setdefault(frame_no, []).append(box)
    plan: list[list[tuple[Spot, list[Spot]]]] = []
    for track in tracks:
        rows = np.unique(np.linspace(0, len(track.frame_nos) - 1, knobs.sampled).round().astype(int))
        plan.append([(spot, _empty(spot, frame_nos, taken, knobs)) for spot in (_spot(track, int(r)) for r in rows)])
    asked = sorted({spot for pairs in plan for one, empty in pairs if empty for spot in (one, *empty)})
    seen = looks(asked) if asked else {}
    likeness = np.full(len(tracks), np.nan)
    for number, pairs in enumerate(plan):
        # Medians: an animal that the detector lost stays there for a while, and looks like itself.
        alike = [np.median([_product(seen[one], seen[place]) for place in empty]) for one, empty in pairs if empty]
        if alike:
            likeness[number] = float(np.median(alike))
    return likeness


def _empty(spot: Spot, frame_nos: NDArray[np.integer], taken: dict[int, list[F32]], knobs: PurityConfig) -> list[Spot]:
    """The same place in pictures, spread over the video, in which no box touches it."""
    x, y, w, h = spot[1]
    free = [
        int(frame_no)
        for frame_no in frame_nos[np.unique(np.linspace(0, len(frame_nos) - 1, 8 * knobs.empty).round().astype(int))]
        if not any(
            b[0] < x + w and x < b[0] + b[2] and b[1] < y + h and y < b[1] + b[3] for b in taken.get(int(frame_no), [])
        )
    ]
    if not free:
        return []
    chosen = np.unique(np.linspace(0, len(free) - 1, knobs.empty).round().astype(int))
    return [(free[int(i)], spot[1]) for i in chosen]


def spots_of(track: LinkedTrack) -> list[Spot]:
    """Every box of a track, as `Looks` takes it."""
    return [_spot(track, row) for row in range(len(track.frame_nos))]


def _spot(track: LinkedTrack, row: int) -> Spot:
    x, y, w, h = (float(value) for value in track.boxes[row])
    return int(track.frame_nos[row]), (x, y, w, h)


def _mean(spots: Iterable[Spot], seen: dict[Spot, Look]) -> F32:
    """Mean appearance of boxes, of unit length."""
    mean = np.mean([seen[spot] for spot in spots], axis=0, dtype=np.float32)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def _product(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    return float(np.dot(one.astype(np.float32), other.astype(np.float32)))


def _met(tracks: Sequence[LinkedTrack], knobs: PurityConfig) -> list[NDArray[np.bool_]]:
    """For each track bool [n]: whether another track is near at about that time; only there can two be confused."""
    taken: dict[int, list[tuple[int, F32]]] = {}
    for number, track in enumerate(tracks):
        for frame_no, box in zip(track.frame_nos.tolist(), track.boxes, strict=True):
            taken.setdefault(frame_no, []).append((number, box))
    found = []
    for number, track in enumerate(tracks):
        near = np.zeros(len(track.frame_nos), bool)
        for row, (frame_no, box) in enumerate(zip(track.frame_nos.tolist(), track.boxes, strict=True)):
            near[row] = any(other != number and _touch(box, b, knobs.near) for other, b in taken[frame_no])
        found.append(np.convolve(near, np.ones(2 * knobs.window + 1), "same")[: len(near)] > 0 if len(near) else near)
    return found


def _touch(one: F32, other: F32, near: float) -> bool:
    away = np.abs(one[:2] + one[2:4] / 2 - other[:2] - other[2:4] / 2)
    return bool((away <= (one[2:4] + other[2:4]) / 2 + near * np.maximum(one[2:4], other[2:4])).all())


def _cut(track: LinkedTrack, met: NDArray[np.bool_], seen: dict[Spot, Look], knobs: PurityConfig) -> list[LinkedTrack]:
    """The track, or its parts: cut where both sides are least alike, and again within the parts."""
    n = len(track.frame_nos)
    if n < 2 * knobs.least:
        return [track]
    looks = np.stack([seen[spot] for spot in spots_of(track)]).astype(np.float32)
    places: list[int] = []
    waiting = [(0, n)]
    while waiting:
        begin, end = waiting.pop()
        rows = [r for r in range(begin + knobs.least, end - knobs.least + 1) if met[min(r, n - 1)]]
        if not rows:
            continue
        alike = [_alike(looks[max(begin, r - knobs.window) : r], looks[r : min(end, r + knobs.window)]) for r in rows]
        least = int(np.argmin(alike))
        if alike[least] < knobs.cut_below:
            places.append(rows[least])
            waiting += [(begin, rows[least]), (rows[least], end)]
    edges = [0, *sorted(places), n]
    return [_rows(track, range(a, b)) for a, b in pairwise(edges)]


def _alike(before: F32, after: F32) -> float:
    one, other = before.mean(axis=0), after.mean(axis=0)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9))


def _rows(track: LinkedTrack, rows: range) -> LinkedTrack:
    part = slice(rows.start, rows.stop)
    return LinkedTrack(track.frame_nos[part], track.boxes[part], track.scores[part])


def _may_go_on(one: LinkedTrack, other: LinkedTrack, frame_rate: float, knobs: PurityConfig) -> bool:
    """Whether the other starts after the one ends, soon and near enough to be the same animal."""
    missing = (int(other.frame_nos[0]) - int(one.frame_nos[-1])) / frame_rate
    if not 0 < missing <= knobs.join_s:
        return False
    last, first = one.boxes[-1], other.boxes[0]
    away = np.abs(last[:2] + last[2:4] / 2 - first[:2] - first[2:4] / 2)
    side = np.maximum(last[2:4], first[2:4])
    return bool((away <= knobs.reach * side * (0.5 + min(missing, 2.0) / 2)).all())


def _join(
    parts: list[LinkedTrack],
    frame_rate: float,
    seen: dict[Spot, Look],
    knobs: PurityConfig,
) -> list[LinkedTrack]:
    """Parts joined end to start, the most alike first; each end and each start is used once."""
    links = []
    for number, one in enumerate(parts):
        for other_number, other in enumerate(parts):
            if number == other_number or not _may_go_on(one, other, frame_rate, knobs):
                continue
            end = _mean(spots_of(one)[-knobs.window :], seen)
            begin = _mean(spots_of(other)[: knobs.window], seen)
            alike = _product(end, begin)
            if alike >= knobs.join_above:
                missing = int(other.frame_nos[0]) - int(one.frame_nos[-1])
                links.append((-alike, missing, number, other_number))
    follows: dict[int, int] = {}
    led: set[int] = set()
    for _, _, number, other_number in sorted(links):
        if number not in follows and other_number not in led:
            follows[number] = other_number
            led.add(other_number)
    whole = []
    for number in range(len(parts)):
        if number in led:
            continue
        chain = [number]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        whole.append(_chained([parts[i] for i in chain]))
    return whole


def _chained(parts: list[LinkedTrack]) -> LinkedTrack:
    if len(parts) == 1:
        return parts[0]
    return LinkedTrack(
        np.concatenate([part.frame_nos for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
