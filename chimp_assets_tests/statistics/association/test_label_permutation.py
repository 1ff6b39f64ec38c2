"""Node-label permutation: finds what was planted, claims nothing where nothing is, and depends on no other draw."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.statistics.association.label_permutation import (
    outstanding,
    same_pattern,
    strength_of_groups,
    within_groups,
)


def network(rng: np.random.Generator, label: np.ndarray, within: float = 0.0, more: float = 0.0) -> np.ndarray:
    """Indices of pairs: some of one label stronger, some individuals with more of all."""
    n = len(label)
    base = rng.beta(2, 8, (n, n)) + within * (label[:, None] == label[None, :])
    base = base + more * ((label == 0)[:, None] + (label == 0)[None, :])
    upper = np.triu(base, 1)
    return upper + upper.T


@pytest.mark.slow
def test_without_a_pattern_one_in_twenty_is_claimed() -> None:
    """A test that claims more makes patterns of noise."""
    claimed = np.zeros(2)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 2, 16)
        if min(np.bincount(label, minlength=2)) < 3:
            continue
        weight = network(rng, label)
        for place, test in enumerate((within_groups(weight, label, 199), strength_of_groups(weight, label, 0, 199))):
            assert test is not None
            claimed[place] += test.p <= 0.05
    assert (claimed <= 0.085 * 300).all()
    assert (claimed >= 0.02 * 300).all(), "a test that never claims finds nothing"


def test_planted_patterns_are_found_and_told_apart() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], 12)
    homophily = network(rng, label, within=0.15)
    gregarious = network(rng, label, more=0.15)
    found = within_groups(homophily, label, 999)
    assert found is not None
    assert found.p < 0.01
    assert found.observed > found.high
    assert found.n == 24
    popular = strength_of_groups(gregarious, label, 0, 999)
    assert popular is not None
    assert popular.p < 0.01
    assert popular.observed > 0


def test_individuals_without_a_label_do_not_count_and_few_say_nothing() -> None:
    rng = np.random.default_rng(2)
    label = np.array([0, 0, 0, 1, 1, 1, -1, -1])
    weight = network(rng, label)
    found = within_groups(weight, label, 99)
    assert found is not None
    assert found.n == 6
    weight[6:, :] = weight[:, 6:] = 9.0
    assert within_groups(weight, label, 99) == found
    assert within_groups(weight, np.full(8, 1), 99) is None
    assert within_groups(weight, np.arange(8), 99) is None
    assert strength_of_groups(weight, np.array([0, 0, 1, 1, 1, 1, 1, 1]), 0, 99) is None


def test_the_diagonal_is_not_read() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], 5)
    weight = network(rng, label)
    loud = weight + np.diag(np.full(10, 50.0))
    assert within_groups(weight, label, 99) == within_groups(loud, label, 99)
    one, other = strength_of_groups(weight, label, 0, 99), strength_of_groups(loud, label, 0, 99)
    assert one is not None
    assert other is not None
    assert one.observed == pytest.approx(other.observed)


def test_a_kept_pattern_is_found_and_two_strangers_are_not_called_alike() -> None:
    """Networks of one archive would be called alike whatever became of them."""
    rng = np.random.default_rng(6)
    one = network(rng, np.arange(14))
    noise = np.triu(rng.normal(0, 0.02, one.shape), 1)
    kept = same_pattern(one, one + noise + noise.T, 299)
    assert kept is not None
    assert kept.p <= 1 / 100
    assert kept.observed > kept.high
    assert kept.observed == pytest.approx(np.corrcoef(*(m[np.triu_indices(14, 1)] for m in (one, one + noise)))[0, 1])
    claimed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        other = same_pattern(network(rng, np.arange(8)), network(rng, np.arange(8)), 99)
        assert other is not None
        claimed += other.p <= 0.05
    assert claimed <= 8  # of 60, three standard errors above 3


def test_few_individuals_and_networks_without_contrast_say_nothing() -> None:
    rng = np.random.default_rng(7)
    few = network(rng, np.arange(5))
    assert same_pattern(few, few, 9) is None
    assert same_pattern(np.zeros((9, 9)), network(rng, np.arange(9)), 9) is None
    assert same_pattern(np.zeros((0, 0)), np.zeros((0, 0)), 9) is None


def test_who_stands_out_is_told_by_its_rank_among_all() -> None:
    """p of the one that changed most is 1 / n, never 0."""
    assert outstanding(np.array([0.0, 0.1, -0.1, 2.0])) == pytest.approx([0.75, 1.0, 0.5, 0.25])  # mean 0.5
    assert outstanding(np.full(3, 0.2)) == pytest.approx(np.ones(3))
    assert len(outstanding(np.zeros(0))) == 0
