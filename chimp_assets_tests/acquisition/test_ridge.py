"""The stand-in for the head is the same, whether it learns at once or answer by answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.acquisition.ridge import LiveRidge, fit_ridge


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 40), classes=st.integers(1, 5), undone=st.integers(0, 10))
def test_answers_one_by_one_and_undone_ones_give_what_all_at_once_give(
    seed: int, n: int, classes: int, undone: int
) -> None:
    """A ranking that drifts from its labels would ask the wrong tracks, more so each hour."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + undone, 6)).astype(np.float32)
    y = rng.integers(0, classes, n + undone)
    live = LiveRidge(6)
    for i in rng.permutation(n + undone):
        live.take(x[i : i + 1], y[i : i + 1])
    if undone:
        live.take(x[n:], y[n:], times=-1)
    whole = fit_ridge(x[:n], y[:n])
    others = rng.standard_normal((20, 6)).astype(np.float32)
    np.testing.assert_allclose(live.fitted().scores(others), whole.scores(others), atol=1e-6)
    assert live.fitted().classes.tolist() == whole.classes.tolist()


def test_a_rare_animal_is_not_drowned_by_a_common_one() -> None:
    """Without equal weights the commonest animal would be the answer to everything."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal([1, 0.3], 0.3, (300, 2)), rng.normal([1, -0.3], 0.3, (6, 2))]).astype(np.float32)
    y = np.array([0] * 300 + [1] * 6)
    test = rng.normal([1, -0.3], 0.1, (200, 2)).astype(np.float32)
    assert (fit_ridge(x, y).names(test) == 1).mean() > 0.8


def test_nothing_learned_is_said() -> None:
    """An empty namer would name everybody nobody."""
    with pytest.raises(ValueError, match="nothing has been answered"):
        LiveRidge(3).fitted()
