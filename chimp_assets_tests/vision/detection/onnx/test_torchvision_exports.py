"""A real network of torchvision, exported, finds what it finds in torch.

Faster R-CNN takes half a minute to export: its speed is measured in `benchmarks.machines.onnx_files`.
"""

from __future__ import annotations

import numpy as np
import torch
from torchvision.models import get_model

from chimp_assets.vision.detection.onnx.onnx_detector import OnnxDetector
from chimp_assets.vision.detection.onnx.suppression import best_boxes
from chimp_assets.vision.detection.overlaps import overlaps_of
from chimp_assets_tests.vision.detection.onnx.networks import export
from chimp_assets_tests.vision.scenes import Scene


def test_an_exported_network_finds_what_torch_finds(tmp_path):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ((frame_no, _, picture), *_) = Scene(n=1).pictures()
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    network = get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=4)
    awaken(network.eval(), tensor)
    file = export(
        network, tmp_path / "network.onnx", ([tensor],), inputs=("image",), outputs=("boxes", "scores", "labels")
    )
    with torch.inference_mode():
        (found,) = network([tensor])
    height, width = picture.shape[:2]
    corners = np.clip(found["boxes"].numpy() / [width, height, width, height], 0, 1).astype(np.float32)
    scores = found["scores"].numpy()
    kept = best_boxes(corners, scores)
    ((number, rows),) = OnnxDetector(file, min_score=0.0, threads=1).detect(iter([(frame_no, 0.0, picture)]))
    assert number == frame_no
    assert len(rows) == len(kept) > 10
    wanted = np.concatenate([corners[kept, :2], corners[kept, 2:] - corners[kept, :2]], 1)
    assert (overlaps_of(wanted, rows[:, :4]).max(1) > 0.99).all()
    assert np.allclose(rows[:, 4], scores[kept], atol=1e-4)


def awaken(network, tensor):
    """Scores that differ: the layers of an untrained network give zero for every picture, and all classes alike."""
    for layer in network.backbone.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    network.backbone.train()
    with torch.no_grad():
        network.backbone(torch.stack([tensor, tensor.flip(2)]))
    network.eval()
    for one in network.head.classification_head.module_list:
        torch.nn.init.normal_(one[1].weight, std=0.05)
