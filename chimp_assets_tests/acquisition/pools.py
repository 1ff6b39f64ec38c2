"""Pools with planted individuals, for the tests of acquisition."""

from __future__ import annotations

import numpy as np

from chimp_assets.acquisition.pool import UNLABELLED, LinearHead, TrackPool


def planted(
    n: int,
    classes: int = 5,
    dimensions: int = 16,
    seed: int = 0,
    spread: float = 0.6,
    states: np.ndarray | None = None,
    reserve: float = 0.0,
    test_day: float = 0.0,
    weights: np.ndarray | None = None,
) -> tuple[TrackPool, LinearHead, np.ndarray]:
    """A pool of noisy copies of `classes` random directions, the head that knows the directions, and the truth."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, dimensions)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = rng.choice(classes, n, p=weights)
    emb = centres[truth] + rng.standard_normal((n, dimensions)).astype(np.float32) * spread / np.sqrt(dimensions)
    emb /= np.linalg.norm(emb, axis=1, keepdims=True)
    pool = TrackPool(
        emb=emb.astype(np.float16),
        track=np.arange(n, dtype=np.int64) * 3 + 7,
        state=np.full(n, UNLABELLED, np.int32) if states is None else states.astype(np.int32),
        value=np.ones(n, np.float32),
        reserve=rng.random(n) < reserve,
        test_day=rng.random(n) < test_day,
    )
    return pool, LinearHead(centres * 10, np.zeros(classes, np.float32)), truth
