"""The typical lane: the densest tracks of cells that nobody has been asked about. It needs no head (cold start)."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.cells import cells_of
from chimp_assets.acquisition.lanes.draft import COVERED_SAMPLE, MOST_CELLS, SPARE, Draft, LanePicks, pool_rng
from chimp_assets.acquisition.pool import EmbeddingError, I64Array, TrackPool, draw_rows
from chimp_assets.acquisition.selectors import Candidates, TypicalCells

COLD_CANDIDATES = 8_192
"""Drawn from the open tracks: k-means and densities of these take half a CPU second, whatever the pool."""


def typical(draft: Draft, count: int, rng: np.random.Generator) -> LanePicks:
    """The most typical tracks of a sample of the pool. Raises EmbeddingError for vectors that are not finite."""
    pool, own = draft.pool, pool_rng(draft.pool)
    rows = np.sort(draw_rows(draft.open, max(SPARE * count, COLD_CANDIDATES), own))
    _require_finite(pool, rows)
    rows = rows[~draft.asked_already(rows)]
    covered = np.sort(draft.asked.sample(COVERED_SAMPLE, own))
    emb = pool.emb[rows]
    k = min(MOST_CELLS, len(covered) + count)
    cell = cells_of(np.concatenate([emb, pool.emb[covered]]), k, int(own.integers(1 << 31)))
    load = np.bincount(cell[len(rows) :], minlength=int(cell.max(initial=0)) + 1)
    mine = cell[: len(rows)]
    choice = TypicalCells(load).select(Candidates.of(rows, emb, cell=mine), count, own)
    size = np.bincount(mine, minlength=len(load))
    reasons = [
        f"The most typical of {size[c]} tracks that look alike, "
        + (f"{load[c]} of them asked before." if load[c] else "none of them asked before.")
        for c in mine[choice.positions]
    ]
    return LanePicks(rows[choice.positions], choice.propensity, reasons)


def _require_finite(pool: TrackPool, rows: I64Array) -> None:
    bad = rows[~np.isfinite(pool.emb[rows]).all(axis=1)]
    if len(bad):
        raise EmbeddingError(f"{len(bad)} embeddings are not finite; the first is of track {pool.track[bad[0]]}")
