"""AP50 beside pycocotools, and the scores of tracks on made-up cases."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from chimp_assets.vision.detection.detection_metrics import average_precision
from chimp_assets.vision.tracking.tracker import LinkedTrack
from chimp_assets.vision.tracking.tracking_metrics import TrackingScores, compare

SIZE = 1000


def made_up(seed):
    """Drawn boxes of ten pictures, and boxes near them, of too many kinds to list."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(10):
        drawn = np.concatenate([rng.uniform(0, 0.6, (4, 2)), rng.uniform(0.02, 0.3, (4, 2))], 1)
        near = drawn[rng.random(4) < 0.8]
        near = np.concatenate([near + rng.normal(0, 0.012, near.shape), rng.uniform(0.02, 0.4, (2, 4))])
        near[:, 2:] = np.maximum(near[:, 2:], 0.01)
        found.append(np.concatenate([near, rng.random((len(near), 1))], 1).astype(np.float32))
        true.append(drawn[: rng.integers(0, 5)].astype(np.float32))
    return found, true


@pytest.mark.parametrize("area", [(0.0, 1.01), (0.0, 0.01), (0.01, 0.04)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_average_precision_is_that_of_pycocotools(seed, area):
    """An AP of our own that differs from everybody's cannot be compared with anything."""
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    found, true = made_up(seed)
    images = [{"id": n + 1, "width": SIZE, "height": SIZE} for n in range(len(true))]
    annotations = [
        {"image_id": n + 1, "category_id": 1, "iscrowd": 0, "bbox": (box * SIZE).tolist(),
         "area": float(box[2] * box[3]) * SIZE**2}
        for n, boxes in enumerate(true) for box in boxes
    ]  # fmt: skip
    results = [
        {"image_id": n + 1, "category_id": 1, "bbox": (box[:4] * SIZE).tolist(), "score": float(box[4])}
        for n, boxes in enumerate(found) for box in boxes
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_module.COCO()
        numbered = [{**one, "id": n + 1} for n, one in enumerate(annotations)]
        coco.dataset = {"images": images, "annotations": numbered, "categories": [{"id": 1, "name": "animal"}]}
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.params.areaRng, judge.params.areaRngLbl = [[a * SIZE**2 for a in area]], ["all"]
        judge.params.maxDets = [100]
        judge.evaluate()
        judge.accumulate()
    ours = average_precision(found, true, area)
    precision, recall = judge.eval["precision"][0, :, 0, 0, 0], float(judge.eval["recall"][0, 0, 0, 0])
    assert ours.ap == pytest.approx(float(precision.mean()), abs=0.01)
    assert ours.recall == pytest.approx(recall, abs=1e-6)


def test_nothing_drawn_gives_no_number():
    """A mean over no boxes must not look like a bad detector."""
    assert np.isnan(average_precision([np.zeros((2, 5), np.float32)], [np.zeros((0, 4), np.float32)]).ap)


def walk(first, n, x):
    boxes = np.tile(np.array([x, 0.4, 0.2, 0.2], np.float32), (n, 1))
    return LinkedTrack(np.arange(first, first + n, dtype=np.int32), boxes, np.ones(n, np.float32))


def test_a_mixed_track_and_two_fragments_are_told_apart():
    """Purity and fragmentation trade against each other: a score that mixes them up would tune the wrong way."""
    truth = [
        {n: np.array([0.1, 0.4, 0.2, 0.2]) for n in range(20)},
        {n: np.array([0.6, 0.4, 0.2, 0.2]) for n in range(20)},
    ]
    mixed = LinkedTrack(
        np.arange(20, dtype=np.int32),
        np.concatenate([walk(0, 10, 0.1).boxes, walk(10, 10, 0.6).boxes]),
        np.ones(20, np.float32),
    )
    one = compare([mixed, walk(0, 10, 0.6), walk(10, 10, 0.1)], truth)
    two = compare([walk(0, 10, 0.1), walk(10, 10, 0.1), walk(0, 20, 0.6)], truth)
    assert (one.recall, two.recall) == (1, 1)
    assert one.purity == pytest.approx(30 / 40)
    assert (one.mixed_tracks, two.mixed_tracks) == (1, 0)
    assert two.purity == 1
    assert two.tracks_per_animal == pytest.approx(1.5)
    assert two.idf1 == pytest.approx(30 / 40)
    assert (one + two).true_boxes == 80
    assert compare([], []) == TrackingScores()
