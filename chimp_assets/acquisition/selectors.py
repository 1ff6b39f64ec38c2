"""Which of a few candidates are asked: one class a method, all with the same `select`.

Belongs here: choices among at most 50,000 candidates, vectorised.
Does not belong here: the pass over the pool (`scores.prefilter`), lanes and their shares (`plan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from chimp_assets.acquisition.cells import typicality
from chimp_assets.acquisition.pool import F16Array, F32Array, F64Array, I32Array, I64Array

MOST_CANDIDATES = 50_000

ASKED_AT_ONCE = 512
"""Asked tracks with which all candidates are compared at once: 50,000 of them take 100 MB."""


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
        size = np.bincount(cell, minlength=len(self.load))
        return _in_turns(rows, emb, cell, self.load, (-size, np.arange(len(size))), b, rng)


@dataclass(frozen=True)
class AnchorNeighbours:
    """Tracks most like the few that are named of an individual (SEALS, arXiv 2007.00077; AnchorAL, 2404.05623).

    anchor_of: i32 [m], which individual each candidate is a neighbour of; score: lower is asked sooner. The individuals
    take turns, in the order of anchor_of. Nothing is drawn: the propensity is 1. emb, cell and top1 are not used.
    """

    anchor_of: I32Array

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
        best = np.lexsort((rows, score))
        turn = np.empty(len(rows), np.int64)
        turn[best] = counts_before(self.anchor_of[best])
        chosen = np.lexsort((rows, self.anchor_of, turn))[:b]
        return Choice(chosen, np.ones(len(chosen)))


@dataclass(frozen=True)
class NovelCells:
    """The densest track of each cell of tracks that the head finds strange and nobody has named: new individuals.

    load: i64 [cells], named tracks of each cell; score: max-logit. Cells without a named track come first, then the
    larger ones, since one odd picture is mostly a bad picture and several that look alike are an animal; a cell of one
    comes last. Nothing is drawn: the propensity is 1. top1 is not used.
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
        size = np.bincount(cell, minlength=len(self.load))
        strangeness = np.bincount(cell, weights=score, minlength=len(self.load)) / np.maximum(1, size)
        return _in_turns(rows, emb, cell, self.load, (size == 1, -size, strangeness), b, rng)


@dataclass(frozen=True)
class ClusterMargin:
    """Cluster-Margin (Citovsky 2021, arXiv 2107.14263): the smallest margins, spread over cells of look-alikes.

    Of the candidates the `nearest` with the smallest score are kept; their cells take turns, the smallest cell first.
    At most `cap` picks share a predicted class while others are left: margins alone ask about the commonest pair again
    and again. How many picks a stratum (the members of a cell with one predicted class) gets follows from the
    candidates; which members they are is drawn. So the propensity, picks over members of the stratum, is exact.
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
        if len(rows) == 0:
            return Choice(np.empty(0, np.int64), np.empty(0))
        close = np.lexsort((rows, score))[: self.nearest]
        drawn = rng.permutation(close)
        drawn = drawn[np.lexsort((top1[drawn], cell[drawn]))]  # strata together, each in random order
        stratum = np.unique(np.stack([cell[drawn], top1[drawn]]), axis=1, return_inverse=True)[1].astype(np.int32)
        member = counts_before(stratum)
        of_cell = cell[drawn]
        size = np.bincount(of_cell)
        turn = np.empty(len(drawn), np.int64)
        in_turn = np.lexsort((stratum, member, of_cell))
        turn[in_turn] = counts_before(of_cell[in_turn])
        order = np.lexsort((of_cell, size[of_cell], turn))
        of_class = counts_before(top1[drawn[order]])
        # Beyond the cap the classes take turns too, so that what exceeds it is spread as evenly as it can be.
        chosen = order[np.argsort(np.where(of_class < self.cap, 0, of_class), kind="stable")[:b]]
        members, picks = np.bincount(stratum), np.bincount(stratum[chosen], minlength=int(stratum.max()) + 1)
        return Choice(drawn[chosen], picks[stratum[chosen]] / members[stratum[chosen]])


@dataclass(frozen=True)
class FarthestMargin:
    """The smallest margins, spread by the greedy rule of Core-Set (Sener and Savarese 2018, arXiv 1708.00489).

    Of the candidates the `nearest` with the smallest score are kept; each pick is the one whose most alike asked track
    is the least alike, what was picked before included. asked: f16 [a, D], length 1, tracks that were asked before;
    those that are not finite are left out. Nothing is drawn: the propensity is 1. cell and top1 are not used.
    Time O(nearest (a + b) D).
    """

    asked: F16Array
    nearest: int

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
        vectors = emb[close].astype(np.float32)
        alike = np.full(len(close), -np.inf, np.float32)  # without an asked track the smallest score comes first
        for low in range(0, len(self.asked), ASKED_AT_ONCE):
            asked = self.asked[low : low + ASKED_AT_ONCE].astype(np.float32)
            asked = asked[np.isfinite(asked).all(axis=1)]
            if len(asked):
                alike = np.maximum(alike, (vectors @ asked.T).max(axis=1))
        chosen = np.empty(min(b, len(close)), np.int64)
        for n in range(len(chosen)):
            chosen[n] = at = int(np.argmin(alike))
            alike = np.maximum(alike, vectors @ vectors[at])
            alike[at] = np.inf
        return Choice(close[chosen], np.ones(len(chosen)))


def _in_turns(
    rows: I64Array,
    emb: F16Array,
    cell: I32Array,
    load: I64Array,
    order: Sequence[np.ndarray],
    b: int,
    rng: np.random.Generator,
) -> Choice:
    """The densest track of each cell, then the next of each; the propensity is 1.

    load: i64 [cells], turns that a cell has had; order: what decides between cells of as many turns, [cells] each, the
    most important first, small values first.
    """
    dense = np.lexsort((rows, -typicality(emb, cell, rng)))
    turn = np.empty(len(rows), np.int64)
    turn[dense] = counts_before(cell[dense])
    chosen = np.lexsort((rows, *(of_cell[cell] for of_cell in reversed(order)), turn + load[cell]))[:b]
    return Choice(chosen, np.ones(len(chosen)))


def spread(ranked: I64Array, groups: list[tuple[I32Array, int]]) -> I64Array:
    """A ranking in which no group has more than its cap until all groups have reached theirs. i64 [n], a permutation.

    ranked: i64 [n], positions, best first; groups: for each way of grouping (camera and day, video) the group of every
    position (below 0: of none, never capped) and the cap. Beyond the cap a group waits for one round for each cap full
    that is before it. Later ways of grouping count more where two cannot both be kept.
    """
    for group, cap in groups:
        here = group[ranked]
        rounds = np.where(here >= 0, counts_before(here) // max(1, cap), 0)
        ranked = ranked[np.argsort(rounds, kind="stable")]
    return ranked


def counts_before(group: I32Array) -> I64Array:
    """How many earlier rows have the same group. group: i32 [n]; returns i64 [n], 0 for the first of each group."""
    order = np.argsort(group, kind="stable")
    in_order = group[order]
    first = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]]) if len(group) else np.empty(0, np.int64)
    run = np.diff(np.r_[first, len(group)])
    before = np.empty(len(group), np.int64)
    before[order] = np.arange(len(group)) - np.repeat(first, run)
    return before
