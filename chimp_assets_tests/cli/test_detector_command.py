"""`chimp detector try`: an operator sees in a minute whether a file works."""

from __future__ import annotations

import json

import cv2
import numpy as np
import torch
from typer.testing import CliRunner

from chimp_assets import cli
from chimp_assets_tests.vision.detection.onnx import networks as n


def test_a_network_is_tried_on_a_picture(home, tmp_path, monkeypatch):
    """The box in the answer and in the picture is the one that is there."""
    monkeypatch.setenv("CHIMP_HOME", str(home.settings.home))
    metadata = {"names": "{0: 'impala', 1: 'leopard', 2: 'car'}"}
    file = n.export(n.YoloV8Head((256, 256)), tmp_path / "v8.onnx", torch.zeros(1, 3, 256, 256), metadata=metadata)
    cv2.imwrite(str(tmp_path / "a.png"), n.picture_of(180, 320, (80, 45, 240, 135))[..., ::-1])
    arguments = ["detector", "try", str(file), str(tmp_path / "a.png"), "--out", str(tmp_path / "out.jpg")]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "yolo_v8" in done.output
    assert "0 impala, 1 leopard" in " ".join(done.output.split())
    assert "1 boxes of 0.25 or more in 1 pictures" in " ".join(done.output.split())
    written = cv2.imread(str(tmp_path / "out.jpg"))
    assert written.shape == (180, 320, 3)
    green = (written[..., 1] > 150) & (written[..., 2] < 150)
    assert green[44:136, 79:241].sum() > 300
    said = json.loads(CliRunner().invoke(cli.app, [*arguments, "--classes", "impala", "--json"]).output)
    assert said["boxes"] == 0
    assert said["animals"] == "0 impala (by detect.classes)"
    said = json.loads(CliRunner().invoke(cli.app, [*arguments, "--json"]).output)
    assert np.allclose(said["best"], [[0.25, 0.25, 0.5, 0.5, n.SCORE]], atol=3e-3)
