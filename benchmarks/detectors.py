"""Detectors: animals found on frames with boxes drawn by hand, milliseconds a picture, and what drawn boxes teach.

`python -m benchmarks.detectors [--videos FOLDER] [--boxes 200] [--steps 200]`: with a folder that holds
zamba_chimp.mp4 and zamba_chimp_boxes.csv the first table is of these; the second is of a generated archive with known
truth, where NanoDet learns from boxes of half of the clips and is judged on the other half. Each figure stands beside
motion's.

Belongs here: counting, printing. Does not belong here: tracks and names (`tracking`).
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.support.archives import decoded
from benchmarks.support.harness import cores

if TYPE_CHECKING:
    from chimp_assets.vision.detection.interface import Detector, Picture

OVERLAP = 0.4
TARGET = "target: at least 42 of 66, at most 3 false"
EDGE = np.array([[0, 10 / 180, 25 / 320, 100 / 180]])
"""animals at the left edge that are half to be seen count neither way"""
CLIPS, SECONDS = 8, 4


def drawn_by_hand(file: Path) -> dict[int, np.ndarray]:
    """Boxes f64 [n, 4] x, y, w, h as fractions, by frame of zamba_chimp.mp4 (320 x 180)."""
    found: dict[int, list[list[float]]] = {}
    with file.open(newline="") as opened:
        for row in csv.DictReader(opened):
            left, top, right, bottom = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
            found.setdefault(int(row["frame"]), []).append(
                [left / 320, top / 180, (right - left) / 320, (bottom - top) / 180]
            )
    return {frame: np.array(boxes) for frame, boxes in found.items()}


def counted(found: dict[int, np.ndarray], drawn: dict[int, np.ndarray]) -> dict[str, int]:
    """Animals found; boxes left over: shared by several animals or a second one, parts of an animal, false."""
    from chimp_assets.vision.detection.overlaps import overlaps_of

    counts = {"found": 0, "shared": 0, "parts": 0, "false": 0}
    for frame, animals in drawn.items():
        free = np.ones(len(animals), bool)
        for box in sorted(found[frame], key=lambda one: -one[4]):
            alike = overlaps_of(box[None, :4], animals)[0]
            best = np.where(free, alike, 0).argmax()
            if free[best] and alike[best] >= OVERLAP:
                free[best] = False
                counts["found"] += 1
            elif _within(box, EDGE).max() <= 0.5:
                of_animals = np.array([_within(animal, box[None])[0] for animal in animals])
                counts[
                    "shared" if (of_animals > 0.5).sum() > 1
                    else "parts" if _within(box, animals).max() > 0.3
                    else "false"
                ] += 1  # fmt: skip
    return counts


def _within(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of a box that lies in each of the others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[:2] + box[2:4], others[:, :2] + others[:, 2:4])
    return np.asarray(np.clip(high - low, 0, None).prod(1) / box[2:4].prod())


def by_hand(videos: Path) -> None:
    """The first table."""
    import av

    from chimp_assets.vision.detection.motion import MotionDetector

    drawn = drawn_by_hand(videos / "zamba_chimp_boxes.csv")
    with av.open(str(videos / "zamba_chimp.mp4")) as opened:
        pictures = [(i, float(f.time), f.to_ndarray(format="rgb24")) for i, f in enumerate(opened.decode(video=0))]
    print(f"{sum(map(len, drawn.values()))} animals on {len(drawn)} frames drawn by hand; {TARGET}")
    arms: list[tuple[str, Detector, float]] = [("motion (foil)", MotionDetector(), 0.25)]
    arms += [(f"nanodet, motion: {kind}", nanodet(kind), 0.3) for kind in ("none", "agreement", "alone")]
    for name, detector, least in arms:
        began = time.process_time()
        found = dict(detector.detect(iter(pictures)))
        spent = 1000 * (time.process_time() - began) / len(pictures)
        counts = counted({frame: boxes[boxes[:, 4] >= least] for frame, boxes in found.items()}, drawn)
        shown = ", ".join(f"{what} {count}" for what, count in counts.items())
        print(f"  {name:28}{shown}; {spent:.0f} ms of CPU a picture")


def nanodet(opinion: str) -> Detector:
    """NanoDet as its package brings it, on a GPU if there is one."""
    from chimp_assets.settings import load_settings
    from chimp_assets.vision.detection.nanodet.nanodet_detector import NanoDetDetector, nanodet_file, read_network

    network, digest = read_network(nanodet_file(load_settings(), None))
    return NanoDetDetector(network, {"weights_hash": digest}, opinion)


def taught(most: int, steps: int) -> tuple[float, float, float]:
    """AP50 on the judging half of the clips: of motion, of NanoDet as it comes, of NanoDet after `most` boxes."""
    import torch

    from chimp_assets.demo.archive import make_archive
    from chimp_assets.vision.detection.box_training import BATCH, RATE, BoxBatches, BoxFrame
    from chimp_assets.vision.detection.detection_metrics import average_precision
    from chimp_assets.vision.detection.motion import MotionDetector
    from chimp_assets.vision.detection.nanodet.training import NanoDetLearner
    from chimp_assets.vision.learning.training import TrainingPlan, train

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_archive(
            place / "archive", place / "truth.json", seed=41, clips=CLIPS, seconds=SECONDS, days=2, workers=cores()
        )
        clips = list(_clips(place))
    teaching, judging = clips[::2], clips[1::2]
    frames: list[BoxFrame] = []
    left = most
    for number, (shown, boxes) in enumerate(teaching):
        for at in range(2, len(shown), max(1, len(shown) // 4)):
            if len(boxes[at]) and len(boxes[at]) <= left:
                left -= len(boxes[at])
                frames.append(BoxFrame(number, at, "train", boxes[at].astype(np.float32), np.zeros((0, 4), np.float32)))

    def judged(detector: Detector) -> float:
        found = [boxes for shown, _ in judging for _, boxes in detector.detect(iter(shown))]
        return average_precision(found, [one for _, boxes in judging for one in boxes]).ap

    start = nanodet("none")
    before = judged(start)
    plan = TrainingPlan(steps, BATCH, RATE, 1e-4, average=0.99, checkpoint_every=0)
    network = start._network  # type: ignore[attr-defined]
    train(
        NanoDetLearner(network),
        BoxBatches(frames, lambda frame: teaching[frame.video_id][0][frame.frame_no][2], seed=1),
        plan,
        torch.device("cpu"),
    )
    network.eval()
    print(f"{most - left} boxes on {len(frames)} frames of {len(teaching)} generated clips, {steps} steps;"
          f" judged on {len(judging)} others")  # fmt: skip
    return judged(MotionDetector()), before, judged(start)


def _clips(place: Path) -> Iterator[tuple[list[Picture], list[np.ndarray]]]:
    """Kept pictures and true boxes f64 [n, 4] of each whole clip."""
    import sqlalchemy as sa

    from benchmarks.tracking import _true_boxes
    from chimp_assets.archive.video.pictures import read_frames
    from chimp_assets.database import schema

    home, truth = decoded(place)
    video = schema.video.c
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(video.video_id, video.uri).where(video.state == "decoded").order_by(video.uri)
        ).all()
    for video_id, uri in rows:
        known = truth.video(uri)
        if known is None or known.damage:
            continue
        shown = list(read_frames(home.database, home.store, video_id))
        animals = _true_boxes(known, {frame_no: time_s for frame_no, time_s, _ in shown})
        yield shown, [np.array([a[n] for a in animals if n in a]).reshape(-1, 4) for n, _, _ in shown]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=Path, help="folder of zamba_chimp.mp4 and zamba_chimp_boxes.csv")
    parser.add_argument("--boxes", type=int, default=200)
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args(arguments)
    if asked.videos is not None:
        by_hand(asked.videos)
    motion, before, after = taught(asked.boxes, asked.steps)
    print(f"  AP50: motion (foil) {motion:.3f}, nanodet {before:.3f}; trained {after:.3f} (target: above {before:.3f})")


if __name__ == "__main__":
    main()
