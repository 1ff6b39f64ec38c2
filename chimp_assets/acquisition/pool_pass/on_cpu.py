"""The arithmetic of a pass in numpy: what every machine has."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, F16Array, F32Array, LinearHead
from chimp_assets.acquisition.pool_pass.arithmetic import (
    ChunkFindings,
    Neighbours,
    PricedChunk,
    ScoredRows,
    WorthyRows,
    no_worthy_rows,
)
from chimp_assets.acquisition.scores import (
    TopTwo,
    as_f32,
    first_probability,
    first_probability_within,
    least_margin,
    margins,
    scaled,
    top_two,
)

LOGITS_IN_CACHE = 1 << 19
"""Logits of one chunk, 2 MiB: 2,048 rows of 300 classes measured twice as fast as 16,384, which leave the cache."""


class OnCpu:
    """numpy's arithmetic: what every machine has (see `Arithmetic`).

    A row whose margin cannot be among the smallest is never exponentiated: `least_margin` bounds it from the two
    largest logits and from mean and variance of the others, so the result is exact. So are worths: a row is
    exponentiated where its frames, and then bounds of its probability, leave it a place among those worth most.
    """

    def __init__(self, head: LinearHead, anchors: F32Array) -> None:
        self._weight, self._bias = scaled(head)
        self._temperature = np.float32(head.temperature)
        self._anchors = np.ascontiguousarray(anchors.T)  # [D, A]
        self.chunk = max(256, min(CHUNK_ROWS, LOGITS_IN_CACHE // head.n_classes))

    def look(
        self,
        emb: F16Array,
        unsure: np.float32,
        novel: np.float32,
        near: F32Array,
        priced: PricedChunk | None = None,
    ) -> ChunkFindings:
        """See `Arithmetic`."""
        rows = as_f32(emb)
        top = top_two(rows, self._weight, self._bias)
        maxlogit = top.first * self._temperature
        # What overflowed is looked at.
        perhaps = np.flatnonzero(~(least_margin(top) > unsure)) if unsure > -np.inf else np.empty(0, np.int64)
        margin = margins(top, perhaps)
        keep = np.flatnonzero(margin <= unsure)
        perhaps = perhaps[keep]
        odd = np.flatnonzero((maxlogit <= novel) & np.isfinite(maxlogit))
        return ChunkFindings(
            ScoredRows(perhaps, margin[keep], top.top1[perhaps], maxlogit[perhaps]),
            ScoredRows(odd, margins(top, odd), top.top1[odd], maxlogit[odd]),
            self._neighbours(rows, near),
            np.flatnonzero(~np.isfinite(top.first)),
            no_worthy_rows() if priced is None else _worthy(top, priced),
        )

    def _neighbours(self, rows: F32Array, near: F32Array) -> Neighbours:
        likeness = rows @ self._anchors
        row, anchor = np.nonzero(likeness > near)  # what is not finite is not greater
        return Neighbours(anchor.astype(np.int32), row, likeness[row, anchor])


def _worthy(top: TopTwo, priced: PricedChunk) -> WorthyRows:
    perhaps = np.flatnonzero((priced.frames * priced.worth.most() >= priced.least) & np.isfinite(top.first))
    if len(perhaps) and priced.least > -np.inf:
        # What overflowed has no bound, and is looked at.
        low, high = (bound[perhaps] for bound in first_probability_within(top))
        perhaps = perhaps[~(priced.frames[perhaps] * priced.worth.at_most(low, high) < priced.least)]
    probability = first_probability(top, perhaps)
    worth = priced.worth.of(priced.frames[perhaps], probability)
    kept = worth >= priced.least
    rows = perhaps[kept]
    return WorthyRows(rows, worth[kept], probability[kept], top.top1[rows])
