"""YOLOX: one output [n, k, 5 + classes] of raw offsets in cells of strides 8, 16 and 32: (x + column) and (y + row)
times the stride are the centre, exp(width) and exp(height) times it the sides; then how likely an object is, and which.

Source: Megvii-BaseDetection/YOLOX `yolox/utils/demo_utils.py` (demo_postprocess); values 0 to 255, BGR, the picture at
the top left. Files exported with `--decode_in_inference` hold pixels already: `yolox_decoded`.
"""

from __future__ import annotations

import numpy as np

from chimp_assets.vision.detection.onnx.decoding import (
    F32,
    ClassBoxes,
    Decoding,
    Outputs,
    Seen,
    cells_of,
    corners_of_centres,
    grid_of,
    rows_of,
)
from chimp_assets.vision.detection.onnx.preparation import Preparation

STRIDES = (8, 16, 32)
_OF_NANODET = (80 + 32, 80 + 44)
"""Columns of NanoDet with COCO's classes, whose grid is the same."""
_LARGEST = 12.0
"""Of the logarithm of a side in cells: larger ones are no boxes, and overflow."""


def _recognises(seen: Seen) -> bool:
    if len(seen.shapes) != 1 or len(seen.shapes[0]) != 3:
        return False
    _, k, columns = seen.shapes[0]
    if columns < 6 or (seen.names and columns != 5 + seen.names):
        return False
    return k == cells_of(seen.side, STRIDES) and (bool(seen.names) or columns not in _OF_NANODET)


def _raw(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    found = rows_of(outputs[0], 6)
    cell, stride = grid_of(side, STRIDES)
    if found.shape[1] != len(cell):
        raise ValueError(f"{found.shape[1]} cells where strides 8, 16 and 32 have {len(cell)}")
    centre = (found[..., :2] + cell) * stride
    sides: F32 = np.exp(np.minimum(found[..., 2:4], _LARGEST)) * stride
    return _joined(np.concatenate([centre, sides], -1), found)


def _decoded(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    found = rows_of(outputs[0], 6)
    return _joined(found[..., :4], found)


def _joined(boxes: F32, found: F32) -> list[ClassBoxes]:
    corners, scores = corners_of_centres(boxes), found[..., 5:] * found[..., 4:5]
    return [ClassBoxes(*pair) for pair in zip(corners, scores, strict=True)]


_PREPARATION = Preparation(fit="corner", colours="bgr", std=(1.0, 1.0, 1.0))

DECODING = Decoding(
    name="yolox",
    about="YOLOX, raw: [n, cells, 5 + classes]",
    preparation=_PREPARATION,
    recognises=_recognises,
    decode=_raw,
    classes=lambda seen: seen.shapes[0][-1] - 5,
)
DECODED = Decoding(
    name="yolox_decoded",
    about="YOLOX exported with --decode_in_inference: the same in pixels",
    preparation=_PREPARATION,
    recognises=lambda seen: False,  # it looks like the raw one
    decode=_decoded,
    classes=lambda seen: seen.shapes[0][-1] - 5,
)
