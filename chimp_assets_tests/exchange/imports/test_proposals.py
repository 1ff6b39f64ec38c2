"""Boxes of another network stand in place of detecting, also where videos are decoded afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from safetensors.numpy import load

from benchmarks.exchange.intake import fill
from benchmarks.exchange.reading import write
from chimp_assets.database import schema as t
from chimp_assets.exchange.imports.annotations import Box, ImportFormat, Medium, Reading, ReadOptions
from chimp_assets.exchange.imports.intake import taking
from chimp_assets.exchange.imports.intake.report import TakenIn
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets.operations.sweep import audit_store
from chimp_assets.vision.detection.imported import imported_detector
from chimp_assets.vision.tracking.bundle import track_bundle
from chimp_assets_tests.vision.scenes import Scene, Walker
from chimp_assets_tests.vision.tracking.test_tracking import KEY, store_video

SCENE = Scene(n=24, walkers=(Walker((0.15, 0.6), (0.7, 0.65)), Walker((0.85, 0.3), (0.5, 0.3))))
STILL = Scene(n=1, walkers=(Walker((0.3, 0.5), (0.3, 0.5)),))


@pytest.fixture
def proposed(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """take(media, boxes, ...): as if a format of detections had read them."""
    file = tmp_path / "detections.json"
    file.write_text("{}")

    def take(media: list[Medium], boxes: list[Box], dry_run: bool = False) -> TakenIn:
        def read(_: Path, __: ReadOptions) -> Reading:
            return Reading(iter(media), iter(boxes))

        known = ImportFormat("Boxes.", (".json",), read, is_detections=True)
        monkeypatch.setattr(taking, "import_format", lambda name: known)
        return take_in(home, "detections", file, ReadOptions(), Wishes(dry_run=dry_run))

    return take


def boxes_of(video_id: int, scene: Scene, step: int = 1, category: str = "animal") -> Iterator[Box]:
    for number, (_, time_s, _) in enumerate(scene.pictures()):
        if number % step == 0:
            for x, y, w, h in scene.truth()[number]:
                yield Box(
                    f"{video_id}.mp4", time_s if scene.n > 1 else None, None, x, y, w, h, unit="fraction", score=0.9,
                    category=category,
                )  # fmt: skip


@pytest.mark.parametrize("step", [1, 5])
def test_proposals_are_linked_into_tracks_in_place_of_detecting(home: Home, proposed, step: int) -> None:
    """Also where the other program looked at one picture a second: those between get what lies between."""
    store_video(home.database, home.store, 7, SCENE)
    store_video(home.database, home.store, 8, STILL)
    store_video(home.database, home.store, 9, SCENE)
    boxes = [*boxes_of(7, SCENE, step), *boxes_of(8, STILL), *boxes_of(7, SCENE, 3, "person")]
    report = proposed([Medium("7.mp4", "7.mp4"), Medium("8.mp4", "8.mp4"), Medium("9.mp4", "9.mp4")], boxes)
    animals = sum(box.category == "animal" for box in boxes)
    assert (report.rows.proposals, report.rows.of_videos) == (animals, 3)
    assert report.rows.other_categories.n == len(boxes) - animals
    done = track_bundle(home.database, home.store, KEY, home.settings)
    assert done.failed == []
    with home.database.read() as conn:
        tracks = conn.execute(sa.select(t.track).where(t.track.c.state == "live").order_by(t.track.c.track_id)).all()
        name = conn.scalar(sa.select(t.model.c.name).where(t.model.c.model_id == tracks[0].model_id))
        d = t.detection.c
        first = conn.execute(sa.select(d.frame_no, d.x, d.y).where(d.track_id == tracks[0].track_id)).all()
    assert name == "imported"
    assert [track.video_id for track in tracks] == [7, 7, 8], "of film 9 the file says that nobody is in it"
    assert all(track.n_detections >= 20 for track in tracks[:2]), "a box on every stored picture"
    truth = SCENE.truth()
    for frame_no, x, y in first:
        assert min(np.hypot(x - box[0], y - box[1]) for box in truth[frame_no]) < 0.05


def test_the_same_boxes_twice_change_nothing_and_no_sweep_takes_them(home: Home, proposed) -> None:
    store_video(home.database, home.store, 7, SCENE)
    boxes = list(boxes_of(7, SCENE))
    dry = proposed([Medium("7.mp4", "7.mp4")], boxes, dry_run=True)
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.import_file)) == 0
    first = proposed([Medium("7.mp4", "7.mp4")], boxes)
    assert dry.rows == first.rows
    with home.database.read() as conn:
        before = conn.execute(sa.select(t.proposal_file)).all()
    proposed([Medium("7.mp4", "7.mp4")], boxes)
    with home.database.read() as conn:
        assert conn.execute(sa.select(t.proposal_file)).all() == before
    audit_store(home.database, home.store, 0, delete=True)
    assert imported_detector(home.database, home.store, 7) is not None


def test_a_picture_in_which_motion_found_nothing_is_tracked_again(home: Home, proposed) -> None:
    store_video(home.database, home.store, 8, STILL)
    track_bundle(home.database, home.store, KEY, home.settings)
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.track)) == 0
    proposed([Medium("8.mp4", "8.mp4")], list(boxes_of(8, STILL)))
    assert track_bundle(home.database, home.store, KEY, home.settings).tracks == 1


def test_tracks_that_people_may_have_seen_stay_and_are_named(home: Home, proposed) -> None:
    store_video(home.database, home.store, 7, SCENE)
    track_bundle(home.database, home.store, KEY, home.settings)
    report = proposed([Medium("7.mp4", "7.mp4")], list(boxes_of(7, SCENE)))
    assert report.rows.already_tracked.named == ["pool/7.mp4"]
    assert track_bundle(home.database, home.store, KEY, home.settings).videos == 0


def test_a_large_file_is_kept_bundle_by_bundle_before_anything_is_decoded(home: Home, tmp_path: Path) -> None:
    """A small one of `benchmarks.exchange.intake`: every box that the file has for the archive is in the store."""
    file = tmp_path / "md.json"
    write("megadetector", file, 0.004)
    uris = [f"archive/site{n % 37}/cam{n % 11}/IMG_{n:06d}.JPG" for n in range(390)]
    fill(home, uris, decoded=False)
    report = take_in(home, "megadetector", file, ReadOptions(), Wishes())
    assert (report.media.listed, report.media.by_tail.n, report.media.unmatched.n) == (400, 390, 10)
    kept = 0
    with home.database.read() as conn:
        files = conn.execute(sa.select(t.proposal_file).order_by(t.proposal_file.c.bundle_id)).all()
    for one in files:
        content = load(home.store.get(one.uri))
        assert len(content["spoken"]) == one.n_videos
        assert set(content["video_id"].tolist()) <= set(content["spoken"].tolist())
        kept += len(content["box"])
    listed = json.loads(file.read_text())["images"][:390]
    assert (len(files), kept) == (2, sum(len(one["detections"]) for one in listed))
    assert kept == report.rows.proposals
