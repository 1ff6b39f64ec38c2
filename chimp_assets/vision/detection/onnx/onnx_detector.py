"""A detector that comes as an ONNX file, with the decoding of its outputs.

Belongs here: opening it, batches, one class of animals, boxes as the tracker wants them. Does not belong here: the file
(`models.onnx_file`), layouts (`decodings`), which detector is used (`detector`).
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.interface import DetectorError, FrameBoxes, Picture
from chimp_assets.vision.detection.onnx.choosing import AUTO, chosen_decoding
from chimp_assets.vision.detection.onnx.classes import AnimalClasses, animal_classes, names_in
from chimp_assets.vision.detection.onnx.decoding import ClassBoxes, Seen
from chimp_assets.vision.detection.onnx.decodings.rt_detr import TARGET_SIZES
from chimp_assets.vision.detection.onnx.preparation import Placement, Preparation, as_tensor, prepared
from chimp_assets.vision.detection.onnx.suppression import best_boxes
from chimp_assets.vision.models.checkpoint import ModelFileError
from chimp_assets.vision.models.onnx_file import UNREADABLE_TEXT, OnnxNetwork, TensorSignature
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import Settings

log = logging.getLogger(__name__)

BATCH, BATCH_GPU = 4, 16
"""Pictures that go through at once where the file leaves it open; more are no faster on a CPU."""
_LARGEST_SIDE = 4096
_STRIDE = 32
"""Sides that the file leaves open are multiples of the coarsest grid."""


def onnx_detector_of(settings: Settings, store: BlobStore | None = None) -> OnnxDetector:
    """The detector of the file that `detect.weights` names. store: where it lies if it is a key of it.

    Raises DetectorError if it cannot be used, ModelFileError if the store does not have it, ModelError
    if there is no GPU.
    """
    detect = settings.detect
    if detect.weights is None:
        raise DetectorError(
            'detect.detector is "onnx", and detect.weights names no file.', "Set detect.weights to an .onnx file."
        )
    file = Path(detect.weights) if store is None else local_weights(settings, store, detect.weights)
    return OnnxDetector(
        file.expanduser(),
        decoding=detect.decoding,
        classes=detect.classes,
        side=detect.onnx_side,
        preparation={
            "fit": detect.onnx_fit,
            "colours": detect.onnx_colours,
            "mean": detect.onnx_mean,
            "std": detect.onnx_std,
        },
        # Boxes far below the threshold are never used.
        min_score=round(detect.min_score / 2, 3),
        device=settings.compute.device,
        threads=settings.compute.threads,
    )


class OnnxDetector:
    """A network as a file, whose animals are one class.

    decoding: a name of `choosing.DECODINGS`, or auto; classes: see `classes.animal_classes`; side: of the input where
    the file leaves it open; preparation: what differs from the decoding's, None for what does not; device, threads: see
    `OnnxNetwork`. One blank picture is looked at first: what does not run, or is not understood, is refused here.
    Raises DetectorError; ModelError if a GPU is asked for and not there.
    """

    name = "onnx"

    def __init__(
        self,
        file: str | Path,
        *,
        decoding: str = AUTO,
        classes: Sequence[str] = (),
        side: int | None = None,
        preparation: dict[str, Any] | None = None,
        min_score: float = 0.05,
        device: str = "auto",
        threads: int = 0,
    ) -> None:
        self._min_score = min_score
        self._network = _understood(lambda: OnnxNetwork(Path(file), device, threads))
        signature = self._network.signature
        self._input, self._with_sizes = _picture_input(signature.inputs, self._network.file.name)
        self._names = names_in(signature.metadata)
        self._side, is_open = self._side_of(side)
        seen = self._seen(self._side)
        self._decoding = chosen_decoding(decoding, seen, self._network.file.name)
        if is_open and side is None and "imgsz" not in signature.metadata and self._decoding.side != self._side[0]:
            self._side = (self._decoding.side,) * 2
            seen = self._seen(self._side)
        changed = {key: value for key, value in (preparation or {}).items() if value is not None}
        self._preparation: Preparation = replace(self._decoding.preparation, **changed)
        self._as_is = self._preparation.fit == "as_is" and is_open and side is None
        if self._preparation.fit == "as_is" and not self._as_is:
            self._preparation = replace(self._preparation, fit="corner")
        self._n_classes = self._understand_shape(seen)
        self.classes: AnimalClasses = animal_classes(classes, self._names, self._n_classes, self._decoding)
        self._animals = None if self.classes.numbers is None else np.array(self.classes.numbers)
        # The blank picture's boxes are read too: a layout that does not fit is found before the first video.
        blank = np.zeros((*self._side, 3), np.uint8)
        list(self._detect_batch([(0, 0.0, blank)]))

    @property
    def config(self) -> dict[str, Any]:
        """File and its SHA-256, decoding, size and values of the input, classes, lowest score."""
        height, width = self._side
        return {
            "file": self._network.file.name[:200],
            "weights_sha256": self._network.sha256,
            "decoding": self._decoding.name,
            "input": "as it is" if self._as_is else [height, width],
            "fit": self._preparation.fit,
            "colours": self._preparation.colours,
            "mean": list(self._preparation.mean),
            "std": list(self._preparation.std),
            "animal_classes": self.classes.text[:1500],
            "min_score": self._min_score,
        }

    @property
    def about(self) -> dict[str, str]:
        """What an operator wants to know of it: decoding, input, classes, where it runs."""
        named = [f"{number} {self._names[number]}" for number in self.classes.numbers or () if number in self._names]
        height, width = self._side
        return {
            "decoding": f"{self._decoding.name} ({self._decoding.about})",
            "input": f"{'as it is' if self._as_is else f'{width} x {height}'}, {self._preparation.fit},"
            f" {self._preparation.colours}, {np.dtype(self._input.dtype).name}",
            "animals": f"{', '.join(named)[:300] or self.classes.text} ({self.classes.why})",
            "runs on": "GPU" if self._network.on_gpu else "CPU",
        }

    def detect(self, pictures: Iterator[Picture]) -> Iterator[FrameBoxes]:
        """See `Detector.detect`. Memory: one batch of inputs."""
        most = self._at_once
        batch: list[Picture] = []
        for picture in pictures:
            batch.append(picture)
            if len(batch) == most:
                yield from self._detect_batch(batch)
                batch = []
        if batch:
            yield from self._detect_batch(batch)

    @property
    def _at_once(self) -> int:
        if self._decoding.single or self._as_is or len(self._input.shape) == 3:
            return 1
        return self._input.shape[0] or (BATCH_GPU if self._network.on_gpu else BATCH)

    def _side_of(self, asked: int | None) -> tuple[tuple[int, int], bool]:
        """Height and width of the input, and whether the file leaves them open. asked: detect.onnx_side."""
        height, width = self._sides(self._input.shape)
        metadata = self._network.signature.metadata
        if height is not None and width is not None:
            if max(height, width) > _LARGEST_SIDE:
                raise DetectorError(
                    f"The input of {self._network.file.name} is {width} x {height} pixels; {_LARGEST_SIDE} are most.",
                    "Export it for smaller pictures.",
                )
            return (height, width), False
        written = _sides_in(metadata.get("imgsz", ""))
        wanted = (asked, asked) if asked is not None else written or (640, 640)
        return (height or wanted[0], width or wanted[1]), True

    def _sides(self, shape: tuple[int | None, ...]) -> tuple[int | None, int | None]:
        return (shape[-3], shape[-2]) if self._channels_last else (shape[-2], shape[-1])

    @property
    def _channels_last(self) -> bool:
        shape = self._input.shape
        return shape[-1] == 3 and shape[-3] != 3

    def _seen(self, side: tuple[int, int]) -> Seen:
        """What the network gives for a blank picture. Raises DetectorError if it fails."""
        outputs = self._run(np.full((1, *side, 3), 114, np.uint8), Preparation(), side)
        shapes = tuple(tuple(int(length) for length in one.shape) for one in outputs)
        return Seen(self._network.signature, shapes, side, len(self._names))

    def _understand_shape(self, seen: Seen) -> int | None:
        """How many classes the outputs tell apart. Raises DetectorError if they have another layout."""
        try:
            return self._decoding.classes(seen)
        except (ValueError, IndexError, StopIteration) as error:
            raise self._other_layout(error) from error

    def _run(
        self, canvases: NDArray[np.uint8], preparation: Preparation, side: tuple[int, int]
    ) -> list[NDArray[np.generic]]:
        """Outputs for canvases u8 [n, h, w, 3], a fixed batch filled up with its last picture."""
        assert self._input.dtype is not None
        n = len(canvases)
        fixed = self._input.shape[0] if len(self._input.shape) == 4 else 1
        if fixed is not None and fixed > n:
            canvases = np.concatenate([canvases, np.repeat(canvases[-1:], fixed - n, 0)])
        given = as_tensor(canvases, preparation, self._input.dtype)
        if not self._channels_last:
            given = given.transpose(0, 3, 1, 2)
        if len(self._input.shape) == 3:
            given = given[0]
        inputs = {self._input.name: np.ascontiguousarray(given)}
        if self._with_sizes is not None:
            # Boxes come out in these pixels: those of the input, whose way back is known.
            inputs[TARGET_SIZES] = np.tile(np.array([side[::-1]], self._with_sizes.dtype), (len(canvases), 1))
        return _understood(lambda: self._network.run(inputs))

    def _detect_batch(self, batch: list[Picture]) -> Iterator[FrameBoxes]:
        """Boxes of a batch; in halves if the device runs out of memory."""
        side = self._side
        if self._as_is:
            side = (batch[0][2].shape[0], batch[0][2].shape[1])
        laid = [prepared(picture, *side, self._preparation) for _, _, picture in batch]
        try:
            outputs = self._run(np.stack([canvas for canvas, _ in laid]), self._preparation, side)
        except MemoryError as error:
            if len(batch) == 1:
                raise DetectorError(
                    f"Not even one picture fits into the memory beside {self._network.file.name}: {error}.",
                    "Close other programs, export the network for smaller pictures, or set compute.device to cpu.",
                ) from error
            log.warning("Out of memory: continuing with %d pictures at once.", len(batch) // 2)
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                yield from self._detect_batch(half)
            return
        try:
            found = self._decoding.decode(self._in_order(outputs), side)
        except (ValueError, IndexError, StopIteration) as error:
            raise self._other_layout(error) from error
        if len(found) < len(batch):
            raise self._other_layout(ValueError(f"boxes of {len(found)} pictures for {len(batch)}"))
        for (frame_no, _, _), (_, placement), boxes in zip(batch, laid, found, strict=False):
            yield frame_no, self._rows(boxes, placement)

    def _in_order(self, outputs: list[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        if not self._decoding.order:
            return outputs
        names = [one.name.lower() for one in self._network.signature.outputs]
        places = [next((i for i, n in enumerate(names) if n.startswith(part)), -1) for part in self._decoding.order]
        if min(places) < 0:
            raise ValueError(f"no outputs called {', '.join(self._decoding.order)}")
        return [outputs[place] for place in places]

    def _rows(self, found: ClassBoxes, placement: Placement) -> NDArray[np.float32]:
        """Boxes of animals as f32 [k, 5], best first."""
        corners, scores = found.corners, self._animal_scores(found)
        if np.isnan(scores).any():
            raise self._no_numbers()
        if scores.max(initial=0) > 1.01:
            raise self._other_layout(ValueError(f"scores of up to {scores.max():.4g}, which are no probabilities"))
        kept = np.flatnonzero(scores >= self._min_score)
        corners, scores = corners[kept], scores[kept]
        if np.isnan(corners).any():
            raise self._no_numbers()
        corners = placement.fractions(corners)
        best = best_boxes(corners, scores)
        corners, scores = corners[best], np.minimum(scores[best], 1)
        rows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2], scores[:, None]], 1)
        return rows[(rows[:, 2] > 0) & (rows[:, 3] > 0)].astype(np.float32)

    def _animal_scores(self, found: ClassBoxes) -> NDArray[np.float32]:
        """f32 [k]: the best score of a class that is an animal, 0 for a box of another."""
        if found.labels is not None:
            wanted = found.labels >= int(self._decoding.background)
            if self._animals is not None:
                wanted &= np.isin(found.labels, self._animals)
            return np.where(wanted, found.scores, 0).astype(np.float32)
        if not found.scores.shape[1]:
            raise self._other_layout(ValueError("no class has a score"))
        of_animals = found.scores if self._animals is None else found.scores[:, self._animals]
        return of_animals.max(1)

    def _other_layout(self, error: Exception) -> DetectorError:
        return DetectorError(
            f"The outputs of {self._network.file.name} are not those of {self._decoding.name}: {error}.",
            "Set detect.decoding to another, or to auto.",
        )

    def _no_numbers(self) -> DetectorError:
        return DetectorError(
            f"{self._network.file.name} gave values that are no numbers (NaN).",
            "Export it again, in full precision (fp32) if this file has half.",
        )


def _understood(function: Any) -> Any:
    """What function returns; an error of the file as one of the detector."""
    try:
        return function()
    except ModelFileError as error:
        raise DetectorError(error.sentence, error.remedy) from error


def _picture_input(inputs: Sequence[TensorSignature], name: str) -> tuple[TensorSignature, TensorSignature | None]:
    """The input of the picture, and that of its size where there is one. Raises DetectorError."""
    sizes = next((one for one in inputs if one.name == TARGET_SIZES and one.dtype is not None), None)
    pictures = [one for one in inputs if one is not sizes]
    listed = ", ".join(map(str, inputs)) or "none"
    if len(pictures) != 1 or len(pictures[0].shape) not in (3, 4):
        raise DetectorError(
            f"The inputs of {name} are not one picture: {listed}.", "Export the network with one input of pictures."
        )
    picture = pictures[0]
    channels = {picture.shape[-3], picture.shape[-1]}
    if picture.dtype not in (np.float32, np.float16, np.uint8) or not channels & {3, None}:
        raise DetectorError(
            f"The input of {name} is no colour picture of floats or bytes: {listed}.", "Export it for RGB pictures."
        )
    return picture, sizes


def _sides_in(text: str) -> tuple[int, int] | None:
    """Height and width that an exporter wrote: a number or a pair."""
    try:
        found = ast.literal_eval(text)
        height, width = found if isinstance(found, list | tuple) else (found, found)
        sides = int(height), int(width)
    except UNREADABLE_TEXT:
        return None
    return sides if all(_STRIDE <= side <= _LARGEST_SIDE for side in sides) else None
