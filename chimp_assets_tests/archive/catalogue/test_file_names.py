"""Names of files and folders: when, where, and which short name."""

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.archive.catalogue.file_names import (
    bundle_folder_of,
    distinct_slug_of,
    is_video_name,
    place_of,
    slug_of,
    time_of_name,
)


@pytest.mark.parametrize(
    ("key", "moment"),
    [
        ("zamba_FID_31_Abel_2013-5-6_0027.AVI", datetime(2013, 5, 6)),  # 0027 counts clips
        ("c/20130506_143000.mp4", datetime(2013, 5, 6, 14, 30)),
        ("c/20130506143001.mp4", datetime(2013, 5, 6, 14, 30, 1)),
        ("c/2013-05-06T14-30-02.mp4", datetime(2013, 5, 6, 14, 30, 2)),
        ("c/2013-05-06 14.30.mp4", datetime(2013, 5, 6, 14, 30)),
        ("c/cam1_20130506_143000_0001.mp4", datetime(2013, 5, 6, 14, 30)),
        ("c/VID_2013_05_06-14_30_59.mov", datetime(2013, 5, 6, 14, 30, 59)),
        ("site/cam/2013-05-06/clip.mp4", datetime(2013, 5, 6)),
        ("2012-01-01/x_20130506.mp4", datetime(2013, 5, 6)),
        ("c/20131345_clip.mp4", None),
        ("c/IMG_0001.mp4", None),
        ("c/120130506.mp4", None),
        ("c/19700101_000000.mp4", None),
        ("09190048_Hyena.AVI", None),
    ],
)
def test_times_are_read_from_names_and_never_invented(key, moment):
    """A clip counter read as an hour would move a sighting into the night."""
    assert time_of_name(key) == moment


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("kasekela/cam1/2013-05-06/x.mp4", ("kasekela", "cam1")),
        ("kasekela/north/cam1/x.mp4", ("kasekela", "cam1")),
        ("20130506/cam1/x.mp4", ("cam1", "cam1")),
        ("cam1/x.mp4", ("cam1", "cam1")),
        ("2013-05-06/x.mp4", (None, None)),
        ("x.mp4", (None, None)),
    ],
)
def test_site_and_camera_are_the_outer_folders_that_are_no_dates(key, place):
    """A date taken for a camera would put each day of one camera into its own group."""
    assert place_of(key) == place


def test_hidden_files_are_no_videos():
    """macOS leaves ._clip.mp4 beside each clip on a camera card; each would be a failed video."""
    assert is_video_name("a/clip.MP4", (".mp4",))
    for key in ("a/._clip.mp4", ".Trashes/clip.mp4", "a/clip.mp4.txt", "a/clip", "a/clip.jpg"):
        assert not is_video_name(key, (".mp4",))


@given(st.text(max_size=200))
def test_slugs_are_partition_names(folder):
    """Dagster's partition keys and the path of a shard must hold any folder's name."""
    for slug in (slug_of(folder), distinct_slug_of(folder)):
        assert re.fullmatch(r"[a-z0-9_-]{1,90}", slug)


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("gombe/cam1/2013-05-06/a.mp4", "gombe/cam1"),
        ("gombe/cam1/2013/2013-05-06/a.mp4", "gombe/cam1/2013"),
        ("gombe/2013-05-06/cam1/a.mp4", "gombe/2013-05-06/cam1"),
        ("2013-05-06/a.mp4", ""),
        ("a.mp4", ""),
    ],
)
def test_a_folder_for_each_day_does_not_make_a_bundle_for_each_day(key, folder):
    """Three videos a day and camera would be ten thousand runs for what a hundred can do."""
    assert bundle_folder_of(key) == folder
