"""Which of a few candidates are asked: one class a method, all with the same `select`.

Belongs here: choices among at most 50,000 candidates, vectorised.
Does not belong here: the pass over the pool (`scores.prefilter`), lanes and their shares (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from chimp_assets.acquisition.cells import typicality
from chimp_assets.acquisition.pool import F16Array, F32Array, F64Array, I32Array, I64Array

MOST_CANDIDATES = 50_000


class Choice(NamedTuple):
    """Positions i64 [<= b] into the candidates, in the order to ask them, and the chance f64 of each to be chosen."""

    positions: I64Array
    propensity: F64Array


class Selector(Protocol):
    """Chooses b of m candidates: no repeats, fewer if m < b, the same for the same rng.

    rows i64 [m] of the pool, emb f16 [m, D], score f32 [m] (lower is asked sooner), cell i32 [m], top1 i32 [m].
    """

    def select(
        self,
        rows: I64Array,
        emb: F16Array,
        score: F32Array,
        cell: I32Array,
        top1: I32Array,
        b: int,
        rng: np.random.Generator,
    ) -> Choice: ...


@dataclass(frozen=True)
class RandomTracks:
    """A simple random sample: the audit lane, and the baseline of every comparison. Its propensity b / m is exact."""

    def select(
        self,
        rows: I64Array,
        emb: F16Array,
        score: F32Array,
        cell: I32Array,
        top1: I32Array,
        b: int,
        rng: np.random.Generator,
    ) -> Choice:
        b = min(b, len(rows))
        chosen = rng.choice(len(rows), size=b, replace=False) if b else np.empty(0, np.int64)
        return Choice(chosen, np.full(b, b / max(1, len(rows))))


@dataclass(frozen=True)
class TypicalCells:
    """The densest track of the largest cell that nobody has asked about (TypiClust, arXiv 2202.02794).

    load: i64 [cells], tracks of each cell that were asked before. Cells take turns, the least asked first, then the
    largest. Nothing is drawn: the propensity is 1. score and top1 are not used.
    """

    load: I64Array

    def select(
        self,
        rows: I64Array,
        emb: F16Array,
        score: F32Array,
        cell: I32Array,
        top1: I32Array,
        b: int,
        rng: np.random.Generator,
    ) -> Choice:
        if len(rows) == 0:
            return Choice(np.empty(0, np.int64), np.empty(0))
        dense = np.lexsort((rows, -typicality(emb, cell, rng)))
        turn = np.empty(len(rows), np.int64)
        turn[dense] = counts_before(cell[dense])
        size = np.bincount(cell, minlength=len(self.load))
        chosen = np.lexsort((rows, cell, -size[cell], turn + self.load[cell]))[:b]
        return Choice(chosen, np.ones(len(chosen)))


@dataclass(frozen=True)
class ClusterMargin:
    """Cluster-Margin (Citovsky 2021, arXiv 2107.14263): the smallest margins, spread over cells of look-alikes.

    Of the candidates the `nearest` with the smallest score are kept; their cells take turns, the smallest cell first,
    each giving a random member. At most `cap` picks share a predicted class while others are left: margins alone ask
    about the commonest pair again and again. Propensity: picks of the cell over its members (the cap's part is left
    out, so it is nominal; only the audit lane is used for estimates).
    """

    nearest: int
    cap: int

    def select(
        self,
        rows: I64Array,
        emb: F16Array,
        score: F32Array,
        cell: I32Array,
        top1: I32Array,
        b: int,
        rng: np.random.Generator,
    ) -> Choice:
        close = np.lexsort((rows, score))[: self.nearest]
        shuffled = rng.permutation(close)
        of_cell = cell[shuffled]
        size = np.bincount(of_cell) if len(of_cell) else np.empty(0, np.int64)
        order = shuffled[np.lexsort((of_cell, size[of_cell], counts_before(of_cell)))]
        of_class = counts_before(top1[order])
        # Beyond the cap the classes take turns too, so that what exceeds it is spread as evenly as it can be.
        chosen = order[np.argsort(np.where(of_class < self.cap, 0, of_class), kind="stable")[:b]]
        picks = np.bincount(cell[chosen], minlength=len(size)) if len(chosen) else size
        return Choice(chosen, picks[cell[chosen]] / np.maximum(1, size[cell[chosen]]))


def counts_before(group: I32Array) -> I64Array:
    """How many earlier rows have the same group. group: i32 [n]; returns i64 [n], 0 for the first of each group."""
    order = np.argsort(group, kind="stable")
    in_order = group[order]
    first = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]]) if len(group) else np.empty(0, np.int64)
    run = np.diff(np.r_[first, len(group)])
    before = np.empty(len(group), np.int64)
    before[order] = np.arange(len(group)) - np.repeat(first, run)
    return before
