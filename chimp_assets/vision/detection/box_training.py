"""A detector from boxes that people drew: `python -m chimp_assets.vision.train --task detector`.

Belongs here: which boxes teach and which judge, their pictures, the candidate's file and row, its metrics.
Does not belong here: the loop (`training`), detecting (`torchvision_detector`), average precision
(`detection_metrics`), promotion: a new detector replaces tracks, so a person decides (`chimp models promote`).

People draw what was missed, not everything: in a frame with a drawn box, the boxes of tracks that nobody drew may or
may not be animals. They are painted over, so that they teach neither; the rest of the frame counts as empty.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import sqlalchemy as sa
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.work.waiting_tracks import FINE_TUNED
from chimp_assets.vision.datasets.training_set import describe_training_set
from chimp_assets.vision.detection.detection_metrics import average_precision
from chimp_assets.vision.detection.interface import NANODET, Detector
from chimp_assets.vision.detection.nanodet.nanodet_detector import (
    NanoDetDetector,
    nanodet_file,
    nanodet_is_there,
    read_network,
)
from chimp_assets.vision.detection.nanodet.training import NanoDetLearner
from chimp_assets.vision.detection.overlaps import overlaps_of
from chimp_assets.vision.detection.torchvision_detector import (
    DEFAULT_ARCHITECTURE,
    TorchvisionDetector,
    start_of_training,
)
from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints, TrainingState
from chimp_assets.vision.learning.device import device_of
from chimp_assets.vision.learning.training import Learner, TrainingPlan, train
from chimp_assets.vision.learning.unfinished import adopt_former_state, training_key
from chimp_assets.vision.models.checkpoint import (
    ModelError,
    content_hash,
    read_checked,
    register_model,
    registered_model,
    save_checkpoint,
)
from chimp_assets.vision.models.weights import local_weights

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

MIN_BOXES = 50
"""Fewest drawn boxes of training days; a network memorises fewer."""
SIDE = 640  # pixels; longer pictures are scaled down
MOST = 32  # boxes of one frame
BATCH = 4
EPOCHS = 20
STEPS = (200, 20_000)
RATE = 2e-4
GREY = 110


@dataclass(frozen=True)
class BoxFrame:
    """A frame with drawn boxes. drawn, ignored: f32 [k, 4] x, y, w, h as fractions; split: of its video."""

    video_id: int
    frame_no: int
    split: str
    drawn: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class TrainedDetector:
    """Result of a training. ap50, recall: on frames of other days; None if nobody drew on those."""

    model_id: int
    training_set_id: int
    boxes: int
    frames: int
    judging_frames: int
    steps: int
    ap50: float | None
    recall: float | None
    seconds: float


def drawn_frames(conn: sa.Connection, watermark_seq: int) -> list[BoxFrame]:
    """Frames with drawn boxes as of a watermark, ascending, without retracted or replaced boxes."""
    a, later, split = schema.annotation, schema.annotation.alias("later"), schema.split_assignment
    gone = sa.exists().where(later.c.supersedes == a.c.annotation_id, later.c.seq <= watermark_seq)
    rows = conn.execute(
        sa.select(a.c.video_id, a.c.frame_no, a.c.x, a.c.y, a.c.w, a.c.h, split.c.split)
        .join(split, split.c.video_id == a.c.video_id)
        .where(a.c.kind == "box", a.c.seq <= watermark_seq, ~gone)
        .order_by(a.c.video_id, a.c.frame_no, a.c.seq)
    ).all()
    frames: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        frames.setdefault((int(row.video_id), int(row.frame_no)), []).append(row)
    d, t = schema.detection.c, schema.track.c
    found = []
    for (video_id, frame_no), boxes in frames.items():
        drawn = np.array([(r.x, r.y, r.w, r.h) for r in boxes], np.float32)
        others = conn.execute(
            sa.select(d.x, d.y, d.w, d.h)
            .join_from(schema.detection, schema.track, d.track_id == t.track_id)
            .where(d.video_id == video_id, d.frame_no == frame_no, t.state == "live")
            .order_by(d.detection_no)
        ).all()
        other = np.array([tuple(r) for r in others], np.float32).reshape(-1, 4)
        ignored = other[overlaps_of(drawn, other).max(axis=0) < 0.5] if len(other) else other
        found.append(BoxFrame(video_id, frame_no, boxes[0].split, drawn[:MOST], ignored))
    return found


def box_training_set(db: Database, store: BlobStore, settings: Settings) -> int:
    """Write the training set of all boxes drawn so far, file and row; returns its key, the same for the same watermark.

    Raises ModelError if fewer than MIN_BOXES boxes of training days were drawn.
    """
    with db.read() as conn:
        watermark = last_seq(conn)
        frames = drawn_frames(conn, watermark)
    teaching = [frame for frame in frames if frame.split == "train"]
    boxes = sum(len(frame.drawn) for frame in teaching)
    if boxes < MIN_BOXES:
        raise ModelError(
            f"{boxes} boxes were drawn on training days; a detector needs {MIN_BOXES}.",
            "Draw more boxes, on pictures of several cameras.",
        )
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video_id", "frame_no", "split", "drawn", "ignored"))
    for frame in frames:
        both = (json.dumps(np.round(part, 6).astype(float).round(6).tolist()) for part in (frame.drawn, frame.ignored))
        writer.writerow((frame.video_id, frame.frame_no, frame.split, *both))
    content = text.getvalue().encode()
    digest = content_hash(content)
    uri = f"training_sets/detector-{watermark:010d}-{digest[:12]}.csv"
    store.put(uri, content)
    c = schema.training_set.c

    def write(conn: sa.Connection) -> int:
        there = sa.select(sa.func.min(c.training_set_id)).where(c.task == "detector", c.member_hash == digest)
        found = conn.scalar(there.where(c.watermark_seq == watermark))
        if found is not None:
            return int(found)
        key = conn.execute(
            sa.insert(schema.training_set).values(
                task="detector",
                watermark_seq=watermark,
                split_seed=settings.seed,
                n_tracks=boxes,
                n_classes=1,
                member_uri=uri,
                member_hash=digest,
                created_at=datetime.now(UTC),
            )
        ).inserted_primary_key
        assert key is not None
        return int(key[0])

    return db.transact(write)


def read_box_frames(db: Database, store: BlobStore, training_set_id: int) -> list[BoxFrame]:
    """The frames of a training set from its file. Raises ModelError if unknown, ModelFileError if the file changed."""
    with db.read() as conn:
        row = describe_training_set(conn, training_set_id)
    if row.task != "detector":
        raise ModelError(f"Training set {training_set_id} is for the task {row.task!r}, not for a detector.")
    rows = csv.DictReader(io.StringIO(read_checked(store, row.member_uri, row.member_hash).decode(), newline=""))
    return [
        BoxFrame(
            int(r["video_id"]),
            int(r["frame_no"]),
            r["split"],
            *(np.array(json.loads(r[name]), np.float32).reshape(-1, 4) for name in ("drawn", "ignored")),
        )
        for r in rows
    ]


def train_detector(
    db: Database,
    store: BlobStore,
    settings: Settings,
    training_set_id: int,
    report: Callable[[TrainingState], None] | None = None,
    steps: int | None = None,
) -> TrainedDetector:
    """Fit a candidate detector on a training set of boxes. A second run, on whichever machine, resumes an interrupted
    one at its last checkpoint in the store.

    It starts from NanoDet where that is chosen, or installed and nothing else is; else from the torchvision network of
    detect.weights if that is set, else from zero. On a CPU the same boxes and seed give
    the same weights. AP50 and recall on frames of other days are written to `evaluation_metric`. Raises ModelError;
    DeviceError if compute.device is not there.
    """
    began = time.monotonic()
    device = device_of(settings.compute.device)
    adopt_former_state(settings.home, store)
    frames = read_box_frames(db, store, training_set_id)
    teaching = [frame for frame in frames if frame.split == "train"]
    judging = [frame for frame in frames if frame.split != "train"]
    torch.manual_seed(settings.seed)
    start = _start(settings, store, device)
    n = steps or int(np.clip(EPOCHS * len(teaching) / BATCH, *STEPS))
    checkpoints = TrainingCheckpoints(store, training_key("detector", training_set_id))
    identity = hashlib.blake2b(f"{training_set_id} {start.begun} {n} {settings.seed}".encode()).hexdigest()[:32]
    plan = TrainingPlan(n, BATCH, RATE, 1e-4, average=0.99, checkpoint_every=100, identity=identity)

    def picture_of(frame: BoxFrame) -> np.ndarray:
        ((_, _, picture),) = read_frames(db, store, frame.video_id, [frame.frame_no])
        return picture

    batches = BoxBatches(teaching, picture_of, settings.seed)
    state = train(start.learner, batches, plan, device, checkpoints=checkpoints, report=report)
    config = {
        **start.config,
        "training": {"boxes": sum(len(f.drawn) for f in teaching), "frames": len(teaching), "begun": start.begun},
        "steps": state.step,
        "seed": settings.seed,
    }
    uri, digest = save_checkpoint(store, "models/detector/detector", start.network.state_dict(), config)
    model_id = registered_model(db, "detector", training_set_id, digest)
    if model_id is None:
        boxes = sum(len(frame.drawn) for frame in teaching)
        model_id = register_model(
            db, "detector", f"{FINE_TUNED} on {boxes} boxes", config, uri, digest, None, training_set_id
        )
    detector = start.detector(config, digest)
    ap50, recall = judge_detector(db, store, model_id, detector, judging, training_set_id)
    checkpoints.remove()  # the result is kept as a model
    seconds = round(time.monotonic() - began, 1)
    boxes = sum(len(frame.drawn) for frame in teaching)
    return TrainedDetector(
        model_id, training_set_id, boxes, len(teaching), len(judging), state.step, ap50, recall, seconds
    )


@dataclass(frozen=True)
class _Start:
    """What a training starts from. begun: hash of the weights, or `zero`; detector: of its config and hash."""

    network: nn.Module
    learner: Learner
    config: dict[str, Any]
    begun: str
    detector: Callable[[dict[str, Any], str], Detector]


def _start(settings: Settings, store: BlobStore, device: torch.device) -> _Start:
    """Raises DetectorError if detect.weights cannot be used."""
    chosen, weights = settings.detect.detector, settings.detect.weights
    if chosen == "nanodet" or (chosen == "motion" and weights is None and nanodet_is_there(store)):
        network, begun = read_network(nanodet_file(settings, store))
        return _Start(
            network,
            NanoDetLearner(network),
            {"architecture": NANODET},
            begun,
            lambda config, digest: NanoDetDetector(network, {**config, "weights_hash": digest}, "none", device),
        )
    path = None if weights is None else str(local_weights(settings, store, weights))
    other, architecture, begun = start_of_training(path, DEFAULT_ARCHITECTURE)
    return _Start(
        other,
        _BoxLearner(other, frozen_statistics=begun != "zero"),
        {"architecture": architecture, "animal_labels": [1], "min_score": 0.05},
        begun,
        lambda config, digest: TorchvisionDetector.of_network(other, config, digest, device),
    )


def judge_detector(
    db: Database,
    store: BlobStore,
    model_id: int,
    detector: Detector,
    frames: list[BoxFrame],
    training_set_id: int,
) -> tuple[float | None, float | None]:
    """AP50 and recall, in all, by size (COCO's shares of the picture) and by light, as rows of `evaluation_metric`.

    Boxes on ignored places do not count. Returns AP50 and recall; None without frames.
    """
    if not frames:
        return None, None
    found, true, light = [], [], []
    for frame in frames:
        ((_, time_s, picture),) = read_frames(db, store, frame.video_id, [frame.frame_no])
        ((_, boxes),) = detector.detect(iter([(frame.frame_no, time_s, picture)]))
        on_ignored = overlaps_of(boxes[:, :4], frame.ignored).max(axis=1, initial=0) >= 0.5
        found.append(boxes[~on_ignored])
        true.append(frame.drawn)
        light.append(light_of(picture))
    rows: list[tuple[str, str, str, float, int]] = []
    whole = average_precision(found, true)
    for kind, value, part in [
        ("all", "", whole),
        *(("size", name, average_precision(found, true, area)) for name, area in AREAS.items()),
        *(("light", name, average_precision(*_of_light(found, true, light, name))) for name in sorted(set(light))),
    ]:
        if part.n:
            rows += [(kind, value, "ap50", part.ap, part.n), (kind, value, "recall", part.recall, part.n)]
    m, now = schema.evaluation_metric, datetime.now(UTC)
    with db.read() as conn:
        watermark = conn.scalar(
            sa.select(schema.training_set.c.watermark_seq).where(
                schema.training_set.c.training_set_id == training_set_id
            )
        )

    def write(conn: sa.Connection) -> None:
        conn.execute(sa.delete(m).where(m.c.model_id == model_id, m.c.dataset == "drawn_boxes"))
        for kind, value, name, number, n in rows:
            conn.execute(
                sa.insert(m).values(
                    model_id=model_id, dataset="drawn_boxes", watermark_seq=watermark, slice_kind=kind,
                    slice_value=value, name=name, value=number, n=n, created_at=now,
                )
            )  # fmt: skip

    db.transact(write)
    return whole.ap, whole.recall


AREAS = {"small": (0.0, 0.0033), "medium": (0.0033, 0.03), "large": (0.03, 1.01)}
"""Shares of the picture: COCO's 32^2 and 96^2 pixels in its usual picture of 640 x 480."""


def light_of(picture: np.ndarray) -> str:
    """infrared, dusk or day, from the colours and the brightness of a picture u8 [h, w, 3]."""
    small = cv2.resize(picture, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float((small.max(2) - small.min(2)).mean()) < 6:
        return "infrared"
    return "dusk" if float(small.mean()) < 60 else "day"


def _of_light(
    found: list[np.ndarray], true: list[np.ndarray], light: list[str], name: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rows = [row for row, one in enumerate(light) if one == name]
    return [found[row] for row in rows], [true[row] for row in rows]


class _BoxLearner(Learner):
    """A torchvision detector as a `Learner`. It samples proposals at random, with the seed of the batch."""

    def __init__(self, network: nn.Module, frozen_statistics: bool) -> None:
        super().__init__()
        self.network, self.frozen_statistics = network, frozen_statistics

    def forward(self, pictures: Tensor, sizes: Tensor, boxes: Tensor, counts: Tensor, seed: Tensor) -> Any:
        images, targets = [], []
        for picture, (height, width), corners, count in zip(
            pictures, sizes.tolist(), boxes, counts.tolist(), strict=True
        ):
            images.append(picture[:height, :width].permute(2, 0, 1).float() / 255)
            labels = torch.ones(count, dtype=torch.int64, device=corners.device)
            targets.append({"boxes": corners[:count], "labels": labels})
        if self.frozen_statistics:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()  # the statistics of four pictures are worse than those of the weights
        with torch.random.fork_rng(devices=[pictures.device] if pictures.is_cuda else []):
            torch.manual_seed(int(seed[0]))
            losses = self.network(images, targets)
        loss = torch.stack([part.float() for part in losses.values()]).sum()
        return loss.expand(len(images)), torch.zeros(len(images), dtype=torch.bool, device=loss.device)


class BoxBatches(Dataset[tuple[Tensor, ...]]):
    """Batches of frames, each a function of its step: mirrored, brighter or darker, with ignored places painted
    over. picture_of: the picture u8 [h, w, 3] of a frame."""

    def __init__(self, frames: list[BoxFrame], picture_of: Callable[[BoxFrame], np.ndarray], seed: int) -> None:
        self._frames, self._picture_of, self._seed = frames, picture_of, seed

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        first = step * BATCH
        chosen = [self._frames[self._frame_of(first + place)] for place in range(BATCH)]
        drawn = [
            prepared(self._picture_of(frame), frame, np.random.default_rng([self._seed, step, i]))
            for i, frame in enumerate(chosen)
        ]
        pictures = torch.full((BATCH, SIDE, SIDE, 3), GREY, dtype=torch.uint8)
        boxes = torch.zeros(BATCH, MOST, 4)
        for i, (picture, corners) in enumerate(drawn):
            pictures[i, : picture.shape[0], : picture.shape[1]] = torch.from_numpy(picture)
            boxes[i, : len(corners)] = torch.from_numpy(corners)
        sizes = torch.tensor([picture.shape[:2] for picture, _ in drawn])
        counts = torch.tensor([len(corners) for _, corners in drawn])
        return pictures, sizes, boxes, counts, torch.full((BATCH,), self._seed * 1_000_003 + step)

    def _frame_of(self, place: int) -> int:
        turn, at = divmod(place, len(self._frames))
        return int(np.random.default_rng([self._seed, 11, turn]).permutation(len(self._frames))[at])


def prepared(picture: np.ndarray, frame: BoxFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A training picture u8 [h, w, 3], longest side SIDE at most, and its drawn boxes f32 [k, 4] as pixel corners."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    height, width = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    shown = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else picture.copy()
    paint = np.zeros((height, width), bool)
    for corners, value in (
        (_corners(frame.ignored, width, height), True),
        (_corners(frame.drawn, width, height), False),
    ):
        for left, top, right, bottom in corners.round().astype(int):
            paint[top:bottom, left:right] = value
    shown[paint] = GREY
    corners = _corners(frame.drawn, width, height)
    if rng.random() < 0.5:
        shown = shown[:, ::-1]
        corners = np.stack([width - corners[:, 2], corners[:, 1], width - corners[:, 0], corners[:, 3]], 1)
    shown = np.clip(shown * rng.uniform(0.6, 1.4), 0, 255).astype(np.uint8)
    large = ((corners[:, 2:] - corners[:, :2]) >= 1).all(axis=1)
    return np.ascontiguousarray(shown), corners[large].astype(np.float32)


def _corners(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return np.clip(np.concatenate([low, high], 1) * [width, height, width, height], 0, [width, height, width, height])
