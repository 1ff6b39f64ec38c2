"""X: a network as a file against the same network in torch: ms a picture, one core, and on a GPU where there is one.

`python -m benchmarks.machines.onnx_files`. Networks of torchvision with random weights, exported here: their speed does
not depend on them (that the boxes are torch's, a test says). Foil: torch with one thread too. Target: at most twice
torch's time. Two minutes.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torchvision.models import get_model

from benchmarks.support.harness import Row, cores, show, timed
from chimp_assets.vision.detection.interface import Picture
from chimp_assets.vision.detection.onnx.onnx_detector import OnnxDetector
from chimp_assets.vision.detection.torchvision_detector import TorchvisionDetector

NETWORKS = ("ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn")
HEIGHT, WIDTH, PICTURES = 360, 640, 8
CLASSES, SLOWEST = 2, 2.0


def measure() -> Iterator[Row]:
    """A row for each network and device."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
        with tempfile.TemporaryDirectory() as folder:
            for name in NETWORKS:
                for device in devices:
                    yield _row(name, device, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _row(name: str, device: str, folder: Path) -> Row:
    torch.manual_seed(1)
    network = get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES).eval()
    file = _exported(network, folder / f"{name}.onnx")
    config = {"architecture": name, "animal_labels": [1], "min_score": 0.05}
    in_torch = TorchvisionDetector.of_network(network, config, "random", torch.device(device))
    as_file = OnnxDetector(file, device=device, threads=1)
    pictures = _pictures()
    arms = {"file": partial(_run, as_file, pictures), "torch": partial(_run, in_torch, pictures)}
    times = timed(arms, runs=3)
    ms = {arm: 1000 * time.wall_s / PICTURES for arm, time in times.items()}
    return Row(
        row="X",
        what=f"{name} of {WIDTH} x {HEIGHT} as a file, {device}, one thread",
        value=ms["file"],
        unit="ms a picture",
        peers={"torch": ms["torch"]},
        ratio={"torch": ms["file"] / ms["torch"]},
        target=f"at most {SLOWEST:g} times torch's",
        met=ms["file"] <= SLOWEST * ms["torch"],
        runs=times["file"].runs,
        spread=times["file"].spread,
        cores=cores(),
    )


def _exported(network: torch.nn.Module, file: Path) -> Path:
    if not file.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                ([torch.rand(3, HEIGHT, WIDTH)],),
                str(file),
                input_names=["image"],
                opset_version=17,
                dynamo=False,
            )
    return file


def _pictures() -> list[Picture]:
    rng = np.random.default_rng(2)
    return [(i, i / 5, rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)) for i in range(PICTURES)]


def _run(detector: OnnxDetector | TorchvisionDetector, pictures: list[Picture]) -> list[np.ndarray]:
    return [rows for _, rows in detector.detect(iter(pictures))]


if __name__ == "__main__":
    show(measure())
