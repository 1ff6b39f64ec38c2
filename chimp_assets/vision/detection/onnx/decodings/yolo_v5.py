"""YOLO v5 and v7 (MegaDetector v5): one output [n, k, 5 + classes] of centre x, y, width, height in pixels of the
input, how likely an object is, and of which class.

Source: ultralytics/yolov5 `export.py`, WongKinYiu/yolov7 `export.py --grid`.
"""

from __future__ import annotations

from chimp_assets.vision.detection.onnx.decoding import (
    ClassBoxes,
    Decoding,
    Outputs,
    Seen,
    cells_of,
    corners_of_centres,
    rows_of,
)
from chimp_assets.vision.detection.onnx.preparation import Preparation

_ANCHORS = 3


def _recognises(seen: Seen) -> bool:
    if len(seen.shapes) != 1 or len(seen.shapes[0]) != 3:
        return False
    _, k, columns = seen.shapes[0]
    if columns < 6 or (seen.names and columns != 5 + seen.names):
        return False
    return k in (_ANCHORS * cells_of(seen.side, (8, 16, 32)), _ANCHORS * cells_of(seen.side, (8, 16, 32, 64)))


def _decode(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    found = rows_of(outputs[0], 6)
    return [ClassBoxes(corners_of_centres(one[:, :4]), one[:, 5:] * one[:, 4:5]) for one in found]


DECODING = Decoding(
    name="yolo_v5",
    about="YOLO v5 and v7, MegaDetector v5: [n, boxes, 5 + classes]",
    preparation=Preparation(),
    recognises=_recognises,
    decode=_decode,
    classes=lambda seen: seen.shapes[0][-1] - 5,
)
