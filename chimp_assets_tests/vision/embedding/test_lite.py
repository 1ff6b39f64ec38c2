"""What a million photographs taught: the network of the package, and the embedders that use it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from chimp_assets.vision.embedding import backbones
from chimp_assets.vision.embedding.backbones import pretrained_network
from chimp_assets.vision.embedding.lite import Lite0, _SameConv2d
from chimp_assets.vision.embedding.metric_learning import Crops, Recipe, learn
from chimp_assets.vision.embedding.patches import SCALES
from chimp_assets.vision.models.checkpoint import ModelFileError
from chimp_assets_tests.paths import SHARED_DATA

FACES = SHARED_DATA / "identity" / "chimpanzee"
CHIMPANZEE = 367
"""Its place among ImageNet's classes, in the order that everybody uses."""


def crops(classes: int = 3, each: int = 6, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Noise of its own colour for each class: u8 [n, s, s, 3], i64 [n]."""
    rng = np.random.default_rng(1)
    colour = rng.integers(60, 200, (classes, 1, 1, 3))
    target = np.repeat(np.arange(classes), each)
    noise = rng.integers(-50, 50, (len(target), side, side, 3))
    return (colour[target] + noise).clip(0, 255).astype(np.uint8), target


@pytest.mark.parametrize(("side", "kernel", "first"), [(8, 3, 0), (9, 3, -1), (8, 5, -1), (9, 5, -2)])
def test_a_convolution_that_halves_looks_where_tensorflow_does(side, kernel, first):
    """Symmetric padding shifts every map by half a pixel at each of five halvings: the weights expect the other one."""
    one = _SameConv2d(1, 1, kernel, 2, bias=False)
    with torch.no_grad():
        one.weight.zero_()
        one.weight[0, 0, 0, 0] = 1  # the upper left corner of what a field sees
    ramp = (torch.arange(float(side)) + 1).repeat(side, 1)[None, None]
    with torch.no_grad():
        seen = one(ramp.transpose(2, 3))[0, 0, :, -1]
        across = one(ramp)[0, 0, -1]
    wanted = [at + 1.0 if 0 <= at < side else 0.0 for at in range(first, side, 2)][: -(-side // 2)]
    assert across.tolist() == wanted
    assert seen.tolist() == wanted


@pytest.mark.skipif(not FACES.is_dir(), reason="the shared pictures are not on this machine")
def test_it_knows_a_chimpanzee_when_it_sees_one():
    """Weights under wrong names, a channel order or a scale that they were not learned with: nothing would fail."""
    network = pretrained_network()
    package = backbones.importlib.resources.files(backbones.LITE_PACKAGE) / "models" / backbones.LITE_FILE
    last = torch.load(str(package), map_location="cpu", weights_only=True)
    files = sorted(FACES.rglob("*.jpg"))[::12][:20] or sorted(FACES.rglob("*.png"))[::12][:20]
    pictures = np.stack([cv2.resize(cv2.imread(str(file))[..., ::-1], (224, 224)) for file in files])
    maps = {}
    network._bn1.register_forward_hook(lambda _, __, found: maps.update(last=functional.relu6(found).mean((2, 3))))
    network.describe(pictures)
    first_five = (maps["last"] @ last["_fc.weight"].T + last["_fc.bias"]).topk(5).indices
    known = (first_five == CHIMPANZEE).any(1).float().mean()
    assert known >= 0.8
    assert (first_five.numpy()[:, 0] < 398).mean() >= 0.8  # an animal at least


def test_a_crop_is_described_alike_alone_and_among_others_and_each_depth_counts_the_same():
    """A batch of another size must not change a vector that is compared with stored ones."""
    network = pretrained_network()
    pictures, _ = crops(side=96)
    together = network.describe(pictures)
    assert together.shape == (18, network.n_features)
    assert np.allclose(together[4], network.describe(pictures[4:5])[0], atol=1e-5)
    assert np.allclose((together[:, :80] ** 2).sum(1), 1, atol=1e-5)
    assert np.allclose((together**2).sum(1), 6, atol=1e-4)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_another_file_in_the_package_is_refused(monkeypatch):
    """A package of the same name from elsewhere may hold anything."""
    monkeypatch.setattr(backbones, "LITE_SHA256", "0" * 64)
    with pytest.raises(ModelFileError, match="not the expected file"):
        pretrained_network()


def test_without_the_package_the_archive_teaches_alone(monkeypatch, caplog):
    """Who installs by hand and leaves it out has an embedder all the same."""
    monkeypatch.setattr(backbones, "LITE_PACKAGE", "a_package_that_nobody_has")
    assert pretrained_network() is None
    assert "not installed" in caplog.text
    pictures, target = crops()
    learned = learn(Crops(pictures, target), Recipe(min_views=32, epochs=0, pretrained=True), seed=1, dimensions=16)
    assert learned.embedder.pretrained is None
    assert learned.embedder.embed(pictures).shape == (18, 16)


def test_what_it_sees_stands_beside_the_patches_with_the_weight_that_days_give_it():
    """Its weight is folded into the projection; folded wrongly, vectors would still look like vectors."""
    pictures, target = crops(side=64)
    group = np.tile(np.arange(3), 6)
    recipe = Recipe(min_views=32, epochs=0, pretrained=True)
    embedder = learn(Crops(pictures, target, group=group), recipe, seed=1, dimensions=16).embedder
    again = learn(Crops(pictures, target, group=group), recipe, seed=1, dimensions=16).embedder
    assert np.array_equal(embedder.embed(pictures), again.embed(pictures))
    assert isinstance(embedder.pretrained, Lite0)
    assert embedder.patches is not None
    blocks = [embedder.patches, embedder.pretrained, *([embedder.mobile] if embedder.mobile is not None else [])]
    described = np.concatenate([block.describe(pictures) for block in blocks], axis=1)
    assert np.allclose(embedder.features(pictures)[:, : described.shape[1]], described, atol=1e-5)
    n = described.shape[1]
    seen = (described - embedder.mean.numpy()[:n]) @ embedder.weight.numpy()[:, :n].T
    # Linear discriminants of centred rows are centred, whatever the weight of each part.
    assert np.abs(seen.mean(0)).max() < 1e-3 * np.abs(seen).max()
    told = seen[:, 8:] / np.linalg.norm(seen[:, 8:], axis=1, keepdims=True)
    alike = told @ told.T
    same = target[:, None] == target[None, :]
    assert alike[same].mean() > 0.9 > alike[~same].mean() + 0.5
    assert len(SCALES) == len(embedder.patches.weight)
