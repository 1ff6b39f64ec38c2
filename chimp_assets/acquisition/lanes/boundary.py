"""The boundary lane: the smallest margins, spread by distance or by cells of look-alikes.

Belongs here: what an answer is worth, the caps, the two ways of spreading and the reasons people read.
Does not belong here: margins (`pool_pass`), the greedy rules themselves (`selectors`).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from chimp_assets.acquisition import selectors
from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.groups import spread
from chimp_assets.acquisition.lanes.draft import MOST_CELLS, Draft, LanePicks, pool_rng
from chimp_assets.acquisition.policy import LaneError, candidate_count
from chimp_assets.acquisition.pool import F32Array, I64Array, LinearHead, TrackPool
from chimp_assets.acquisition.pool_pass.denials import probabilities
from chimp_assets.acquisition.selectors import Candidates, Choice, ClusterMargin, FarthestMargin
from chimp_assets.settings import SpreadBy

MOST_ASKED = 8_192
"""Asked tracks from which the lane keeps its distance; a sample where there are more."""


def boundary(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """The tracks that the head doubts most, weighted by what an answer is worth, none like another."""
    assert draft.head is not None  # the lane needs a head, so the pass was made
    assert draft.found is not None
    pool, policy = draft.pool, draft.policy
    found = draft.choosable(draft.found.unsure)
    score = -((1 - found.margin) * worth(pool, found.rows, policy.value_weight))
    ranked = spread(np.lexsort((found.rows, score)), draft.capped_groups(found.rows, count))
    ranked = ranked[: candidate_count(len(pool), count, policy.spread_by)]
    kept = found.at(ranked)
    candidates = Candidates.of(kept.rows, pool.emb[kept.rows], score=score[ranked], top1=kept.top1)
    choice = _spread_of(policy.spread_by)(draft, candidates, count, rng)
    rows = kept.rows[choice.positions]
    return LanePicks(rows, choice.propensity, _reasons(pool, draft.head, rows))


def worth(pool: TrackPool, rows: I64Array, weight: float) -> F32Array:
    """What an answer to each row is worth beside the others: boxes named for each second, f32 [m] in [0.5, 2]."""
    factor = np.ones(len(rows), np.float32)
    if weight > 0 and len(rows):
        rate = pool.value[rows] / (pool.cost[rows] if pool.cost is not None else np.float32(1))
        factor = np.clip((rate / max(float(np.median(rate)), 1e-9)) ** np.float32(weight), 0.5, 2).astype(np.float32)
    return factor


def _by_distance(draft: Draft, candidates: Candidates, count: int, rng: np.random.Generator) -> Choice:
    asked = np.sort(np.concatenate([draft.asked.sample(MOST_ASKED, pool_rng(draft.pool)), draft.chosen]))
    # More than are asked, so that the caps have a choice.
    ranked = FarthestMargin(draft.pool.emb[asked], len(candidates)).select(candidates, 2 * count, rng)
    groups = [*draft.capped_groups(candidates.rows, count), (candidates.top1, draft.identity_cap(count))]
    chosen = spread(ranked.positions, groups)[:count]
    return Choice(chosen, ranked.propensity[: len(chosen)])


def _by_cells(draft: Draft, candidates: Candidates, count: int, rng: np.random.Generator) -> Choice:
    # The caps on videos and places came before the draw, so that chances are exact: what a cap leaves out nobody draws.
    emb = candidates.emb
    k = min(MOST_CELLS, 2 * count, max(1, len(emb) // 2))
    cell = cells_of(emb, k, int(pool_rng(draft.pool).integers(1 << 31)))
    in_cells = Candidates(candidates.rows, emb, candidates.score, cell, candidates.top1)
    return ClusterMargin(nearest=len(emb), cap=draft.identity_cap(count)).select(in_cells, count, rng)


_Spread = Callable[[Draft, Candidates, int, np.random.Generator], Choice]
_OWN: Mapping[str, _Spread] = {"distance": _by_distance, "cells": _by_cells}


def _spread_of(name: SpreadBy) -> _Spread:
    """The way of keeping the picks apart that acquisition.spread_by names: one of this lane, which need its caps, or a
    module of selectors whose `SPREAD_BY` is this name, by its `SELECTOR`. Raises LaneError if there is none."""
    if name in _OWN:
        return _OWN[name]
    modules = (import_module(f"{selectors.__name__}.{one.name}") for one in pkgutil.iter_modules(selectors.__path__))
    selector = next((module.SELECTOR for module in modules if getattr(module, "SPREAD_BY", None) == name), None)
    if selector is None:
        raise LaneError(f"no selector spreads by {name!r}")
    return lambda draft, candidates, count, rng: selector.select(candidates, count, rng)


def _reasons(pool: TrackPool, head: LinearHead, rows: I64Array) -> list[str]:
    reasons = []
    for low in range(0, len(rows), 1024):
        probability = probabilities(pool, head, rows[low : low + 1024])
        first_two = np.argsort(-probability, axis=1, kind="stable")[:, :2]
        for p, (a, b) in zip(probability, first_two, strict=True):
            reasons.append(
                f"The model wavers between {head.name_of(int(a))} ({p[a]:.0%}) and {head.name_of(int(b))} ({p[b]:.0%})."
            )
    return reasons
