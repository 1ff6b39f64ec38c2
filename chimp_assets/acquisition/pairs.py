"""Pairs to ask "same animal?": where two ways of grouping disagree and the likeness does not settle it.

Anybody with eyes can answer; no names are needed. Two clusterings of the tracks without a name, one into compact cells
(k-means), one into chains of mutual nearest neighbours, agree about what is easy. Where they disagree, and where the
chance of being the same animal is near one half, one answer decides most (LCA and AAS choose their pairs in this way).

Belongs here: which pairs. Does not belong here: what follows from the answers (`curation`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.duplicates import asked_already
from chimp_assets.acquisition.pool import (
    PROVISIONAL,
    UNLABELLED,
    BoolArray,
    F32Array,
    F64Array,
    I64Array,
    TrackPool,
    draw_rows,
)

MOST_TRACKS = 4_096
"""Tracks whose neighbours are looked at in one plan; others have their turn when answers have changed."""
NEIGHBOURS = 5
TRACKS_A_CELL = 6
LEAST_PAIRS = 20
"""Pairs of named tracks of each kind, without which likeness cannot be turned into a chance."""
MIDDLE = 0.6
WIDTH = 0.1
"""A pair is even at this cosine, and 73 % the same one width above it, where nothing better is known."""


@dataclass(frozen=True)
class Pairs:
    """one, other: i64 [k], rows of the pool; p_same: f64 [k], chance of being one animal; reasons. Best first."""

    one: I64Array
    other: I64Array
    p_same: F64Array
    reasons: list[str]


@dataclass(frozen=True)
class PairAnswers:
    """Answers to pairs so far, in rows of the pool. known: i64 [m, 2], answered, skipped or in flight; group:
    i64 [n], rows of one group are one animal; apart: i64 [m, 2], different animals, and so are their groups."""

    known: I64Array
    group: I64Array
    apart: I64Array

    def settled(self, one: I64Array, other: I64Array) -> BoolArray:
        """Which pairs need no question: they were answered, or the answer follows. bool [k]."""
        a, b = self.group[one], self.group[other]
        found: BoolArray = _is_in(one, other, self.known) | (a == b) | _is_in(a, b, self.group[self.apart])
        return found


def pairs(
    pool: TrackPool,
    answers: PairAnswers,
    b: int,
    rng: np.random.Generator,
    taken: I64Array | None = None,
    duplicate_likeness: float = 0.97,
    impossible: Callable[[I64Array, I64Array], BoolArray] | None = None,
) -> Pairs:
    """At most b pairs of tracks that nobody has named, each track in one pair at most.

    taken: rows that other items of the plan ask. impossible: which pairs of rows cannot be one animal, such as tracks
    of one moment. Neither reserve nor test days are touched, nor what is in flight, nor a duplicate of an asked track
    (of one video and that alike, or the same vector). The same input and rng state give the same pairs.
    """
    free = pool.may_train() | ((pool.state == PROVISIONAL) & ~pool.reserve & ~pool.test_day)
    if taken is not None:
        free[taken] = False
    rows = np.sort(draw_rows(free, MOST_TRACKS, rng)) if b > 0 else np.empty(0, np.int64)
    new = rows[pool.state[rows] == UNLABELLED]
    rows = np.setdiff1d(rows, new[asked_already(pool, new, duplicate_likeness, taken)])
    if len(rows) < 2:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), [])
    emb = np.ascontiguousarray(pool.emb[rows].astype(np.float32))
    near, likeness = _neighbours(emb, min(NEIGHBOURS, len(rows) - 1))
    one = np.repeat(np.arange(len(rows)), near.shape[1])
    other = near.ravel()
    cosine = likeness.ravel()
    low, high = np.minimum(one, other), np.maximum(one, other)
    first = np.unique(low * len(rows) + high, return_index=True)[1]
    low, high, cosine = low[first], high[first], cosine[first]
    cell = cells_of(pool.emb[rows], max(1, len(rows) // TRACKS_A_CELL), int(rng.integers(1 << 31)))
    chain = _chains(near)
    disagree = (cell[low] == cell[high]) != (chain[low] == chain[high])
    p = chance_of_same(pool, cosine, rng)
    settled = answers.settled(rows[low], rows[high])
    if impossible is not None:
        settled |= impossible(rows[low], rows[high])
    left = np.flatnonzero(~settled)
    order = left[np.lexsort((rows[high][left], rows[low][left], np.abs(p[left] - 0.5), ~disagree[left]))]
    chosen: list[int] = []
    used: set[int] = set()
    for i in order.tolist():
        if len(chosen) == b:
            break
        if low[i] in used or high[i] in used:
            continue
        used |= {int(low[i]), int(high[i])}
        chosen.append(i)
    reasons = [
        f"Perhaps one animal ({p[i]:.0%}): "
        + ("two ways of grouping disagree." if disagree[i] else "the likeness does not settle it.")
        for i in chosen
    ]
    return Pairs(rows[low[chosen]], rows[high[chosen]], p[chosen], reasons)


def chance_of_same(pool: TrackPool, cosine: F32Array, rng: np.random.Generator) -> F64Array:
    """Chance that tracks of such a cosine are one animal: a logistic line through pairs of named tracks. f64 [n].

    Named tracks of the reserve and of test days are not looked at. With too few of them a fixed line.
    """
    named = draw_rows((pool.state >= 0) & ~pool.reserve & ~pool.test_day, MOST_TRACKS // 2, rng)
    intercept, slope = -MIDDLE / WIDTH, 1 / WIDTH
    if len(named) > NEIGHBOURS:
        emb = np.ascontiguousarray(pool.emb[named].astype(np.float32))
        near, likeness = _neighbours(emb, NEIGHBOURS)
        who = pool.state[named]
        same = (who[near] == who[:, None]).ravel()
        if min(int(same.sum()), int((~same).sum())) >= LEAST_PAIRS:
            intercept, slope = _logistic(likeness.ravel().astype(float), same.astype(float))
    p: F64Array = 1 / (1 + np.exp(-(intercept + slope * cosine.astype(float))))
    return p


def _logistic(x: F64Array, y: F64Array) -> tuple[float, float]:
    """Intercept and slope >= 0 by Newton's method with a small penalty, on standardised x."""
    mean, scale = float(x.mean()), max(float(x.std()), 1e-6)
    design = np.stack([np.ones(len(x)), (x - mean) / scale], axis=1)
    w = np.zeros(2)
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        gradient = design.T @ (p - y) + 1e-2 * w
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-2 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    slope = max(0.0, float(w[1])) / scale
    return float(w[0]) - slope * mean, slope


def _neighbours(emb: F32Array, k: int) -> tuple[I64Array, F32Array]:
    """The k most alike others of each row and their cosines: i64 [n, k], f32 [n, k]."""
    index = faiss.IndexFlatIP(emb.shape[1])
    index.add(emb)
    likeness, found = index.search(emb, k + 1)
    # A row mostly finds itself first; a copy of it may come before.
    own = found == np.arange(len(emb))[:, None]
    own[~own.any(axis=1), -1] = True
    keep = ~own
    return found[keep].reshape(len(emb), k), likeness[keep].reshape(len(emb), k)


def _chains(near: I64Array) -> np.ndarray:
    """Groups of tracks connected through mutual first neighbours. i32 [n]."""
    n = len(near)
    first = near[:, 0]
    mutual = np.flatnonzero(first[first] == np.arange(n))
    graph = scipy.sparse.csr_array((np.ones(len(mutual)), (mutual, first[mutual])), shape=(n, n))
    group: np.ndarray = connected_components(graph, directed=False)[1]
    return group


def _is_in(one: I64Array, other: I64Array, known: I64Array) -> np.ndarray:
    if len(known) == 0 or len(one) == 0:
        return np.zeros(len(one), bool)
    low, high = known.min(axis=1), known.max(axis=1)
    width = int(max(one.max(), other.max(), high.max())) + 1
    return np.isin(np.minimum(one, other) * width + np.maximum(one, other), low * width + high)
