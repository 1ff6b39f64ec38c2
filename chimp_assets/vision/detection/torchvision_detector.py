"""Detectors of torchvision: with COCO's classes, with a user's weights, or learned from drawn boxes.

Belongs here: reading weights, running the network, a network to start a training from. Does not belong here: training
(`box_training`), choosing a detector (`detector`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torchvision.models import get_model, get_model_weights
from torchvision.ops import nms

from chimp_assets.vision.detection.batches import batches_of, in_halves
from chimp_assets.vision.detection.interface import DetectorError, FrameBoxes, Picture
from chimp_assets.vision.learning.device import device_of

DEFAULT_ARCHITECTURE = "fasterrcnn_mobilenet_v3_large_320_fpn"
COCO_CLASSES = 91
COCO_ANIMALS = (16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
"""bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe in torchvision's numbering (0 is background).
COCO has no apes: they are detected as bear, dog or cow, which is good enough for a box."""
BATCH = 4
"""Pictures that go through the network at once on a CPU; more are no faster there."""
BATCH_GPU = 16


class TorchvisionDetector:
    """A network of torchvision.models.detection with COCO's classes, or fine-tuned ones where every class is an animal.

    weights: path of a .safetensors or .pth state dict; None takes torchvision's COCO weights, which are downloaded if
    possible. A safetensors file may name its network in its metadata (`architecture`) and the labels
    that are animals (`animal_labels`, JSON list); else the network is `architecture` and the labels are COCO's animals,
    or all labels if the number of classes is not COCO's. device: None for a GPU if there is one. Raises DetectorError.
    """

    name = "torchvision"

    def __init__(
        self,
        weights: str | Path | None = None,
        architecture: str = DEFAULT_ARCHITECTURE,
        min_score: float = 0.05,
        device: torch.device | None = None,
    ) -> None:
        self._min_score = min_score
        self._device = device or device_of()
        if weights is None:
            self._network, digest = _downloaded(architecture)
            labels = list(COCO_ANIMALS)
        else:
            state, metadata, digest = _read_weights(Path(weights))
            architecture = metadata.get("architecture", architecture)
            classes = _classes_of(state)
            self._network = network_of(architecture, classes, state, Path(weights))
            labels = list(COCO_ANIMALS) if classes == COCO_CLASSES else list(range(1, classes))
            labels = json.loads(metadata.get("animal_labels", json.dumps(labels)))
        self._network.eval().to(self._device)
        self._labels = np.array(labels)
        self._config = {
            "architecture": architecture,
            "weights_hash": digest,
            "animal_labels": labels,
            "min_score": min_score,
        }

    @classmethod
    def of_network(
        cls, network: torch.nn.Module, config: dict[str, Any], digest: str, device: torch.device | None = None
    ) -> TorchvisionDetector:
        """A detector of a network that was trained here. config: of its row of `model`; device: as above."""
        made = cls.__new__(cls)
        made._device = device or device_of()
        made._network, made._min_score = network.eval().to(made._device), float(config["min_score"])
        made._labels = np.array(config["animal_labels"])
        made._config = {**config, "weights_hash": digest}
        return made

    @property
    def config(self) -> dict[str, Any]:
        """Network, hash of the weights (blake2b-256), animal labels, lowest score."""
        return dict(self._config)

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """See `Detector.detect`. Pictures go through in batches of four, on a GPU of sixteen."""
        most = BATCH_GPU if self._device.type == "cuda" else BATCH
        for batch in batches_of(pictures, most):
            for (frame_no, _, rgb), output in zip(batch, in_halves(batch, self._outputs), strict=True):
                height, width = rgb.shape[:2]
                corners = output["boxes"].cpu().numpy() / [width, height, width, height]
                scores = output["scores"].cpu().numpy()
                kept = np.isin(output["labels"].cpu().numpy(), self._labels) & (scores >= self._min_score)
                yield frame_no, _rows(corners[kept], scores[kept])

    def _outputs(self, batch: list[Picture]) -> list[dict[str, torch.Tensor]]:
        """What the network finds."""
        # Bytes, not floats, cross the bus.
        tensors = [
            torch.from_numpy(np.array(rgb)).permute(2, 0, 1).to(self._device).float() / 255 for _, _, rgb in batch
        ]
        with torch.inference_mode():
            found: list[dict[str, torch.Tensor]] = self._network(tensors)
        return found


def _rows(corners: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Corner boxes as (x, y, w, h, score) rows inside the picture; of boxes that nearly coincide the best stays."""

    corners = np.clip(corners, 0, 1)
    # The network suppresses by class, and one ape may be detected as a bear and as a dog.
    kept = nms(torch.from_numpy(corners).float(), torch.from_numpy(scores).float(), 0.6).numpy()
    corners, scores = corners[kept], scores[kept]
    rows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2], scores[:, None]], axis=1)
    return rows[(rows[:, 2] > 0) & (rows[:, 3] > 0)].astype(np.float32)


def _downloaded(architecture: str) -> tuple[torch.nn.Module, str]:

    try:
        weights = get_model_weights(architecture).DEFAULT
        return get_model(architecture, weights=weights), str(weights)
    except (OSError, RuntimeError) as error:
        raise DetectorError(
            f"The weights of {architecture} could not be downloaded: {error}.",
            "Copy the file to this machine and set detect.weights to it, or set detect.detector to motion.",
        ) from error
    except ValueError as error:
        raise _unknown_architecture(architecture) from error


def _unknown_architecture(architecture: str) -> DetectorError:
    return DetectorError(
        f"{architecture!r} is not a detection network of torchvision.", f"Use for example {DEFAULT_ARCHITECTURE}."
    )


def _read_weights(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str], str]:
    """State dict, metadata and blake2b-256 of a weights file. Never runs code from the file."""

    if not file.is_file():
        raise DetectorError(f"There is no weights file {file}.", "Set detect.weights to an existing file.")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt") as tensors:
                state = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118 (not a mapping)
                return state, tensors.metadata() or {}, digest
        except (SafetensorError, OSError, ValueError) as error:
            raise _not_weights(file, error) from error
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # Reading a foreign file as a pickle can fail with any exception; they have no common base.
        raise _not_weights(file, error) from error
    if not isinstance(state, dict):
        raise _not_weights(file, TypeError(f"it holds a {type(state).__name__}"))
    return state.get("model", state.get("state_dict", state)), {}, digest


def _not_weights(file: Path, error: Exception) -> DetectorError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DetectorError(
        f"{file} is not a file of weights: {first}.", "Set detect.weights to a .safetensors or .pth state dict."
    )


def _classes_of(state: dict[str, torch.Tensor]) -> int:
    """Classes (background included) of a Faster R-CNN state dict; COCO's number for other networks."""
    predictor = state.get("roi_heads.box_predictor.cls_score.weight")
    return COCO_CLASSES if predictor is None else int(predictor.shape[0])


def network_of(architecture: str, classes: int, state: dict[str, torch.Tensor], file: Path) -> torch.nn.Module:

    try:
        network = get_model(architecture, weights=None, weights_backbone=None, num_classes=classes)
    except ValueError as error:
        raise _unknown_architecture(architecture) from error
    try:
        network.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise DetectorError(
            f"The weights {file} do not fit {architecture}.",
            "Name the right network in the safetensors metadata of the file (architecture).",
        ) from error
    assert isinstance(network, torch.nn.Module)
    return network


def start_of_training(weights: str | None, architecture: str) -> tuple[torch.nn.Module, str, str]:
    """A network for one class to train, its architecture, and the hash of its initial weights, or `zero`.

    weights: a file as for `TorchvisionDetector`; tensors that fit are loaded, the layer of the classes is new.
    """

    if weights is None:
        return get_model(architecture, weights=None, weights_backbone=None, num_classes=2), architecture, "zero"
    state, metadata, digest = _read_weights(Path(weights))
    architecture = metadata.get("architecture", architecture)
    try:
        network = get_model(architecture, weights=None, weights_backbone=None, num_classes=2)
    except ValueError as error:
        raise _unknown_architecture(architecture) from error
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    fitting = {name: tensor for name, tensor in state.items() if shapes.get(name) == tensor.shape}
    if len(fitting) < 0.5 * len(shapes):
        raise DetectorError(
            f"The weights {weights} do not fit {architecture}.",
            "Name the right network in the safetensors metadata of the file (architecture).",
        )
    network.load_state_dict(fitting, strict=False)
    return network, architecture, digest
