"""What a pass over a pool computes with one chunk of rows, whichever device it runs on.

Belongs here: the records and the two protocols. Does not belong here: arithmetic (`on_cpu`, `on_torch`), which rows of
all chunks are kept (`one_pass`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import BoolArray, F16Array, F32Array, I32Array, I64Array, LinearHead


class ScoredRows(NamedTuple):
    """The rows with the smallest margins, ascending: rows i64 [m], then as in `MarginScores`."""

    rows: I64Array
    margin: F32Array
    top1: I32Array
    maxlogit: F32Array

    def at(self, which: I64Array | BoolArray) -> ScoredRows:
        """Some of them, by position or by mask, in that order."""
        return ScoredRows(self.rows[which], self.margin[which], self.top1[which], self.maxlogit[which])


class WorthyRows(NamedTuple):
    """The rows worth most, descending: rows i64 [m]; worth f32 [m], frames a second; probability f32 [m] and top1
    i32 [m], of the head's first name."""

    rows: I64Array
    worth: F32Array
    probability: F32Array
    top1: I32Array

    def at(self, which: I64Array | BoolArray) -> WorthyRows:
        """Some of them, by position or by mask, in that order."""
        return WorthyRows(self.rows[which], self.worth[which], self.probability[which], self.top1[which])


class PricedChunk(NamedTuple):
    """What makes rows of a chunk worth asking: frames f32 [n]; worth, what a frame is worth; least, below which a row
    cannot be among those worth most."""

    frames: F32Array
    worth: FrameWorth
    least: np.float32


class Neighbours(NamedTuple):
    """Rows most like each anchor: anchor i32 [n], rows i64 [n], likeness f32 [n] (cosine); by anchor, best first."""

    anchor: I32Array
    rows: I64Array
    likeness: F32Array


class ChunkFindings(NamedTuple):
    """What one chunk of n rows has for the lists of a pass; rows are places in the chunk, ascending.

    unsure: margins up to the limit; novel: finite max-logits up to theirs; neighbours: likenesses above the limit of
    their anchor, in no order; bad: i64, rows that are not finite, which are in neither of the first two nor among the
    worthy: rows worth at least the limit, none where nothing was priced.
    """

    unsure: ScoredRows
    novel: ScoredRows
    neighbours: Neighbours
    bad: I64Array
    worthy: WorthyRows


class Arithmetic(Protocol):
    """The arithmetic of a pass with one head and one set of anchors. chunk: rows of one look, at most."""

    chunk: int

    def look(
        self,
        emb: F16Array,
        unsure: np.float32,
        novel: np.float32,
        near: F32Array,
        priced: PricedChunk | None = None,
    ) -> ChunkFindings:
        """emb: f16 [n, D], n <= chunk; limits of margin and max-logit (-inf: none wanted) and of each anchor [A];
        priced: of the same rows (None: nobody asks what they are worth)."""


class ArithmeticOf(Protocol):
    """Makes the arithmetic of a pass; anchors: f32 [A, D], A may be 0. Raises ValueError if the head has C < 2."""

    def __call__(self, head: LinearHead, anchors: F32Array) -> Arithmetic: ...


def no_worthy_rows() -> WorthyRows:
    """None at all."""
    return WorthyRows(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
