"""One answer is enough for two tracks of one animal in one moment, and for two copies of one file."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.duplicates import asked_already
from chimp_assets.acquisition.pool import IN_FLIGHT, UNLABELLED, TrackPool
from chimp_assets_tests.acquisition.pools import planted


def _slow(pool: TrackPool, rows: np.ndarray, likeness: float) -> np.ndarray:
    """The same in the plainest words."""
    emb = pool.emb.astype(np.float32)
    asked = [int(r) for r in np.flatnonzero(pool.state != UNLABELLED)]
    kept: list[int] = []
    drop = []
    for i, row in enumerate(rows.tolist()):
        again = any(np.array_equal(pool.emb[row], pool.emb[o]) for o in asked + rows[:i].tolist()) or any(
            pool.video is not None and pool.video[o] == pool.video[row] and float(emb[row] @ emb[o]) >= likeness
            for o in asked + kept
        )
        drop.append(again)
        if not again:
            kept.append(row)
    return np.array(drop, bool)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(0, 60), videos=st.integers(1, 20), with_video=st.booleans())
def test_it_finds_what_comparing_every_pair_finds(seed: int, n: int, videos: int, with_video: bool) -> None:
    """A shortcut that misses a fragment costs an answer; one that finds too much hides an animal."""
    rng = np.random.default_rng(seed)
    pool, _, _ = planted(n, classes=3, seed=seed, spread=0.5)
    emb = pool.emb.copy()
    for _ in range(n // 5):
        emb[rng.integers(n)] = emb[rng.integers(n)]
    state = np.where(rng.random(n) < 0.3, rng.integers(IN_FLIGHT, 3, n), UNLABELLED).astype(np.int32)
    video = rng.integers(0, videos, n).astype(np.int32) if with_video else None
    pool = dataclasses.replace(pool, emb=emb, state=state, video=video)
    rows = rng.permutation(np.flatnonzero(state == UNLABELLED))
    np.testing.assert_array_equal(asked_already(pool, rows, 0.9), _slow(pool, rows, 0.9))


def test_the_better_of_two_is_asked() -> None:
    """Rows come best first: dropping the earlier one would ask the worse picture."""
    pool, _, _ = planted(3, seed=1)
    emb = pool.emb.copy()
    emb[2] = emb[0]
    pool = dataclasses.replace(pool, emb=emb)
    assert asked_already(pool, np.array([2, 1, 0]), 0.97).tolist() == [False, False, True]
