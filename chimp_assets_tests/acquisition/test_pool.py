"""The pool refuses what would make a plan wrong, and rows are drawn fairly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chimp_assets.acquisition import pool as pool_module
from chimp_assets.acquisition.duplicates import AskedTracks
from chimp_assets.acquisition.pool import CANNOT_TELL, IN_FLIGHT, JUNK, PROVISIONAL, UNLABELLED, draw_rows, rows_where
from chimp_assets_tests.acquisition.pools import planted


def test_a_track_may_be_in_the_pool_only_once() -> None:
    """A bundle that was embedded twice would ask the expert the same track twice."""
    pool, _, _ = planted(4)
    with pytest.raises(ValueError, match="strictly increasing"):
        dataclasses.replace(pool, track=np.array([1, 2, 2, 3], np.int64))


def test_embeddings_that_are_not_half_precision_are_refused() -> None:
    """f32 embeddings double the memory of the largest array of the product without anyone noticing."""
    pool, _, _ = planted(4)
    with pytest.raises(ValueError, match="f16"):
        dataclasses.replace(pool, emb=pool.emb.astype(np.float32))  # type: ignore[arg-type]


def test_training_lanes_may_ask_only_open_unlabelled_rows() -> None:
    """Each kind of answer, a lease, the reserve and a test day must each be enough to keep a row out."""
    states = np.array([UNLABELLED, 3, PROVISIONAL, CANNOT_TELL, JUNK, IN_FLIGHT, UNLABELLED, UNLABELLED])
    pool, _, _ = planted(8, states=states)
    reserve, test_day = np.zeros(8, bool), np.zeros(8, bool)
    reserve[6], test_day[7] = True, True
    pool = dataclasses.replace(pool, reserve=reserve, test_day=test_day)
    assert pool.may_train().tolist() == [True] + [False] * 7
    assert pool.may_audit().tolist() == [False] * 6 + [True, False]


def test_what_models_may_not_learn_from_marks_nothing_as_asked() -> None:
    """An answer of the audit reserve that pushes training lanes away would make the audit depend on them."""
    states = np.array([UNLABELLED, 3, PROVISIONAL, CANNOT_TELL, JUNK, IN_FLIGHT, 3, 3, 3])
    pool, _, _ = planted(9, states=states)
    reserve, test_day = np.zeros(9, bool), np.zeros(9, bool)
    reserve[6], test_day[7] = True, True
    pool = dataclasses.replace(pool, reserve=reserve, test_day=test_day)
    assert sorted(AskedTracks(pool).sample(99, np.random.default_rng(0)).tolist()) == [1, 2, 3, 4, 5, 8]
    assert len(set(AskedTracks(pool).sample(4, np.random.default_rng(0)).tolist())) == 4
    assert pool.named_tracks().tolist() == [0, 0, 0, 2]
    assert pool.learnt_of(np.array([3])).tolist() == [1, 8]


@given(st.lists(st.integers(UNLABELLED, 4), max_size=40), st.integers(0, 99))
def test_named_tracks_are_counted_across_blocks(states: list[int], seed: int) -> None:
    """Individuals who appear only in a later block must not move or lose the counts of earlier ones."""
    pool, _, _ = planted(len(states), states=np.array(states, np.int32))
    rng = np.random.default_rng(seed)
    reserve, test_day = rng.random((2, len(states))) < 0.2
    pool = dataclasses.replace(pool, reserve=reserve, test_day=test_day)
    named = np.flatnonzero((pool.state >= 0) & ~reserve & ~test_day)
    block, pool_module.BLOCK_ROWS = pool_module.BLOCK_ROWS, 7
    try:
        assert pool.named_tracks().tolist() == np.bincount(pool.state[named]).tolist()
        assert pool.learnt_of(np.array([1, 4])).tolist() == [i for i in named if pool.state[i] in (1, 4)]
    finally:
        pool_module.BLOCK_ROWS = block


@given(hnp.arrays(bool, st.integers(0, 60)), st.data())
def test_the_ordinal_th_row_is_found_across_blocks(mask: np.ndarray, data: st.DataObject) -> None:
    """An off-by-one at a block's edge would ask a row that may not be asked."""
    rows = np.flatnonzero(mask)
    ordinals = np.array(data.draw(st.lists(st.integers(0, max(0, len(rows) - 1)), max_size=8 if len(rows) else 0)), int)
    block, pool_module.BLOCK_ROWS = pool_module.BLOCK_ROWS, 7
    try:
        assert rows_where(mask, ordinals).tolist() == rows[ordinals].tolist()
    finally:
        pool_module.BLOCK_ROWS = block


def test_an_ordinal_beyond_the_last_row_is_an_error() -> None:
    """It would otherwise return whatever row follows."""
    with pytest.raises(IndexError):
        rows_where(np.array([True, False]), np.array([1]))


def test_every_open_row_is_drawn_equally_often() -> None:
    """The audit's claim to be unbiased rests on this: chi-square of 6,000 draws, far from its 0.1 % point."""
    mask = np.arange(40) % 4 != 0
    hits = np.zeros(40)
    for seed in range(1200):
        hits[draw_rows(mask, 5, np.random.default_rng(seed))] += 1
    assert hits[~mask].sum() == 0
    assert hits.sum() == 6000
    expected = 6000 / 30
    assert ((hits[mask] - expected) ** 2 / expected).sum() < 58.3  # chi-square, 29 degrees of freedom, p = 0.001
