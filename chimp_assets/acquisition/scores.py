"""What the head makes of tracks: margins, and the tracks that lanes choose from.

Belongs here: `score` of a chunk, and `sweep`, one streaming pass over a pool for all lanes together, with numpy's
arithmetic. Does not belong here: the same arithmetic on a GPU (`torch_scores`), which of the candidates are asked
(`selectors`), fitting a head (`chimp_assets.vision.identity.head`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, BoolArray, F16Array, F32Array, Head, I32Array, I64Array, TrackPool
from chimp_assets.acquisition.selectors import counts_before

LOGITS_IN_CACHE = 1 << 19
"""Logits of one chunk, 2 MiB: 2,048 rows of 300 classes measured twice as fast as 16,384, which leave the cache."""


_EXPONENT = np.int16(0x7C00)  # all ones: not finite
_SIGN_AND_MOVED = np.int32(-0x7000_2000)  # 0x8FFFE000: f32's sign, and f16's other 15 bits moved up by 13
_BIASES_APART = np.float32(2.0**112)  # 2 ** (127 - 15)


_ROUNDING = np.float32(1e-4)  # of sums of hundreds of f32, with room
_TINY = np.float32(1e-20)


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


class Looked(NamedTuple):
    """What one chunk of n rows has for the lists of a sweep; rows are places in the chunk, ascending.

    unsure: margins up to the limit; novel: finite max-logits up to theirs; neighbours: likenesses above the limit of
    their anchor, in no order; bad: i64, rows that are not finite, which are in neither of the first two.
    """

    unsure: Candidates
    novel: Candidates
    neighbours: Neighbours
    bad: I64Array


class Arithmetic(Protocol):
    """The arithmetic of a sweep with one head and one set of anchors. chunk: rows of one look, at most."""

    chunk: int

    def look(self, emb: F16Array, unsure: np.float32, novel: np.float32, near: F32Array) -> Looked:
        """emb: f16 [n, D], n <= chunk; limits of margin and max-logit (-inf: none wanted) and of each anchor [A]."""


class ArithmeticOf(Protocol):
    """Makes the arithmetic of a sweep; anchors: f32 [A, D], A may be 0. Raises ValueError if the head has C < 2."""

    def __call__(self, head: Head, anchors: F32Array) -> Arithmetic: ...


class _TopTwo(NamedTuple):
    logits: F32Array  # [n, C], over the temperature; the largest of each row is overwritten with -inf
    total: F32Array  # sums of each row, and of squares, the largest included
    squares: F32Array
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


def as_f32(emb: F16Array) -> F32Array:
    """The same numbers, seven times as fast as numpy turns half precision into single. Any shape, in C order.

    The exponent and the fraction move to their places in f32 and the difference of the two biases is multiplied out,
    which is exact, subnormal numbers included; what is not finite goes numpy's way.
    """
    bits = np.ascontiguousarray(emb).view(np.int16)
    if bits.size and int((bits & _EXPONENT).max()) == _EXPONENT:
        return emb.astype(np.float32)
    wide = bits.astype(np.int32)
    wide <<= 13
    wide &= _SIGN_AND_MOVED
    rows = wide.view(np.float32)
    rows *= _BIASES_APART
    return rows


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


class OnCpu:
    """numpy's arithmetic: what every machine has (see `Arithmetic`).

    A row whose margin cannot be among the smallest is never exponentiated: `_least_margin` bounds it from the two
    largest logits and from mean and variance of the others, so the result is exact.
    """

    def __init__(self, head: Head, anchors: F32Array) -> None:
        self._weight, self._bias = _scaled(head)
        self._temperature = np.float32(head.temperature)
        self._anchors = np.ascontiguousarray(anchors.T)  # [D, A]
        self.chunk = max(256, min(CHUNK_ROWS, LOGITS_IN_CACHE // head.n_classes))

    def look(self, emb: F16Array, unsure: np.float32, novel: np.float32, near: F32Array) -> Looked:
        """See `Arithmetic`."""
        rows = as_f32(emb)
        top = _top_two(rows, self._weight, self._bias)
        maxlogit = top.first * self._temperature
        perhaps = np.flatnonzero(~(_least_margin(top) > unsure))  # what overflowed is looked at
        margin = _margins(top, perhaps)
        keep = np.flatnonzero(margin <= unsure)
        perhaps = perhaps[keep]
        odd = np.flatnonzero((maxlogit <= novel) & np.isfinite(maxlogit))
        return Looked(
            Candidates(perhaps, margin[keep], top.top1[perhaps], maxlogit[perhaps]),
            Candidates(odd, _margins(top, odd), top.top1[odd], maxlogit[odd]),
            self._neighbours(rows, near),
            np.flatnonzero(~np.isfinite(top.first)),
        )

    def _neighbours(self, rows: F32Array, near: F32Array) -> Neighbours:
        likeness = rows @ self._anchors
        row, anchor = np.nonzero(likeness > near)  # what is not finite is not greater
        return Neighbours(anchor.astype(np.int32), row, likeness[row, anchor])


def sweep(
    pool: TrackPool,
    head: Head,
    eligible: BoolArray,
    m_unsure: int,
    m_novel: int = 0,
    anchors: F32Array | None = None,
    per_anchor: int = 0,
    arithmetic: ArithmeticOf = OnCpu,
) -> Swept:
    """One streaming pass over the eligible rows for all lanes that need the head or the whole pool.

    anchors: f32 [A, D], length 1; per_anchor: how many eligible rows nearest to each are kept. Memory: what is
    returned, times about four, and one chunk. Raises ValueError if C < 2 or dimensions disagree.
    """
    for what, width in (("head", head.weight.shape[1]), ("anchors", None if anchors is None else anchors.shape[1])):
        if width not in (None, pool.emb.shape[1]):
            raise ValueError(f"the {what} has {width} dimensions and the pool {pool.emb.shape[1]}")
    if anchors is None or per_anchor == 0:
        anchors = np.empty((0, pool.emb.shape[1]), np.float32)
    with_head = arithmetic(head, anchors)
    unsure, novel, near_anchors = _Smallest(m_unsure), _Smallest(m_novel), _Nearest(len(anchors), per_anchor)
    n_bad, first_bad = 0, -1
    for rows, emb in _eligible_chunks(pool, eligible, with_head.chunk):
        found = with_head.look(emb, unsure.limit, novel.limit, near_anchors.limit)
        if len(found.bad):
            n_bad, first_bad = n_bad + len(found.bad), int(rows[found.bad[0]]) if first_bad < 0 else first_bad
        unsure.add(found.unsure._replace(rows=rows[found.unsure.rows]), found.unsure.margin)
        novel.add(found.novel._replace(rows=rows[found.novel.rows]), found.novel.maxlogit)
        near_anchors.add(found.neighbours._replace(rows=rows[found.neighbours.rows]))
    return Swept(unsure.result(), novel.result(), near_anchors.result(), n_bad, first_bad)


class _Smallest:
    """The m rows with the smallest keys so far, in a buffer that is cut back whenever it has doubled."""

    def __init__(self, m: int) -> None:
        self.m = m
        self.limit = np.float32(np.inf if m else -np.inf)  # above this a row cannot be among the m smallest
        self._parts: list[Candidates] = []
        self._keys: list[F32Array] = []
        self._held = 0

    def add(self, part: Candidates, key: F32Array) -> None:
        if len(part.rows):
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
    """The k rows most like each of n_anchors so far; memory O(A k)."""

    def __init__(self, n_anchors: int, k: int) -> None:
        self.k = k
        self.limit = np.full(n_anchors, -np.inf, np.float32)  # up to this a row cannot be among the k of an anchor
        self._parts: list[Neighbours] = []
        self._held = 0

    def add(self, part: Neighbours) -> None:
        if len(part.rows):
            self._parts.append(part)
            self._held += len(part.rows)
            if self._held >= 2 * self.k * len(self.limit) + CHUNK_ROWS // 4:
                self._cut()

    def _cut(self) -> None:
        anchors, all_rows, cosines = zip(*self._parts, strict=True)
        anchor, rows, likeness = np.concatenate(anchors), np.concatenate(all_rows), np.concatenate(cosines)
        order = np.lexsort((rows, -likeness, anchor))
        order = order[counts_before(anchor[order]) < self.k]
        kept = Neighbours(anchor[order], rows[order], likeness[order])
        self._parts, self._held = [kept], len(order)
        full = np.bincount(kept.anchor, minlength=len(self.limit)) == self.k
        lowest = np.full(len(self.limit), np.inf, np.float32)
        np.minimum.at(lowest, kept.anchor, kept.likeness)
        self.limit[full] = lowest[full]

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
    total, squares = logits.sum(axis=1), np.einsum("nc,nc->n", logits, logits)
    row = np.arange(len(logits))
    top1 = logits.argmax(axis=1)
    first = logits[row, top1]
    logits[row, top1] = -np.inf
    return _TopTwo(logits, total, squares, first, logits.max(axis=1), top1.astype(np.int32))


@np.errstate(over="ignore", invalid="ignore")
def _least_margin(top: _TopTwo) -> F32Array:
    """A number that no margin is below. f32 [n]; nan where sums overflow.

    Bennett's inequality (1962): of all numbers up to b with mean m and variance v, exp is the largest on average where
    they take two values, b and m - v / (b - m). Here the numbers are the logits of all classes but the first.
    """
    n_others = np.float32(top.logits.shape[1] - 1)
    mean = (top.total - top.first) / n_others
    power = (top.squares - top.first**2) / n_others
    variance = np.maximum(power - mean**2, 0) + _ROUNDING * top.squares / n_others  # both too large: a lower bound
    below = np.maximum(top.second - mean - _ROUNDING * np.sqrt(top.squares), _TINY)
    share = variance / (variance + below**2)
    low, high = np.exp(top.second - below - variance / below - top.first), np.exp(top.second - top.first)
    return (1 - high) / (1 + n_others * ((1 - share) * low + share * high)) * np.float32(0.9999)


def _margins(top: _TopTwo, rows: I64Array) -> F32Array:
    """(p1 - p2) of some rows, from logits whose largest was overwritten with -inf."""
    everyone = len(rows) == len(top.first)
    logits = top.logits if everyone else top.logits[rows]
    first = top.first[rows]
    others = np.exp(logits - first[:, None]).sum(axis=1)
    margin: F32Array = (1 - np.exp(top.second[rows] - first)) / (1 + others)
    return margin
