"""Unknown animals put together: several, never one class, and never two that were seen side by side."""

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.vision.identity import unknowns as module
from chimp_assets.vision.identity.unknowns import DEFAULT_CUT, clusters, cut_of

NOBODY = np.zeros(0, dtype=np.int64)


def animals(n: int, each: int, noise: float = 0.35, d: int = 32, seed: int = 0):
    """Unit vectors f32 and who each is."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat(np.arange(n), each))
    x = rng.normal(size=(n, d))[who] + noise * rng.normal(size=(n * each, d)) * 1.0
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), who


def test_strangers_are_put_together_each_by_itself():
    """One heap of all strangers is useless; a proposal that mixes two is worse than none."""
    x, who = animals(12, 8)
    number, likeness = clusters(x, 0.7, NOBODY, NOBODY)
    assert number.max() == 12
    assert all(len(np.unique(who[number == c])) == 1 for c in range(1, 13))
    assert (likeness[number > 0] > 0.7).all()
    assert (np.diff(np.bincount(number)[1:]) <= 0).all(), "the largest first"


def test_two_seen_at_one_moment_are_never_one():
    """Twins in one frame are two animals, however alike."""
    x = np.ones((4, 8), dtype=np.float32) / np.sqrt(8)
    number, _ = clusters(x, 0.5, np.array([0, 1]), np.array([1, 0]))
    assert number[0] != number[1] or number[0] == 0
    alone, _ = clusters(x, 0.5, NOBODY, NOBODY)
    assert alone.tolist() == [1, 1, 1, 1]


def test_a_crowd_is_cut_before_memory_is_taken(monkeypatch):
    """All distances of 20,000 tracks are 3 GB; a chain of look-alikes must fall apart instead."""
    monkeypatch.setattr(module, "MOST_TOGETHER", 50)
    x, _ = animals(20, 10, noise=0.5)
    number, _ = clusters(x, -1.0, NOBODY, NOBODY)
    assert np.bincount(number)[1:].max() <= 50
    same, _ = clusters(np.ones((120, 4), dtype=np.float32) / 2, 0.5, NOBODY, NOBODY)
    assert np.bincount(same)[1:].max() <= 50
    assert (same > 0).all()


def test_one_or_no_track_is_no_cluster():
    """A home with a single stranger must not stop the scoring."""
    for n in (0, 1):
        number, likeness = clusters(np.ones((n, 4), dtype=np.float32), 0.5, NOBODY, NOBODY)
        assert (len(number), len(likeness)) == (n, n)
        assert not number.any()


def test_the_cut_comes_from_labelled_animals_that_differ():
    """A fixed cosine means something else for each embedder."""
    x, who = animals(10, 20)
    cut = cut_of(x, who)
    cosine = x @ x.T
    assert (cosine[who[:, None] != who[None, :]] > cut).mean() == pytest.approx(0.01, abs=0.003)
    assert cut_of(x[:5], who[:5]) == DEFAULT_CUT


def test_scoring_leaves_proposals_that_people_can_ask_for(home, monkeypatch):
    """Proposals that only code can see do not reach the expert; a named track must leave its proposal."""
    from chimp_assets.vision.identity.unknowns import propose_individuals
    from chimp_assets_tests.vision.identity.unknown_home import fill

    named = fill(home)
    assert propose_individuals(home.database, home.store).n_tracks == 6
    first = _rows(home)
    propose_individuals(home.database, home.store)
    assert _rows(home) == first
    with home.database.read() as conn:
        seen = conn.execute(sa.text("SELECT * FROM v_unknown_animal ORDER BY cluster_no")).all()
    assert [(r.cluster_no, r.n_tracks, r.n_videos) for r in seen] == [(1, 3, 3), (2, 3, 3)]
    named(seen[0].best_track_id)
    with home.database.read() as conn:
        left = conn.execute(sa.text("SELECT n_tracks FROM v_unknown_animal ORDER BY cluster_no")).all()
    assert [r.n_tracks for r in left] == [2, 3]


def _rows(home):
    with home.database.read() as conn:
        return conn.execute(sa.select(t.unknown_track).order_by(t.unknown_track.c.track_id)).all()
