"""One picture file as pixels: every kind, upright, bounded, damaged."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chimp_assets.archive.video.probe import UnreadableVideoError
from chimp_assets.archive.video.still import read_still
from chimp_assets_tests.archive.stills.photos import photo, scene
from chimp_assets_tests.paths import SHARED_DATA

LIMIT = 10_000_000


def read(path, longest_side=640, max_pixels=LIMIT):
    return read_still(path, longest_side, max_pixels)


def attempt(path, *limits):
    """(what was read, why it was not)."""
    try:
        return read(path, *limits), None
    except UnreadableVideoError as refusal:
        return None, refusal.sentence


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_as_pillow_shows_it(tmp_path, orientation):
    from PIL import ImageOps

    path = photo(tmp_path / "a.png", orientation=orientation, size=(320, 200))
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    found = read(path)
    assert np.array_equal(found.picture, upright)
    assert (found.facts.width, found.facts.height) == upright.shape[1::-1]
    assert found.facts.rotation == {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}[orientation]


def test_a_large_jpeg_is_scaled_and_its_size_is_that_of_the_file(tmp_path):
    found = read(photo(tmp_path / "a.jpg", size=(2000, 1500), orientation=6))
    assert found.picture.shape == (640, 480, 3)
    assert (found.facts.width, found.facts.height, found.facts.codec) == (1500, 2000, "jpeg")
    smaller = np.asarray(
        scene(sum(b"a.jpg"), (2000, 1500)).resize((640, 480), Image.Resampling.BOX).rotate(-90, expand=True)
    )
    assert np.abs(found.picture.astype(int) - smaller).mean() < 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_pixels_of_every_depth_become_colours(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I", "F") else "a.png")
    grey = scene().convert("L")
    if mode == "I;16":
        grey = Image.fromarray(np.asarray(grey).astype(np.uint16) * 16)
    elif mode in ("I", "F"):
        grey = grey.convert(mode)
    else:
        grey = scene().convert(mode)
    grey.save(path)
    picture = read(path).picture
    assert picture.shape == (240, 320, 3)
    assert picture.std() > 10


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(tmp_path):
    """A few hundred bytes may claim a picture of gigabytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(UnreadableVideoError, match="60000 x 60000, more than the limit") as refusal:
        read(path)
    assert "decode.max_pixels" in refusal.value.remedy


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_of_a_picture_that_is_cut_off_the_upper_part_is_kept_and_said(tmp_path, ending):
    whole = photo(tmp_path / f"whole.{ending}", seed=4)
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    found, refusal = attempt(cut)
    if ending == "tif" and found is None:  # its directory may lie behind its pixels
        assert refusal.startswith("cut.tif ")
        return
    assert "cut off or damaged" in found.problems[0]
    assert np.abs(found.picture[:60].astype(int) - read(whole).picture[:60]).mean() < 3


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0", b"\xff\xd8\xff\xe0" * 500]
)
def test_what_is_no_picture_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError) as refusal:
        read(path)
    assert refusal.value.sentence.startswith("a.jpg ")
    assert refusal.value.remedy


@given(
    st.integers(0, 3000),
    st.binary(min_size=1, max_size=20),
    st.integers(100, 12_000),
    st.sampled_from(["JPEG", "PNG", "TIFF"]),
)
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_gives_a_picture_or_a_sentence(tmp_path_factory, at, junk, end, kind):
    out = io.BytesIO()
    scene().save(out, kind)
    content = bytearray(out.getvalue())
    content[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("damaged") / "a.jpg"
    path.write_bytes(bytes(content[:end]))
    found, refusal = attempt(path, 64, 2_000_000)
    assert refusal if found is None else max(found.picture.shape[:2]) <= 64


def test_only_the_first_of_several_pictures_is_read_and_the_others_are_told(tmp_path):
    path = tmp_path / "pages.tif"
    scene(1).save(path, save_all=True, append_images=[scene(2), scene(3)])
    found = read(path)
    assert np.array_equal(found.picture, np.asarray(scene(1)))
    assert "holds 3 pictures; only the first was read" in found.notes[0]


def test_the_hash_of_pixels_outlives_other_exif(tmp_path):
    one = photo(tmp_path / "a.png", "2023:05:06 07:08:09", seed=1)
    other = photo(tmp_path / "b.png", "2021:01:01 00:00:00", seed=1, camera="else")
    assert read(one).picture_hash == read(other).picture_hash != read(photo(tmp_path / "c.png", seed=2)).picture_hash
    Image.new("RGB", (64, 64), "black").save(tmp_path / "black.png")
    assert read(tmp_path / "black.png").picture_hash is None


@pytest.mark.parametrize(
    ("name", "size"),
    [("gradient_rotated", (720, 1280)), ("gradient_10bit", (64, 64)), ("animated", (64, 64))],
)
def test_heic_is_read_and_turned(name, size):
    path = SHARED_DATA / "tricky" / f"meta-pytorch_test_resources_{name}.heic"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found = read(path)
    assert (found.facts.width, found.facts.height, found.facts.codec) == (*size, "heic")
    assert max(found.picture.shape[:2]) == min(640, max(size))
