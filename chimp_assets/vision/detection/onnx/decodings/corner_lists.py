"""Networks that list their boxes: torchvision's (boxes, labels, scores) and those of TensorFlow's detection library
(`detection_boxes` and so on: SSD, EfficientDet, MegaDetector v4).

torchvision: corners [k, 4] in pixels of the input for one picture, values 0 to 1, class 0 is the background. Source:
pytorch/vision `torchvision/models/detection/`. TensorFlow: top, left, bottom, right [n, k, 4] in fractions, bytes in,
classes from 1. Source: tensorflow/models `research/object_detection/exporter.py`.
"""

from __future__ import annotations

import numpy as np

from chimp_assets.vision.detection.onnx.decoding import ClassBoxes, Decoding, Outputs, Seen
from chimp_assets.vision.detection.onnx.preparation import Preparation

_TENSORFLOW = ("detection_boxes", "detection_scores", "detection_classes")


def _is_torchvision(seen: Seen) -> bool:
    # No row is seen in a blank picture: what the file says of its outputs counts too.
    if len(seen.shapes) != 3 or any(one.name == "orig_target_sizes" for one in seen.signature.inputs):
        return False
    ranks = sorted(len(shape) for shape in seen.shapes)
    kinds = [one.dtype for one in seen.signature.outputs]
    whole = [kind for kind in kinds if kind is not None and np.issubdtype(kind, np.integer)]
    has_boxes = any(len(shape) == 2 and shape[1] == 4 for shape in seen.shapes)
    return ranks == [1, 1, 2] and len(whole) == 1 and has_boxes


def _torchvision(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    boxes = [one for one in outputs if one.ndim == 2 and one.shape[1] == 4]
    labels = [one for one in outputs if one.ndim == 1 and one.dtype.kind in "iu"]
    scores = [one for one in outputs if one.ndim == 1 and one.dtype.kind == "f"]
    if not (len(boxes) == len(labels) == len(scores) == 1) or not len(boxes[0]) == len(labels[0]) == len(scores[0]):
        raise ValueError(f"outputs of the shapes {[list(one.shape) for one in outputs]}")
    return [ClassBoxes(np.asarray(boxes[0], np.float32), np.asarray(scores[0], np.float32), labels[0].astype(np.int64))]


def _tensorflow(outputs: Outputs, side: tuple[int, int]) -> list[ClassBoxes]:
    boxes, scores, labels = (np.asarray(one, np.float32) for one in outputs)
    if boxes.ndim != 3 or boxes.shape[2] != 4 or not boxes.shape[:2] == scores.shape == labels.shape:
        raise ValueError(f"outputs of the shapes {[list(one.shape) for one in outputs]}")
    height, width = side
    corners = boxes[..., [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
    return [
        ClassBoxes(np.asarray(box, np.float32), score, np.nan_to_num(label).round().astype(np.int64))
        for box, score, label in zip(corners, scores, labels, strict=True)
    ]


def _has_names(seen: Seen) -> bool:
    return all(any(name.startswith(part) for name in seen.output_names) for part in _TENSORFLOW)


TORCHVISION = Decoding(
    name="torchvision",
    about="torchvision: boxes [k, 4], labels [k], scores [k]",
    preparation=Preparation(fit="as_is"),
    recognises=_is_torchvision,
    decode=_torchvision,
    classes=lambda seen: None,
    coco=91,
    background=True,
    single=True,
)
TENSORFLOW = Decoding(
    name="ssd",
    about="SSD, EfficientDet and others of TensorFlow: detection_boxes, detection_classes, detection_scores",
    preparation=Preparation(fit="as_is", std=(1.0, 1.0, 1.0)),
    recognises=_has_names,
    decode=_tensorflow,
    classes=lambda seen: None,
    coco=91,
    background=True,
    order=_TENSORFLOW,
)
