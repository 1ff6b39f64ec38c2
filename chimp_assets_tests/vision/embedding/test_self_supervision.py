"""Learning without labels: what attracts, what repels, and that it helps."""

import numpy as np
import pytest
import torch
from torch import nn

from chimp_assets.vision.embedding.augmentation import augment
from chimp_assets.vision.embedding.self_supervision import CropSet, fit_projection, pairs_of, retrieval, train_backbone

CPU = torch.device("cpu")


def _crops(tracks: int = 6, each: int = 4, side: int = 32) -> CropSet:
    rng = np.random.default_rng(0)
    faces = np.kron(rng.integers(0, 255, (tracks, 1, 2, 2, 3)), np.ones((1, 1, side // 2, side // 2, 1)))
    pictures = (faces + rng.normal(0, 20, (tracks, each, side, side, 3))).clip(0, 255).astype(np.uint8)
    return CropSet(
        pictures.reshape(-1, side, side, 3),
        np.repeat(np.arange(tracks), each),
        np.arange(tracks),
        np.zeros(tracks, dtype=np.int64),
        np.full(tracks, 9, dtype=np.int64),
    )


def test_tracks_of_one_video_repel_only_if_they_live_at_once():
    """A tracker that lost and found one animal gives two tracks of it; pushing them apart teaches the wrong thing."""
    crops = CropSet(
        np.zeros((4, 8, 8, 3), np.uint8),
        np.arange(4),
        video=np.array([1, 1, 1, 2]),
        first=np.array([0, 5, 20, 0]),
        last=np.array([10, 15, 30, 10]),
    )
    a1, p, a2, n = (i.tolist() for i in pairs_of(crops, np.array([0, 0, 1, 2, 3]), CPU))
    assert set(zip(a1, p, strict=True)) == {(0, 1), (1, 0)}
    repel = set(zip(a2, n, strict=True))
    assert {(0, 2), (2, 0), (0, 4), (4, 0), (2, 4), (3, 4)} <= repel
    assert not {(0, 3), (3, 0), (2, 3), (3, 2), (0, 1)} & repel


def test_views_are_pictures_and_the_seed_decides_them():
    """An augmentation that draws from the global generator makes two runs of one archive differ."""
    pictures = torch.rand(5, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    one, same, other = (augment(pictures, 32, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert one.shape == (5, 3, 32, 32)
    assert one.min() >= 0
    assert one.max() <= 1
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_projection_finds_tracks_that_plain_features_confuse():
    """Where light varies more than identity, the nearest plain neighbour shares the light, not the animal."""
    rng = np.random.default_rng(2)
    identity = np.repeat(rng.normal(size=(200, 8)), 4, axis=0)
    nuisance = rng.normal(size=(800, 24)) * 2
    features = (np.concatenate([identity, nuisance], 1) + 0.05 * rng.normal(size=(800, 32))).astype(np.float32)
    track, video = np.repeat(np.arange(200), 4), np.repeat(np.arange(20), 40)
    plain = retrieval(features, track, video, None, 0)
    learned = retrieval(features, track, video, 8, 0)
    assert plain < 0.3 < 0.8 < learned


def test_the_projection_of_few_tracks_fills_what_it_cannot_know_with_zeros():
    """Fewer crops than dimensions gave NaN vectors from a scatter that cannot be inverted."""
    features = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32)
    _, weight = fit_projection(features, np.array([0, 0, 1, 1, 2, 2]), 16)
    assert weight.shape == (16, 40)
    assert np.isfinite(weight).all()
    assert (np.abs(weight).sum(1) > 0).sum() == 2
    with pytest.raises(ValueError, match="two tracks"):
        fit_projection(features, np.zeros(6, dtype=np.int64), 16)


def test_a_backbone_learns_and_two_runs_give_the_same_bits():
    """The same archive and seed must give the same embedder in another home."""
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        network = nn.Sequential(*layers)
        losses = train_backbone(network, 32, _crops(), lambda x: x - 0.5, epochs=30, seed=5, device=CPU)
        states.append(network.state_dict())
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert not network.training
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_one_track_alone_cannot_be_told_apart_from_anything():
    """A loss without a negative is nan and ruins the weights."""
    with pytest.raises(ValueError, match="two tracks"):
        train_backbone(nn.Flatten(), 3072, _crops(tracks=1), lambda x: x, epochs=1, seed=0, device=CPU)
