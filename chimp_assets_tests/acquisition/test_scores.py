"""Margins are what they say, and no margin is below its bound."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.pool import CHUNK_ROWS, LinearHead
from chimp_assets.acquisition.scores import as_f32, class_probabilities, least_margin, margins, score, top_two
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
        score(pool.emb, LinearHead(np.ones((1, 16), np.float32), np.zeros(1, np.float32)))


def test_more_than_one_chunk_at_once_is_refused() -> None:
    """Memory would grow with the archive."""
    with pytest.raises(ValueError, match="chunk"):
        score(
            np.zeros((CHUNK_ROWS + 1, 4), np.float16), LinearHead(np.ones((2, 4), np.float32), np.zeros(2, np.float32))
        )


def test_half_precision_becomes_single_exactly() -> None:
    """Every one of the 65,536 numbers: an exponent or a sign that is off by a bit is another animal."""
    every = np.arange(65_536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 4)
    assert as_f32(finite).tobytes() == finite.astype(np.float32).tobytes()
    np.testing.assert_array_equal(as_f32(every), every.astype(np.float32))
    np.testing.assert_array_equal(as_f32(finite.T), finite.T.astype(np.float32))


@settings(max_examples=200, deadline=None)
@given(
    c=st.integers(2, 400),
    spread=st.sampled_from([0.0, 1e-4, 0.3, 3.0, 60.0]),
    level=st.sampled_from([0.0, -50.0, 3e4]),
    seed=st.integers(0, 10_000),
    few=st.booleans(),
)
def test_no_margin_is_below_its_bound(c: int, spread: float, level: float, seed: int, few: bool) -> None:
    """A bound that is too high by rounding drops a track that should have been asked, and nobody would see it."""
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((64, c)) * spread + level).astype(np.float32)
    if few:  # two kinds of class: where the inequality is an equation
        logits = np.where(rng.random((64, c)) < 0.1, logits[:, :1], logits.min(axis=1, keepdims=True)).astype(
            np.float32
        )
    top = top_two(logits, np.eye(c, dtype=np.float32), np.zeros(c, np.float32))
    bound = least_margin(top)
    assert np.isfinite(bound).all()
    assert (bound <= margins(top, np.arange(64))).all()


def test_the_bound_spares_most_tracks_their_exponentials() -> None:
    """A bound of 0 would pass every other test, and a plan for an institute would take the night."""
    pool, head, _ = planted(2_000)
    rng = np.random.default_rng(1)
    head = LinearHead(
        np.concatenate([head.weight, rng.standard_normal((295, 16)).astype(np.float32)]), np.zeros(300, np.float32)
    )
    top = top_two(as_f32(pool.emb), np.ascontiguousarray(head.weight.T), head.bias)
    limit = np.quantile(score(pool.emb, head).margin, 0.02)
    assert np.mean(least_margin(top) <= limit) < 0.2
