"""Tracks that would be asked twice: the same vector, or nearly the same one in the same video.

A tracker that loses an animal for a moment makes two tracks of it; a file that was copied makes two of everything. One
answer is enough for both. Belongs here: finding them among candidates. Does not belong here: copies of whole files
(`archive.catalogue.duplicates`), joining tracks (`vision.tracking.purity`).
"""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.pool import (
    BLOCK_ROWS,
    CHUNK_ROWS,
    UNLABELLED,
    BoolArray,
    F16Array,
    I32Array,
    I64Array,
    TrackPool,
)

MOST_PAIRS = 1 << 22
"""Pairs of tracks of one video that are compared at once: 4 million cosines in some chunks, a bounded time."""

_PRINTED_AT_ONCE = 2_048  # as i64: 2 MiB of 128 dimensions


class AskedTracks:
    """The rows of a pool that were asked before, looked at once for all lanes of a plan. 16 bytes an asked track."""

    def __init__(self, pool: TrackPool) -> None:
        self._pool = pool
        self._rows = np.flatnonzero(pool.state != UNLABELLED)
        self._prints = _fingerprints(pool.emb, self._rows)
        self._prints.sort()

    def already(self, rows: I64Array, likeness: float, also: I64Array | None = None) -> BoolArray:
        """Which of some rows need no question of their own, given those asked before and those earlier in `rows`.

        rows: i64 [m] of the pool, best first; likeness: cosine from which two tracks of one video are the same animal;
        also: rows that count as asked, such as those of another lane of the same plan.
        True where an answered or leased track, or an earlier row, has the same vector, or is of the same video and that
        alike. bool [m]. Without `pool.video` only same vectors count. Memory O(m).
        """
        pool = self._pool
        also = np.empty(0, np.int64) if also is None else also
        drop = np.zeros(len(rows), bool)
        if len(rows) == 0:
            return drop
        print_of = _fingerprints(pool.emb, rows)
        drop |= _among(print_of, self._prints)
        drop |= np.isin(print_of, _fingerprints(pool.emb, also))
        first = np.unique(print_of, return_index=True)[1]
        again = np.ones(len(rows), bool)
        again[first] = False
        drop |= again
        if pool.video is not None:
            of_these = np.unique(pool.video[rows])
            asked = np.concatenate(
                [_of_videos(pool.video, of_these, self._rows), _of_videos(pool.video, of_these, also)]
            )
            _mark_alike(pool, rows, asked, likeness, drop)
        return drop

    def sample(self, k: int, rng: np.random.Generator) -> I64Array:
        """k rows whose surroundings the training lanes have asked about, in flight included; all if there are fewer.

        Audit answers and those of test days do not count: no model learns from them. i64, drawn without replacement.
        """
        rows = self._rows
        rows = rows[~self._pool.reserve[rows] & ~self._pool.test_day[rows]]
        return rows[rng.choice(len(rows), size=min(k, len(rows)), replace=False)] if len(rows) else rows


def asked_already(pool: TrackPool, rows: I64Array, likeness: float, also: I64Array | None = None) -> BoolArray:
    """`AskedTracks.already` for a pool that is looked at once."""
    return AskedTracks(pool).already(rows, likeness, also)


def _fingerprints(emb: F16Array, rows: I64Array) -> I64Array:
    """A number for each row that equal vectors share and others hardly ever do. i64 [n]."""
    factor = np.random.default_rng(20).integers(1, 1 << 62, emb.shape[1], dtype=np.int64) | 1
    found = np.empty(len(rows), np.int64)
    for low in range(0, len(rows), _PRINTED_AT_ONCE):
        bits = np.ascontiguousarray(emb[rows[low : low + _PRINTED_AT_ONCE]]).view(np.int16).astype(np.int64)
        found[low : low + _PRINTED_AT_ONCE] = bits @ factor  # wraps around
    return found


def _of_videos(video: I32Array, ascending: I32Array, rows: I64Array) -> I64Array:
    """Which of some rows are of these videos, looked at a block at a time."""
    found = [rows[:0]]
    for low in range(0, len(rows), BLOCK_ROWS):
        block = rows[low : low + BLOCK_ROWS]
        found.append(block[_among(video[block], ascending)])
    return np.concatenate(found)


def _among(values: np.ndarray, ascending: np.ndarray) -> BoolArray:
    """Which values are in a sorted list, which may be much longer: nothing is copied, as numpy's `isin` does."""
    if len(ascending) == 0:
        return np.zeros(len(values), bool)
    place = np.searchsorted(ascending, values)
    return np.asarray(ascending[np.minimum(place, len(ascending) - 1)] == values)


def _mark_alike(pool: TrackPool, rows: I64Array, asked: I64Array, likeness: float, drop: BoolArray) -> None:
    """Rows that are much like an asked track of their video, then like an earlier row of it that stays.

    asked: those of the videos of rows, in any order.
    """
    assert pool.video is not None
    video = pool.video[rows]
    asked = asked[np.argsort(pool.video[asked], kind="stable")]
    low = np.searchsorted(pool.video[asked], video, side="left")
    n_others = np.searchsorted(pool.video[asked], video, side="right") - low
    for part in _parts(n_others):
        one = np.repeat(part, n_others[part])
        place = np.arange(len(one)) - np.repeat(np.cumsum(n_others[part]) - n_others[part], n_others[part])
        alike = _cosines(pool.emb, rows[one], asked[low[one] + place]) >= likeness
        drop[one[alike]] = True
    order = np.lexsort((np.arange(len(rows)), video))
    order = order[~drop[order]]
    starts = np.flatnonzero(np.r_[True, video[order][1:] != video[order][:-1]]) if len(order) else order
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            emb = pool.emb[rows[members]].astype(np.float32)
            same = emb @ emb.T >= likeness
            for i in range(1, len(members)):
                drop[members[i]] = bool((same[i, :i] & ~drop[members[:i]]).any())


def _parts(counts: I64Array) -> list[I64Array]:
    """Indices of counts above 0, in pieces whose counts add up to MOST_PAIRS or little more."""
    some = np.flatnonzero(counts)
    if len(some) == 0:
        return []
    cuts = np.flatnonzero(np.diff(np.cumsum(counts[some]) // MOST_PAIRS)) + 1
    return np.split(some, cuts)


def _cosines(emb: F16Array, one: I64Array, other: I64Array) -> np.ndarray:
    found = np.empty(len(one), np.float32)
    for low in range(0, len(one), CHUNK_ROWS):
        here = slice(low, low + CHUNK_ROWS)
        found[here] = np.einsum("nd,nd->n", emb[one[here]].astype(np.float32), emb[other[here]].astype(np.float32))
    return found
