"""Margins are what they say, and the streaming pass finds exactly the smallest ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.pool import CHUNK_ROWS, Head
from chimp_assets.acquisition.scores import class_probabilities, prefilter, score
from chimp_assets_tests.acquisition.pools import planted


def test_a_margin_is_the_first_probability_minus_the_second() -> None:
    """Logit differences or entropies would rank other tracks first."""
    pool, head, _ = planted(50)
    head = dataclasses.replace(head, temperature=2.5, bias=np.arange(5, dtype=np.float32))
    two = np.sort(class_probabilities(pool.emb, head), axis=1)[:, -2:]
    found = score(pool.emb, head)
    np.testing.assert_allclose(found.margin, two[:, 1] - two[:, 0], atol=1e-5)
    logits = pool.emb.astype(np.float32) @ head.weight.T + head.bias
    np.testing.assert_allclose(found.maxlogit, logits.max(axis=1), rtol=1e-4)
    np.testing.assert_array_equal(found.top1, logits.argmax(axis=1))


def test_a_head_of_one_class_has_no_margin() -> None:
    """A margin against nothing would be 1 or nan and look like certainty."""
    pool, _, _ = planted(3)
    with pytest.raises(ValueError, match="two classes"):
        score(pool.emb, Head(np.ones((1, 16), np.float32), np.zeros(1, np.float32)))


def test_more_than_one_chunk_at_once_is_refused() -> None:
    """Memory would grow with the archive."""
    with pytest.raises(ValueError, match="chunk"):
        score(np.zeros((CHUNK_ROWS + 1, 4), np.float16), Head(np.ones((2, 4), np.float32), np.zeros(2, np.float32)))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 900),
    m=st.integers(0, 40),
    seed=st.integers(0, 10_000),
    sharpness=st.sampled_from([0.01, 1.0, 30.0]),
    doubled=st.booleans(),
)
def test_the_streaming_pass_equals_sorting_everything(
    n: int, m: int, seed: int, sharpness: float, doubled: bool
) -> None:
    """The bound that skips rows, the cut-backs of the buffer and ties must not lose one of the m smallest."""
    pool, head, _ = planted(n, seed=seed)
    if doubled:
        pool = dataclasses.replace(pool, emb=pool.emb[np.arange(n) // 2 * 2])
    # 1,500 classes make chunks of 349 rows: several chunks and cut-backs with few rows
    rng = np.random.default_rng(seed)
    extra = rng.standard_normal((1500, 16)).astype(np.float32)
    head = Head(np.concatenate([head.weight, extra]) * np.float32(sharpness), np.zeros(1505, np.float32))
    eligible = rng.random(n) < 0.7
    found = prefilter(pool, head, m, eligible)
    margin = score(pool.emb, head).margin.astype(np.float64)
    margin[~eligible] = np.inf
    assert len(found.rows) == len(set(found.rows.tolist())) == min(m, int(eligible.sum()))
    assert eligible[found.rows].all()
    assert (np.diff(found.margin) >= 0).all()
    # the same margins as a full sort (rows may swap where margins agree to rounding)
    np.testing.assert_allclose(found.margin, np.sort(margin)[: len(found.rows)], atol=2e-6)


def test_a_row_that_is_not_finite_is_never_a_candidate() -> None:
    """nan compares with nothing: a broken crop must not come out as the most uncertain track."""
    pool, head, _ = planted(30)
    emb = pool.emb.copy()
    emb[4] = np.nan
    found = prefilter(dataclasses.replace(pool, emb=emb), head, 30, np.ones(30, bool))
    assert len(found.rows) == 29
    assert 4 not in found.rows


def test_a_head_of_another_embedder_is_refused() -> None:
    """Numbers would come out, and mean nothing."""
    pool, _, _ = planted(3)
    with pytest.raises(ValueError, match="dimensions"):
        prefilter(pool, Head(np.ones((2, 8), np.float32), np.zeros(2, np.float32)), 1, np.ones(3, bool))
