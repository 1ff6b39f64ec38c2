"""Random Fourier features: their kernel, sums by block, and tests that exchange blocks."""

import numpy as np
import pytest

from chimp_assets.statistics.fourier import WIDTHS, FourierFeatures, block_mmd, block_test, largest_test


def _clustered(rng, blocks, shift=0.0, turned=0):
    """Unit vectors of `blocks` blocks of twelve that share a direction; the first `turned` blocks lean elsewhere."""
    block = np.repeat(np.arange(blocks), 12)
    middle = rng.standard_normal((blocks, 8)) * 0.5
    middle[:turned, 0] += shift
    vectors = middle[block] + rng.standard_normal((len(block), 8)) * 0.5 + np.eye(8)[1]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), block


def test_products_of_features_are_the_mixture_of_kernels():
    """Features of a wrong scale see everything as equal, or nothing."""
    features = FourierFeatures.of(3, 8, 20_000)
    vectors, _ = _clustered(np.random.default_rng(0), 2)
    squared = np.square(vectors[:, None] - vectors[None]).sum(2)
    expected = np.mean([np.exp(-squared / (2 * width**2)) for width in WIDTHS], axis=0)
    found = features.of_vectors(vectors) @ features.of_vectors(vectors).T
    assert np.abs(found - expected).max() < 0.04


def test_the_same_embedder_has_the_same_features_for_ever():
    """Stored sums of two runs are compared with each other."""
    assert np.array_equal(FourierFeatures.of(3, 8).frequencies, FourierFeatures.of(3, 8).frequencies)
    assert not np.array_equal(FourierFeatures.of(3, 8).frequencies, FourierFeatures.of(4, 8).frequencies)


def test_sums_are_those_of_each_block_in_whatever_order_vectors_come():
    """Tracks of a file are in the order of their keys, not of cameras and days."""
    rng = np.random.default_rng(1)
    vectors, block = _clustered(rng, 5)
    order = rng.permutation(len(block))
    features = FourierFeatures.of(1, 8)
    sums, n = features.sums(vectors[order].astype(np.float16), block[order], 6)
    assert n.tolist() == [12] * 5 + [0]
    for one in range(5):
        assert np.allclose(sums[one], features.of_vectors(vectors[block == one]).sum(0), atol=0.05)


def test_exchanging_blocks_keeps_its_promise_and_exchanging_tracks_does_not():
    """Tracks of one clip are alike: taken one by one, every third test without a change says drift."""
    rng = np.random.default_rng(2)
    features = FourierFeatures.of(1, 8, 64)
    is_new = np.arange(24) < 8
    by_block = by_track = 0
    for _ in range(60):
        vectors, block = _clustered(rng, 24)
        sums, n = features.sums(vectors, block, 24)
        by_block += block_test(sums, n, is_new, rng, 99)[1] <= 0.05
        each = features.of_vectors(vectors)
        by_track += block_test(each, np.ones(len(each), np.int64), is_new[block], rng, 99)[1] <= 0.05
    assert by_block / 60 <= 0.15
    assert by_track / 60 > 0.30


def test_a_turn_of_few_blocks_is_found():
    """Five clips are what there is on the first day."""
    rng = np.random.default_rng(3)
    features = FourierFeatures.of(1, 8)
    is_new = np.arange(45) < 5
    vectors, block = _clustered(rng, 45, 3.0, 5)
    sums, n = features.sums(vectors, block, 45)
    distance, p = block_test(sums, n, is_new, rng)
    assert p == pytest.approx(0.001)
    assert distance == pytest.approx(block_mmd(sums, n, is_new), rel=1e-4)


def test_the_largest_of_several_signals_is_one_test():
    """Four signals at five percent each would say drift in every sixth test."""
    rng = np.random.default_rng(4)
    is_new = np.arange(40) < 10
    p = np.array([largest_test(rng.standard_normal((40, 4)), is_new, rng, 99)[1] for _ in range(200)])
    assert (p <= 0.05).mean() <= 0.10
    values = rng.standard_normal((40, 4))
    values[:10, 2] += 3
    apart, p_value = largest_test(values, is_new, rng)
    assert np.argmax(apart) == 2
    assert p_value <= 0.002


def test_a_side_without_a_block_is_refused():
    """A comparison with nothing has no p-value."""
    with pytest.raises(ValueError, match="both sides"):
        block_mmd(np.ones((3, 4)), np.ones(3, np.int64), np.zeros(3, bool))
