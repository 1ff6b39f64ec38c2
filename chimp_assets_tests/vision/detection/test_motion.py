"""The motion detector on scenes with known animals and on the real clip of chimpanzees at a pool."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from chimp_assets.settings import DetectSettings
from chimp_assets.vision.detection.background import align, match_light, median_without, temporal_median
from chimp_assets.vision.detection.motion import MotionDetector, absorb_fragments, cut_at_necks, shrink
from chimp_assets.vision.tracking.bundle import camera_moves, judge
from chimp_assets.vision.tracking.tracker import link
from chimp_assets_tests.paths import SHARED_DATA
from chimp_assets_tests.vision.scenes import HEIGHT, WIDTH, Scene, Walker, overlap


def recall_and_false(scene: Scene, least: float = 0.25) -> tuple[float, int]:
    """Share of true boxes that are found, and boxes that lie on no animal."""
    truth = scene.truth()
    found = {number: boxes[boxes[:, 4] >= least] for number, boxes in MotionDetector().detect(scene.pictures())}
    hits = [any(overlap(box, true) > 0.5 for box in found[n]) for n in truth for true in truth[n]]
    false = sum(all(overlap(box, true) < 0.3 for true in truth[n]) for n in found for box in found[n])
    return (float(np.mean(hits)) if hits else 1.0), false


def test_an_animal_is_found_although_leaves_sway_the_camera_shakes_and_clouds_pass():
    """Guards the alignment, the light and the noise of foliage together: each alone drowned the animal in boxes."""
    recall, false = recall_and_false(Scene())
    assert recall >= 0.9
    assert false <= 2


def test_an_empty_scene_in_the_wind_gives_almost_no_boxes():
    """Without animals the colours of motion were once learned from swaying specks, and every leaf became a track."""
    assert recall_and_false(Scene(walkers=()))[1] <= 2


def test_an_animal_in_front_of_swaying_leaves_is_found():
    """A tolerance for texture that is too wide swallows a dark animal in front of dark gaps between leaves."""
    assert recall_and_false(Scene(walkers=(Walker((0.1, 0.3), (0.9, 0.3)),)))[0] >= 0.85


def test_an_animal_that_hardly_moves_on_is_found_in_nearly_every_picture():
    """It is part of the median at first: without the second pass its start and its ghost are boxed instead."""
    recall, false = recall_and_false(Scene(walkers=(Walker((0.4, 0.6), (0.52, 0.62)),)))
    assert recall >= 0.85
    assert false <= 2


def test_two_animals_apart_are_two_boxes():
    """Closing gaps too widely would join neighbours into one track, and one answer would name two animals."""
    scene = Scene(walkers=(Walker((0.1, 0.3), (0.8, 0.3)), Walker((0.9, 0.75), (0.2, 0.7))))
    assert recall_and_false(scene)[0] >= 0.85


def test_a_flash_of_the_whole_picture_is_no_animal():
    """An infrared lamp that switches on changed every pixel and became a box as large as the picture."""
    pictures = []
    for number, time_s, picture in Scene(n=20, walkers=(), shake=0, sway=0).pictures():
        inverted = 255 - picture if number == 9 else picture
        pictures.append((number, time_s, inverted))
    boxes = dict(MotionDetector().detect(iter(pictures)))
    assert all(len(found) == 0 for found in boxes.values())


def test_the_same_pictures_give_the_same_boxes():
    """Track ids are computed from the boxes: another home must draw the same ones."""
    scene = Scene(n=16)
    one = list(MotionDetector().detect(scene.pictures()))
    other = list(MotionDetector().detect(scene.pictures()))
    assert all(a[0] == b[0] and np.array_equal(a[1], b[1]) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 11, 12, 13, 16, 20, 41])
def test_every_picture_is_answered_once_and_in_order(n):
    """At the seams of half-overlapping windows pictures were easily lost or answered twice."""
    answered = [number for number, _ in MotionDetector(window=8, side=64).detect(Scene(n=n).pictures())]
    assert answered == list(range(n))


def test_no_more_than_one_and_a_half_windows_are_read_ahead():
    """A detector that reads the whole video before it answers holds the whole video in memory."""
    read = 0

    def counted():
        nonlocal read
        for picture in Scene(n=60).pictures():
            read += 1
            yield picture

    for number, (frame_no, _) in enumerate(MotionDetector(window=8, side=64).detect(counted())):
        assert frame_no == number
        assert read <= number + 13


def test_a_video_that_changes_its_picture_size_is_followed():
    """Some recorders switch resolution in the middle of a file; stacking both sizes raised an error."""
    large = list(Scene(n=10).pictures())
    small = [(n + 10, t + 2, np.ascontiguousarray(picture[:90, :90])) for n, t, picture in Scene(n=10).pictures()]
    assert [n for n, _ in MotionDetector().detect(iter(large + small))] == list(range(20))


def test_boxes_and_scores_stay_inside_the_picture():
    """The database refuses boxes outside; an animal at the edge of a shaking picture gave such boxes."""
    scene = Scene(walkers=(Walker((0.0, 0.9), (1.0, 1.0)),), shake=6)
    boxes = np.concatenate([found for _, found in MotionDetector().detect(scene.pictures())])
    assert len(boxes) > 20
    assert boxes.min() >= 0
    assert (boxes[:, :2] + boxes[:, 2:4]).max() <= 1 + 1e-6
    assert boxes[:, 4].max() <= 1
    assert boxes[:, 2:4].min() > 0


def test_alignment_finds_the_shake_of_the_camera_to_a_fifth_of_a_pixel():
    """Worse alignment makes every edge of the scene move."""
    scene = Scene(n=12, walkers=())
    grey = [picture[..., 1] for _, _, picture in scene.pictures()]
    reference = scene._shift(len(grey) // 2)
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    for number, warp in enumerate(align(grey)):
        moved = warp[:, :2] @ middle + warp[:, 2] - middle
        assert np.abs(moved - (reference - scene._shift(number))).max() < 0.2


def test_a_camera_that_shakes_hard_still_finds_the_animal():
    """A hand-held camera moves by a fortieth of its picture: recall must not fall, nor each edge become an animal."""
    recall, false = recall_and_false(Scene(shake=8))
    assert recall >= 0.85
    assert false <= 6


def test_a_camera_that_pans_is_told_from_one_that_shakes():
    """Boxes by motion against a background that changes are worth nothing, and nobody said so."""
    grain = np.random.default_rng(2).integers(60, 180, (HEIGHT // 6, WIDTH // 2, 3)).astype(np.uint8)
    wide = cv2.resize(grain, (3 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    panned = [(n, n / 5, np.ascontiguousarray(wide[:, 12 * n : 12 * n + WIDTH])) for n in range(40)]
    detector = MotionDetector()
    list(detector.detect(iter(panned)))
    assert len(detector.moved) == 40
    assert camera_moves(detector)
    list(detector.detect(Scene(n=40, shake=8).pictures()))
    assert not camera_moves(detector)


def test_light_is_matched_also_when_half_of_it_is_gone():
    """A cloud scales the light, it does not subtract from it: dark stems stayed dark and became animals."""
    rng = np.random.default_rng(3)
    background = rng.integers(20, 200, (60, 80, 3)).astype(np.uint8)
    background[..., 1:] = 128
    lab = np.stack([background, background])
    lab[1, ..., 0] //= 2
    assert match_light(lab, background)
    assert np.abs(lab[1].astype(int) - background).max() <= 6


def test_the_median_is_that_of_numpy():
    """Partitioning a transposed copy is fast and easy to get wrong by one."""
    lab = np.random.default_rng(1).integers(0, 256, (9, 4, 5, 3)).astype(np.uint8)
    assert np.array_equal(temporal_median(lab), np.median(lab, axis=0).astype(np.uint8))


def test_what_is_hidden_does_not_vote_for_the_background():
    """An animal that sits in one place most of the time became the background, and the ground became an animal."""
    lab = np.full((10, 2, 2, 3), 40, np.uint8)
    lab[7:] = 200
    hidden = np.zeros((10, 2, 2), bool)
    hidden[:7, 0, 0] = True
    hidden[:9, 1, 1] = True
    behind = median_without(lab, hidden, temporal_median(lab))
    assert behind[0, 0, 0] == 200
    assert behind[0, 1, 0] == 40
    assert behind[1, 1, 0] == 40, "one free picture is too few to believe"


def test_a_limb_is_taken_into_its_body_and_neighbours_of_like_size_stay_apart():
    """An arm in the water had a track of its own; joining everything that is near made one animal of two."""
    body, arm, neighbour = [10, 10, 40, 40, 0.9], [51, 40, 8, 12, 0.5], [92, 10, 38, 40, 0.8]
    joined = absorb_fragments(np.array([body, arm, neighbour], np.float32), reach=2, share=0.2)
    assert sorted(joined[:, 2].tolist()) == [38, 49]
    assert joined[:, 4].max() == pytest.approx(0.9)


def test_touching_bodies_are_cut_apart_and_one_body_is_not():
    """Two chimpanzees side by side were one box; a head on a neck must not become an animal of its own."""
    y, x = np.mgrid[0:60, 0:140]
    left = (x - 35) ** 2 / 30**2 + (y - 30) ** 2 / 22**2 < 1
    right = (x - 95) ** 2 / 32**2 + (y - 30) ** 2 / 22**2 < 1
    head = (x - 70) ** 2 + (y - 20) ** 2 < 9**2
    assert len(cut_at_necks(left | right, 0.65)) == 2
    assert len(cut_at_necks(left | head, 0.65)) == 1
    pieces = cut_at_necks(left | right, 0.65)
    assert np.array_equal(pieces[0] | pieces[1], left | right)
    assert not (pieces[0] & pieces[1]).any()


def test_pictures_are_never_scaled_up():
    """Camera-trap thumbnails of 106 x 60 pixels have nothing more to show."""
    assert shrink(np.zeros((60, 106, 3), np.uint8), 256).shape == (60, 106, 3)
    assert shrink(np.zeros((360, 640, 3), np.uint8), 256).shape == (144, 256, 3)


# Drawn by hand on frames of the clip at five frames a second, in pixels of a picture of 960 x 540: x0, y0, x1, y1.
POOL = {
    8: [(75, 52, 365, 440), (447, 158, 540, 252), (750, 166, 890, 250), (0, 205, 65, 280)],
    30: [
        (0, 207, 65, 285), (160, 170, 280, 315), (306, 160, 400, 262), (385, 157, 440, 262), (455, 155, 540, 240),
        (765, 168, 885, 250),
    ],
    45: [
        (158, 170, 290, 310), (306, 160, 400, 262), (385, 158, 438, 262), (453, 153, 517, 252), (845, 128, 960, 200),
        (785, 165, 850, 290),
    ],
    60: [
        (160, 172, 297, 312), (306, 160, 390, 262), (375, 157, 440, 262), (450, 152, 520, 252), (755, 168, 860, 285),
        (860, 165, 960, 230),
    ],
}  # fmt: skip


def test_on_the_real_clip_live_tracks_lie_on_the_chimpanzees():
    """The detector is tuned on this clip: most animals that were drawn by hand are found, and little else is."""
    file = SHARED_DATA / "videos" / "zamba_chimp.mp4"
    if not file.is_file():
        pytest.skip("the real clips are not beside this checkout")
    with av.open(str(file)) as container:
        pictures = [
            (number, number / 5, frame.to_ndarray(format="rgb24"))
            for number, frame in enumerate(f for i, f in enumerate(container.decode(video=0)) if i % 6 == 0)
        ]
    sure = ((n, boxes[boxes[:, 4] >= 0.25]) for n, boxes in MotionDetector().detect(iter(pictures)))
    tracks = [judge(track, 5.0, DetectSettings()) for track in link(sure, 5.0, 1.2)]
    live = [track.linked for track in tracks if track.state == "live"]
    assert len(live) <= 16
    hits, on_animals, boxes = 0, 0, 0
    for frame_no, drawn in POOL.items():
        true = [(x0 / 960, y0 / 540, (x1 - x0) / 960, (y1 - y0) / 540) for x0, y0, x1, y1 in drawn]
        found = [box for t in live for number, box in zip(t.frame_nos, t.boxes, strict=True) if number == frame_no]
        hits += sum(any(overlap(box, box_true) >= 0.3 for box in found) for box_true in true)
        on_animals += sum(any(overlap(box, box_true) >= 0.2 for box_true in true) for box in found)
        boxes += len(found)
    print(f"{hits} of {sum(map(len, POOL.values()))} chimpanzees found, {on_animals} of {boxes} boxes on chimpanzees")
    assert hits >= 15
    assert on_animals >= 0.8 * boxes
