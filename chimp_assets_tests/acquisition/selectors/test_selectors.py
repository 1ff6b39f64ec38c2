"""Each selector keeps the selectors' promises and does what its paper says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.cells import cells_of, typicality
from chimp_assets.acquisition.groups import counts_before
from chimp_assets.acquisition.selectors import (
    Candidates,
    ClusterMargin,
    FarthestMargin,
    RandomTracks,
    Selector,
    TypicalCells,
)
from chimp_assets_tests.acquisition.pools import planted

SELECTORS: list[Selector] = [
    RandomTracks(),
    TypicalCells(np.zeros(9, np.int64)),
    ClusterMargin(nearest=30, cap=3),
    FarthestMargin(np.eye(4, 16, dtype=np.float16), nearest=30),
]


@settings(max_examples=40, deadline=None)
@given(which=st.sampled_from(range(4)), m=st.integers(0, 60), b=st.integers(0, 80), seed=st.integers(0, 999))
def test_selectors_never_repeat_and_return_fewer_when_fewer_are_there(which: int, m: int, b: int, seed: int) -> None:
    """A repeated pick wastes the expert's minute; a short pool must not be an error."""
    selector = SELECTORS[which]
    pool, _, truth = planted(m, seed=seed)
    cell = cells_of(pool.emb, 9, seed)
    score = np.random.default_rng(seed).random(m, dtype=np.float32)

    def run() -> tuple[list[int], list[float]]:
        candidates = Candidates(np.arange(m), pool.emb, score, cell, truth.astype(np.int32))
        choice = selector.select(candidates, b, np.random.default_rng(seed))
        return choice.positions.tolist(), choice.propensity.tolist()

    positions, propensity = run()
    available = min(m, 30) if which >= 2 else m
    assert len(positions) == len(set(positions)) == min(b, available)
    assert all(0 <= i < m for i in positions)
    assert len(propensity) == len(positions)
    assert all(0 < p <= 1 for p in propensity)
    assert run() == (positions, propensity)


def test_cluster_margin_with_shuffled_scores_is_random() -> None:
    """The control of every comparison: if meaningless scores still prefer some tracks, the gain is an artefact."""
    pool, _, _ = planted(60)
    hits = np.zeros(60)
    rounds = 1500
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        score = rng.permutation(60).astype(np.float32)
        candidates = Candidates.of(np.arange(60), pool.emb, score=score)
        hits[ClusterMargin(nearest=20, cap=99).select(candidates, 8, rng).positions] += 1
    expected = rounds * 8 / 60
    assert ((hits - expected) ** 2 / expected).sum() < 98.3  # chi-square, 59 degrees of freedom, p = 0.001


def test_cluster_margin_keeps_to_the_smallest_scores() -> None:
    """Diversity must not reach beyond the uncertain tracks."""
    score = np.linspace(1, 0, 50, dtype=np.float32)
    cell = np.arange(50, dtype=np.int32) % 5
    candidates = Candidates.of(np.arange(50), np.zeros((50, 4), np.float16), score=score, cell=cell)
    choice = ClusterMargin(nearest=12, cap=99).select(candidates, 6, np.random.default_rng(0))
    assert set(choice.positions.tolist()) <= set(range(38, 50))


def test_cluster_margin_gives_every_cell_a_turn_the_smallest_first() -> None:
    """Round-robin over cells by ascending size is what makes Cluster-Margin diverse (arXiv 2107.14263)."""
    cell = np.array([0] * 10 + [1] * 3 + [2] * 1, np.int32)
    candidates = Candidates.of(np.arange(14), np.zeros((14, 4), np.float16), cell=cell)
    choice = ClusterMargin(nearest=14, cap=99).select(candidates, 6, np.random.default_rng(3))
    assert cell[choice.positions].tolist() == [2, 1, 0, 1, 0, 1]
    # cell 0 gave 2 of its 10, so each of them had a chance of 0.2
    assert choice.propensity[[0, 1, 2]].tolist() == pytest.approx([1.0, 1.0, 0.2])


def test_the_cap_holds_while_other_identities_are_left() -> None:
    """Two look-alike sisters would otherwise fill every batch."""
    top1 = np.array([7] * 20 + [1, 2, 3, 4], np.int32)
    score = np.linspace(0, 1, 24, dtype=np.float32)
    for seed in range(20):
        candidates = Candidates.of(np.arange(24), np.zeros((24, 4), np.float16), score=score, top1=top1)
        choice = ClusterMargin(nearest=24, cap=2).select(candidates, 6, np.random.default_rng(seed))
        assert sorted(top1[choice.positions].tolist()) == [1, 2, 3, 4, 7, 7]


def test_the_cap_gives_way_rather_than_leave_the_expert_without_work() -> None:
    """A head that knows two individuals cannot spread a batch over four."""
    top1 = np.array([0] * 10 + [1] * 10, np.int32)
    candidates = Candidates.of(np.arange(20), np.zeros((20, 4), np.float16), top1=top1)
    choice = ClusterMargin(nearest=20, cap=1).select(candidates, 10, np.random.default_rng(0))
    assert np.bincount(top1[choice.positions]).tolist() == [5, 5]


def test_the_farthest_of_the_smallest_margins_comes_first() -> None:
    """Asking beside what was answered teaches little; asking what is merely far away teaches nothing of boundaries."""
    degrees = np.radians([0, 5, 40, 90, 170])
    emb = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float16)
    score = np.array([0.1, 0.1, 0.1, 0.1, 0.9], np.float32)  # the farthest of all is not in doubt
    candidates = Candidates.of(np.arange(5), emb, score=score)

    def asked_after(asked: list[int]) -> list[int]:
        selector = FarthestMargin(emb[asked], nearest=4)
        return selector.select(candidates, 3, np.random.default_rng(0)).positions.tolist()

    assert asked_after([0]) == [3, 2, 1]
    assert asked_after([3]) == [0, 2, 1]
    assert asked_after([]) == [0, 3, 2]  # nothing asked yet: the smallest score, then away from it


def test_a_broken_answered_vector_does_not_decide_what_is_asked() -> None:
    """nan would be the farthest from everything, and every pick the first."""
    pool, _, _ = planted(40)
    asked = np.concatenate([pool.emb[:3], np.full((1, 16), np.nan, np.float16)])
    candidates = Candidates.of(np.arange(40), pool.emb)
    picks = [
        FarthestMargin(some, nearest=40).select(candidates, 9, np.random.default_rng(0)).positions.tolist()
        for some in (asked, asked[:3])
    ]
    assert picks[0] == picks[1]


def test_typical_cells_start_with_the_densest_track_of_the_largest_unasked_cell() -> None:
    """TypiClust's order; asking outliers first is worse than random at a low budget."""
    emb = np.zeros((13, 2), np.float16)
    emb[:6, 0] = [0.0, 0.1, 0.11, 0.12, 0.2, 0.5]  # the densest is row 2
    emb[6:10, 0] = [5.0, 5.3, 5.31, 5.32]
    emb[10:, 0] = [9.0, 9.1, 9.11]
    cell = np.array([0] * 6 + [1] * 4 + [2] * 3, np.int32)
    candidates = Candidates.of(np.arange(13), emb, cell=cell)
    choice = TypicalCells(np.array([0, 1, 0])).select(candidates, 4, np.random.default_rng(0))
    assert cell[choice.positions].tolist() == [0, 2, 0, 1]  # cell 1 was asked before: its turn is later
    assert choice.positions[0] in (1, 2, 3)
    assert choice.positions[1] in (11, 12)


def test_an_outlier_is_less_typical_than_the_middle_of_its_cell() -> None:
    """Density upside down would send the expert every blurred leaf first."""
    pool, _, _ = planted(200, classes=1, spread=0.3)
    emb = pool.emb.copy()
    emb[0] = -emb[0]
    typical = typicality(emb, np.zeros(200, np.int32), np.random.default_rng(0))
    assert typical.argmin() == 0
    assert (typical > 0).all()


def test_a_crowded_cell_is_measured_against_a_sample() -> None:
    """All pairs of a cell of 50,000 rows would take minutes; the sample must give the same order."""
    pool, _, _ = planted(3000, classes=1, spread=0.8)
    few = typicality(pool.emb, np.zeros(3000, np.int32), np.random.default_rng(0))
    rows = pool.emb.astype(np.float32)
    distance = np.sqrt(np.maximum(0, 2 - 2 * rows @ rows.T))
    exact = 1 / np.sort(distance, axis=1)[:, 1:21].mean(axis=1)
    assert np.corrcoef(few.argsort().argsort(), exact.argsort().argsort())[0, 1] > 0.8


def test_cells_find_planted_individuals_and_repeat_for_a_seed() -> None:
    """Cells that change between two plans would ask the same animals again."""
    pool, _, truth = planted(300, classes=4, spread=0.1, dimensions=32)
    cell = cells_of(pool.emb, 4, 5)
    assert len({(int(a), int(b)) for a, b in zip(cell, truth, strict=True)}) == 4
    np.testing.assert_array_equal(cell, cells_of(pool.emb, 4, 5))


def test_more_cells_than_rows_and_identical_rows_are_no_error() -> None:
    """A first archive has three tracks; a still camera gives equal crops."""
    assert cells_of(np.ones((3, 4), np.float16), 9, 0).tolist() == [0, 1, 2]
    assert set(cells_of(np.ones((40, 4), np.float16), 4, 0).tolist()) <= set(range(4))
    assert len(cells_of(np.empty((0, 4), np.float16), 4, 0)) == 0


@given(st.lists(st.integers(0, 4), max_size=30))
def test_counts_before_counts_earlier_rows_of_the_same_group(groups: list[int]) -> None:
    """Caps and turns rest on it."""
    expected = [groups[:i].count(g) for i, g in enumerate(groups)]
    assert counts_before(np.array(groups, np.int32)).tolist() == expected
