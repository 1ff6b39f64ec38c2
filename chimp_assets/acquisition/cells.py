"""Cells of look-alike tracks, and how typical a track is of its cell.

Belongs here: k-means (faiss) on at most some ten thousand embeddings, and local density inside a cell.
Does not belong here: anything that looks at the whole pool; plans cut it down first, so that no N x N matrix can arise.
"""

from __future__ import annotations

import faiss
import numpy as np

from chimp_assets.acquisition.pool import CHUNK_ROWS, F16Array, F32Array, I32Array

NEIGHBOURS = 20
"""Of the typicality: TypiClust (arXiv 2202.02794) uses the 20 nearest."""

CELL_REFERENCES = 1_024
"""Rows of a crowded cell against which density is measured: bounds the work of one cell of 50,000 rows."""

ITERATIONS = 10


def cells_of(emb: F16Array, k: int, seed: int) -> I32Array:
    """k-means cell of each row. emb: f16 [m, D], length 1; returns i32 [m] in [0, min(k, m)); same seed, same cells.

    faiss fits on 256 rows a centroid at most and then assigns every row.
    """
    if len(emb) == 0:
        return np.empty(0, np.int32)
    k = max(1, min(k, len(emb)))
    if k == len(emb):
        return np.arange(k, dtype=np.int32)
    rows = emb.astype(np.float32)
    means = faiss.Kmeans(
        rows.shape[1],
        k,
        niter=ITERATIONS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=256,
        # From random starts two look-alike groups often share a cell, and the smaller one is never asked.
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
    )
    means.train(rows)
    cell = np.empty(len(rows), np.int32)
    for low in range(0, len(rows), CHUNK_ROWS):
        cell[low : low + CHUNK_ROWS] = means.index.search(rows[low : low + CHUNK_ROWS], 1)[1][:, 0]
    return cell


def typicality(emb: F16Array, cell: I32Array, rng: np.random.Generator) -> F32Array:
    """Density of each row inside its cell: 1 / mean distance to its 20 nearest (TypiClust, arXiv 2202.02794).

    emb: f16 [m, D]; cell: i32 [m]; returns f32 [m] > 0, higher is denser; a row alone in its cell gets the smallest.
    A cell of more than 1,024 rows is measured against a random 1,024 of them.
    """
    typical = np.zeros(len(emb), np.float32)
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, cell[order][1:] != cell[order][:-1]]) if len(cell) else np.empty(0, np.int64)
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            typical[members] = _density(emb[members], rng)
    alone = typical == 0
    if alone.any():
        typical[alone] = typical[~alone].min() / 2 if not alone.all() else 1.0
    return typical


def _density(emb: F16Array, rng: np.random.Generator) -> F32Array:
    rows = emb.astype(np.float32)
    crowded = len(rows) > CELL_REFERENCES
    references = rows[np.sort(rng.choice(len(rows), CELL_REFERENCES, replace=False))] if crowded else rows
    # One more than the neighbours: a row finds itself, at distance 0, unless it is not among the references.
    near = min(NEIGHBOURS + 1, len(references))
    density = np.empty(len(rows), np.float32)
    for low in range(0, len(rows), CHUNK_ROWS):
        block = rows[low : low + CHUNK_ROWS]
        squared = (block * block).sum(1)[:, None] + (references * references).sum(1)[None, :]
        squared -= 2 * (block @ references.T)
        nearest = np.partition(squared, near - 1, axis=1)[:, :near]
        distance = np.sqrt(np.maximum(nearest, 0)).sum(axis=1) / max(1, near - 1)
        density[low : low + CHUNK_ROWS] = 1 / (distance + 1e-3)
    return density
