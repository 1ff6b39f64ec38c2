"""A detector from drawn boxes: which boxes teach, resuming, the candidate and its numbers."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import sqlalchemy as sa
import torch

from chimp_assets.database import schema
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.settings import load_settings
from chimp_assets.vision.detection import box_training
from chimp_assets.vision.detection.box_training import (
    BoxFrame,
    box_training_set,
    drawn_frames,
    light_of,
    prepared,
    read_box_frames,
    train_detector,
)
from chimp_assets.vision.detection.detector import current_detector
from chimp_assets.vision.models.checkpoint import ModelError, promote
from chimp_assets_tests.vision.animals import make_animals


def draw(home, videos=range(1, 7), frames=3):
    """Somebody draws a box around the first track in some frames of each video."""
    d = schema.detection.c
    with home.database.read() as conn:
        rows = conn.execute(
            sa.select(d.video_id, d.frame_no, d.x, d.y, d.w, d.h)
            .where(d.video_id.in_(list(videos)), d.detection_no == 0, d.frame_no < frames)
            .order_by(d.video_id, d.frame_no)
        ).all()
    events = [
        LabelEvent(
            str(uuid.uuid5(uuid.NAMESPACE_OID, f"{r.video_id} {r.frame_no}")), "box", "expert", video_id=r.video_id,
            frame_no=r.frame_no, x=r.x, y=r.y, w=r.w, h=r.h,
        )
        for r in rows
    ]  # fmt: skip
    assert all(result.status == "stored" for result in record_events(home.database, events))
    return events


def test_boxes_that_were_taken_back_teach_nothing_and_other_tracks_are_ignored(home):
    """A box drawn by mistake would be learned for ever, and an animal that nobody drew would be learned as empty."""
    make_animals(home, videos=6)
    events = draw(home)
    with home.database.read() as conn:
        before = drawn_frames(conn, 10_000)
    assert len(before) == 18
    assert {len(frame.drawn) for frame in before} == {1}
    assert {len(frame.ignored) for frame in before} == {1}, "the other animal of the frame"
    assert {frame.split for frame in before} == {"train", "test"}
    taken = LabelEvent(str(uuid.uuid4()), "retract", "expert", supersedes=events[0].annotation_id)
    assert record_events(home.database, [taken])[0].status == "stored"
    with home.database.read() as conn:
        assert len(drawn_frames(conn, 10_000)) == 17
        assert len(drawn_frames(conn, 18)) == 18, "as of before"


def test_few_boxes_are_refused_and_one_watermark_is_one_set(home, monkeypatch):
    """A network learns fifty boxes by heart; and the same boxes must not make a set each time."""
    make_animals(home, videos=6)
    draw(home)
    with pytest.raises(ModelError, match="15 boxes were drawn on training days; a detector needs 50"):
        box_training_set(home.database, home.store, home.settings)
    monkeypatch.setattr(box_training, "MIN_BOXES", 10)
    key = box_training_set(home.database, home.store, home.settings)
    assert box_training_set(home.database, home.store, home.settings) == key
    frames = read_box_frames(home.database, home.store, key)
    assert len(frames) == 18
    assert frames[0].drawn.shape == (1, 4)


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_candidate_and_a_person_promotes_it(home, monkeypatch):
    """Weights that depend on where a training was killed cannot be made again from their row."""
    monkeypatch.setattr(box_training, "MIN_BOXES", 10)
    monkeypatch.setattr(box_training, "SIDE", 128)
    monkeypatch.setattr(box_training, "DEFAULT_ARCHITECTURE", "ssdlite320_mobilenet_v3_large")
    torch.set_num_threads(1)
    make_animals(home, videos=6)
    draw(home)
    db, store, settings = home.database, home.store, load_settings(home.settings.home)
    key = box_training_set(db, store, settings)
    plan = box_training.TrainingPlan
    monkeypatch.setattr(box_training, "TrainingPlan", lambda *a, **k: plan(*a, **{**k, "checkpoint_every": 1}))

    class Killed(Exception):
        pass

    def kill(state):
        if state.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train_detector(db, store, settings, key, kill, steps=3)
    steps = []
    one = train_detector(db, store, settings, key, lambda state: steps.append(state.step), steps=3)
    assert steps[0] >= 2
    two = train_detector(db, store, settings, key, steps=3)
    assert two.model_id == one.model_id, "the same weights"
    with db.read() as conn:
        row = conn.execute(sa.select(schema.model).where(schema.model.c.model_id == one.model_id)).one()
        names = set(conn.scalars(sa.select(schema.evaluation_metric.c.name)))
    assert row.state == "candidate"
    assert json.loads(row.config)["training"]["boxes"] == 15
    assert names == {"ap50", "recall"}
    assert current_detector(db, store, settings)[0].name == "motion"
    promote(db, one.model_id, "a person chose it")
    detector, model_id = current_detector(db, store, settings)
    assert model_id == one.model_id
    picture = np.random.default_rng(1).integers(0, 255, (90, 160, 3)).astype(np.uint8)
    ((_, boxes),) = detector.detect(iter([(0, 0.0, picture)]))
    assert boxes.shape[1] == 5


def test_what_nobody_drew_is_painted_over_and_mirrored_boxes_follow_the_picture():
    """A box on the wrong side of a mirrored picture teaches the ground."""
    picture = np.full((100, 200, 3), 200, np.uint8)
    picture[20:40, 20:60] = 10  # drawn
    ignored = np.array([[0.6, 0.2, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2]], np.float32)
    frame = BoxFrame(1, 0, "train", np.array([[0.1, 0.2, 0.2, 0.2]], np.float32), ignored)
    mirrored = set()
    for seed in range(8):
        shown, corners = prepared(picture, frame, np.random.default_rng(seed))
        left, top, right, bottom = corners[0].round().astype(int)
        assert shown[top:bottom, left:right].max() < 30, "a drawn box is never painted"
        assert len(np.unique(shown)) == 3
        mirrored.add(left > 100)
    assert mirrored == {True, False}


def test_light_is_told_from_colours_and_brightness():
    """Recall at night is what breaks first; a slice that mixes it with day hides it."""
    grey = np.full((40, 60, 3), 90, np.uint8)
    green = np.full((40, 60, 3), (40, 150, 60), np.uint8)
    assert [light_of(grey), light_of(green), light_of(green // 4)] == ["infrared", "day", "dusk"]
