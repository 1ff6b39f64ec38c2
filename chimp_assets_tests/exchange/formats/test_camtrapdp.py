"""Camtrap DP: a folder or a zip, media and observations, and nothing from outside of the package."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chimp_assets.exchange.imports.annotations import ImportFileError
from chimp_assets_tests.exchange.formats.samples import CAMTRAPDP, read, write_package


def test_a_package_gives_files_boxes_and_individuals(tmp_path: Path) -> None:
    media, boxes, reading = read("camtrapdp", write_package(tmp_path))
    assert [(one.path, one.site, one.camera, one.recorded_at) for one in media] == [
        ("media/clip.mp4", "Pool", "cam2", datetime(2013, 5, 6, 5, 8, tzinfo=UTC)),
        ("media/IMG_1.JPG", "Pool", "cam2", datetime(2013, 5, 6, 8, tzinfo=UTC)),
        ("media/IMG_2.JPG", "Pool", "cam2", datetime(2013, 5, 6, 8, 0, 1, tzinfo=UTC)),
    ]
    assert [(b.medium, b.time_s, b.x, b.h, b.individual, b.score, b.annotator) for b in boxes] == [
        ("m1", 2.5, 0.1, 0.4, "FF", None, "Jane"),
        ("m2", None, None, None, None, 0.75, "net"),  # a machine's name is no answer
    ]
    assert {b.unit for b in boxes} == {"fraction"}
    assert {b.category for b in boxes} == {"Pan troglodytes"}
    told = " ".join(reading.notes)
    for kind in ("deployments", "names that a machine gave", "counts", "type blank", "events that hold several files"):
        assert kind in told


def test_an_event_whose_file_was_observed_is_a_summary(tmp_path: Path) -> None:
    """GM is said of the event alone, and its one file has an observation of its own: FF."""
    _, _, reading = read("camtrapdp", write_package(tmp_path))
    assert any("1 summaries of events" in note for note in reading.notes)
    alone = CAMTRAPDP["observations.csv"].replace("o1,d1,m1,", "o1,d1,m2,", 1)
    write_package(tmp_path, {**CAMTRAPDP, "observations.csv": alone})
    _, boxes, _ = read("camtrapdp", tmp_path)
    assert ("m1", "GM", None) in [(b.medium, b.individual, b.x) for b in boxes]


def test_a_tag_keeps_the_boxes_of_a_track_together(tmp_path: Path) -> None:
    lines = CAMTRAPDP["observations.csv"].splitlines()
    tagged = "\n".join(
        [lines[0] + ",observationTags", lines[1] + ",track:7", lines[1].replace("o1", "o9") + ",a | track:7"]
    )
    write_package(tmp_path, {**CAMTRAPDP, "observations.csv": tagged + "\n"})
    _, boxes, _ = read("camtrapdp", tmp_path)
    assert [b.track for b in boxes] == ["7", "7"]


def test_the_folder_and_a_zip_of_it_say_the_same(tmp_path: Path) -> None:
    descriptor = write_package(tmp_path)
    expected = read("camtrapdp", descriptor)[:2]
    assert read("camtrapdp", tmp_path)[:2] == expected
    with zipfile.ZipFile(tmp_path / "package.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in CAMTRAPDP.items():
            archive.writestr(f"pool-1.0/{name}", text)
    assert read("camtrapdp", tmp_path / "package.zip")[:2] == expected


def test_tables_may_be_packed_as_the_r_package_writes_them(tmp_path: Path) -> None:
    expected = read("camtrapdp", write_package(tmp_path))[:2]
    packed = {**CAMTRAPDP, "datapackage.json": CAMTRAPDP["datapackage.json"].replace("media.csv", "media.csv.gz")}
    (tmp_path / "media.csv.gz").write_bytes(gzip.compress(CAMTRAPDP["media.csv"].encode()))
    write_package(tmp_path, packed)
    assert read("camtrapdp", tmp_path)[:2] == expected
    (tmp_path / "media.csv.gz").write_bytes(gzip.compress(CAMTRAPDP["media.csv"].encode())[:-9])
    with pytest.raises(ImportFileError, match=r"media\.csv\.gz"):
        read("camtrapdp", tmp_path)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../secret.csv", "leads out of the package"),
        ("/etc/passwd", "leads out of the package"),
        ("C:\\media.csv", "leads out of the package"),
        ("https://example.org/media.csv", "is an address"),
        ("link.csv", "is not in the package"),
        ("none.csv", "is not in the package"),
        (["media.csv", "more.csv"], "no single file"),
        ("", "no single file"),
        (7, "no single file"),
    ],
)
def test_no_table_is_read_outside_of_the_package(path: object, sentence: str, tmp_path: Path) -> None:
    inside = tmp_path / "package"
    inside.mkdir()
    for name in ("secret.csv", "x.csv"):
        (tmp_path / name).write_text(CAMTRAPDP["media.csv"])
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    package = json.loads(CAMTRAPDP["datapackage.json"])
    package["resources"][1]["path"] = path
    write_package(inside, {**CAMTRAPDP, "datapackage.json": json.dumps(package)})
    with pytest.raises(ImportFileError, match=sentence):
        read("camtrapdp", inside)


@pytest.mark.parametrize(
    ("table", "old", "new", "sentence"),
    [
        ("media.csv", "m2,d1", "m1,d1", "this mediaID is there twice"),
        ("media.csv", "m2,d1", "m2,d9", "that of no deployment"),
        ("media.csv", "2013-05-06T08:00:00Z", "6 May", "line 3: timestamp is 6 May"),
        ("media.csv", "mediaID", "id", "the column mediaID is missing"),
        ("observations.csv", "o1,d1,m1", "o1,d1,m9", "line 2: its mediaID m9 is that of no file"),
        ("observations.csv", "0.1,0.2,0.3,0.4", "0.1,0.2,0.3,4", "bboxHeight is 4"),
        ("observations.csv", "0.1,0.2,0.3,0.4", "0.1,0.2,0.3,", "bboxHeight is , not"),
        ("observations.csv", "0.1,0.2,0.3,0.4", "0.1", "cells, the header"),
        ("deployments.csv", "d1,l1", ",l1", "its deploymentID is missing"),
    ],
)
def test_a_bad_row_is_named_by_its_table_and_line(
    table: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    changed = CAMTRAPDP[table].replace(old, new, 1)
    assert changed != CAMTRAPDP[table]
    write_package(tmp_path, {**CAMTRAPDP, table: changed})
    with pytest.raises(ImportFileError, match=sentence) as raised:
        read("camtrapdp", tmp_path)
    assert table in raised.value.sentence


def test_a_box_in_a_video_that_does_not_say_when_is_counted(tmp_path: Path) -> None:
    changed = CAMTRAPDP["observations.csv"].replace("2013-05-06T07:08:02.5+02:00", "", 1)
    write_package(tmp_path, {**CAMTRAPDP, "observations.csv": changed})
    _, boxes, reading = read("camtrapdp", tmp_path)
    assert [b.medium for b in boxes] == ["m2"]
    assert any("boxes in videos that do not say when" in note for note in reading.notes)
