"""RT-DETR, D-FINE and their kin: boxes as centre x, y, width, height in fractions of the input, and classes.

Three forms: two outputs, [n, k, 4] boxes and [n, k, classes] logits (lyuwenyu/RT-DETR, Peterande/D-FINE, Hugging Face's
`logits` and `pred_boxes`, RF-DETR's `dets` and `labels`); three outputs with a second input `orig_target_sizes`, whose
boxes are corners in its pixels (`tools/export_onnx.py` of both); one output [n, k, 4 + classes] of Ultralytics, whose
scores are probabilities already.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chimp_assets.vision.detection.onnx.decoding import (
    F32,
    ClassBoxes,
    Decoding,
    Outputs,
    Seen,
    corners_of_centres,
    rows_of,
    sigmoid,
)
from chimp_assets.vision.detection.onnx.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation

TARGET_SIZES = "orig_target_sizes"
_MOST_QUERIES = 1000
"""RT-DETR has 300; networks with a grid have thousands of boxes."""
_STRETCHED = Preparation(fit="stretch")
_NORMALISED = Preparation(fit="stretch", mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _is_pair(seen: Seen) -> bool:
    if len(seen.shapes) != 2 or any(len(shape) != 3 for shape in seen.shapes):
        return False
    boxes, classes = _boxes_first(seen.shapes)
    return boxes[2] == 4 and boxes[1] == classes[1] <= _MOST_QUERIES


def _boxes_first(shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return shapes if shapes[0][2] == 4 else shapes[::-1]


def _is_rf_detr(seen: Seen) -> bool:
    return set(seen.output_names) == {"dets", "labels"}


def _pair(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    if len(outputs) < 2:
        raise ValueError(f"{len(outputs)} outputs, not boxes and classes")
    boxes, logits = rows_of(outputs[0], 1), rows_of(outputs[1], 1)
    if boxes.shape[2] != 4 or (logits.shape[2] == 4 and not _are_fractions(boxes)):
        boxes, logits = logits, boxes
    if boxes.shape[2] != 4 or boxes.shape[:2] != logits.shape[:2]:
        raise ValueError(f"outputs of the shapes {list(outputs[0].shape)} and {list(outputs[1].shape)}")
    return [ClassBoxes(_in_pixels(one, side), sigmoid(of_each)) for one, of_each in zip(boxes, logits, strict=True)]


def _are_fractions(boxes: F32) -> bool:
    """Tells boxes from the logits of four classes, most of which lie far below zero."""
    return bool(boxes.min(initial=0) >= -0.01 and boxes.max(initial=0) <= 1.01)


def _in_pixels(boxes: F32, side: tuple[int, int]) -> F32:
    height, width = side
    return np.asarray(corners_of_centres(boxes) * np.array([width, height, width, height], np.float32), np.float32)


def _deployed(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    boxes = [one for one in outputs if one.ndim == 3 and one.shape[2] == 4]
    labels = [one for one in outputs if one.ndim == 2 and one.dtype.kind in "iu"]
    scores = [one for one in outputs if one.ndim == 2 and one.dtype.kind == "f"]
    if not (len(boxes) == len(labels) == len(scores) == 1):
        raise ValueError(f"outputs of the shapes {[list(one.shape) for one in outputs]}")
    return [
        ClassBoxes(np.asarray(box, np.float32), np.asarray(score, np.float32), label.astype(np.int64))
        for box, label, score in zip(boxes[0], labels[0], scores[0], strict=True)
    ]


def of_ultralytics(seen: Seen) -> bool:
    """Whether Ultralytics wrote the file of an RT-DETR; its shape alone can be that of another YOLO."""
    return "rtdetr" in seen.signature.metadata.get("description", "").lower().replace("-", "")


def _one(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    return [ClassBoxes(_in_pixels(one[:, :4], side), one[:, 4:]) for one in rows_of(outputs[0], 5)]


def _classes_of_pair(seen: Seen) -> int:
    return _boxes_first(seen.shapes)[1][2]


DECODING = Decoding(
    name="rt_detr",
    about="RT-DETR, D-FINE: [n, boxes, 4] in fractions and [n, boxes, classes] logits",
    preparation=_STRETCHED,
    recognises=lambda seen: _is_pair(seen) and not _is_rf_detr(seen),
    decode=_pair,
    classes=_classes_of_pair,
)
RF_DETR = replace(
    DECODING,
    name="rf_detr",
    about="RF-DETR, DETR with a sigmoid: the same, normalised as ImageNet",
    preparation=_NORMALISED,
    recognises=lambda seen: _is_pair(seen) and _is_rf_detr(seen),
    side=560,
)
DEPLOYED = Decoding(
    name="rt_detr_deployed",
    about=f"RT-DETR, D-FINE with {TARGET_SIZES}: labels [n, k], boxes [n, k, 4], scores [n, k]",
    preparation=_STRETCHED,
    recognises=lambda seen: len(seen.shapes) == 3 and any(one.name == TARGET_SIZES for one in seen.signature.inputs),
    decode=_deployed,
    classes=lambda seen: None,
)
ULTRALYTICS = Decoding(
    name="rt_detr_ultralytics",
    about="RT-DETR of Ultralytics: [n, boxes, 4 + classes] in fractions",
    preparation=_STRETCHED,
    recognises=lambda seen: len(seen.shapes) == 1 and len(seen.shapes[0]) == 3 and of_ultralytics(seen),
    decode=_one,
    classes=lambda seen: seen.shapes[0][-1] - 4,
)
