"""Which named tracks appear in which sampling units.

Belongs here: units of tracks by time, camera and frames. Does not belong here: what a unit is (`units`), which two are
together (`meetings`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimp_assets.insight.association.filmed_tracks import UNTIMED, FilmedTracks, NamedTracks
from chimp_assets.insight.association.units import BURST_GAP, SamplingUnit

_MINUTE = 60_000_000


@dataclass(frozen=True)
class Presence:
    """In which units named tracks appear. row, unit: i64 [m], a row for each track in each unit; weight: f64 [m], what
    the unit counts; begins: i64 [n], the unit in which each track begins, -1 where its time is unknown; untimed: number
    of tracks left out for it."""

    row: np.ndarray
    unit: np.ndarray
    weight: np.ndarray
    begins: np.ndarray
    untimed: int


def presence(unit: SamplingUnit, seen: NamedTracks, filmed: FilmedTracks) -> Presence:
    """Units of all named tracks. A frame unit is a run of frames with the same animals, and counts its frames."""
    rows = np.arange(len(seen.who))
    if unit.kind == "frame":
        return _frames(seen)
    if unit.kind in ("day", "clip"):
        number = seen.day if unit.kind == "day" else seen.video
        return Presence(rows, number, np.ones(len(rows)), number, 0)
    timed = seen.begins != UNTIMED
    if unit.kind == "burst":
        number = np.where(timed, _bursts(seen, filmed), -1)
        return Presence(rows[timed], number[timed], np.ones(int(timed.sum())), number, int((~timed).sum()))
    length = unit.minutes * _MINUTE
    first, last = seen.begins // length, seen.ends // length
    reach = int((last - first)[timed].max(initial=0)) + 1
    shift = int(first[timed].min(initial=0))
    stride = int((last - shift)[timed].max(initial=0)) + reach + 1
    many = np.where(timed, last - first + 1, 0)
    row = np.repeat(rows, many)
    window = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
    code = seen.place * stride + first - shift
    return Presence(
        row, seen.place[row] * stride + window - shift, np.ones(len(row)), np.where(timed, code, -1),
        int((~timed).sum()),
    )  # fmt: skip


def _frames(seen: NamedTracks) -> Presence:
    """Runs of frames between two changes of who is there, by the first and last frames of tracks."""
    _, clip = np.unique(seen.video, return_inverse=True)
    stride = int(seen.last.max(initial=0)) + 2
    first, after = clip * stride + seen.first, clip * stride + seen.last + 1
    bounds = np.unique(np.concatenate([first, after]))
    low, high = np.searchsorted(bounds, first), np.searchsorted(bounds, after)
    row = np.repeat(np.arange(len(low)), high - low)
    unit = low[row] + np.arange(len(row)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    return Presence(row, unit, (bounds[np.minimum(unit + 1, len(bounds) - 1)] - bounds[unit]).astype(float), low, 0)


def _bursts(seen: NamedTracks, filmed: FilmedTracks) -> np.ndarray:
    """Number of the burst in which each named track begins: all tracks of a camera make bursts, named or not."""
    timed = filmed.begins != UNTIMED
    order = np.flatnonzero(timed)[np.lexsort((filmed.begins[timed], filmed.place[timed]))]
    if not len(order):
        return np.zeros(len(seen.who), np.int64)
    place, begins, ends = filmed.place[order], filmed.begins[order], filmed.ends[order]
    span = int(max(ends.max(), begins.max()) - begins.min()) + (BURST_GAP + 1) * _MINUTE
    low = int(begins.min())
    # Later cameras lie later on one line, so that the latest end so far never reaches into another camera.
    on_line, until = place * span + begins - low, np.maximum.accumulate(place * span + ends - low)
    new = np.ones(len(order), bool)
    new[1:] = on_line[1:] - until[:-1] > BURST_GAP * _MINUTE
    new[1:] |= place[1:] != place[:-1]
    starts = on_line[new]
    return np.searchsorted(starts, seen.place * span + seen.begins - low, side="right") - 1
