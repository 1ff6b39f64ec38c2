"""Margins are what they say, and the streaming pass finds exactly the smallest ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.pool import CHUNK_ROWS, Head
from chimp_assets.acquisition.scores import (
    Swept,
    _least_margin,
    _margins,
    _top_two,
    as_f32,
    class_probabilities,
    prefilter,
    score,
    sweep,
)
from chimp_assets.acquisition.torch_scores import on_torch
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
@example(n=709, m=1, seed=628, sharpness=30.0, doubled=False)
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
    # the same margins as a full sort (rows may swap where margins agree to rounding, that of the largest logit)
    rounding = float(np.finfo(np.float32).eps * np.abs(pool.emb.astype(np.float32) @ head.weight.T).max())
    np.testing.assert_allclose(found.margin, np.sort(margin)[: len(found.rows)], atol=max(2e-6, rounding))


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
    top = _top_two(logits, np.eye(c, dtype=np.float32), np.zeros(c, np.float32))
    bound = _least_margin(top)
    assert np.isfinite(bound).all()
    assert (bound <= _margins(top, np.arange(64))).all()


def test_the_bound_spares_most_tracks_their_exponentials() -> None:
    """A bound of 0 would pass every other test, and a plan for an institute would take the night."""
    pool, head, _ = planted(2_000)
    rng = np.random.default_rng(1)
    head = Head(
        np.concatenate([head.weight, rng.standard_normal((295, 16)).astype(np.float32)]), np.zeros(300, np.float32)
    )
    top = _top_two(as_f32(pool.emb), np.ascontiguousarray(head.weight.T), head.bias)
    limit = np.quantile(score(pool.emb, head).margin, 0.02)
    assert np.mean(_least_margin(top) <= limit) < 0.2


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


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("chunk", [97, 1 << 18])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.sampled_from([0.05, 1.0, 8.0]), broken=st.booleans())
def test_torch_finds_what_numpy_finds(device: str, chunk: int, seed: int, sharpness: float, broken: bool) -> None:
    """A plan must not depend on the machine that happens to make it."""
    pool, head, _ = planted(700, seed=seed)
    head = dataclasses.replace(
        head, weight=head.weight * np.float32(sharpness), bias=np.arange(5, dtype=np.float32) / 9, temperature=1.7
    )
    rng = np.random.default_rng(seed)
    if broken:
        emb = pool.emb.copy()
        emb[rng.choice(700, 3, replace=False)] = np.nan
        pool = dataclasses.replace(pool, emb=emb)
    eligible = rng.random(700) < 0.8
    anchors = np.nan_to_num(pool.emb[rng.choice(700, 6, replace=False)].astype(np.float32))
    of = on_torch(device)

    def in_chunks(head: Head, anchors: np.ndarray) -> object:
        made = of(head, anchors)
        made.chunk = chunk
        return made

    ours = sweep(pool, head, eligible, 40, 30, anchors, 8)
    theirs = sweep(pool, head, eligible, 40, 30, anchors, 8, in_chunks)  # type: ignore[arg-type]
    assert (theirs.n_bad, theirs.first_bad) == (ours.n_bad, ours.first_bad)
    assert _keys(ours)[3].shape == (48,)
    for mine, other in zip(_keys(ours), _keys(theirs), strict=True):
        np.testing.assert_allclose(other, mine, rtol=2e-6, atol=2e-5)  # logits of 60 in f32
    for mine, other in ((ours.unsure, theirs.unsure), (ours.novel, theirs.novel)):
        # Rows at the edge may differ where keys agree to rounding; what is found of a row must not.
        where = {row: place for place, row in enumerate(mine.rows.tolist())}
        both = [(where[row], place) for place, row in enumerate(other.rows.tolist()) if row in where]
        assert len(both) >= len(mine.rows) - 3
        a, b = (np.array(places) for places in zip(*both, strict=True))
        np.testing.assert_array_equal(mine.top1[a], other.top1[b])
        np.testing.assert_allclose(mine.maxlogit[a], other.maxlogit[b], rtol=1e-4, atol=1e-5)


def _keys(swept: Swept) -> list[np.ndarray]:
    by_anchor = swept.neighbours.anchor + (1 - swept.neighbours.likeness) / 4
    return [swept.unsure.margin, swept.novel.maxlogit, swept.neighbours.anchor, np.sort(by_anchor)]


def test_torch_refuses_a_head_of_one_class_too() -> None:
    """See above: a margin against nothing."""
    pool, _, _ = planted(3)
    with pytest.raises(ValueError, match="two classes"):
        sweep(
            pool,
            Head(np.ones((1, 16), np.float32), np.zeros(1, np.float32)),
            np.ones(3, bool),
            2,
            arithmetic=on_torch("cpu"),
        )
