"""One streaming pass over a pool for all lanes together: the rows with the smallest keys, the neighbours of anchors.

Belongs here: chunks, and the bounded lists of what is kept. Does not belong here: arithmetic on a chunk (`on_cpu`,
`on_torch`), which of the rows found are asked (`lanes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from chimp_assets.acquisition.groups import counts_before
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import CHUNK_ROWS, BoolArray, F16Array, F32Array, I64Array, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.arithmetic import (
    ArithmeticOf,
    Neighbours,
    PricedChunk,
    ScoredRows,
    WorthyRows,
    no_worthy_rows,
)
from chimp_assets.acquisition.pool_pass.on_cpu import OnCpu

_Rows = TypeVar("_Rows", ScoredRows, WorthyRows)


class PassResult(NamedTuple):
    """What one pass found: the smallest margins, the smallest max-logits, the neighbours of anchors; n_bad, first_bad:
    eligible rows that are not finite, and the first of them (-1: none); worthy: the rows worth most."""

    unsure: ScoredRows
    novel: ScoredRows
    neighbours: Neighbours
    n_bad: int
    first_bad: int
    worthy: WorthyRows


def one_pass(
    pool: TrackPool,
    head: LinearHead,
    eligible: BoolArray,
    m_unsure: int,
    m_novel: int = 0,
    anchors: F32Array | None = None,
    per_anchor: int = 0,
    arithmetic: ArithmeticOf = OnCpu,
    m_worthy: int = 0,
    worth: FrameWorth | None = None,
) -> PassResult:
    """One streaming pass over the eligible rows for all lanes that need the head or the whole pool.

    anchors: f32 [A, D], length 1; per_anchor: how many eligible rows nearest to each are kept; m_worthy: how
    many of the rows worth most, by `pool.value` and worth. Memory: what is
    returned, times about four, and one chunk. Raises ValueError if C < 2 or dimensions disagree.
    """
    for what, width in (("head", head.weight.shape[1]), ("anchors", None if anchors is None else anchors.shape[1])):
        if width not in (None, pool.emb.shape[1]):
            raise ValueError(f"the {what} has {width} dimensions and the pool {pool.emb.shape[1]}")
    if anchors is None or per_anchor == 0:
        anchors = np.empty((0, pool.emb.shape[1]), np.float32)
    with_head = arithmetic(head, anchors)
    none = ScoredRows(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    unsure, novel, near_anchors = (
        _Smallest(m_unsure, none),
        _Smallest(m_novel, none),
        _Nearest(len(anchors), per_anchor),
    )
    worthy, priced = _Smallest(m_worthy, no_worthy_rows()), None
    n_bad, first_bad = 0, -1
    for rows, emb in _eligible_chunks(pool, eligible, with_head.chunk):
        if m_worthy:
            priced = PricedChunk(pool.value[rows], worth or FrameWorth(), -worthy.limit)
        found = with_head.look(emb, unsure.limit, novel.limit, near_anchors.limit, priced)
        if len(found.bad):
            n_bad, first_bad = n_bad + len(found.bad), int(rows[found.bad[0]]) if first_bad < 0 else first_bad
        unsure.add(found.unsure._replace(rows=rows[found.unsure.rows]), found.unsure.margin)
        novel.add(found.novel._replace(rows=rows[found.novel.rows]), found.novel.maxlogit)
        near_anchors.add(found.neighbours._replace(rows=rows[found.neighbours.rows]))
        worthy.add(found.worthy._replace(rows=rows[found.worthy.rows]), -found.worthy.worth)
    return PassResult(unsure.result(), novel.result(), near_anchors.result(), n_bad, first_bad, worthy.result())


class _Smallest(Generic[_Rows]):
    """The m rows with the smallest keys so far, in a buffer that is cut back whenever it has doubled.

    nothing: of the kind of rows that are kept.
    """

    def __init__(self, m: int, nothing: _Rows) -> None:
        self.m = m
        self._nothing: _Rows = nothing
        self.limit = np.float32(np.inf if m else -np.inf)  # above this a row cannot be among the m smallest
        self._parts: list[_Rows] = []
        self._keys: list[F32Array] = []
        self._held = 0

    def add(self, part: _Rows, key: F32Array) -> None:
        if len(part.rows):
            self._parts.append(part)
            self._keys.append(key)
            self._held += len(part.rows)
            if self._held >= 2 * self.m + CHUNK_ROWS // 4:
                self._cut()

    def _cut(self) -> None:
        held = type(self._nothing)(*(np.concatenate(column) for column in zip(*self._parts, strict=True)))
        key = np.concatenate(self._keys)
        order = np.lexsort((held.rows, key))[: self.m]
        self._parts, self._keys = [held.at(order)], [key[order]]
        self._held = len(order)
        if len(order) == self.m:
            self.limit = key[order[-1]]

    def result(self) -> _Rows:
        if not self._parts:
            return self._nothing
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
