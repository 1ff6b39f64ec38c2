"""What a picture says of itself: tags of every quality."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from chimp_assets.archive.stills.exif import ExifFacts, exif_of_bytes, facts_of_tags
from chimp_assets.archive.stills.headers import read_header
from chimp_assets.archive.stills.heif import HeifItems, heif_items
from chimp_assets_tests.archive.stills.photos import exif, photo, scene


def header(path):
    with path.open("rb") as file:
        return read_header(file)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_time_camera_and_place_are_read_from_every_kind(tmp_path, ending):
    path = photo(
        tmp_path / f"a.{ending}", "2023:05:06 07:08:09", parts="25", zone="+03:00", serial="H600", gps=(-4.5, 29.25)
    )
    found = header(path).exif
    assert found.tags["exif_original"] == "2023-05-06 07:08:09.25+03:00"
    assert (found.make, found.serial) == ("RECONYX", "H600")
    assert (found.latitude, found.longitude) == (-4.5, 29.25)


def test_a_turned_picture_has_its_displayed_size(tmp_path):
    found = header(photo(tmp_path / "a.jpg", orientation=6, size=(320, 240)))
    assert (found.width, found.height, found.exif.orientation) == (240, 320, 6)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2023:05:06 07:08:09", "2023-05-06 07:08:09"),
        ("2023/05/06 07:08:09", "2023-05-06 07:08:09"),
        ("2023-05-06T07:08:09Z", "2023-05-06 07:08:09+00:00"),
        ("2023:05:06 07:08", "2023-05-06 07:08:00"),
        ("0000:00:00 00:00:00", "0000:00:00 00:00:00"),
        ("2023:13:40 07:08:09", "2023:13:40 07:08:09"),
        ("    :  :     :  :  ", None),
        ("", None),
    ],
)
def test_times_are_read_as_cameras_write_them(written, read):
    assert facts_of_tags(exif(written)).tags.get("exif_original") == (": : : :" if read is None and written else read)


def test_a_date_of_an_editor_is_the_last_that_is_believed():
    tags = exif()
    tags[306] = "2024:01:02 03:04:05"
    assert dict(facts_of_tags(tags).tags) == {"exif_changed": "2024-01-02 03:04:05"}


def test_xmp_speaks_where_no_exif_does(tmp_path):
    path, notes = tmp_path / "a.png", PngImagePlugin.PngInfo()
    notes.add_itxt("XML:com.adobe.xmp", '<rdf:Description exif:DateTimeOriginal="2023-05-06T07:08:09" tiff:Make="X"/>')
    scene().save(path, pnginfo=notes)
    found = header(path).exif
    assert (dict(found.tags), found.make) == ({"exif_original": "2023-05-06 07:08:09"}, "X")


@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_a_place_that_is_none_is_not_kept(place):
    tags = exif()
    gps = tags.get_ifd(0x8825)
    gps.update({1: "N", 2: (place[0], 0, 0), 3: "E", 4: (place[1], 0, 0)})
    assert facts_of_tags(tags).latitude is None


_ODD = st.one_of(st.integers(-5, 2**40), st.floats(), st.text(max_size=30), st.binary(max_size=30), st.none(),
                 st.lists(st.floats(), max_size=4).map(tuple))  # fmt: skip


@given(
    st.dictionaries(st.sampled_from([271, 272, 274, 306, 36867, 36868, 37521, 36881, 42033, 50735]), _ODD), _ODD, _ODD
)
@settings(max_examples=60, deadline=None)
def test_tags_of_any_type_break_nothing(tags, side, degrees):
    made = Image.Exif()
    for tag, value in tags.items():
        made[tag] = value
    made.get_ifd(0x8769).update(tags)
    made.get_ifd(0x8825).update({1: side, 2: degrees, 3: side, 4: degrees})
    found = facts_of_tags(made)
    assert isinstance(found, ExifFacts)
    assert found.orientation in range(1, 9)
    for text in (found.make, found.model, found.serial, *found.tags.values()):
        assert text is None or (text.isprintable() and len(text) <= 100)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_damaged_header_is_read_or_not_and_never_raises(at, junk):
    out = io.BytesIO()
    scene().save(out, "JPEG", exif=exif("2023:05:06 07:08:09", gps=(1.0, 2.0)))
    content = bytearray(out.getvalue())
    content[at : at + len(junk)] = junk
    read_header(io.BytesIO(bytes(content)))
    exif_of_bytes(bytes(content[:at]))


def _box(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def heic_with_exif(block):
    """The boxes of a HEIC file that has nothing but an EXIF item."""
    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    item = struct.pack(">IHH", 2 << 24, 2, 0) + b"Exif\0"

    def meta(offset):
        place = struct.pack(">IBBH", 0, 0x44, 0, 1) + struct.pack(">HHHII", 2, 0, 1, offset, len(block))
        return _box(b"meta", b"\0\0\0\0", _box(b"pitm", b"\0\0\0\0\0\1"),
                    _box(b"iinf", b"\0\0\0\0\0\1", _box(b"infe", item)), _box(b"iloc", place))  # fmt: skip

    offset = len(head) + len(meta(0)) + 8
    return head + meta(offset) + _box(b"mdat", block)


def test_exif_of_a_heic_is_found_where_its_boxes_say():
    block = struct.pack(">I", 6) + exif("2023:05:06 07:08:09", camera="Apple").tobytes()
    found = read_header(io.BytesIO(heic_with_exif(block)))
    assert found.exif.tags["exif_original"] == "2023-05-06 07:08:09"
    assert found.exif.make == "Apple"


@given(st.integers(0, 300), st.binary(min_size=1, max_size=12), st.integers(0, 400))
@settings(max_examples=80, deadline=None)
def test_boxes_that_lie_give_nothing(at, junk, end):
    content = bytearray(heic_with_exif(struct.pack(">I", 6) + exif("2023:05:06 07:08:09").tobytes()))
    content[at : at + len(junk)] = junk
    assert isinstance(heif_items(io.BytesIO(bytes(content[:end]))), HeifItems)
    read_header(io.BytesIO(bytes(content)))
