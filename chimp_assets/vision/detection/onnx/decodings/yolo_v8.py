"""YOLO v8, v9, v11 (MegaDetector v6): one output [n, 4 + classes, k] of centre x, y, width, height in pixels of the
input and the score of each class; or the same with its last two axes changed.

Source: ultralytics/ultralytics `nn/modules/head.py` (Detect), WongKinYiu/yolov9 `export.py`.
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
    rows_of,
)
from chimp_assets.vision.detection.onnx.preparation import Preparation


def _recognises(seen: Seen) -> bool:
    if len(seen.shapes) != 1 or len(seen.shapes[0]) != 3:
        return False
    _, one, other = seen.shapes[0]
    cells = (
        cells_of(seen.side, (8, 16, 32)),
        cells_of(seen.side, (8, 16, 32, 64)),
        cells_of(seen.side, (4, 8, 16, 32)),
    )
    if other in cells and one >= 5:
        return not seen.names or one == 4 + seen.names
    # Turned, it has the form of YOLOX: only the names of the classes tell which.
    return one in cells and other == 4 + seen.names > 4


def _turned(output: F32) -> F32:
    """[n, k, 4 + classes], whichever way round it was given: there are more boxes than classes."""
    return output.transpose(0, 2, 1) if output.shape[1] < output.shape[2] else output


def _decode(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    found = _turned(rows_of(outputs[0]))
    if found.shape[2] < 5:
        raise ValueError(f"an output has the shape {list(outputs[0].shape)}")
    return [ClassBoxes(corners_of_centres(one[:, :4]), np.ascontiguousarray(one[:, 4:])) for one in found]


DECODING = Decoding(
    name="yolo_v8",
    about="YOLO v8, v9, v11, MegaDetector v6: [n, 4 + classes, boxes]",
    preparation=Preparation(),
    recognises=_recognises,
    decode=_decode,
    classes=lambda seen: min(seen.shapes[0][1:]) - 4,
)
