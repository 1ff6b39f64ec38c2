"""An embedder that comes as an ONNX file: the same features as in torch, kept with the model, refused in words."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from chimp_assets.settings import load_settings
from chimp_assets.vision.embedding.backbones import backbone_of
from chimp_assets.vision.embedding.embedder import CHANNEL_MEAN, CHANNEL_STD, fit_embedder, load_embedder
from chimp_assets.vision.embedding.fine_tuning import refuse_onnx
from chimp_assets.vision.embedding.onnx_backbone import backbone_of_file, backbone_of_name
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError, champion
from chimp_assets_tests.vision.animals import make_animals
from chimp_assets_tests.vision.detection.onnx.networks import export

SIDE, FEATURES = 40, 12


class Maps(nn.Module):
    """A layer whose maps are the output: form "map", "tokens" or "vector"."""

    def __init__(self, form="vector"):
        super().__init__()
        torch.manual_seed(3)
        self.layer, self.form = nn.Conv2d(3, FEATURES, 8, 8), form

    def forward(self, pictures):
        maps = self.layer(pictures)
        if self.form == "map":
            return maps
        return maps.flatten(2).transpose(1, 2) if self.form == "tokens" else maps.mean((2, 3))


def exported(folder, network=None, batch=1, **options):
    sides = {"images": {0: "n"}} if batch is None else None
    example = torch.zeros(batch or 1, 3, SIDE, SIDE)
    return export(network or Maps(), folder / "embedder.onnx", example, open_sides=sides, **options)


def normalised(pictures):
    return (pictures - torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1)) / torch.tensor(CHANNEL_STD).view(1, 3, 1, 1)


@pytest.mark.parametrize("batch", [1, 4, None])
@pytest.mark.parametrize("form", ["vector", "map", "tokens"])
def test_features_are_those_of_the_network_whatever_its_form_and_batch(tmp_path, form, batch):
    backbone, side, _ = backbone_of_file(exported(tmp_path, Maps(form), batch))
    assert (side, backbone.n_features) == (SIDE, FEATURES)
    pictures = torch.rand(7, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, wanted = backbone(normalised(pictures)), Maps()(normalised(pictures))
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("written", [{"mean": "[0.5, 0.4, 0.3]", "std": "[0.2, 0.2, 0.1]"},
                                     {"image_mean": "(127.5, 102, 76.5)", "image_std": "(51, 51, 25.5)"}])  # fmt: skip
def test_values_are_normalised_as_the_file_says_unless_the_settings_do(tmp_path, written):
    """MegaDescriptor wants 0.5 and 0.5, DINOv2 ImageNet's: wrong ones cost accuracy and no error shows it."""
    file = exported(tmp_path, metadata=written)
    backbone, _, _ = backbone_of_file(file)
    assert torch.allclose(backbone.mean, torch.tensor([0.5, 0.4, 0.3]))
    assert torch.allclose(backbone.std, torch.tensor([0.2, 0.2, 0.1]))
    pictures = torch.rand(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        wanted = Maps()((pictures - backbone.mean.view(1, 3, 1, 1)) / backbone.std.view(1, 3, 1, 1))
        assert torch.allclose(backbone(normalised(pictures)), wanted, atol=1e-4)
    changed, _, _ = backbone_of_file(file, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    assert changed.mean.tolist() == [0.5, 0.5, 0.5]


def test_the_first_embedder_is_made_of_a_file_and_needs_it_no_more(home, tmp_path):
    """Workers of other machines have the store, not the operator's download folder."""
    make_animals(home)
    file = exported(tmp_path)
    settings = load_settings(
        home.settings.home,
        embed={"crop_side": 96, "dimensions": 16, "weights": str(file), "weights_licence": "MIT"},
        compute={"device": "cpu"},
    )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    fit_embedder(home.database, home.store, settings)
    file.unlink()
    with home.database.read() as conn:
        row = champion(conn, "embedder")
    assert row is not None
    assert (row.config["kind"], row.config["licence"], row.config["crop_side"]) == ("file+tracks", "MIT", SIDE)
    assert row.config["weights_sha256"] == digest
    embedder = load_embedder(home.store, row, torch.device("cpu"))
    crops = np.random.default_rng(0).integers(0, 255, (5, SIDE, SIDE, 3), dtype=np.uint8)
    vectors = embedder.embed(crops)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with torch.inference_mode():
        wanted = Maps()(normalised(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255))
    assert np.allclose(embedder.backbone_features(crops), wanted.numpy(), atol=1e-4)
    with pytest.raises(ModelError, match="cannot be trained further"):
        refuse_onnx("auto", row)
    refuse_onnx("small", row)


def test_what_is_no_embedder_is_refused_in_words(tmp_path):
    class Grey(nn.Module):
        def forward(self, pictures):
            return pictures.mean((1, 2, 3))

    class Numberless(Maps):
        def forward(self, pictures):
            return super().forward(pictures) / 0.0 * 0.0

    with pytest.raises(ModelFileError, match="are no features"):
        backbone_of_file(exported(tmp_path, Grey()))
    backbone, _, _ = backbone_of_file(exported(tmp_path, Numberless()))
    with pytest.raises(ModelFileError, match="no numbers"), torch.inference_mode():
        backbone(torch.zeros(1, 3, SIDE, SIDE))
    (tmp_path / "embedder.onnx").write_bytes(b"the waterhole, 6 May")
    with pytest.raises(ModelFileError, match="no ONNX file"):
        backbone_of_file(tmp_path / "embedder.onnx")
    with pytest.raises(ModelFileError, match="names no ONNX embedder"):
        backbone_of_name("onnx:many")


def test_pictures_of_another_size_are_scaled(tmp_path):
    backbone, _, _ = backbone_of_file(exported(tmp_path))
    with torch.inference_mode():
        assert backbone(torch.zeros(3, 3, 64, 64)).shape == (3, FEATURES)


def test_a_network_of_timm_takes_the_weights_of_a_file(tmp_path):
    """Needs the extra `timm`."""
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    from safetensors.torch import save_file

    from chimp_assets.vision.embedding.backbones import load_weights

    whole = timm.create_model("resnet10t", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "t.safetensors")
    network, n = backbone_of("timm:resnet10t")
    assert load_weights(network, tmp_path / "t.safetensors", "MIT").matched > 10
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, n)
