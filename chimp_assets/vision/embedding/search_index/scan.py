"""The exact scan: the nearest of all vectors that may be found, none of them guessed.

Belongs here: rows, the scan, at most one of each group. Does not belong here: the question (`examples`), which tracks
may be found (`insight`).

No approximate index: over a million vectors of 128 numbers an exhaustive scan of mapped 16-bit files takes 8 ms on one
thread, and IVF4096 with nprobe 256 found 42 of 100 true neighbours where vectors had no clusters and 23 behind a filter
that lets a hundredth pass. A filter is applied before the nearest are chosen, never after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from chimp_assets.database.schema import TRACKS_PER_VIDEO
from chimp_assets.vision.embedding.search_index.catalogue import Catalogue, Landed

if TYPE_CHECKING:
    from chimp_assets.vision.embedding.search_index.segments import Segment

MOST_AT_ONCE = 2_000
"""Rows that one pass of the scan keeps."""


class VectorIndex:
    """The open segments of one embedder, as rows 0..n-1. It never changes: what lands makes another one.

    embedder: the model of all vectors; track_id: i64 [n]; alive: bool [n], False where the bundle has been embedded
    anew since, whose rows are never found.
    """

    def __init__(self, embedder: int, segments: Sequence[Segment], known: Catalogue, landed: Landed) -> None:
        self.embedder = embedder
        self._segments = list(segments)
        none = np.zeros(0, np.int64)
        self._starts = np.cumsum([0, *(len(segment.track_id) for segment in segments)])
        self.track_id = np.concatenate([none, *(segment.track_id for segment in segments)])
        self.alive = np.zeros(len(self.track_id), dtype=bool)
        for start, entry in zip(self._starts, known.entries, strict=False):
            for member in entry.members:
                if landed.get(member.bundle_id) == member.uri:
                    self.alive[start + member.start : start + member.start + member.n] = True
        rows = np.flatnonzero(self.alive)
        order = np.argsort(self.track_id[rows], kind="stable")
        self._by_track = rows[order]
        self._tracks = self.track_id[self._by_track]

    def __len__(self) -> int:
        """Tracks that can be found."""
        return len(self._tracks)

    def rows_of(self, track_id: np.ndarray) -> np.ndarray:
        """i64 [k]: the row of each track, -1 where it has no vector."""
        place = np.searchsorted(self._tracks, track_id)
        rows = np.full(len(track_id), -1, dtype=np.int64)
        there = place < len(self._tracks)
        there[there] = self._tracks[place[there]] == track_id[there]
        rows[there] = self._by_track[place[there]]
        return rows

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """f32 [k, d] of some rows, each >= 0."""
        if not len(self._segments):
            return np.zeros((0, 0), np.float32)
        found = np.zeros((len(rows), self._segments[0].vectors.d), np.float32)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(which):
            here = which == number
            inside = np.ascontiguousarray(rows[here] - self._starts[number])
            found[here] = self._segments[number].vectors.reconstruct_batch(inside)
        return found

    def some(self, count: int) -> np.ndarray:
        """i64 [<= count]: rows drawn at random, the same ones each time."""
        drawn = np.random.default_rng(0).integers(0, max(1, len(self)), count)
        return np.unique(self._by_track[drawn]) if len(self) else np.zeros(0, np.int64)

    @cached_property
    def filmed_in(self) -> tuple[np.ndarray, np.ndarray]:
        """The videos of all rows, i64 [m] ascending, and the place in them of each row's, i32 [n]."""
        videos, place = np.unique(self.track_id // TRACKS_PER_VIDEO, return_inverse=True)
        return videos, place.astype(np.int32)

    @property
    def videos(self) -> np.ndarray:
        """i32 [n]: a number for each row that is the same within a video and no other, from 0."""
        return self.filmed_in[1]

    def nearest(
        self, question: np.ndarray, k: int, allowed: np.ndarray | None = None, group: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows i64 [<= k] and inner products f32 with question f32 [d], the greatest first; equal ones by track.

        allowed: bool [n], the rows that may be found (None: all that are alive). group: numbers from 0 [n]; at most
        one row of each group is found, its nearest.
        """
        asked = min(k if group is None else 4 * k, MOST_AT_ONCE)
        mask = self.alive if allowed is None else allowed & self.alive
        rows, scores = self._scan(question, asked, mask)
        if group is None:
            return rows[:k], scores[:k]
        seen = np.zeros(int(group.max(initial=-1)) + 1, dtype=bool)
        found_rows, found_scores = [], []
        while len(rows):
            first = np.sort(np.unique(group[rows], return_index=True)[1])
            found_rows.append(rows[first])
            found_scores.append(scores[first])
            if len(rows) < asked or sum(map(len, found_rows)) >= k:
                break
            # What is left lies in other groups, and none of it is nearer than what was found.
            seen[group[rows]] = True
            mask = mask & ~seen[group]
            rows, scores = self._scan(question, asked, mask)
        none = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate([none[0], *found_rows])[:k], np.concatenate([none[1], *found_scores])[:k]

    def _scan(self, question: np.ndarray, k: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of a mask, of each segment and then of all."""
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread: one question is scanned by one thread anyway
        asked = np.ascontiguousarray(question, dtype=np.float32)[None]
        rows, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for start, segment in zip(self._starts, self._segments, strict=False):
            here = mask[start : start + len(segment.track_id)]
            passing = int(np.count_nonzero(here))
            if not passing:
                continue
            params = None
            if passing < len(here):
                bits = np.packbits(here, bitorder="little")
                selected = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
                params = faiss.SearchParameters(sel=selected)  # type: ignore[call-arg]
            found, inside = segment.vectors.search(asked, min(k, passing), params=params)
            rows.append(inside[0] + start)
            scores.append(found[0])
        every, how = np.concatenate(rows), np.concatenate(scores)
        order = np.lexsort((self.track_id[every], -how))[:k]
        return every[order], how[order]
