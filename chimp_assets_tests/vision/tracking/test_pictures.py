"""Tracks in stills and bursts: few pictures are enough, and one shows no motion."""

import cv2
import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.database import schema as s
from chimp_assets.settings import DetectSettings
from chimp_assets.vision.detection.motion import MotionDetector
from chimp_assets.vision.tracking.bundle import ALONE, judge, track_bundle
from chimp_assets.vision.tracking.tracker import LinkedTrack, link
from chimp_assets_tests.archive.conftest import archive_folder, make_place, place  # noqa: F401 - fixtures
from chimp_assets_tests.archive.stills.photos import photo

SIZE = (320, 240)


def scene(at=None, seed=5):
    """A smooth scene with grain, and a dark animal at (x, y) in pixels."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(90, 200, (12, 16, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    shown = ground.astype(int) + np.random.default_rng(seed + (at or (0, 0))[0]).normal(0, 2, ground.shape).astype(int)
    shown = shown.clip(0, 255).astype(np.uint8)
    if at is not None:
        cv2.ellipse(shown, at, (34, 24), 0, 0, 360, (28, 24, 22), -1)
    return shown


def burst(folder, places, name="IMG"):
    for n, at in enumerate(places):
        photo(folder / f"{name}_{n}.jpg", f"2023:05:06 07:08:{n:02d}", image=Image.fromarray(scene(at)))


def tracked(place):  # noqa: F811
    found = discover(place.db, place.archive, place.settings)
    done = []
    for key in found.new_bundles:
        decode_bundle(place.db, place.archive, place.store, key, place.settings)
        done.append(track_bundle(place.db, place.store, key, place.settings))
    return done


def boxes_of(place):  # noqa: F811
    d, k = s.detection.c, s.track.c
    with place.db.read() as conn:
        rows = conn.execute(
            sa.select(d.video_id, d.frame_no, d.x, d.y, d.w, d.h, k.state, k.track_id)
            .join_from(s.detection, s.track, k.track_id == d.track_id)
            .order_by(d.video_id, d.frame_no)
        ).all()
    return rows


def is_at(row, at):
    x, y = (row.x + row.w / 2) * SIZE[0], (row.y + row.h / 2) * SIZE[1]
    return abs(x - at[0]) < 20 and abs(y - at[1]) < 20


@pytest.mark.parametrize("places", [[(80, 120), (220, 120)], [(80, 120), (150, 130), (230, 120)], [(80, 100), None]])
def test_motion_finds_an_animal_in_each_picture_of_a_burst(place, archive_folder, places):  # noqa: F811
    burst(archive_folder / "cam1", places)
    tracked(place)
    live = [row for row in boxes_of(place) if row.state == "live"]
    for n, at in enumerate(places):
        here = [row for row in live if row.frame_no == n]
        assert [is_at(row, at) for row in here] == ([True] if at is not None else [])


def test_a_single_picture_shows_no_motion_and_says_so(place, archive_folder):  # noqa: F811
    photo(archive_folder / "cam1" / "a.jpg", image=Image.fromarray(scene((80, 120))))
    (done,) = tracked(place)
    assert (done.videos, done.tracks, done.alone) == (1, 0, 1)
    with place.db.read() as conn:
        assert conn.scalar(sa.select(s.video.c.note)) == ALONE


def test_the_whole_picture_is_a_track_where_the_settings_say_so(make_place, archive_folder):  # noqa: F811
    photo(archive_folder / "cam1" / "a.jpg")
    burst(archive_folder / "cam2", [None] * 3)
    home = make_place(decode={"workers": 0}, detect={"detector": "whole_picture"})
    tracked(home)
    rows = boxes_of(home)
    assert {(row.x, row.y, row.w, row.h, row.state) for row in rows} == {(0.0, 0.0, 1.0, 1.0, "live")}
    assert len({row.track_id for row in rows if row.video_id == 1}) == 1
    assert len({row.track_id for row in rows}) == 2


def test_pictures_of_crop_folders_are_one_track_each_beside_another_detector(make_place, archive_folder):  # noqa: F811
    for name in ("ada", "bo"):
        for n in range(2):
            photo(archive_folder / "crops" / name / f"{name}{n}.png")
    burst(archive_folder / "crops" / "cut", [None] * 2)
    photo(archive_folder / "cam1" / "a.jpg", image=Image.fromarray(scene((80, 120))))
    home = make_place(decode={"workers": 0}, pictures={"crops": ["crops/"]})
    tracked(home)
    rows = boxes_of(home)
    assert len(rows) == len({row.track_id for row in rows}) == 6
    assert all(row.state == "live" for row in rows)
    with home.db.read() as conn:
        models = conn.execute(sa.select(s.model.c.name, s.model.c.state).order_by(s.model.c.model_id)).all()
    assert sorted(map(tuple, models)) == [("motion", "champion"), ("whole_picture", "retired")]


def test_lone_boxes_are_tracks_only_where_pictures_are_few():
    box = np.array([[0.1, 0.1, 0.2, 0.2, 0.9]], np.float32)
    weak = np.array([[0.6, 0.6, 0.2, 0.2, 0.1]], np.float32)
    assert link(iter([(0, box)]), 1.0, 1.2) == []
    (alone,) = link(iter([(0, np.concatenate([box, weak]))]), 1.0, 1.2, lone=True)
    assert (alone.frame_nos.tolist(), alone.scores.tolist()) == ([0], [pytest.approx(0.9)])


@pytest.mark.parametrize(
    ("n", "boxes", "state"), [(1, 1, "live"), (3, 1, "live"), (8, 3, "junk"), (8, 4, "live"), (0, 3, "junk")]
)
def test_half_the_pictures_are_enough_up_to_what_a_film_needs(n, boxes, state):
    """n 0: a film."""
    track = LinkedTrack(np.arange(boxes, dtype=np.int32), np.tile([0.2, 0.2, 0.3, 0.3], (boxes, 1)).astype(np.float32),
                        np.full(boxes, 0.8, np.float32))  # fmt: skip
    assert judge(track, 1.0, DetectSettings(), n_pictures=n).state == state


def test_two_frames_of_a_film_are_not_compared():
    pictures = [(n, n / 5, scene(at)) for n, at in enumerate([(80, 120), (220, 120)])]
    assert [len(boxes) for _, boxes in MotionDetector().detect(iter(pictures))] == [0, 0]
