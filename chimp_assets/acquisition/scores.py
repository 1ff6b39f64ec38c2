"""What the head makes of tracks: margins, and the tracks that lanes choose from.

Belongs here: `score` of a chunk, and `sweep`, one streaming pass over a pool for all lanes together.
Does not belong here: which of the candidates are asked (`selectors`), fitting a head (`chimp_assets.vision.head`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, BoolArray, F16Array, F32Array, Head, I32Array, I64Array, TrackPool
from chimp_assets.acquisition.selectors import counts_before

LOGITS_IN_CACHE = 1 << 19
"""Logits of one chunk, 2 MiB: 2,048 rows of 300 classes measured twice as fast as 16,384, which leave the cache."""


class Scores(NamedTuple):
    """margin f32 [n] in [0, 1], top1 i32 [n] class numbers, maxlogit f32 [n] before the temperature."""

    margin: F32Array
    top1: I32Array
    maxlogit: F32Array


class Candidates(NamedTuple):
    """The rows with the smallest margins, ascending: rows i64 [m], then as in Scores."""

    rows: I64Array
    margin: F32Array
    top1: I32Array
    maxlogit: F32Array

    def at(self, which: I64Array | BoolArray) -> Candidates:
        """Some of them, by position or by mask, in that order."""
        return Candidates(self.rows[which], self.margin[which], self.top1[which], self.maxlogit[which])


class Neighbours(NamedTuple):
    """Rows most like each anchor: anchor i32 [n], rows i64 [n], likeness f32 [n] (cosine); by anchor, best first."""

    anchor: I32Array
    rows: I64Array
    likeness: F32Array


class Swept(NamedTuple):
    """What one pass found: the smallest margins, the smallest max-logits, the neighbours of anchors; n_bad, first_bad:
    eligible rows that are not finite, and the first of them (-1: none)."""

    unsure: Candidates
    novel: Candidates
    neighbours: Neighbours
    n_bad: int
    first_bad: int


class _TopTwo(NamedTuple):
    logits: F32Array  # [n, C], over the temperature; the largest of each row is overwritten with -inf
    first: F32Array
    second: F32Array
    top1: I32Array


def score(emb: F16Array, head: Head) -> Scores:
    """Margins of calibrated class probabilities, the first choice and its logit. emb: f16 [n, D], n <= 16,384.

    A margin is the probability of the first choice minus that of the second (Scheffer 2001); a row that is not finite
    gets nan. Raises ValueError if C < 2 or n is more than one chunk: callers stream.
    """
    if len(emb) > CHUNK_ROWS:
        raise ValueError(f"{len(emb)} rows at once; a chunk has at most {CHUNK_ROWS}")
    top = _top_two(emb.astype(np.float32), *_scaled(head))
    return Scores(_margins(top, np.arange(len(emb))), top.top1, top.first * np.float32(head.temperature))


def class_probabilities(emb: F16Array, head: Head) -> F32Array:
    """Calibrated probabilities of all classes, for a few rows. emb: f16 [n, D], n <= 16,384; returns f32 [n, C]."""
    if len(emb) > CHUNK_ROWS:
        raise ValueError(f"{len(emb)} rows at once; a chunk has at most {CHUNK_ROWS}")
    logits = (emb.astype(np.float32) @ head.weight.T + head.bias) / np.float32(head.temperature)
    logits -= logits.max(axis=1, keepdims=True)
    probability: F32Array = np.exp(logits)
    probability /= probability.sum(axis=1, keepdims=True)
    return probability


def prefilter(pool: TrackPool, head: Head, m: int, eligible: BoolArray) -> Candidates:
    """The m eligible rows with the smallest margins (ties: lower row first), ascending; fewer if fewer are eligible.

    One streaming pass, O(m) memory. Rows that are not finite are never returned. eligible: bool [N]. Raises ValueError
    if C < 2 or the head has other dimensions than the pool.
    """
    return sweep(pool, head, eligible, m).unsure


def sweep(
    pool: TrackPool,
    head: Head,
    eligible: BoolArray,
    m_unsure: int,
    m_novel: int = 0,
    anchors: F32Array | None = None,
    per_anchor: int = 0,
) -> Swept:
    """One streaming pass over the eligible rows for all lanes that need the head or the whole pool.

    anchors: f32 [A, D], length 1; per_anchor: how many eligible rows nearest to each are kept. Memory: what is
    returned, times about four, and one chunk. A row whose margin cannot be among the smallest is never exponentiated:
    with r = p2 / p1 its margin is at least (1 - r) / (1 + (C - 1) r), so the result is exact. Raises ValueError if
    C < 2 or dimensions disagree.
    """
    for what, width in (("head", head.weight.shape[1]), ("anchors", None if anchors is None else anchors.shape[1])):
        if width not in (None, pool.emb.shape[1]):
            raise ValueError(f"the {what} has {width} dimensions and the pool {pool.emb.shape[1]}")
    weight, bias = _scaled(head)
    unsure, novel = _Smallest(m_unsure), _Smallest(m_novel)
    near_anchors = _Nearest(np.empty((0, pool.emb.shape[1]), np.float32) if anchors is None else anchors, per_anchor)
    n_bad, first_bad = 0, -1
    for rows, half in _eligible_chunks(pool, eligible, max(256, min(CHUNK_ROWS, LOGITS_IN_CACHE // head.n_classes))):
        emb = half.astype(np.float32)
        top = _top_two(emb, weight, bias)
        maxlogit = top.first * np.float32(head.temperature)
        bad = np.flatnonzero(~np.isfinite(top.first))
        if len(bad):
            n_bad, first_bad = n_bad + len(bad), int(rows[bad[0]]) if first_bad < 0 else first_bad
            maxlogit[bad] = np.inf  # not novel: not anything
        ratio = np.exp(top.second - top.first)
        bound = (1 - ratio) / (1 + (head.n_classes - 1) * ratio) * np.float32(0.9999)  # room for rounding
        near = np.flatnonzero(bound <= unsure.limit)
        margin = _margins(top, near)
        keep = np.flatnonzero(margin <= unsure.limit)
        near = near[keep]
        unsure.add(Candidates(rows[near], margin[keep], top.top1[near], maxlogit[near]), margin[keep])
        if m_novel:
            odd = np.flatnonzero((maxlogit <= novel.limit) & np.isfinite(maxlogit))
            novel.add(Candidates(rows[odd], _margins(top, odd), top.top1[odd], maxlogit[odd]), maxlogit[odd])
        near_anchors.add(rows, emb)
    return Swept(unsure.result(), novel.result(), near_anchors.result(), n_bad, first_bad)


class _Smallest:
    """The m rows with the smallest keys so far, in a buffer that is cut back whenever it has doubled."""

    def __init__(self, m: int) -> None:
        self.m = m
        self.limit = np.float32(np.inf)  # above this a row cannot be among the m smallest
        self._parts: list[Candidates] = []
        self._keys: list[F32Array] = []
        self._held = 0

    def add(self, part: Candidates, key: F32Array) -> None:
        if self.m > 0 and len(part.rows):
            self._parts.append(part)
            self._keys.append(key)
            self._held += len(part.rows)
            if self._held >= 2 * self.m + CHUNK_ROWS // 4:
                self._cut()

    def _cut(self) -> None:
        rows, margin, top1, maxlogit = zip(*self._parts, strict=True)
        held = Candidates(np.concatenate(rows), np.concatenate(margin), np.concatenate(top1), np.concatenate(maxlogit))
        key = np.concatenate(self._keys)
        order = np.lexsort((held.rows, key))[: self.m]
        self._parts, self._keys = [held.at(order)], [key[order]]
        self._held = len(order)
        if len(order) == self.m:
            self.limit = key[order[-1]]

    def result(self) -> Candidates:
        if not self._parts:
            return Candidates(
                np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float32)
            )
        self._cut()
        return self._parts[0]


class _Nearest:
    """The k rows most like each anchor so far; memory O(A k)."""

    def __init__(self, anchors: F32Array, k: int) -> None:
        self.anchors = np.ascontiguousarray(anchors.T)  # [D, A]
        self.k = k
        self._limit = np.full(anchors.shape[0], -np.inf, np.float32)
        self._parts: list[Neighbours] = []
        self._held = 0

    def add(self, rows: I64Array, emb: F32Array) -> None:
        if self.k == 0 or self.anchors.shape[1] == 0:
            return
        likeness = emb @ self.anchors
        row, anchor = np.nonzero(likeness > self._limit)  # what is not finite is not greater
        if len(row):
            self._parts.append(Neighbours(anchor.astype(np.int32), rows[row], likeness[row, anchor]))
            self._held += len(row)
            if self._held >= 2 * self.k * len(self._limit) + CHUNK_ROWS // 4:
                self._cut()

    def _cut(self) -> None:
        anchors, all_rows, cosines = zip(*self._parts, strict=True)
        anchor, rows, likeness = np.concatenate(anchors), np.concatenate(all_rows), np.concatenate(cosines)
        order = np.lexsort((rows, -likeness, anchor))
        order = order[counts_before(anchor[order]) < self.k]
        kept = Neighbours(anchor[order], rows[order], likeness[order])
        self._parts, self._held = [kept], len(order)
        full = np.bincount(kept.anchor, minlength=len(self._limit)) == self.k
        lowest = np.full(len(self._limit), np.inf, np.float32)
        np.minimum.at(lowest, kept.anchor, kept.likeness)
        self._limit[full] = lowest[full]

    def result(self) -> Neighbours:
        if not self._parts:
            return Neighbours(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float32))
        self._cut()
        return self._parts[0]


def _eligible_chunks(pool: TrackPool, eligible: BoolArray, chunk: int) -> Iterator[tuple[I64Array, F16Array]]:
    for low in range(0, len(pool), chunk):
        inside = np.flatnonzero(eligible[low : low + chunk])
        if len(inside):
            here = pool.emb[low : low + chunk]
            yield inside + low, here if len(inside) == len(here) else here[inside]


def _scaled(head: Head) -> tuple[F32Array, F32Array]:
    if head.n_classes < 2:
        raise ValueError(f"a margin needs two classes; this head knows {head.n_classes}")
    temperature = np.float32(head.temperature)
    return np.ascontiguousarray((head.weight / temperature).T), head.bias / temperature


def _top_two(emb: F32Array, weight: F32Array, bias: F32Array) -> _TopTwo:
    logits: F32Array = emb @ weight
    logits += bias
    row = np.arange(len(logits))
    top1 = logits.argmax(axis=1)
    first = logits[row, top1]
    logits[row, top1] = -np.inf
    return _TopTwo(logits, first, logits.max(axis=1), top1.astype(np.int32))


def _margins(top: _TopTwo, rows: I64Array) -> F32Array:
    """(p1 - p2) of some rows, from logits whose largest was overwritten with -inf."""
    everyone = len(rows) == len(top.first)
    logits = top.logits if everyone else top.logits[rows]
    first = top.first[rows]
    others = np.exp(logits - first[:, None]).sum(axis=1)
    margin: F32Array = (1 - np.exp(top.second[rows] - first)) / (1 + others)
    return margin
