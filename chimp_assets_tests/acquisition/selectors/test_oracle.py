"""Our selectors beside those of scikit-activeml, on small pools where its answer is right."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from chimp_assets.acquisition.cells import NEIGHBOURS, cells_of
from chimp_assets.acquisition.pool_pass.one_pass import one_pass
from chimp_assets.acquisition.selectors import Candidates, ClusterMargin, FarthestMargin, RandomTracks, TypicalCells
from chimp_assets_tests.acquisition.pools import planted


@pytest.fixture(scope="module")
def scikit() -> Any:
    """The module `scikit_activeml`, loaded by the first test that asks: it would slow the collection of all tests."""
    pytest.importorskip("skactiveml", reason="scikit-activeml is not installed")
    return importlib.import_module("chimp_assets_tests.acquisition.scikit_activeml")


@pytest.mark.parametrize("seed", range(5))
def test_margins_are_those_of_scikit_activeml(scikit: Any, seed: int) -> None:
    """A slip in the bound that spares exponentials, or in the ranking, would ask about tracks that are plain.

    The same: the margins, and which b are smallest. Different on purpose: scikit-activeml breaks ties by chance, we by
    the lower row; and of the nearest we then choose by cells and predicted names, so the comparison is with
    nearest = b, where no choice is left.
    """
    pool, head, _ = planted(400, classes=7, spread=1.5, seed=seed)
    b = 25
    query = scikit.UncertaintySampling(method="margin_sampling", random_state=0)
    theirs, utilities = query.query(
        pool.emb.astype(np.float32),
        scikit.unanswered(400),
        scikit.OurHead(head),
        fit_clf=False,
        batch_size=b,
        return_utilities=True,
    )
    ours = one_pass(pool, head, pool.may_train(), b).unsure
    np.testing.assert_allclose(ours.margin, np.sort(1 - utilities[0])[:b], atol=1e-6)
    assert set(ours.rows.tolist()) == set(theirs.tolist())
    cell = cells_of(pool.emb[ours.rows], 5, seed)
    candidates = Candidates(ours.rows, pool.emb[ours.rows], ours.margin, cell, ours.top1)
    choice = ClusterMargin(nearest=b, cap=b).select(candidates, b, np.random.default_rng(seed))
    assert set(ours.rows[choice.positions].tolist()) == set(theirs.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_distance_from_what_was_asked_is_that_of_scikit_activeml(scikit: Any, seed: int) -> None:
    """A greedy rule with a slip in it still spreads, only less.

    The same: each pick is the row farthest from the answered ones and the earlier picks; on vectors of length 1 the
    smallest cosine is the largest distance. Different on purpose: they look at all rows, we at those of the smallest
    margins, so the comparison is with all rows near enough.
    """
    pool, _, truth = planted(150, classes=6, spread=1.2, seed=seed)
    answered = np.random.default_rng(seed).choice(150, 12, replace=False)
    said = scikit.unanswered(150)
    said[answered] = truth[answered]
    exact = pool.emb.astype(np.float32)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    theirs = scikit.CoreSet(random_state=0).query(exact, said, batch_size=20)
    rows = np.setdiff1d(np.arange(150), answered)
    ours = FarthestMargin(pool.emb[answered], nearest=len(rows)).select(
        Candidates.of(rows, pool.emb[rows]), 20, np.random.default_rng(0)
    )
    assert rows[ours.positions].tolist() == theirs.tolist()


def test_random_asking_is_as_random_as_that_of_scikit_activeml(scikit: Any) -> None:
    """The audit is only unbiased if every track has the chance that is written beside it.

    Streams of random numbers differ (and theirs begins anew with every query), so frequencies are compared: over 600
    draws of 6 of 20 each track is drawn by either as often as 0.3 says, and no more unevenly (chi squared with 19
    degrees of freedom, corrected for drawing without replacement, below its 99.9 % point of 43.8).
    """
    n, b, draws = 20, 6, 600
    pool, _, _ = planted(n)
    theirs, ours = np.zeros(n), np.zeros(n)
    candidates = Candidates.of(np.arange(n), pool.emb)
    rng = np.random.default_rng(3)
    for i in range(draws):
        drawn = scikit.RandomSampling(random_state=i).query(
            pool.emb.astype(np.float32), scikit.unanswered(n), batch_size=b
        )
        choice = RandomTracks().select(candidates, b, rng)
        assert len(set(drawn.tolist())) == len(set(choice.positions.tolist())) == b
        assert (choice.propensity == b / n).all()
        theirs[drawn] += 1
        ours[choice.positions] += 1
    for drawn_of in (theirs, ours):
        expected = draws * b / n
        assert ((drawn_of - expected) ** 2).sum() / (expected * (1 - b / n)) * (n - 1) / n < 43.8


@pytest.mark.parametrize("seed", range(5))
def test_typical_cells_are_those_of_scikit_activeml(scikit: Any, seed: int) -> None:
    """The cold start stands on this one: an outlier instead of the densest track teaches a wrong picture of an animal.

    The same, given the same cells: largest uncovered cell first, its densest track (20 nearest). Different on purpose:
    they cluster with scikit-learn into exactly answers + b cells, we with faiss into at most 512; of cells of one size
    they take a random one, we the lower number, so the order is compared by size; when every cell is covered they draw
    at random from all, we go round the cells again, the least asked first, which the last lines show. In a cell of two
    both are as dense, and they draw: there is none here.
    """
    pool, _, _ = planted(160, classes=8, spread=0.9, seed=seed)
    asked = np.random.default_rng(seed).choice(160, 4, replace=False)
    cell = cells_of(pool.emb, 9, seed)
    assert np.bincount(cell).min() > 2
    load = np.bincount(cell[asked], minlength=9)
    open_cells = np.setdiff1d(np.arange(9), cell[asked])
    y = scikit.unanswered(160)
    y[asked] = 0
    b = len(open_cells)
    # They number as many cells as there are answers and picks: the rest of ours would be beyond their table.
    renumbered = np.concatenate([open_cells, np.setdiff1d(np.arange(9), open_cells)]).argsort()[cell]
    query = scikit.TypiClust(
        cluster_algo=scikit.OurCells, cluster_algo_dict={"cell": renumbered}, k=NEIGHBOURS, random_state=0
    )
    theirs = query.query(pool.emb.astype(np.float32), y, batch_size=b)
    rows = np.setdiff1d(np.arange(160), asked)
    candidates = Candidates.of(rows, pool.emb[rows], cell=cell[rows])

    def ours(n: int) -> np.ndarray:
        return rows[TypicalCells(load).select(candidates, n, np.random.default_rng(seed)).positions]

    size = np.bincount(cell)
    assert set(ours(b).tolist()) == set(theirs.tolist())
    assert size[cell[ours(b)]].tolist() == size[cell[theirs]].tolist()
    round_again = ours(9)[b:]
    assert (load[cell[round_again]] <= 1).all()
