"""Each layout of outputs gives the boxes that its network meant, through letterbox and stretch and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chimp_assets.vision.detection.onnx.choosing import DECODINGS
from chimp_assets.vision.detection.onnx.onnx_detector import OnnxDetector
from chimp_assets_tests.vision.detection.onnx import networks as n

SIDE = (256, 256)
PICTURES = [(90, 160, (37, 21, 101, 70)), (140, 100, (12, 40, 61, 118))]
"""Height, width, corners of the red rectangle: a wide picture and a tall one."""

NAMED = {"names": "{0: 'animal', 1: 'leopard', 2: 'vehicle'}"}
BGR = n.RedBox(red=2, scale=1.0)
# NanoDet's own mean and deviation of red, by which its input is normalised.
NANODET = n.RedBox(red=2, scale=57.8, shift=116.0)


def nanodet(**changed):
    return n.NanoDetHead((320, 320), NANODET, **changed)


CASES = {
    "yolo_v5": (n.YoloV5Head(SIDE), {}, "yolo_v5"),
    "yolo_v5 with names": (n.YoloV5Head(SIDE), {"metadata": {"names": "['a', 'b', 'c']", "stride": "32"}}, "yolo_v5"),
    "yolo_v8": (n.YoloV8Head(SIDE), {}, "yolo_v8"),
    "yolo_v8 turned": (n.TurnedYoloV8Head(SIDE), {"metadata": {"names": "{0: 'a', 1: 'b', 2: 'c'}"}}, "yolo_v8"),
    "yolo_v10": (n.YoloEndToEndHead(SIDE), {}, "yolo_end_to_end"),
    "yolo_v7 end to end": (n.YoloV7EndToEndHead(SIDE), {}, "yolo_end_to_end"),
    "yolox": (n.YoloXHead(SIDE, BGR), {}, "yolox"),
    "yolox of coco": (n.YoloXHead(SIDE, BGR, classes=80), {}, "yolox"),
    "rt_detr": (n.DetrHead(SIDE), {"outputs": ("logits", "pred_boxes")}, "rt_detr"),
    "rt_detr of four classes": (n.DetrHead(SIDE, classes=4), {"outputs": ("logits", "pred_boxes")}, "rt_detr"),
    "rt_detr of ultralytics": (
        n.UltralyticsDetrHead(SIDE, classes=2),
        {"metadata": {"description": "Ultralytics RT-DETR-l model", "names": "{0: 'a', 1: 'b'}"}},
        "rt_detr_ultralytics",
    ),
    "nanodet": (nanodet(), {}, "nanodet"),
    "nanodet_g": (nanodet(bins=11), {}, "nanodet_g"),
    "nanodet in pairs": (
        nanodet(bins=11, paired=True),
        {"outputs": ("cls_8", "dis_8", "cls_16", "dis_16", "cls_32", "dis_32")},
        "nanodet_g",
    ),
    "nanodet plus": (nanodet(strides=(8, 16, 32, 64), offset=0.0), {}, "nanodet"),
    "nanodet of own classes": (
        nanodet(bins=11, classes=2),
        {"metadata": {"names": "{0: 'a', 1: 'b'}"}},
        "nanodet_g",
    ),
}


def exported(case, folder):
    network, options, decoding = CASES[case]
    example = torch.zeros(1, 3, *network.side)
    return n.export(network, folder / "network.onnx", example, **options), decoding


def boxes_in_pixels(detector, pictures=PICTURES):
    """Corners in pixels and scores of each picture."""
    given = ((frame, frame / 5, n.picture_of(*facts)) for frame, facts in enumerate(pictures))
    for (height, width, _), (_, rows) in zip(pictures, detector.detect(given), strict=True):
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1) * [width, height, width, height]
        yield corners, rows[:, 4]


def assert_found(detector, within=0.5, pictures=PICTURES):
    for (_, _, box), (corners, scores) in zip(pictures, boxes_in_pixels(detector, pictures), strict=True):
        assert len(corners) == 1, corners
        assert np.abs(corners[0] - box).max() <= within
        assert scores[0] == pytest.approx(n.SCORE, abs=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_a_layout_is_recognised_and_gives_the_box_that_is_there(case, tmp_path):
    """The mistakes of every port: x and y swapped, margins forgotten, BGR for RGB, sides in cells for pixels."""
    file, decoding = exported(case, tmp_path)
    detector = OnnxDetector(file, classes=("all",), threads=1)
    assert detector.config["decoding"] == decoding
    assert_found(detector)


def test_a_network_with_the_sizes_of_the_pictures_as_second_input(tmp_path):
    network = n.DeployedDetrHead((192, 256))
    file = n.export(
        network,
        tmp_path / "dfine.onnx",
        (torch.zeros(1, 3, 192, 256), torch.tensor([[256, 192]])),
        inputs=("images", "orig_target_sizes"),
        outputs=("labels", "boxes", "scores"),
        open_sides={"images": {0: "n"}, "orig_target_sizes": {0: "n"}},
    )
    detector = OnnxDetector(file, threads=1)
    assert detector.config["decoding"] == "rt_detr_deployed"
    assert_found(detector)


def test_rf_detr_is_normalised_as_imagenet(tmp_path):
    """Its outputs are RT-DETR's; its names alone tell that values are normalised."""
    network = n.DetrHead(SIDE, n.RedBox(scale=58.4, shift=118.0), classes=91)
    file = n.export(network, tmp_path / "rf.onnx", torch.zeros(1, 3, *SIDE), outputs=("labels", "dets"))
    detector = OnnxDetector(file, classes=("1",), threads=1)
    assert detector.config["decoding"] == "rf_detr"
    assert_found(detector)


def test_yolox_that_decodes_itself_is_asked_for_by_name(tmp_path):
    file = n.export(n.DecodedYoloXHead(SIDE, BGR), tmp_path / "x.onnx", torch.zeros(1, 3, *SIDE))
    assert_found(OnnxDetector(file, decoding="yolox_decoded", threads=1))


@pytest.mark.parametrize("open_sides", [None, {"image": {1: "h", 2: "w"}}], ids=["one size", "any size"])
def test_torchvision_takes_one_picture_in_its_own_size(tmp_path, open_sides):
    file = n.export(
        n.TorchvisionHead(SIDE),
        tmp_path / "tv.onnx",
        torch.zeros(3, *SIDE),
        inputs=("image",),
        outputs=("boxes", "labels", "scores"),
        open_sides=open_sides,
    )
    detector = OnnxDetector(file, threads=1)
    assert detector.config["decoding"] == "torchvision"
    assert detector.config["input"] == ("as it is" if open_sides else [256, 256])
    assert_found(detector)


def test_tensorflow_takes_bytes_with_channels_last(tmp_path):
    """MegaDetector v4 and other SSDs: the order of the outputs is that of their names, not of the file."""
    file = n.export(
        n.TensorflowHead(SIDE, n.RedBox(scale=1.0)),
        tmp_path / "ssd.onnx",
        torch.zeros(1, 128, 128, 3, dtype=torch.uint8),
        inputs=("image_tensor",),
        outputs=("detection_boxes:0", "detection_classes:0", "detection_scores:0", "num_detections:0"),
        open_sides={"image_tensor": {0: "n", 1: "h", 2: "w"}},
    )
    detector = OnnxDetector(file, threads=1)
    assert detector.config["decoding"] == "ssd"
    assert_found(detector)


def test_every_decoding_is_tried_here():
    """A new decoding without a network of its layout would be untested."""
    tried = {decoding for _, _, decoding in CASES.values()}
    assert tried | {"rt_detr_deployed", "rf_detr", "yolox_decoded", "torchvision", "ssd"} == set(DECODINGS)
