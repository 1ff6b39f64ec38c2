"""G1: what a GPU is worth: detector, embedder, fine-tuning and margins on the CPU and on the GPU, in one run.

Each part does the same work on both, by the clock, after a first run that is not counted (CUDA starts, kernels are
chosen, networks are compiled). Networks have random weights: their speed does not depend on them. Peers: the CPU of the
same machine with all its cores. Agreement is measured beside it: boxes of the CPU that the GPU finds too, the smallest
cosine of two vectors of one track, the loss after the same steps, and the tracks that a plan chooses. Where no GPU is,
only the CPU is measured, and the row says so. A few minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.models import get_model

from benchmarks.rows.p8_plan import BATCH, WARM, synthetic_pool
from benchmarks.support.harness import Row, cores
from chimp_assets.acquisition.plan import plan
from chimp_assets.acquisition.pool_pass.on_torch import on_torch
from chimp_assets.loop.plan import arithmetic_on
from chimp_assets.vision.detection.overlaps import overlaps_of
from chimp_assets.vision.detection.torchvision_detector import DEFAULT_ARCHITECTURE, TorchvisionDetector
from chimp_assets.vision.embedding.embedder import Embedder
from chimp_assets.vision.embedding.inference import track_vectors
from chimp_assets.vision.embedding.metric_learning import Batches, Crops, MetricLearner, Recipe
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.learning.ranks import ALONE
from chimp_assets.vision.learning.training import TrainingPlan, train

FRAMES = {"cpu": 16, "cuda": 512}
TRACKS = {"cpu": 24, "cuda": 2_048}
STEPS = {"cpu": 5, "cuda": 60}
UNCOUNTED_STEPS = 2
POOL = 300_000
SEED = 3


@dataclass(frozen=True)
class Speed:
    """What a part did on a device: how much a second, and what it found in the work that both devices do."""

    a_second: float
    found: Any


def measure() -> Iterator[Row]:
    """One row for each part."""
    best = device_of("auto")
    devices = [torch.device("cpu")] + ([best] if best.type == "cuda" else [])
    parts: list[tuple[str, str, Callable[[torch.device], Speed], Callable[[Any, Any], tuple[bool, str]]]] = [
        (f"detect in frames of 640 x 360, {DEFAULT_ARCHITECTURE}", "frames/s", _detected, _same_boxes),
        ("embed tracks of 5 crops of 96 pixels, EfficientNet-Lite0 and a ResNet-50", "tracks/s", _embedded, _same_way),
        ("fine-tune a ResNet-50, 32 crops of 96 pixels a step", "steps/s", _stepped, _same_loss),
        (f"plan {BATCH} of {POOL:,} tracks by their margins", "tracks/s", _planned, _same_tracks),
    ]
    for what, unit, part, compared in parts:
        speeds = [part(device) for device in devices]
        slow, fast = speeds[0], speeds[-1]
        if len(speeds) == 1:
            what, said, met = f"{what}, CPU alone", "no GPU here: not measured", False
            yield Row("G1", what, slow.a_second, unit, {}, {}, said, met, 1, 0.0, cores())
            continue
        agrees, said = compared(slow.found, fast.found)
        target = f"faster than the CPU, the same result ({torch.cuda.get_device_name()})"
        ratio = fast.a_second / slow.a_second
        yield Row(
            "G1", f"{what}; {said}", fast.a_second, unit, {"CPU": slow.a_second}, {"CPU": ratio}, target,
            agrees and ratio > 1, 1, 0.0, cores(),
        )  # fmt: skip


def _detected(device: torch.device) -> Speed:
    torch.manual_seed(SEED)
    network = get_model(DEFAULT_ARCHITECTURE, weights=None, weights_backbone=None, num_classes=2)
    config = {"architecture": DEFAULT_ARCHITECTURE, "animal_labels": [1], "min_score": 0.05}
    detector = TorchvisionDetector.of_network(network, config, "0" * 64, device)
    drawn = np.random.default_rng(SEED).integers(0, 255, (8, 360, 640, 3)).astype(np.uint8)

    def pictures(n: int) -> Iterator[tuple[int, float, np.ndarray]]:
        return ((i, i / 5, drawn[i % len(drawn)]) for i in range(n))

    first = [boxes for _, boxes in detector.detect(pictures(len(drawn)))]
    n = FRAMES[device.type]
    began = time.perf_counter()
    for _ in detector.detect(pictures(n)):
        pass
    return Speed(n / (time.perf_counter() - began), first)


def _same_boxes(slow: list[np.ndarray], fast: list[np.ndarray]) -> tuple[bool, str]:
    hits = [overlaps_of(a[:, :4], b[:, :4]).max(axis=1, initial=0) > 0.9 for a, b in zip(slow, fast, strict=True)]
    share = float(np.concatenate(hits).mean()) if sum(map(len, hits)) else 1.0
    return share >= 0.95, f"{share:.1%} of {sum(map(len, hits))} boxes agree"


def _embedded(device: torch.device) -> Speed:
    torch.manual_seed(SEED)
    embedder = Embedder(128, 96, "resnet50", pretrained=True)
    embedder.weight.copy_(torch.randn(embedder.weight.shape) / embedder.n_features**0.5)
    embedder.to(device)
    drawn = np.random.default_rng(SEED).integers(0, 255, (16, 5, 96, 96, 3)).astype(np.uint8)
    first = np.stack(list(track_vectors(embedder, drawn)))
    n = TRACKS[device.type]
    began = time.perf_counter()
    for _ in track_vectors(embedder, (drawn[i % len(drawn)] for i in range(n))):
        pass
    return Speed(n / (time.perf_counter() - began), first)


def _same_way(slow: np.ndarray, fast: np.ndarray) -> tuple[bool, str]:
    least = float((slow * fast).sum(1).min())
    return least > 0.999, f"smallest cosine {least:.5f}"


class _Timed(Dataset[tuple[Tensor, ...]]):
    """Batches, and when each was asked for."""

    def __init__(self, batches: Batches) -> None:
        self._batches, self.at = batches, list[float]()

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        self.at.append(time.perf_counter())
        return self._batches[step]


def _stepped(device: torch.device) -> Speed:
    rng = np.random.default_rng(SEED)
    target = np.arange(256) % 8
    crops = Crops(rng.integers(0, 255, (256, 96, 96, 3)).astype(np.uint8), target)
    recipe = replace(Recipe(), backbone="resnet50", side=96)
    torch.manual_seed(SEED)
    learner = MetricLearner(recipe, 8)
    batches = _Timed(Batches(crops, target.astype(np.int64), recipe, SEED, ALONE))
    n = STEPS[device.type]
    # The learning rate of both follows the longer plan, so that the first steps are the same.
    steps = TrainingPlan(max(STEPS.values()), recipe.batch, recipe.rate, recipe.weight_decay, checkpoint_every=0)
    losses: list[float] = []

    class Enough(Exception):
        pass

    def report(state: Any) -> None:
        losses.append(state.history[-1][1])
        if state.step == n:
            raise Enough

    with suppress(Enough):
        train(learner, batches, steps, device, report=report)
    took = time.perf_counter() - batches.at[UNCOUNTED_STEPS]
    return Speed((n - UNCOUNTED_STEPS) / took, losses[: STEPS["cpu"]])


def _same_loss(slow: list[float], fast: list[float]) -> tuple[bool, str]:
    apart = max(abs(a - b) / a for a, b in zip(slow, fast, strict=True))
    return apart < 0.1, f"losses {apart:.1%} apart after {len(slow)} steps in half precision"


def _planned(device: torch.device) -> Speed:
    pool, head = synthetic_pool(POOL)
    arithmetic = arithmetic_on("cpu") if device.type == "cpu" else on_torch(str(device))

    def made() -> Any:
        return plan(pool, head, WARM, BATCH, np.random.default_rng(1), arithmetic)

    first = made()
    began = time.perf_counter()
    made()
    return Speed(POOL / (time.perf_counter() - began), np.sort(first.rows))


def _same_tracks(slow: np.ndarray, fast: np.ndarray) -> tuple[bool, str]:
    share = len(np.intersect1d(slow, fast)) / max(1, len(slow))
    return share >= 0.95, f"{share:.0%} of the chosen tracks are the same"
