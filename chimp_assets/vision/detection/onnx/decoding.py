"""What a decoding is: how an input is prepared, how outputs become boxes, and how it recognises its own.

Belongs here: the records, and pieces that several decodings share. Does not belong here: decodings (`decodings`),
choosing one (`choosing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chimp_assets.vision.detection.onnx.preparation import Preparation
from chimp_assets.vision.models.onnx_file import NetworkSignature

F32 = NDArray[np.float32]
Outputs = Sequence[NDArray[np.generic]]


@dataclass(frozen=True)
class ClassBoxes:
    """Boxes of one picture. corners: f32 [k, 4] x1, y1, x2, y2 in pixels of the input; scores: f32 [k, c] of each
    class, where `labels` is None, else f32 [k] of the class labels i64 [k]."""

    corners: F32
    scores: F32
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Seen:
    """What a network gave for one blank input, by which a decoding recognises it.

    shapes: of its outputs; side: height and width of the input; names: classes that the file names, 0 for none.
    """

    signature: NetworkSignature
    shapes: tuple[tuple[int, ...], ...]
    side: tuple[int, int]
    names: int = 0

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, lower case, without `:0` of TensorFlow."""
        return tuple(one.name.lower().removesuffix(":0") for one in self.signature.outputs)


@dataclass(frozen=True)
class Decoding:
    """One layout of outputs.

    name: the value of `detect.decoding`; about: for people; recognises: whether a network seems to have it; decode:
    outputs and the (height, width) of the input to the boxes of each picture, as many as were given, raising
    ValueError where the outputs have another layout; classes: how many the outputs tell apart, None if they do not
    say; coco: how COCO's classes are numbered, 80 from 0 or 91 with gaps; background: whether class 0 is none; single:
    one picture at a time; order: how names of outputs begin, in the order that decode wants, () for the file's; side:
    of the input where the file leaves it open.
    """

    name: str
    about: str
    preparation: Preparation
    recognises: Callable[[Seen], bool]
    decode: Callable[[Outputs, tuple[int, int]], list[ClassBoxes]]
    classes: Callable[[Seen], int | None]
    coco: Literal[80, 91] = 80
    background: bool = False
    single: bool = False
    order: tuple[str, ...] = ()
    side: int = 640


def cells_of(side: tuple[int, int], strides: Sequence[int]) -> int:
    """Cells of a grid of each stride on an input of (height, width)."""
    return sum(-(-side[0] // stride) * -(-side[1] // stride) for stride in strides)


def grid_of(side: tuple[int, int], strides: Sequence[int]) -> tuple[F32, F32]:
    """Column and row f32 [k, 2] of each cell, stride by stride and row by row, and its stride f32 [k, 1]."""
    places, sizes = [], []
    for stride in strides:
        rows, columns = -(-side[0] // stride), -(-side[1] // stride)
        row, column = np.mgrid[0:rows, 0:columns]
        places.append(np.stack([column.ravel(), row.ravel()], 1))
        sizes.append(np.full((rows * columns, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def corners_of_centres(boxes: F32) -> F32:
    """Centre x, y, width, height [..., 4] as corners."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def sigmoid(values: F32) -> F32:
    """1 / (1 + exp(-values)), without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)


def rows_of(output: NDArray[np.generic], width: int | None = None) -> F32:
    """An output f32 [n, k, c]. Raises ValueError if it has another rank, or fewer than width columns."""
    if output.ndim != 3 or (width is not None and output.shape[2] < width):
        raise ValueError(f"an output has the shape {list(output.shape)}")
    return np.asarray(output, np.float32)
