"""Pictures of individuals are cut where the boxes are, named as the database says, and counted where they are lost."""

from __future__ import annotations

import ast
import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simplejpeg
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.exchange.exports.pieces.safe_names import SafeNames, safe
from chimp_assets.home import Home
from chimp_assets_tests.vision.animals import FRAMES, HEIGHT, WIDTH, answer, make_animals

PROJECT = {"species": "Pan troglodytes"}
VIDEOS = 4


@pytest.fixture
def filmed(home: Home) -> tuple[Home, dict[int, str]]:
    """A home of four videos with two tracks each, all but the last named by a person."""
    truth = make_animals(home, videos=VIDEOS, bundles=1)
    answer(home, truth, "free", sorted(truth)[:-1])
    with home.database.write() as conn:
        conn.execute(sa.update(s.video).values(width=WIDTH, height=HEIGHT))
    return home, truth


def written(home: Home, name: str, folder: Path, **options: str) -> Path:
    request = ExportRequest(
        home.database, home.settings.model_copy(update={"project": home.settings.project.model_copy(update=PROJECT)}),
        home.store, options=options,
    )  # fmt: skip
    write_export(export(name), request, folder, name=name)
    return folder


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def of_track(truth: dict[int, str]) -> dict[int, str]:
    return {track_id: name for track_id, name in truth.items() if track_id != max(truth)}


def test_wildlife_datasets_finds_each_animal_in_its_picture(
    filmed: tuple[Home, dict[int, str]], tmp_path: Path
) -> None:
    """The columns are those that `WildlifeDataset` reads; a bounding box cuts the pixels of the box in the frame."""
    home, truth = filmed
    folder = written(home, "wildlife_datasets", tmp_path / "wd", per_track="2")
    table = pd.read_csv(folder / "metadata.csv")
    assert table["image_id"].is_unique
    assert len(table) == 2 * len(truth)
    named = of_track(truth)
    assert [named.get(track_id, "unknown") for track_id in table["track_id"]] == table["identity"].tolist()
    assert set(table["split"]) <= {"train", "validation", "test"}
    assert pd.to_datetime(table["date"]).dt.tz is not None
    boxes = detections(home)
    for row in table.itertuples():
        picture = simplejpeg.decode_jpeg((folder / row.path).read_bytes(), colorspace="RGB")
        x, y, w, h = ast.literal_eval(row.bbox)
        assert picture[y : y + h, x : x + w].shape == (h, w, 3)
        box = boxes[row.track_id, int(row.image_id.rpartition("_")[2])]
        assert (w, h) == pytest.approx((box[2] * WIDTH, box[3] * HEIGHT), abs=1.01)
        frame = frame_of(home, row.track_id, int(row.image_id.rpartition("_")[2]))
        left, top = round(box[0] * WIDTH), round(box[1] * HEIGHT)
        there = frame[top : top + h, left : left + w].astype(int)
        assert np.abs(there - picture[y : y + h, x : x + w].astype(int)).mean() < 6  # JPEG twice


def test_whole_frames_are_the_stored_ones_and_written_once(filmed: tuple[Home, dict[int, str]], tmp_path: Path) -> None:
    home, truth = filmed
    folder = written(home, "wildlife_datasets", tmp_path / "wd", per_track=str(FRAMES), pictures="frames")
    rows = rows_of(folder / "metadata.csv")
    assert len(rows) == len(truth) * FRAMES
    assert len({row["path"] for row in rows}) == len(list(folder.rglob("*.jpg"))) == VIDEOS * FRAMES
    for row in rows[:4]:
        height, width, *_ = simplejpeg.decode_jpeg_header((folder / row["path"]).read_bytes())
        x, y, w, h = ast.literal_eval(row["bbox"])
        assert (height, width) == (HEIGHT, WIDTH)
        assert 0 <= x < x + w <= WIDTH
        assert 0 <= y < y + h <= HEIGHT


def test_crops_lie_in_a_folder_for_each_individual(filmed: tuple[Home, dict[int, str]], tmp_path: Path) -> None:
    home, truth = filmed
    first = s.individual.c.anim_id == truth[min(truth)]
    with home.database.write() as conn:
        conn.execute(sa.update(s.individual).where(first).values(anim_id="../Ä/."))
    folder = written(home, "crops", tmp_path / "crops", per_track="3")
    rows = rows_of(folder / "crops.csv")
    assert len(rows) == 3 * len(truth)
    assert {row["file"] for row in rows} == {one.relative_to(folder).as_posix() for one in folder.rglob("*.jpg")}
    by_name: dict[str, set[str]] = {}
    for row in rows:
        by_name.setdefault(row["individual"], set()).add(row["file"].split("/")[0])
    assert by_name["../Ä/."] == {"A"}
    assert by_name[""] == {"unnamed"}
    assert all(len(folders) == 1 for folders in by_name.values())
    assert all((row["source"], row["probability"]) == ("person", "1.0") for row in rows if row["individual"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["moment"]) for row in rows)


def test_wildbook_gets_an_encounter_for_each_track(filmed: tuple[Home, dict[int, str]], tmp_path: Path) -> None:
    """Required columns of its bulk import; a local hour; a picture for each asset."""
    home, truth = filmed
    folder = written(home, "wildbook", tmp_path / "wb", per_track="2")
    rows = rows_of(folder / "wildbook-0001.csv")
    assert len(rows) == len(truth)
    named = of_track(truth)
    for row in rows:
        assert (row["Encounter.genus"], row["Encounter.specificEpithet"]) == ("Pan", "troglodytes")
        for n in range(2):
            name = row[f"Encounter.mediaAsset{n}"]
            assert re.fullmatch(r"[A-Za-z0-9. ]+", name)
            assert (folder / "images" / name).is_file()
        assert row["MarkedIndividual.individualID"] == named.get(int(row["Encounter.otherCatalogNumbers"]), "")
        assert row["Encounter.state"] == ("approved" if row["MarkedIndividual.individualID"] else "unapproved")
        assert re.fullmatch(r"[A-Za-z0-9_-]+", row["Encounter.sightingID"])
        assert (row["Encounter.year"], row["Encounter.month"]) == ("2020", "3")
    with pytest.raises(ExportError, match=r"project\.species"):
        write_export(export("wildbook"), ExportRequest(home.database, home.settings, home.store), tmp_path / "no")


def test_pictures_that_are_gone_are_counted(filmed: tuple[Home, dict[int, str]], tmp_path: Path) -> None:
    home, truth = filmed
    with home.database.read() as conn:
        uri = conn.scalar(sa.select(s.frame_shard.c.uri).where(s.frame_shard.c.video_id == 1))
    home.store.delete(uri)
    folder = written(home, "crops", tmp_path / "crops", per_track="2")
    assert len(rows_of(folder / "crops.csv")) == 2 * (len(truth) - 2)
    assert json.loads((folder / "about.json").read_text())["counts"]["left_out_pictures"] == 4


@pytest.mark.parametrize("text", ["0", "-1", "five", "1e9", "²"])
def test_a_number_of_pictures_that_is_none_is_refused(home: Home, tmp_path: Path, text: str) -> None:
    with pytest.raises(ExportError, match="per_track"):
        written(home, "crops", tmp_path / "crops", per_track=text)


@pytest.mark.parametrize("name", ["crops", "wildlife_datasets", "wildbook"])
def test_an_empty_database_gives_an_empty_sheet(home: Home, tmp_path: Path, name: str) -> None:
    folder = written(home, name, tmp_path / name)
    (sheet,) = folder.glob("*.csv")
    assert rows_of(sheet) == []
    assert sheet.read_text().strip()


def test_names_of_folders_are_safe_and_no_two_the_same() -> None:
    names = SafeNames()
    assert [names.of(one) for one in ("A/B", "A_B", "a_b", "A/B", "..", "CON", "Ä", "日本", "x" * 300)] == [
        "A_B", "A_B-2", "a_b-3", "A_B", "_", "_CON", "A", "_-2", "x" * 80,
    ]  # fmt: skip
    assert safe(" .hidden. ") == "hidden"


def detections(home: Home) -> dict[tuple[int, int], tuple[float, ...]]:
    d = s.detection.c
    with home.database.read() as conn:
        return {
            (row.track_id, row.frame_no): (row.x, row.y, row.w, row.h)
            for row in conn.execute(sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h))
        }


def frame_of(home: Home, track_id: int, frame_no: int) -> np.ndarray:
    from chimp_assets.archive.video.pictures import read_frames

    ((_, _, picture),) = read_frames(home.database, home.store, track_id // s.TRACKS_PER_VIDEO, [frame_no])
    return picture
