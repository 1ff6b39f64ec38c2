"""Which pictures are one clip, and when each was taken in it."""

import pytest

from chimp_assets.archive.stills.bursts import MOST_A_SECOND, DatedStill, StillFile, bursts_of

CAMERA = ("RECONYX", "HC600", None)


def dated(number, taken, camera=CAMERA, folder="cam1", name=None):
    return DatedStill(StillFile(number, f"{folder}/{name or f'IMG_{number:04d}.JPG'}", "e", 10), camera, taken)


def clips(stills, burst_s=2.0):
    return [[(file.video_id, file.time_s) for file in clip] for clip in bursts_of(stills, burst_s)]


def test_pictures_at_most_so_many_seconds_apart_are_one_clip():
    stills = [dated(n, f"2023-05-06 07:08:{s:02d}") for n, s in enumerate((0, 2, 4, 7, 20), start=1)]
    assert clips(stills) == [[(1, 0.0), (2, 2.0), (3, 4.0)], [(4, 0.0)], [(5, 0.0)]]
    assert clips(stills, 3) == [[(1, 0.0), (2, 2.0), (3, 4.0), (4, 7.0)], [(5, 0.0)]]
    assert clips(stills, 0) == [[(n, 0.0)] for n in (1, 2, 3, 4, 5)]


def test_pictures_of_one_second_are_spread_over_it_by_their_names():
    stills = [dated(n, "2023-05-06 07:08:09", name=name) for n, name in ((1, "c.jpg"), (2, "a.jpg"), (3, "b.jpg"))]
    assert clips(stills) == [[(2, 0.0), (3, pytest.approx(1 / 3, abs=1e-5)), (1, pytest.approx(2 / 3, abs=1e-5))]]


def test_parts_of_a_second_order_pictures_and_are_kept():
    stills = [dated(1, "2023-05-06 07:08:09.80"), dated(2, "2023-05-06 07:08:09.30"), dated(3, "2023-05-06 07:08:10")]
    assert clips(stills) == [[(2, 0.0), (1, 0.5), (3, 0.7)]]


def test_zones_count_and_midnight_is_no_border():
    stills = [dated(1, "2023-05-06 23:59:59+02:00"), dated(2, "2023-05-06 22:00:01+00:00")]
    assert clips(stills) == [[(1, 0.0), (2, 2.0)]]


@pytest.mark.parametrize(
    "other",
    [
        dated(2, "2023-05-06 07:08:09", camera=("RECONYX", "HC600", "1234")),
        dated(2, "2023-05-06 07:08:09", folder="cam2"),
        dated(2, "0000:00:00 00:00:00"),
        dated(2, None),
        dated(2, "1970-01-01 00:00:00"),
    ],
)
def test_other_cameras_folders_and_clocks_that_say_nothing_are_other_clips(other):
    assert clips([dated(1, "2023-05-06 07:08:09"), other]) == [[(1, 0.0)], [(2, 0.0)]]


def test_a_clock_that_stands_still_makes_no_burst():
    """Copied dates of a whole folder would make one clip of unrelated pictures."""
    stills = [dated(n, "2023-05-06 07:08:09") for n in range(1, MOST_A_SECOND + 2)]
    assert [len(clip) for clip in clips(stills)] == [1] * (MOST_A_SECOND + 1)
    assert [len(clip) for clip in clips(stills[:-1])] == [MOST_A_SECOND]


def test_times_of_a_burst_grow_however_its_clock_counts():
    stills = [dated(n, f"2023-05-06 07:08:{9 + n // 4:02d}{'.00' if n % 2 else ''}") for n in range(1, 12)]
    (clip,) = clips(stills)
    times = [time_s for _, time_s in clip]
    assert times == sorted(set(times))
