"""YOLO with its own suppression, as v10 and exports with `nms=True`: one output [n, k, 6] of corners in pixels of the
input, score, class; or [k, 7] of YOLO v7's `--end2end`: number of the picture, corners, class, score.

Source: ultralytics/ultralytics `engine/exporter.py`, THU-MIG/yolov10, WongKinYiu/yolov7 `models/experimental.py`.
"""

from __future__ import annotations

import numpy as np

from chimp_assets.vision.detection.onnx.decoding import ClassBoxes, Decoding, Outputs, Seen
from chimp_assets.vision.detection.onnx.decodings.rt_detr import of_ultralytics
from chimp_assets.vision.detection.onnx.preparation import Preparation

_MOST = 1000
"""Boxes of a picture that such an export keeps at most; grids have more."""


def _recognises(seen: Seen) -> bool:
    if len(seen.shapes) != 1 or of_ultralytics(seen):
        return False
    shape = seen.shapes[0]
    if len(shape) == 2:
        return shape[1] == 7
    return len(shape) == 3 and shape[2] == 6 and shape[1] <= _MOST


def _decode(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    rows = np.asarray(outputs[0], np.float32)
    if rows.ndim == 2 and rows.shape[1] == 7:
        # One list for all pictures of a batch; a last picture without boxes has no row, so one picture at a time.
        return [ClassBoxes(rows[:, 1:5], rows[:, 6], _whole(rows[:, 5]))]
    if rows.ndim != 3 or rows.shape[2] != 6:
        raise ValueError(f"an output has the shape {list(rows.shape)}")
    return [ClassBoxes(one[:, :4], one[:, 4], _whole(one[:, 5])) for one in rows]


def _whole(labels: np.ndarray) -> np.ndarray:
    return np.nan_to_num(labels, nan=-1, posinf=-1, neginf=-1).round().astype(np.int64)


DECODING = Decoding(
    name="yolo_end_to_end",
    about="YOLO v10, or exported with nms=True: [n, boxes, 6] of corners, score, class",
    preparation=Preparation(),
    recognises=_recognises,
    decode=_decode,
    classes=lambda seen: None,
)
