"""Linking boxes over time."""

from __future__ import annotations

import numpy as np
import pytest

from chimp_assets.vision.tracking.tracker import link


def walk(start, step, n, first=0, size=(0.1, 0.15), score=0.8, skip=()):
    """(frame_no, box) of an animal that walks evenly."""
    return [
        (first + i, (start[0] + i * step[0], start[1] + i * step[1], *size, score)) for i in range(n) if i not in skip
    ]


def frames(*paths, n):
    """What a detector yields for these paths: every frame, some of them without boxes."""
    for number in range(n):
        rows = [box for path in paths for frame_no, box in path if frame_no == number]
        yield number, np.array(rows, np.float32).reshape(-1, 5)


def test_an_animal_that_walks_out_of_its_own_box_is_one_track():
    """At five frames a second a walking animal leaves its box; plain overlap broke it into single boxes."""
    path = walk((0.05, 0.5), (0.06, 0.0), 14)
    tracks = link(frames(path, n=14), 5.0, 1.2)
    assert [len(track.frame_nos) for track in tracks] == [14]


def test_the_first_box_belongs_to_the_track():
    """The library names a track at its second box; the first one was lost, and with it short tracks."""
    path = walk((0.3, 0.5), (0.01, 0.0), 5, first=3)
    (track,) = link(frames(path, n=12), 5.0, 1.2)
    assert track.frame_nos.tolist() == [3, 4, 5, 6, 7]
    assert track.boxes[0, 0] == pytest.approx(0.3)


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    """max_gap_s is in seconds: counting it in the library's thirty frames a second made gaps six times too long."""
    short = link(frames(walk((0.3, 0.5), (0.005, 0), 20, skip=range(8, 12)), n=20), 5.0, 1.2)
    assert [len(track.frame_nos) for track in short] == [16]
    long = link(frames(walk((0.3, 0.5), (0.005, 0), 30, skip=range(8, 20)), n=30), 5.0, 1.2)
    assert [len(track.frame_nos) for track in long] == [8, 10]


def test_frames_that_are_missing_count_as_frames_without_boxes():
    """A damaged video has holes in its numbers: an hour later the same place is not the same animal."""
    boxes = list(frames(walk((0.3, 0.5), (0, 0), 5), n=5))
    later = [(number + 500, found) for number, found in boxes]
    assert [len(track.frame_nos) for track in link(iter(boxes + later), 5.0, 1.2)] == [5, 5]


def test_two_animals_that_pass_each_other_keep_their_tracks():
    """A swap would give one animal the other's name."""
    one, other = walk((0.1, 0.3), (0.03, 0.0), 20), walk((0.8, 0.6), (-0.03, 0.0), 20)
    tracks = link(frames(one, other, n=20), 5.0, 1.2)
    assert [len(track.frame_nos) for track in tracks] == [20, 20]
    assert np.ptp(tracks[0].boxes[:, 1]) < 0.01
    assert np.ptp(tracks[1].boxes[:, 1]) < 0.01


def test_a_track_does_not_jump_to_another_place_after_a_gap():
    """After a gap a track once went on with a neighbour half a body away, and mixed two animals."""
    here = walk((0.30, 0.5), (0, 0), 8)
    there = walk((0.405, 0.5), (0, 0), 8, first=11)
    tracks = link(frames(here, there, n=19), 5.0, 1.2)
    assert [len(track.frame_nos) for track in tracks] == [8, 8]


def test_weak_boxes_continue_a_track_but_begin_none():
    """The second stage of ByteTrack: foliage gives weak boxes everywhere, a hidden animal gives them where it was."""
    strong = walk((0.3, 0.5), (0.01, 0), 4)
    weak = walk((0.34, 0.5), (0.01, 0), 4, first=4, score=0.26)
    leaf = walk((0.8, 0.2), (0, 0), 8, score=0.2)
    tracks = link(frames(strong, weak, leaf, n=8), 5.0, 1.2)
    assert [len(track.frame_nos) for track in tracks] == [8]


def test_the_same_boxes_give_the_same_tracks_in_any_run_of_the_process():
    """Track ids are ordinals: a counter that goes on from video to video would change them."""
    path = walk((0.1, 0.5), (0.03, 0.0), 12)
    other = walk((0.7, 0.2), (0.0, 0.02), 12, first=2)
    runs = [link(frames(path, other, n=14), 5.0, 1.2) for _ in range(2)]
    for one, again in zip(*runs, strict=True):
        assert np.array_equal(one.frame_nos, again.frame_nos)
        assert np.array_equal(one.boxes, again.boxes)


def test_tracks_are_ordered_by_first_frame_and_then_from_left_to_right():
    """Ordinals follow this order: it must not depend on the order of the detector's boxes."""
    right, left = walk((0.7, 0.5), (0, 0), 6), walk((0.1, 0.5), (0, 0), 6)
    late = walk((0.4, 0.2), (0, 0), 6, first=1)
    tracks = link(frames(late, right, left, n=8), 5.0, 1.2)
    assert [round(float(track.boxes[0, 0]), 1) for track in tracks] == [0.1, 0.7, 0.4]


def test_no_box_is_in_two_tracks_and_no_track_has_two_boxes_of_a_frame():
    """The key of a detection is its frame and number: doubles would break the writing of the whole video."""
    rng = np.random.default_rng(4)
    found = [
        (n, np.c_[rng.uniform(0, 0.8, (9, 2)), rng.uniform(0.05, 0.2, (9, 2)), rng.uniform(0.2, 1, 9)])
        for n in range(40)
    ]
    found = [(n, rows.astype(np.float32)) for n, rows in found]
    tracks = link(iter(found), 5.0, 1.2)
    assert all(len(set(track.frame_nos.tolist())) == len(track.frame_nos) for track in tracks)
    assert all((np.diff(track.frame_nos) > 0).all() for track in tracks)
    used = [(int(n), *box.tolist()) for track in tracks for n, box in zip(track.frame_nos, track.boxes, strict=True)]
    given = {(n, *row[:4].tolist()) for n, rows in found for row in rows}
    assert len(used) == len(set(used))
    assert set(used) <= given


def test_no_boxes_give_no_tracks():
    """An empty forest is the commonest video."""
    assert link(frames(n=10), 5.0, 1.2) == []
    assert link(iter([]), 5.0, 1.2) == []


def test_impossible_rates_and_orders_are_refused():
    """A frame rate of zero would make every gap endless."""
    with pytest.raises(ValueError, match="positive"):
        link(iter([]), 0.0, 1.2)
    with pytest.raises(ValueError, match="comes after"):
        link(iter([(3, np.zeros((0, 5), np.float32)), (2, np.zeros((0, 5), np.float32))]), 5.0, 1.2)
