"""Adjusted p-values agree with those of the peers."""

import numpy as np
import scipy.stats

from chimp_assets.statistics.multiplicity import benjamini_hochberg, holm


def test_benjamini_hochberg_agrees_with_scipy():
    """An adjustment that slips by one rank looks plausible."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 50):
        p = rng.random(n) ** 3
        assert np.allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p))


def test_holm_agrees_with_the_rule_as_it_is_written():
    """Step by step: the smallest of n against a / n, the next against a / (n - 1), until one fails."""
    rng = np.random.default_rng(2)
    p = np.append(rng.random(40) ** 4, [0.001, 0.001, 1.0])
    adjusted = holm(p)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for left, row in zip(range(len(p), 0, -1), np.argsort(p, kind="stable"), strict=True):
            if p[row] > level / left:
                break
            rejected.add(int(row))
        assert rejected == set(np.flatnonzero(adjusted <= level).tolist())
    assert holm(np.zeros(0)).tolist() == []
