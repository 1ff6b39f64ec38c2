"""Describing crops by dictionaries of patches, and how much each size of patch counts."""

import numpy as np
import torch

from chimp_assets.vision.embedding.metric_learning import scale_weights
from chimp_assets.vision.embedding.patches import Patches


def textures(n=24, side=48, seed=0):
    """u8 [n, s, s, 3]: smoothed noise, each picture its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 180, (n, side // 4, side // 4, 3))
    return (coarse.repeat(4, 1).repeat(4, 2) + rng.normal(0, 6, (n, side, side, 3))).clip(0, 255).astype(np.uint8)


def learned(seed=1, atoms=16):
    patches = Patches(atoms)
    patches.learn(textures(), seed)
    return patches


def test_dictionaries_of_one_seed_are_equal_and_describe_finitely():
    """A dictionary that differs from run to run makes every model that stands on it irreproducible."""
    one, again, other = learned(), learned(), learned(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), again.buffers(), strict=True))
    assert not torch.equal(one.atoms_0, other.atoms_0)
    black = np.zeros((2, 48, 48, 3), dtype=np.uint8)
    assert np.isfinite(one.describe(black)).all()
    assert one.describe(textures()).shape == (24, one.n_features)


def test_weaker_light_changes_a_description_less_than_another_animal():
    """Patches that keep their brightness find the hour of the day again instead of the animal."""
    patches, pictures = learned(), textures()
    plain = patches.describe(pictures)
    dim = patches.describe((pictures * 0.6).astype(np.uint8))
    alike = dim @ plain.T
    assert (alike.argmax(1) == np.arange(len(pictures))).all()
    assert np.diag(alike).min() > alike[~np.eye(len(pictures), dtype=bool)].max()


def test_the_size_of_patch_that_tells_animals_apart_on_other_days_gets_the_weight():
    """A size that knows the day and not the animal is perfect on the days that teach; only held-out days show it."""
    rng = np.random.default_rng(0)
    target, group = np.repeat(np.arange(6), 12), np.arange(72) // 3
    animal, day = rng.normal(0, 1, (6, 40)), rng.normal(0, 1, (24, 40))
    tells = (animal[target] + rng.normal(0, 0.3, (72, 40))).astype(np.float32)
    misleads = (day[group] + rng.normal(0, 0.1, (72, 40))).astype(np.float32)
    weight = scale_weights([misleads, tells], target, group)
    assert weight[1] > 1.5 * weight[0]
    assert np.isclose((weight**2).sum(), 2)


def test_without_a_second_day_all_sizes_count_alike():
    """One day shows nothing of others; weights chosen from it would be chosen by chance."""
    rng = np.random.default_rng(0)
    blocks = [rng.normal(0, 1, (12, 20)).astype(np.float32) for _ in range(3)]
    weight = scale_weights(blocks, np.repeat(np.arange(3), 4), np.zeros(12, dtype=np.int64))
    assert np.allclose(weight, weight[0])
