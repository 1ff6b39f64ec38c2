"""NanoDet and NanoDet-Plus: scores of each class (probabilities already) and four distributions over bins for each
cell: softmax, expectation times the stride, are the distances to left, top, right and bottom.

One output [n, cells, classes + 4 * bins] or a pair of outputs a stride. NanoDet has strides 8, 16, 32 and measures from
the middle of a cell; Plus has 64 too and measures from its corner. 8 bins, NanoDet-g 11. Source: RangiLyu/nanodet,
`nanodet/model/head/gfl_head.py`, `nanodet_plus_head.py`, `config/legacy_v0.x_configs/nanodet-g.yml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from chimp_assets.vision.detection.onnx.decoding import (
    F32,
    ClassBoxes,
    Decoding,
    Outputs,
    Seen,
    cells_of,
    grid_of,
    rows_of,
)
from chimp_assets.vision.detection.onnx.preparation import Preparation

STRIDES, STRIDES_PLUS = (8, 16, 32), (8, 16, 32, 64)
BINS, BINS_G = 8, 11
_COCO = 80
_OF_COCO = (_COCO + 5, _COCO + 4 * BINS, _COCO + 4 * BINS_G)
"""Columns of YOLOX, NanoDet and NanoDet-g with COCO's classes."""


def _recognises(bins: int, seen: Seen) -> bool:
    if any(len(shape) != 3 for shape in seen.shapes):
        return False
    if len(seen.shapes) > 1:
        return len(seen.shapes) in (6, 8) and _are_pairs(seen.shapes, bins)
    _, cells, columns = seen.shapes[0]
    # Other grids list as many cells: only the number of classes tells these rows from theirs.
    by_classes = columns == (seen.names or _COCO) + 4 * bins
    may_be = not seen.names and columns > 4 * bins and columns not in _OF_COCO
    if cells == cells_of(seen.side, STRIDES_PLUS):
        return by_classes or (bins == BINS and may_be)
    return cells == cells_of(seen.side, STRIDES) and (by_classes or may_be)


def _are_pairs(shapes: Sequence[tuple[int, ...]], bins: int) -> bool:
    """Whether half of the outputs hold distributions."""
    return 2 * sum(shape[2] == 4 * bins for shape in shapes) == len(shapes)


def _decode(bins: int, outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    found = [rows_of(one) for one in outputs]
    if len(found) > 1:
        scores, spread = _of_pairs(found, bins)
    elif found[0].shape[2] > 4 * bins:
        scores, spread = found[0][..., : -4 * bins], found[0][..., -4 * bins :]
    else:
        raise ValueError(f"an output has the shape {list(found[0].shape)}")
    strides = STRIDES_PLUS if scores.shape[1] == cells_of(side, STRIDES_PLUS) else STRIDES
    cell, stride = grid_of(side, strides)
    if len(cell) != scores.shape[1]:
        raise ValueError(f"{scores.shape[1]} cells where strides 8, 16 and 32 have {len(cell)}")
    centre = (cell + (0.5 if strides == STRIDES else 0.0)) * stride
    distances = _expectation(spread) * stride
    corners = np.concatenate([centre - distances[..., :2], centre + distances[..., 2:]], -1)
    return [ClassBoxes(*pair) for pair in zip(corners, scores, strict=True)]


def _of_pairs(found: list[F32], bins: int) -> tuple[F32, F32]:
    """Scores and distributions of the outputs of each stride, finest first, whatever their order in the file."""
    by_cells = sorted(found, key=lambda one: -one.shape[1])
    spread = [one for one in by_cells if one.shape[2] == 4 * bins]
    scores = [one for one in by_cells if one.shape[2] != 4 * bins]
    if not spread or [one.shape[1] for one in spread] != [one.shape[1] for one in scores]:
        raise ValueError(f"outputs of the shapes {[list(one.shape) for one in found]}")
    return np.concatenate(scores, 1), np.concatenate(spread, 1)


def _expectation(spread: F32) -> F32:
    """Distributions [n, k, 4 * bins] as expected distances [n, k, 4] in cells."""
    each = spread.reshape(*spread.shape[:2], 4, -1)
    weight = np.exp(each - each.max(-1, keepdims=True))
    return np.asarray((weight @ np.arange(each.shape[-1], dtype=np.float32)) / weight.sum(-1), np.float32)


def _classes(bins: int, seen: Seen) -> int:
    return next(shape[2] for shape in seen.shapes if shape[2] != 4 * bins) - (4 * bins if len(seen.shapes) == 1 else 0)


DECODING = Decoding(
    name="nanodet",
    about="NanoDet, NanoDet-Plus: [n, cells, classes + 32], or a pair of outputs a stride",
    preparation=Preparation(fit="corner", colours="bgr", mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395)),
    recognises=partial(_recognises, BINS),
    decode=partial(_decode, BINS),
    classes=partial(_classes, BINS),
    side=416,
)
DECODING_G = replace(
    DECODING,
    name="nanodet_g",
    about="NanoDet-g: the same with classes + 44",
    recognises=partial(_recognises, BINS_G),
    decode=partial(_decode, BINS_G),
    classes=partial(_classes, BINS_G),
)
