"""Whatever a file holds, a reader gives a sentence or a reading: no other error, no memory without end."""

from __future__ import annotations

import codecs
import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chimp_assets.exchange.imports import import_format
from chimp_assets.exchange.imports.annotations import ImportFileError, ReadOptions
from chimp_assets.exchange.imports.reading import json_stream
from chimp_assets.exchange.imports.reading.json_stream import json_entries
from chimp_assets.exchange.imports.reading.sources import file_source
from chimp_assets.exchange.imports.reading.values import written_number
from chimp_assets.exchange.imports.tables.cells import seconds_of
from chimp_assets_tests.exchange.formats import samples as s

MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def zipped(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


FILES: dict[str, tuple[str, bytes]] = {
    "megadetector": ("megadetector", json.dumps(s.MEGADETECTOR).encode()),
    "coco": ("coco", json.dumps(s.KWCOCO).encode()),
    "cvat": ("cvat", s.CVAT_VIDEO.encode()),
    "cvat images": ("cvat", s.CVAT_IMAGES.encode()),
    "viame": ("viame", s.DIVE.encode()),
    "mot": ("mot", s.MOT_TRUTH.encode()),
    "via 2": ("via", json.dumps(s.VIA2).encode()),
    "via 3": ("via", json.dumps(s.VIA3).encode()),
    "mot zip": ("mot", zipped({"a/gt/gt.txt": s.MOT_TRUTH, "a/seqinfo.ini": s.MOT_INFO})),
    "camtrapdp zip": ("camtrapdp", zipped(s.CAMTRAPDP)),
}
SUFFIX = {"mot zip": ".zip", "camtrapdp zip": ".zip"}
JSON = [name for name, (_, content) in FILES.items() if content.startswith(b"{")]


def outcome(name: str, folder: Path, content: bytes) -> str | int:
    """How many boxes a file of this format holds, or the sentence that refuses it."""
    kind = FILES[name][0]
    path = folder / f"f{SUFFIX.get(name, import_format(kind).suffixes[0])}"
    path.write_bytes(content)
    try:
        reading = import_format(kind).read(path, ReadOptions())
        keys = {one.key for one in reading.media}
        boxes = list(reading.boxes)
    except ImportFileError as error:
        return error.sentence if error.remedy and path.name in error.sentence else f"no place or remedy: {error}"
    assert {box.medium for box in boxes} <= keys
    for box in boxes:
        assert all(v is None or abs(v) <= 1e7 for v in (box.x, box.y, box.w, box.h, box.time_s))
        assert box.frame is None or 0 <= box.frame < 2**31
    return len(boxes)


@pytest.mark.parametrize("name", FILES)
def test_a_file_may_be_cut_anywhere(name: str, tmp_path: Path) -> None:
    whole = FILES[name][1]
    full = outcome(name, tmp_path, whole)
    assert isinstance(full, int)
    for at in {*range(0, len(whole), max(1, len(whole) // 50)), 1, len(whole) - 1}:
        found = outcome(name, tmp_path, whole[:at])
        # Lines of tables are whole by themselves; of JSON, XML and zips nothing is taken without their end.
        if isinstance(found, int):
            assert found == full if at == len(whole.rstrip()) else name in ("viame", "mot") and found <= full, at
        else:
            assert not found.startswith("no place"), (at, found)


@pytest.mark.parametrize("name", FILES)
@MANY
@given(data=st.data())
def test_bytes_may_be_others(name: str, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(FILES[name][1])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert not str(outcome(name, tmp_path, bytes(content))).startswith("no place")


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**30, 10**40), st.floats(), st.text(max_size=5),
    st.just("\x00"), st.just("\ud800"), st.just("x" * 5000), st.lists(st.integers(), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3), st.just([[]]), st.just({"a": {}}),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in an object of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, below in inner for one in places(below, (*path, key)))]


@pytest.mark.parametrize("name", JSON)
@MANY
@given(data=st.data())
def test_values_may_be_of_any_type(name: str, tmp_path: Path, data: st.DataObject) -> None:
    tree = json.loads(FILES[name][1])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(tree)[1:]))
        inner = tree
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = data.draw(ODD)
    outcome(name, tmp_path, json.dumps(tree).encode())


CELLS = st.sampled_from(["", "nan", "-inf", "1e999", "9" * 400, "-1", "0", "1_0", "\x00", "1.5", "é", '"', "(atr) a b"])


@pytest.mark.parametrize("name", ["viame", "mot", "cvat"])
@MANY
@given(data=st.data())
@example(data=None)
def test_cells_and_attributes_may_hold_anything(name: str, tmp_path: Path, data: st.DataObject | None) -> None:
    text = FILES[name][1].decode()
    marks = ('="', '"') if name == "cvat" else (",", ",")
    starts = [at for at in range(len(text)) if text.startswith(marks[0], at)]
    at = starts[3] if data is None else data.draw(st.sampled_from(starts))
    end = text.find(marks[1], at + len(marks[0]))
    cell = "9" * 5000 if data is None else data.draw(CELLS)
    outcome(name, tmp_path, (text[: at + len(marks[0])] + cell + text[end if end > 0 else at + 1 :]).encode())


@pytest.mark.parametrize("name", FILES)
def test_nothing_and_another_encoding(name: str, tmp_path: Path) -> None:
    kind, whole = FILES[name]
    assert "empty" in str(outcome(name, tmp_path, b"")) or name.endswith("zip") or kind in ("mot", "cvat")
    assert isinstance(outcome(name, tmp_path, b"\xff\xfe\x00"), str)
    if name.endswith("zip"):
        return
    full = outcome(name, tmp_path, whole)
    assert outcome(name, tmp_path, codecs.BOM_UTF8 + whole) == full
    text = whole.decode().replace('encoding="utf-8"', 'encoding="utf-16"')
    assert outcome(name, tmp_path, text.encode("utf-16")) == full
    assert isinstance(outcome(name, tmp_path, whole[:99] + b"\xe9" + whole[99:]), str)


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_has_an_end(name: str, opening: str, tmp_path: Path) -> None:
    deep = opening * 10_000
    for section in ("images", "metadata", "_via_img_metadata", "x"):
        found = outcome(name, tmp_path, f'{{"{section}": [{deep}'.encode())
        assert isinstance(found, str)
        assert "nested too deeply" in found
    assert isinstance(outcome(name, tmp_path, deep.encode()), str)


def test_xml_has_a_depth_and_an_end(tmp_path: Path) -> None:
    assert "more than 32 deep" in str(outcome("cvat", tmp_path, b"<annotations>" + b"<a>" * 10_000))
    assert "never ends" in str(outcome("cvat", tmp_path, b"<annotations><meta>" + b"x" * (1 << 21)))
    assert "unknown" in str(outcome("cvat", tmp_path, b'<?xml version="1.0" encoding="klingon"?><annotations/>'))
    assert "begins with <html>" in str(outcome("cvat", tmp_path, b"<html></html>"))


def test_a_line_has_an_end(tmp_path: Path) -> None:
    assert "it never ends" in str(outcome("mot", tmp_path, b"1," * (1 << 20)))


def test_a_section_stands_once_and_numbers_have_an_end(tmp_path: Path) -> None:
    assert "it is there twice" in str(outcome("coco", tmp_path, b'{"images": [], "images": []}'))
    digits = b'{"images": [{"id": ' + b"9" * 5000 + b"}]}"
    assert isinstance(outcome("coco", tmp_path, digits), str)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_and_nothing_are_no_file(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path / "none.zip", tmp_path):
        with pytest.raises(ImportFileError):
            import_format(FILES[name][0]).read(path, ReadOptions())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.dictionaries(
        st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
            max_leaves=12,
        ),
        max_size=5,
    ),
    indent=st.sampled_from([None, 0, 2]),
    piece=st.integers(1, 40),
)
def test_json_in_pieces_of_any_size_is_what_json_says(
    tree: dict[str, Any], indent: int | None, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(tree, indent=indent, ensure_ascii=False), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(json_stream, "PIECE", piece)
        found = list(json_entries(file_source(path)))
    expected = []
    for section, value in tree.items():
        if isinstance(value, dict):
            expected += [(section, key, inner) for key, inner in value.items()]
        elif isinstance(value, list):
            expected += [(section, index, inner) for index, inner in enumerate(value)]
        else:
            expected.append((section, None, value))
    assert found == expected


def test_a_large_file_takes_the_memory_of_its_entries(tmp_path: Path) -> None:
    """What is alive at once is a few pieces of the file, however large it is."""
    path = tmp_path / "large.json"
    entry = json.dumps(s.MEGADETECTOR["images"][1])
    with path.open("w") as stream:
        stream.write('{"detection_categories": {"1": "animal"}, "images": [')
        stream.write(",".join(entry.replace("clip", f"clip{n}") for n in range(10_000)))
        stream.write("]}")
    size = path.stat().st_size
    tracemalloc.start()
    try:
        reading = import_format("megadetector").read(path, ReadOptions())
        assert sum(1 for _ in json_entries(file_source(path))) == 10_001
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000 < size
    assert reading.frame_base == 0


def test_a_number_between_any_blanks_is_that_number() -> None:
    """Python strips blanks of all of Unicode, float() fewer: a file separator before a number ended an import."""
    blanks = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    assert "\x1c" in blanks
    for blank in blanks:
        assert written_number(f"{blank}912{blank}", "the width") == 912
        assert seconds_of(f"{blank}12.5{blank}") == 12.5
