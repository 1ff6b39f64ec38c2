"""The streaming pass finds exactly the smallest margins, in numpy as in torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.minutes.calibration import ChanceLine
from chimp_assets.acquisition.minutes.prices import Prices
from chimp_assets.acquisition.minutes.worth import FrameWorth
from chimp_assets.acquisition.pool import LinearHead
from chimp_assets.acquisition.pool_pass.on_torch import on_torch
from chimp_assets.acquisition.pool_pass.one_pass import PassResult, one_pass
from chimp_assets.acquisition.scores import class_probabilities, score
from chimp_assets_tests.acquisition.pools import planted


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
    head = LinearHead(np.concatenate([head.weight, extra]) * np.float32(sharpness), np.zeros(1505, np.float32))
    eligible = rng.random(n) < 0.7
    found = one_pass(pool, head, eligible, m).unsure
    margin = score(pool.emb, head).margin.astype(np.float64)
    margin[~eligible] = np.inf
    assert len(found.rows) == len(set(found.rows.tolist())) == min(m, int(eligible.sum()))
    assert eligible[found.rows].all()
    assert (np.diff(found.margin) >= 0).all()
    # the same margins as a full sort (rows may swap where margins agree to rounding, that of the largest logit)
    rounding = float(np.finfo(np.float32).eps * np.abs(pool.emb.astype(np.float32) @ head.weight.T).max())
    np.testing.assert_allclose(found.margin, np.sort(margin)[: len(found.rows)], atol=max(2e-6, rounding))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 900),
    m=st.integers(1, 40),
    seed=st.integers(0, 10_000),
    sharpness=st.sampled_from([0.01, 0.3, 1.0, 30.0]),
    threshold=st.sampled_from([0.0, 0.3, 0.9, 0.999, 2.0]),
    line=st.sampled_from([ChanceLine(), ChanceLine(-1.0, 0.6), ChanceLine(0.5, 0.0)]),
    prices=st.sampled_from([Prices(), Prices(right=9.0)]),
    equal=st.booleans(),
)
def test_the_rows_worth_most_are_those_of_sorting_everything(
    n: int, m: int, seed: int, sharpness: float, threshold: float, line: ChanceLine, prices: Prices, equal: bool
) -> None:
    """A bound that is too tight loses the longest tracks; ties go by row, or a plan would depend on the chunk."""
    pool, head, _ = planted(n, seed=seed)
    rng = np.random.default_rng(seed)
    frames = np.ones(n) if equal else np.ceil(np.exp(rng.normal(3, 1, n)))
    pool = dataclasses.replace(pool, value=frames.astype(np.float32))
    extra = rng.standard_normal((1500, 16)).astype(np.float32)
    head = LinearHead(np.concatenate([head.weight, extra]) * np.float32(sharpness), np.zeros(1505, np.float32))
    eligible, asked = rng.random(n) < 0.7, FrameWorth(threshold, line, prices)
    found = one_pass(pool, head, eligible, 0, m_worthy=m, worth=asked).worthy
    probability = class_probabilities(pool.emb, head).max(axis=1)
    worth = np.where(eligible, asked.of(pool.value, probability), -np.inf)
    assert len(found.rows) == len(set(found.rows.tolist())) == min(m, int(eligible.sum()))
    assert eligible[found.rows].all()
    assert (found.rows == found.rows[np.lexsort((found.rows, -found.worth))]).all()
    np.testing.assert_array_equal(found.worth, asked.of(pool.value[found.rows], found.probability))
    np.testing.assert_allclose(found.probability, probability[found.rows], atol=2e-5)
    # At the threshold rounding decides whether a name counts; everywhere else the same worths as of a full sort.
    unsure = np.abs(asked.line.of(probability.astype(float)) - threshold) < 1e-4
    if not unsure.any():
        np.testing.assert_allclose(found.worth, np.sort(worth)[::-1][: len(found.rows)], rtol=2e-2)
    whole = one_pass(pool, head, eligible, 0, m_worthy=n, worth=asked).worthy
    np.testing.assert_array_equal(found.rows, whole.rows[: len(found.rows)])


def test_a_row_that_is_not_finite_is_never_a_candidate() -> None:
    """nan compares with nothing: a broken crop must not come out as the most uncertain track."""
    pool, head, _ = planted(30)
    emb = pool.emb.copy()
    emb[4] = np.nan
    found = one_pass(dataclasses.replace(pool, emb=emb), head, np.ones(30, bool), 30, m_worthy=30)
    for rows in (found.unsure.rows, found.worthy.rows):
        assert len(rows) == 29
        assert 4 not in rows


def test_a_head_of_another_embedder_is_refused() -> None:
    """Numbers would come out, and mean nothing."""
    pool, _, _ = planted(3)
    with pytest.raises(ValueError, match="dimensions"):
        one_pass(pool, LinearHead(np.ones((2, 8), np.float32), np.zeros(2, np.float32)), np.ones(3, bool), 1)


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

    def in_chunks(head: LinearHead, anchors: np.ndarray) -> object:
        made = of(head, anchors)
        made.chunk = chunk
        return made

    pool = dataclasses.replace(pool, value=np.ceil(np.exp(rng.normal(3, 1, 700))).astype(np.float32))
    asked = FrameWorth(0.95, ChanceLine(-0.3, 0.8))
    ours = one_pass(pool, head, eligible, 40, 30, anchors, 8, m_worthy=40, worth=asked)
    theirs = one_pass(pool, head, eligible, 40, 30, anchors, 8, in_chunks, 40, asked)  # type: ignore[arg-type]
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
    place_of = {row: place for place, row in enumerate(ours.worthy.rows.tolist())}
    pairs = [(place_of[row], place) for place, row in enumerate(theirs.worthy.rows.tolist()) if row in place_of]
    assert len(pairs) >= 37
    one, two = (np.array(places) for places in zip(*pairs, strict=True))
    np.testing.assert_array_equal(ours.worthy.top1[one], theirs.worthy.top1[two])
    np.testing.assert_allclose(ours.worthy.probability[one], theirs.worthy.probability[two], rtol=1e-4, atol=1e-5)


def _keys(found: PassResult) -> list[np.ndarray]:
    by_anchor = found.neighbours.anchor + (1 - found.neighbours.likeness) / 4
    return [found.unsure.margin, found.novel.maxlogit, found.neighbours.anchor, np.sort(by_anchor)]


def test_torch_refuses_a_head_of_one_class_too() -> None:
    """See above: a margin against nothing."""
    pool, _, _ = planted(3)
    with pytest.raises(ValueError, match="two classes"):
        one_pass(
            pool,
            LinearHead(np.ones((1, 16), np.float32), np.zeros(1, np.float32)),
            np.ones(3, bool),
            2,
            arithmetic=on_torch("cpu"),
        )
