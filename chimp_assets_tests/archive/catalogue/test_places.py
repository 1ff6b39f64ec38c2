"""Whose camera a path names: cards, dates, copies and folders of the system are no cameras."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimp_assets.archive.catalogue.file_names import place_of
from chimp_assets.archive.catalogue.places import copy_marks, is_card, is_date, is_system, original_name, place_named
from chimp_assets.database.footage.cameras import name_key, why_alike


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("Gombe/Cam07/DCIM/100EK113/VD_0001.AVI", ("Gombe", "Cam07")),
        ("Gombe/Cam08/DCIM/100EK113/VD_0001.AVI", ("Gombe", "Cam08")),
        ("Cam07/DCIM/101EK113/VD_0001.AVI", ("Cam07", "Cam07")),
        ("Gombe/Cam07/100MEDIA/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/dcim/100GOPRO/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/DCIM/101_PANA/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/DCIM/100CANON/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/DCIM/999XXXXX/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/DCIM/100_0506/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/PRIVATE/M4ROOT/CLIP/C0001.MP4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/PRIVATE/AVCHD/BDMV/STREAM/00000.MTS", ("Gombe", "Cam07")),
        ("Gombe/Cam07/MP_ROOT/101PNV01/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/SD_VIDEO/PRG001/MOV001.MOD", ("Gombe", "Cam07")),
        ("Gombe/Cam07/Card 1/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/SD card/DCIM/100EK113/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/SD1/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/Karte 2/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/NO NAME/x.mp4", ("Gombe", "Cam07")),
        ("DCIM/100MEDIA/x.mp4", (None, None)),
        ("Gombe/Cam07/2024/05/17/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/15.01.2024/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/2024-01-15_to_2024-02-01/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/collected 2024-01-15/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/230506/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/May 2023/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/videos/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07/night/x.mp4", ("Gombe", "Cam07")),
        ("Cam07 - Copy/x.mp4", ("Cam07", "Cam07")),
        ("Cam07 (2)/x.mp4", ("Cam07", "Cam07")),
        ("Copy of Cam07/x.mp4", ("Cam07", "Cam07")),
        ("Gombe - Copy/Cam07 copy/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07_backup/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Kopie von Cam07/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07 - Copie/x.mp4", ("Gombe", "Cam07")),
        ("Gombe/Cam07 - Kopie (3)/x.mp4", ("Gombe", "Cam07")),
        # What looks like one of these and is a name.
        ("Gombe/12345678/x.mp4", ("Gombe", "12345678")),
        ("Gombe/Camera (2)/x.mp4", ("Gombe", "Camera (2)")),
        ("Gombe/Scarlet/x.mp4", ("Gombe", "Scarlet")),
        ("Gombe/Marula/x.mp4", ("Gombe", "Marula")),
        ("Gombe/Copperhill/x.mp4", ("Gombe", "Copperhill")),
        ("Gombe/C/x.mp4", ("Gombe", "C")),
        ("Gombe/1/x.mp4", ("Gombe", "1")),
        ("May/x.mp4", ("May", "May")),
    ],
)
def test_cards_dates_and_copies_are_no_cameras(key, place):
    """Two cameras that both hold a 100EK113 were one; one camera whose card began a 101EK113 was two."""
    assert place_of(key) == place


def test_a_place_that_only_a_general_folder_names_is_a_guess():
    assert place_named("videos/x.mp4").unsure
    assert place_named("Gombe/Cam07/x.mp4").unsure is None


@pytest.mark.parametrize(
    "name", ["Cam01", "cam01", "Cam01 ", "CAM 01", "Cam-01", "cam_01", "Ｃａｍ０１", "Cam\u200b01", "cam.01", "CAM  01"]
)
def test_spellings_of_one_name_have_one_key(name):
    assert name_key(name) == "cam01"


@pytest.mark.parametrize(
    ("one", "other"), [("Cam1-2", "Cam12"), ("Cam 1 2", "Cam12"), ("Cam1", "Cam01"), ("A1", "A11")]
)
def test_different_numbers_are_never_one_name(one, other):
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Cam1", "Cam01", True),
        ("CamO7", "Cam07", True),
        ("Kasekela", "Kasékéla", True),
        ("Kahama", "Kahma", True),
        ("Сam07", "Cam07", True),  # a Cyrillic letter
        ("Cam07", "Cam08", False),
        ("North", "South", False),
        ("A", "B", False),
    ],
)
def test_likely_the_same_is_told_from_surely_another(one, other, alike):
    """Cam07 and Cam08 differ in one letter and are two cameras."""
    assert bool(why_alike(one, other)) is alike


def test_of_two_files_with_the_same_bytes_the_one_without_marks_is_the_original():
    assert copy_marks("Cam07 - Copy/VD_0001.avi") > copy_marks("Cam07/VD_0001.avi")
    assert copy_marks("Cam07/VD_0001 (2).avi") > copy_marks("Cam07/VD_0001.avi")
    assert copy_marks("backup/Cam07/VD_0001.avi") > copy_marks("Cam07/VD_0001.avi")


def test_folders_of_systems_are_told_from_names():
    for name in (
        "$RECYCLE.BIN", "System Volume Information", ".Trashes", ".Trash-1000", ".Spotlight-V100", "lost+found",
        ".fseventsd", "@eaDir", "#recycle", ".DS_Store", "__MACOSX", "._clip.mp4", "Thumbs.db", "$R1AB2C3.MP4",
        "$I1AB2C3.MP4", "RECYCLER",
    ):  # fmt: skip
        assert is_system(name), name
    for name in ("Recycle creek", "System 7", "lost", "$5 hill", "Thumb"):
        assert not is_system(name), name


_CAMERAS = st.one_of(
    st.builds("{}{}{:02d}".format, st.sampled_from(["Cam", "CT", "Trap ", "cam_"]), st.just(""), st.integers(1, 99)),
    st.builds("{} {}".format, st.sampled_from(["Ridge", "Fig tree", "Valley"]), st.integers(1, 9)),
    st.sampled_from(["Kahama", "Rusambo", "Mkenke", "Linda", "12345678"]),
)
_SITES = st.sampled_from(["Gombe", "Mahale", "Taï", "Kibale North"])
_CARDS = st.sampled_from(
    [
        [], ["DCIM", "100EK113"], ["DCIM", "101MEDIA"], ["PRIVATE", "AVCHD", "BDMV", "STREAM"], ["Card 1"], ["SD2"],
        ["SD card", "DCIM", "100GOPRO"], ["MP_ROOT", "101PNV01"], ["dcim", "999XXXXX"], ["PRIVATE", "M4ROOT", "CLIP"],
    ]
)  # fmt: skip
_DATES = st.sampled_from(
    [[], ["2024-01-15"], ["20240115"], ["2024", "01", "15"], ["15-01-2024"], ["2024"], ["2024_01"], ["2024.01.15"]]
)
_COPIES = st.sampled_from(["{}", "{} - Copy", "Copy of {}", "{} copy", "{}_backup", "Kopie von {}", "{} - Kopie (2)"])
_SPELLINGS = st.sampled_from([str, str.upper, str.lower, lambda s: s + " ", lambda s: s.replace(" ", "_")])


@given(_SITES, _CAMERAS, _CARDS, _DATES, _COPIES, _SPELLINGS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_camera_of_a_generated_archive_is_right_or_said_to_be_unsure(
    site, camera, card, dates, copy, spelling, date_first
):
    """Never wrong and sure, whatever people and cards put around the name."""
    below = [*dates, *card] if date_first else [*card, *dates]
    key = "/".join([site, copy.format(spelling(camera)), *below, "clip.mp4"])
    named = place_named(key)
    right = (name_key(named.site), name_key(named.camera)) == (name_key(site), name_key(camera))
    assert right or named.unsure, (key, named)


@given(_CAMERAS, _CAMERAS)
@settings(max_examples=200, deadline=None)
def test_two_names_have_one_key_only_if_people_would_read_them_as_one(one, other):
    if name_key(one) == name_key(other):
        assert one.casefold().replace(" ", "").replace("_", "") == other.casefold().replace(" ", "").replace("_", "")


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_name_is_judged_without_an_error(name):
    for judge in (is_card, is_date, is_system, original_name, name_key):
        judge(name)
    place_of(f"{name}/x.mp4".replace("//", "/"))
