"""An image embedder that comes as an ONNX file, as a backbone: pictures in, features out, nothing to train.

Belongs here: its input and output, its own normalisation, the bytes of the file as a part of the model, so that a
model's file is enough on every machine. Does not belong here: opening (`models.onnx_file`), the projection
(`embedder`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chimp_assets.database.work.due import ONNX_BACKBONE
from chimp_assets.vision.models.checkpoint import ModelFileError
from chimp_assets.vision.models.onnx_file import (
    SUFFIX,
    UNREADABLE_TEXT,
    OnnxNetwork,
    TensorSignature,
    places_of_weights,
)
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import Settings

MOST_PIXELS = 64 * 96 * 96
"""Of the crops that go through at once: as many bytes as any backbone takes."""
CROP_BYTES = 2**30
"""Of all crops that a projection is fitted on; crops of these networks are large."""
_LARGEST_SIDE, _MOST_FEATURES = 512, 1 << 16
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_EXPORT = "Export it with one input [n, 3, side, side] and one output [n, features]."


class OnnxBackbone(nn.Module):
    """Pictures f32 [n, 3, s, s], normalised as ImageNet, to features f32 [n, n_features].

    content: the bytes of the file, u8 [b]; mean, std: of values 0 to 1, in whose units the network was trained. A
    network whose output is a map or a list of tokens is averaged over them. On a GPU if the pictures are there and
    onnxruntime has one. Raises ModelFileError if the file is no such network, as soon as it is used.
    """

    content: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, n_features: int, n_bytes: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.register_buffer("content", torch.zeros(n_bytes, dtype=torch.uint8))
        self.register_buffer("mean", torch.tensor(_IMAGENET[0]))
        self.register_buffer("std", torch.tensor(_IMAGENET[1]))
        self._opened: tuple[torch.device, OnnxNetwork] | None = None

    @property
    def name(self) -> str:
        """onnx:FEATURES:BYTES, by which `backbones.backbone_of` builds another before its bytes are loaded."""
        return f"{ONNX_BACKBONE}{self.n_features}:{len(self.content)}"

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        network = self._network(pictures.device)
        picture = _picture(network)
        side = _side(picture) or pictures.shape[-1]
        usual_mean, usual_std = (torch.tensor(one, device=pictures.device).view(1, 3, 1, 1) for one in _IMAGENET)
        mean, std = self.mean.view(1, 3, 1, 1), self.std.view(1, 3, 1, 1)
        seen = (pictures * usual_std + usual_mean - mean) / std
        if seen.shape[-1] != side:
            seen = functional.interpolate(
                seen, (side, side), mode="bilinear", antialias=seen.shape[-1] > side, align_corners=False
            )
        given = seen.cpu().numpy().astype(picture.dtype)
        most = picture.shape[0] or max(1, MOST_PIXELS // side**2)
        found = [self._features(network, picture, given[start : start + most]) for start in range(0, len(given), most)]
        return torch.from_numpy(np.concatenate(found)).to(pictures.device)

    def _features(self, network: OnnxNetwork, picture: TensorSignature, given: np.ndarray) -> np.ndarray:
        n = len(given)
        if picture.shape[0] is not None and picture.shape[0] > n:
            given = np.concatenate([given, np.repeat(given[-1:], picture.shape[0] - n, 0)])
        features = _pooled(network.run({picture.name: np.ascontiguousarray(given)}), network.file.name)[:n]
        if features.shape != (n, self.n_features) or not np.isfinite(features).all():
            raise ModelFileError(
                f"The embedder {network.file.name} gave features of the shape {list(features.shape)}"
                f"{'' if np.isfinite(features).all() else ' that are no numbers'}.",
                "Export it again, in full precision (fp32) if this file has half.",
            )
        return features

    def _network(self, device: torch.device) -> OnnxNetwork:
        """The opened network, once for each device: bytes that were loaded since then need another backbone."""
        if self._opened is None or self._opened[0] != device:
            content = self.content.cpu().numpy().tobytes()
            wanted = "auto" if device.type == "cuda" else "cpu"
            network = OnnxNetwork(Path(f"of {len(content)} bytes"), wanted, torch.get_num_threads(), content)
            self._opened = device, network
        return self._opened[1]


def backbone_of_name(name: str) -> OnnxBackbone:
    """A backbone of a name's form, empty until its bytes are loaded. Raises ModelFileError for another name."""
    parts = name.removeprefix(ONNX_BACKBONE).split(":")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ModelFileError(f"{name!r} names no ONNX embedder.", "Name the .onnx file in embed.weights.")
    return OnnxBackbone(int(parts[0]), int(parts[1]))


def backbone_of_file(
    file: Path, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> tuple[OnnxBackbone, int | None, str]:
    """A backbone with the bytes of a file, the side of its pictures (None if it is open), its SHA-256.

    mean, std: of values 0 to 1; None for what the file's texts say (`mean`, `std`, `image_mean`, `image_std`), else
    ImageNet's. Raises ModelFileError if the file is no embedder.
    """
    network = OnnxNetwork(file, "cpu", torch.get_num_threads())
    content = file.read_bytes()
    if places_of_weights(content, file.name):
        raise ModelFileError(
            f"{file.name} keeps its weights in other files, and an embedder is stored as one.",
            "Export it as one file (torch.onnx.export with external_data=False).",
        )
    picture = _picture(network)
    side = _side(picture)
    blank = np.zeros((picture.shape[0] or 1, 3, side or 224, side or 224), picture.dtype)
    features = _pooled(network.run({picture.name: blank}), file.name)
    if not 1 <= features.shape[1] <= _MOST_FEATURES or len(features) != len(blank):
        raise ModelFileError(f"{file.name} gave features of the shape {list(features.shape)}.", _EXPORT)
    backbone = OnnxBackbone(features.shape[1], len(content))
    texts = network.signature.metadata
    backbone.mean.copy_(torch.tensor(mean or _three(texts, "mean", "image_mean") or _IMAGENET[0]))
    backbone.std.copy_(torch.tensor(std or _three(texts, "std", "image_std") or _IMAGENET[1]))
    if not (backbone.std > 0).all():
        raise ModelFileError(f"The deviations of {file.name} are not above 0.", "Set embed.weights_std.")
    backbone.content.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    return backbone, side, network.sha256


def settings_for_file(settings: Settings, store: BlobStore) -> Settings:
    """The settings with the crop side of the file that `embed.weights` names, if it is an ONNX file whose input has one
    size, and with so few crops that they fit into memory."""
    name = settings.embed.weights_file
    if name is None or not name.endswith(SUFFIX):
        return settings
    _, side, _ = backbone_of_file(local_weights(settings, store, name))
    side = side or settings.embed.crop_side
    most = min(settings.embed.max_crops, CROP_BYTES // (3 * side**2))
    return settings.model_copy(
        update={"embed": settings.embed.model_copy(update={"crop_side": side, "max_crops": most})}
    )


def _picture(network: OnnxNetwork) -> TensorSignature:
    """The input. Raises ModelFileError if it is not one of square pictures."""
    inputs = network.signature.inputs
    listed = ", ".join(map(str, inputs)) or "none"
    if (
        len(inputs) != 1
        or len(inputs[0].shape) != 4
        or inputs[0].shape[1] not in (3, None)
        or inputs[0].dtype not in (np.float32, np.float16)
        or (None not in inputs[0].shape[2:] and inputs[0].shape[2] != inputs[0].shape[3])
        or max((side or 0 for side in inputs[0].shape[2:]), default=0) > _LARGEST_SIDE
    ):
        raise ModelFileError(
            f"The inputs of {network.file.name} are not square pictures of up to {_LARGEST_SIDE} pixels: {listed}.",
            _EXPORT,
        )
    return inputs[0]


def _side(picture: TensorSignature) -> int | None:
    return picture.shape[2] or picture.shape[3]


def _pooled(outputs: list[np.ndarray], name: str) -> np.ndarray:
    """f32 [n, d]: the first output of that form, else the mean over a map [n, d, h, w] or tokens [n, t, d]."""
    for rank, axes in ((2, ()), (4, (2, 3)), (3, (1,))):
        for one in outputs:
            if one.ndim == rank and one.dtype.kind == "f":
                return np.asarray(one.mean(axes) if axes else one, np.float32)
    shapes = ", ".join(str(list(one.shape)) for one in outputs)
    raise ModelFileError(f"The outputs of {name} ({shapes}) are no features.", _EXPORT)


def _three(texts: Mapping[str, str], *keys: str) -> tuple[float, float, float] | None:
    """Three numbers that an exporter wrote, in units of 0 to 1 whichever it used."""
    for key in keys:
        try:
            one, two, three = (float(value) for value in ast.literal_eval(texts.get(key, "")))
        except UNREADABLE_TEXT:
            continue
        if np.isfinite((one, two, three)).all():
            scale = 255.0 if max(one, two, three) > 1.5 else 1.0
            return one / scale, two / scale, three / scale
    return None
