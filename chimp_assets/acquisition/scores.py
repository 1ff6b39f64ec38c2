"""What the head makes of tracks: margins, and the tracks with the smallest ones.

Belongs here: `score` of a chunk, and `prefilter`, one streaming pass over a pool.
Does not belong here: which of the candidates are asked (`selectors`), fitting a head (`chimp_assets.vision.head`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, BoolArray, F16Array, F32Array, Head, I32Array, I64Array, TrackPool

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
    top = _top_two(emb, *_scaled(head))
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

    One streaming pass, O(m) memory. A row whose margin cannot be among the m smallest is never exponentiated: with
    r = p2 / p1 its margin is at least (1 - r) / (1 + (C - 1) r), so the result is exact. Rows that are not finite are
    never returned. eligible: bool [N]. Raises ValueError if C < 2 or the head has other dimensions than the pool.
    """
    if head.weight.shape[1] != pool.emb.shape[1]:
        raise ValueError(f"the head has {head.weight.shape[1]} dimensions and the pool {pool.emb.shape[1]}")
    weight, bias = _scaled(head)
    best = _Smallest(m)
    for rows, emb in _eligible_chunks(pool, eligible, max(256, min(CHUNK_ROWS, LOGITS_IN_CACHE // head.n_classes))):
        top = _top_two(emb, weight, bias)
        ratio = np.exp(top.second - top.first)
        bound = (1 - ratio) / (1 + (head.n_classes - 1) * ratio) * np.float32(0.9999)  # room for rounding
        near = np.flatnonzero(bound <= best.limit)
        margin = _margins(top, near)
        keep = np.flatnonzero(margin <= best.limit)
        near = near[keep]
        best.add(Candidates(rows[near], margin[keep], top.top1[near], top.first[near] * np.float32(head.temperature)))
    return best.result()


class _Smallest:
    """The m smallest margins so far, in a buffer that is cut back whenever it has doubled."""

    def __init__(self, m: int) -> None:
        self.m = m
        self.limit = np.float32(np.inf)  # above this a row cannot be among the m smallest
        self._parts: list[Candidates] = []
        self._held = 0

    def add(self, part: Candidates) -> None:
        if self.m > 0 and len(part.rows):
            self._parts.append(part)
            self._held += len(part.rows)
            if self._held >= 2 * self.m + CHUNK_ROWS // 4:
                self._cut()

    def _cut(self) -> None:
        rows = np.concatenate([part.rows for part in self._parts])
        margin = np.concatenate([part.margin for part in self._parts])
        top1 = np.concatenate([part.top1 for part in self._parts])
        maxlogit = np.concatenate([part.maxlogit for part in self._parts])
        order = np.lexsort((rows, margin))[: self.m]
        kept = Candidates(rows[order], margin[order], top1[order], maxlogit[order])
        self._parts, self._held = [kept], len(order)
        if len(order) == self.m:
            self.limit = kept.margin[-1]

    def result(self) -> Candidates:
        if not self._parts:
            return Candidates(
                np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float32)
            )
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


def _top_two(emb: F16Array, weight: F32Array, bias: F32Array) -> _TopTwo:
    logits: F32Array = emb.astype(np.float32) @ weight
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
