"""Backbones by name, and weights files of the user's."""

import hashlib
import pickle
import sys
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from chimp_assets.vision.embedding.backbones import backbone_of, load_imagenet, load_weights
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError


@pytest.fixture
def given():
    """Weights of a small network, with another last layer, as people share them."""
    torch.manual_seed(4)
    network, _ = backbone_of("small")
    return network.state_dict()


def fresh():
    return backbone_of("small")[0]


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_weights_file_is_loaded_whatever_its_prefix(tmp_path, given, prefix, suffix):
    """Checkpoints of published models carry the names of their training code; half of them loaded is none loaded."""
    path = tmp_path / f"weights{suffix}"
    named = {prefix + name: tensor for name, tensor in given.items()} | {"head.weight": torch.zeros(3, 192)}
    if suffix == ".safetensors":
        save_file(named, path)
    else:
        torch.save({"state_dict": named, "epoch": 3}, path)
    network = fresh()
    loaded = load_weights(network, path, "CC BY-NC 4.0")
    assert all(torch.equal(tensor, given[name]) for name, tensor in network.state_dict().items())
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (loaded.licence, loaded.matched) == ("CC BY-NC 4.0", len(given))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_a_file_that_could_run_code_is_not_loaded(tmp_path, capsys):
    """A checkpoint from the internet must not be a program."""
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"stem.0.weight": Evil()}))
    with pytest.raises(ModelFileError, match="holds more than tensors"):
        load_weights(fresh(), path, "not stated")
    assert "run" not in capsys.readouterr().out


def test_a_file_of_another_network_is_refused_in_one_sentence(tmp_path, given):
    """A shape that does not fit, skipped in silence, leaves that layer random."""
    path = tmp_path / "weights.safetensors"
    save_file(given | {"stem.0.weight": torch.zeros(24, 3, 7, 7)}, path)
    with pytest.raises(ModelFileError, match=r"stem.0.weight has shape \[24, 3, 7, 7\]") as refused:
        load_weights(fresh(), path, "not stated")
    assert "\n" not in str(refused.value)
    del given["stem.0.weight"]
    save_file(given, path)
    with pytest.raises(ModelFileError, match="lacks 1 of the"):
        load_weights(fresh(), path, "not stated")
    path.write_bytes(b"not weights")
    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        load_weights(fresh(), path, "not stated")
    with pytest.raises(ModelFileError, match="There is no weights file"):
        load_weights(fresh(), tmp_path / "nowhere.pth", "not stated")


def test_without_timm_its_models_ask_for_it(monkeypatch):
    """An ImportError from the depth of a training says nothing about the setting that asked for it."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"timm is not installed.*pip install chimp-assets\[timm\]"):
        backbone_of("timm:vit_small_patch14_dinov2")


def test_a_model_of_timm_comes_without_its_last_layer(monkeypatch):
    """Asked with its classes, timm gives logits of ImageNet for features; asked for weights, it would download them."""
    asked = {}

    def create_model(name, **options):
        if name == "no_such":
            raise RuntimeError("Unknown model (no_such)")
        asked.update(options)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3, 5))
        network.num_features = 5
        return network

    timm = ModuleType("timm")
    timm.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", timm)
    network, n_features = backbone_of("timm:tiny")
    assert (n_features, asked) == (5, {"pretrained": False, "num_classes": 0})
    assert not load_imagenet(network, "timm:tiny")
    with pytest.raises(ModelError, match="timm has no model called 'no_such'"):
        backbone_of("timm:no_such")
