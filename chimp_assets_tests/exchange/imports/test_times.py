"""Imported boxes lie on the picture that they were drawn on, at constant and at variable rate."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.video.pictures import read_frames
from chimp_assets.database import schema as t
from chimp_assets.exchange.imports.annotations import Medium, ReadOptions
from chimp_assets.exchange.imports.intake.placing import frame_times, place
from chimp_assets.exchange.imports.intake.taking import Wishes, take_in
from chimp_assets.home import Home
from chimp_assets_tests.exchange.imports.films import HEIGHT, SIDE, WIDTH, even, film, place_of, uneven, with_archive

FILMS = {
    "even/cam1.mp4": even(400, 12.5),
    "even/cam2.mp4": even(750, 29.97),
    "uneven/cam1.mp4": uneven(420, 1),
    "uneven/cam2.mp4": uneven(440, 2),
}


def table(file: Path, rows: list[dict[str, Any]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_a_thousand_probes_of_imported_boxes_hit_the_right_picture(home: Home, tmp_path: Path) -> None:
    """Found by index once, and by time once: an index times a mean rate misses in films of variable rate."""
    for name, moments in FILMS.items():
        film(tmp_path / "archive" / name, moments)
    home = with_archive(home, tmp_path / "archive")
    rows = [
        {"file": name, "frame": number + 1 if how == "frame" else "", "time": moment if how == "time" else "",
         "track": how, "x": place_of(number)[0], "y": place_of(number)[1], "w": SIDE, "h": SIDE}
        for name, moments in FILMS.items()
        for how in ("frame", "time")
        for number, moment in enumerate(moments)
    ]  # fmt: skip
    file = table(tmp_path / "boxes.csv", rows)
    report = take_in(home, "csv", file, ReadOptions(frame_base=1), Wishes())
    assert (report.media.matched, report.rows.new_tracks, report.by_pictures) == (4, 8, 4)
    assert (report.rows.unplaced.n, report.rows.moved.n, report.rows.interpolated) == (0, 0, 0)
    assert (report.frame_base, report.said_by) == (1, "person")
    d = t.detection.c
    probes = 0
    with home.database.read() as conn:
        boxes = conn.execute(sa.select(d.video_id, d.frame_no, d.track_id, d.x, d.y, d.w, d.h)).all()
    by_video: dict[int, dict[int, list[Any]]] = {}
    for box in boxes:
        by_video.setdefault(box.video_id, {}).setdefault(box.frame_no, []).append(box)
    for video_id, by_frame in by_video.items():
        for frame_no, _, shown in read_frames(home.database, home.store, video_id, list(by_frame)):
            bright = np.argwhere(shown[:, :, 0] > 145)
            low, high = bright.min(axis=0), bright.max(axis=0) + 1
            assert len(by_frame[frame_no]) == 2, "one box of each track on every stored picture"
            for box in by_frame[frame_no]:
                wanted = [box.x * WIDTH, box.y * HEIGHT, (box.x + box.w) * WIDTH, (box.y + box.h) * HEIGHT]
                np.testing.assert_allclose([low[1], low[0], high[1], high[0]], wanted, atol=1.5)
                probes += 1
    assert probes >= 1_000, probes


def test_key_frames_become_boxes_on_the_stored_pictures_between_them() -> None:
    at = np.arange(11) / 5
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.5, 0.3, 0.2, 0.4]])
    placed = place(np.array([0.2, 1.0]), boxes, np.ones(2), np.zeros(2, bool), 0.02, np.arange(11), at)
    assert placed.frame_nos.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(placed.boxes[2], [0.3, 0.2, 0.2, 0.3])
    assert (placed.exact, placed.interpolated) == (2, 3)


def test_an_animal_that_is_outside_of_the_picture_has_no_box_until_it_is_back() -> None:
    at = np.arange(11) / 5
    boxes = np.tile([0.1, 0.1, 0.2, 0.2], (4, 1))
    boxes[1] = np.nan  # formats give an absent animal no box
    outside = np.array([False, True, False, False])
    placed = place(np.array([0.0, 0.6, 1.4, 2.0]), boxes, np.ones(4), outside, 0.02, np.arange(11), at)
    assert placed.frame_nos.tolist() == [0, 1, 2, 7, 8, 9, 10]
    assert placed.unplaced == 0


def test_a_lone_box_between_two_stored_pictures_goes_to_the_nearer_one_and_says_how_far() -> None:
    at = np.arange(11) / 5
    placed = place(np.array([0.33]), np.array([[0.1] * 4]), np.ones(1), np.zeros(1, bool), 0.02, np.arange(11), at)
    assert placed.frame_nos.tolist() == [2]
    assert abs(placed.moved_s - 0.07) < 1e-9
    far = place(np.array([7.0]), np.array([[0.1] * 4]), np.ones(1), np.zeros(1, bool), 0.02, np.arange(11), at)
    assert (far.frame_nos.tolist(), far.unplaced) == ([], 1)


def test_a_rate_of_its_own_is_the_numbering_only_where_the_film_is_even() -> None:
    """DIVE annotates every sixth picture and numbers these; other programs say 30 of a film that varies."""
    steady, varying = np.array(even(300, 30)), np.array(uneven(300, 3))
    assert frame_times(Medium("a", "a", fps=5), None, 30, steady).of([10]).tolist() == [2.0]
    assert frame_times(Medium("a", "a", fps=30), None, 30, steady).of([10]).tolist() == [steady[10]]
    assert frame_times(Medium("a", "a", fps=30), None, None, varying).of([10]).tolist() == [varying[10]]
    assert frame_times(Medium("a", "a", fps=5, n_frames=300), None, 30, steady).of([10]).tolist() == [steady[10]]
    assert frame_times(Medium("a", "a"), 24, 30, None).of([12]).tolist() == [0.5]
    assert np.isnan(frame_times(Medium("a", "a"), None, 30, steady).of([300])).all()
