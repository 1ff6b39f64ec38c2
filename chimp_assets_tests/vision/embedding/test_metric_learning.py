"""Learning an embedder from named crops, on small pictures of stripes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chimp_assets.vision.embedding.metric_learning import Batches, Crops, Recipe, learn
from chimp_assets.vision.learning.ranks import Ranks
from chimp_assets.vision.models.checkpoint import ModelError

TINY = replace(Recipe(), side=32, min_views=160, epochs=0, batch=16)


def striped(n_classes=4, each=12, side=32, seed=0):
    """u8 [n, s, s, 3], i64 [n]: classes differ in the direction and width of their stripes; place and light change."""
    rng = np.random.default_rng(seed)
    axis = np.arange(side)
    pictures, target = [], []
    for one in range(n_classes):
        angle, width = np.pi * one / n_classes, 1.5 + one
        for _ in range(each):
            phase, light = rng.uniform(0, 6), rng.uniform(0.6, 1.0)
            wave = np.sin((axis[:, None] * np.sin(angle) + axis[None, :] * np.cos(angle)) / width + phase)
            picture = 120 + 90 * wave[..., None] * np.ones(3) + rng.normal(0, 8, (side, side, 3))
            pictures.append(np.clip(light * picture, 0, 255).astype(np.uint8))
            target.append(7 * one + 3)
    return np.stack(pictures), np.array(target, dtype=np.int64)


@pytest.fixture(scope="module")
def learned():
    pictures, target = striped()
    return learn(Crops(pictures, target), TINY, seed=1, dimensions=16)


def test_the_same_crops_and_seed_give_the_same_weights(learned):
    """A model that cannot be made again from its row cannot be trusted or repaired."""
    pictures, target = striped()
    torch.rand(3)  # what ran before must not matter
    again = learn(Crops(pictures, target), TINY, seed=1, dimensions=16)
    assert all(torch.equal(learned.network[name], again.network[name]) for name in again.network)
    one, two = learned.embedder.state_dict(), again.embedder.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in two)
    other = learn(Crops(pictures, target), TINY, seed=2, dimensions=16)
    assert not torch.equal(other.network["neck.weight"], again.network["neck.weight"])


def test_what_was_learned_finds_an_animal_again_in_new_pictures(learned):
    """A projection whose parts or signs are mixed up gives unit vectors that mean nothing."""
    known, classes = striped()
    asked, truth = striped(seed=5)
    gallery, question = learned.embedder.embed(known), learned.embedder.embed(asked)
    assert question.shape == (48, 16)
    assert np.allclose(np.linalg.norm(question, axis=1), 1, atol=1e-5)
    assert (classes[(question @ gallery.T).argmax(1)] == truth).mean() > 0.8


def test_learning_lowers_the_loss_and_goes_on_from_a_network(learned):
    """A rate that is never applied, or a start that is dropped, trains nothing and says so nowhere."""
    pictures, target = striped()
    first, last = learned.state.history[0][1], learned.state.history[-1][1]
    assert last < first
    more = learn(Crops(pictures, target), TINY, seed=1, dimensions=16, start=learned.network)
    assert more.state.history[0][1] < first


def test_one_individual_alone_is_refused_with_a_sentence():
    """One class has nothing to differ from: the loss would be zero and the network noise."""
    pictures, target = striped(n_classes=1)
    with pytest.raises(ModelError, match="show one individual"):
        learn(Crops(pictures, target), TINY, seed=1)


def test_identical_and_black_pictures_teach_nothing_but_break_nothing():
    """Batch statistics and principal axes of equal pictures divide by zero where nobody guards them."""
    pictures, target = striped()
    pictures[:] = pictures[0]
    pictures[::2] = 0
    tuned = learn(Crops(pictures, target), TINY, seed=1, dimensions=16)
    vectors = tuned.embedder.embed(pictures)
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_a_batch_depends_on_its_step_and_ranks_share_it():
    """Two ranks that learn from the same crops do half the work twice; one that depends on order cannot be resumed."""
    pictures, target = striped()
    crops, row = Crops(pictures, target), np.repeat(np.arange(4), 12)
    whole = Batches(crops, row, TINY, 1, Ranks())
    assert all(torch.equal(a, b) for a, b in zip(whole[5], whole[5], strict=True))
    assert not torch.equal(whole[5][0], whole[6][0])
    parts = [Batches(crops, row, TINY, 1, Ranks(rank, 2))[5][1] for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, 1).flatten(), whole[5][1])


def test_a_rare_animal_is_shown_more_often_than_its_share():
    """Drawn as they come, a hundred crops of one animal drown two of another."""
    target = np.array([0] * 100 + [1] * 4)
    weight = Crops(np.zeros((104, 4, 4, 3), np.uint8), target).weights()
    assert weight.sum() == pytest.approx(1)
    assert weight[target == 1].sum() == pytest.approx(1 / 6)


def test_a_small_remainder_of_dimensions_still_makes_an_embedder():
    """A setting of few dimensions must not leave one part empty."""
    pictures, target = striped(each=4)
    tuned = learn(Crops(pictures, target), replace(TINY, min_views=32), seed=1, dimensions=8)
    assert tuned.embedder.embed(pictures[:2]).shape == (2, 8)
