"""Parquet tables, their description and camtrapR's table say what the views say, and foreign readers take them."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.columnar import parquet
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.settings import Settings
from chimp_assets_tests.exchange.exports.conftest import EXACT

EVERY_NAME = Selection(min_probability=0.0)
ZONE = "Africa/Kigali"


def written(db: Database, name: str, out: Path, settings: Settings, **options: str) -> Path:
    request = ExportRequest(db, settings, selection=EVERY_NAME, options=options)
    write_export(export(name), request, out, name=name)
    return out


def asked(db: Database, statement: str) -> list[sa.RowMapping]:
    with db.read() as conn:
        return list(conn.execute(sa.text(statement)).mappings())


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("partition", parquet.PARTITIONS)
def test_tables_are_those_of_the_views(study: Database, settings: Settings, tmp_path: Path, partition: str) -> None:
    folder = written(study, "parquet", tmp_path / "p", settings, partition=partition)
    sightings = ds.dataset(folder / "sightings", format="parquet", partitioning="hive").to_table().to_pylist()
    wanted = {(row["video_id"], row["anim_id"]): row for row in asked(study, "SELECT * FROM v_sighting")}
    assert {(row["video_id"], row["individual"]) for row in sightings} == wanted.keys()
    for row in sightings:
        view = wanted[row["video_id"], row["individual"]]
        assert row["year"] == int(str(view["recorded_on"])[:4])
        assert row["site"] in (view["site"], "_" if view["site"] is None else None)
        assert row["camera"] == view["camera"]
        for mine, theirs in (("first_s", "first_s"), ("seconds_visible", "seconds_visible"), ("n_frames", "n_frames"),
                             ("n_tracks", "n_tracks"), ("human_reviewed", "human_reviewed")):  # fmt: skip
            assert row[mine] == view[theirs]
        assert row["probability"] == pytest.approx(view["mean_probability"])
    boxes = ds.dataset(folder / "boxes", format="parquet", partitioning="hive").to_table()
    assert boxes.schema.field("moment").type == pa.timestamp("ms", tz="UTC")
    assert boxes.schema.field("x").type == pa.float32()
    found = {(row["track_id"], row["frame_no"]): row for row in boxes.to_pylist()}
    view_rows = asked(study, "SELECT * FROM v_frame_identity WHERE status NOT IN ('not_animal', 'bad_box')")
    assert found.keys() == {(row["track_id"], row["frame_no"]) for row in view_rows}
    for row in view_rows:
        mine = found[row["track_id"], row["frame_no"]]
        assert (mine["x"], mine["w"], mine["time_s"]) == (row["x"], row["w"], row["time_s"])
        assert (mine["individual"], mine["source"], mine["status"]) == (row["anim_id"], row["source"], row["status"])
        begins = datetime.fromisoformat(f"{row['recorded_at']}+00:00")
        assert (mine["moment"] - begins).total_seconds() == pytest.approx(row["time_s"])


def test_row_groups_are_bounded(
    study: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_HELD", 20)
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 50)
    folder = written(study, "parquet", tmp_path / "p", settings)
    groups = [
        found.row_group(n).num_rows
        for file in (folder / "boxes").rglob("*.parquet")
        for found in [pq.ParquetFile(file).metadata]
        for n in range(found.num_row_groups)
    ]
    assert len(groups) > 5
    assert max(groups) < 50 + 100  # a group ends with the video that fills it: at most 5 tracks of 20 frames
    assert sum(groups) == len(
        asked(study, "SELECT 1 AS one FROM v_frame_identity WHERE status NOT IN ('not_animal', 'bad_box')")
    )


def test_a_site_and_a_year_that_nobody_knows_are_said(study: Database, settings: Settings, tmp_path: Path) -> None:
    with study.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id < 9).values(site=None, recorded_on=None))
        conn.execute(sa.update(s.video).where(s.video.c.site == "b").values(site="b/ü ="))
    folder = written(study, "parquet", tmp_path / "p", settings, partition="site_year")
    rows = ds.dataset(folder / "videos", format="parquet", partitioning="hive").to_table().to_pylist()
    with study.read() as conn:
        known = {row.video_id: row.site for row in conn.execute(sa.select(s.video.c.video_id, s.video.c.site))}
    assert all(row["site"] == (known[row["video_id"]] or "_") for row in rows)
    assert any(row["site"] == "b/ü =" for row in rows)
    assert all((row["year"] == 0) == (row["recorded_on"] is None) == (row["video_id"] < 9) for row in rows)


def test_individuals_are_as_merged(study: Database, settings: Settings, tmp_path: Path) -> None:
    folder = written(study, "parquet", tmp_path / "p", settings)
    rows = {row["individual"]: row for row in pq.read_table(folder / "individuals").to_pylist()}
    assert "NEW-9" not in rows
    assert (rows["FI"]["mother"], rows["FI"]["sex"], str(rows["FI"]["birth_date"])) == ("FF", "M", "2010-03-01")


@pytest.mark.parametrize("name", ["parquet", "croissant"])
def test_an_empty_database_gives_tables_of_known_columns(
    db: Database, settings: Settings, tmp_path: Path, name: str
) -> None:
    folder = written(db, name, tmp_path / name, settings)
    table = ds.dataset(folder / "boxes", format="parquet", partitioning="hive").to_table()
    assert table.num_rows == 0
    assert {"track_id", "moment", "individual", "year"} <= set(table.column_names)


@pytest.mark.parametrize("partition", parquet.PARTITIONS)
def test_croissant_is_valid_and_its_records_are_the_rows(
    study: Database, settings: Settings, tmp_path: Path, partition: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By MLCommons' own reader, which refuses files whose hashes differ."""
    import mlcroissant as mlc

    folder = written(study, "croissant", tmp_path / "c", settings, partition=partition)
    described = json.loads((folder / "croissant.json").read_text())
    files = [one for one in described["distribution"] if one["@type"] == "cr:FileObject"]
    assert {one["contentUrl"] for one in files} == {
        one.relative_to(folder).as_posix() for one in folder.rglob("*.parquet")
    }
    for one in files:
        assert one["sha256"] == hashlib.sha256((folder / one["contentUrl"]).read_bytes()).hexdigest()
    assert (described["license"], described["citeAs"]) == ("CC-BY-4.0", "Doe et al. 2026")
    with caplog.at_level(logging.WARNING):
        dataset = mlc.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("sightings"))
    wanted = asked(study, "SELECT * FROM v_sighting")
    assert sorted((row["sightings/video_id"], text(row["sightings/individual"])) for row in records) == sorted(
        (row["video_id"], row["anim_id"]) for row in wanted
    )
    assert {text(row["sightings/year"]) for row in records} == {str(row["recorded_on"])[:4] for row in wanted}


def test_records_of_individuals_are_sightings(study: Database, settings: Settings, tmp_path: Path) -> None:
    file = written(study, "camtrapr", tmp_path / "r.csv", zoned(settings))
    rows = rows_of(file)
    about = json.loads((tmp_path / "r.csv.about.json").read_text())
    left = about["counts"].get("left_out_of_one_second", 0)
    wanted = {(row["anim_id"], row["uri"]): row for row in asked(study, "SELECT * FROM v_sighting")}
    assert len(rows) + left == len(wanted)
    assert ZONE in about["times"]
    for row in rows:
        view = wanted[row["Individual"], f"{row['Directory']}/{row['FileName']}"]
        local = datetime.fromisoformat(f"{view['recorded_at']}+00:00").astimezone(ZoneInfo(ZONE))
        assert row["DateTimeOriginal"] == f"{local:%Y-%m-%d %H:%M:%S}" == f"{row['Date']} {row['Time']}"
        assert row["Station"] == "_".join(part for part in (view["site"], view["camera"]) if part)
        assert row["Species"] == "Pan troglodytes"
        assert float(row["metadata_probability"]) == pytest.approx(view["mean_probability"], abs=1e-6)


@pytest.mark.parametrize("compared", ["lastRecord", "lastIndependentRecord"])
@pytest.mark.parametrize("records", ["individuals", "species"])
def test_independence_is_that_of_camtrapr(
    study: Database, settings: Settings, tmp_path: Path, compared: str, records: str
) -> None:
    """`assessTemporalIndependence`, written again from its definition: quadratic, and record by record."""
    minutes = 60 * 24
    options = {"minDeltaTime": str(minutes), "deltaTimeComparedTo": compared, "records": records}
    rows = rows_of(written(study, "camtrapr", tmp_path / "r.csv", settings, **options))
    every = rows_of(written(study, "camtrapr", tmp_path / "all.csv", settings, records=records))
    key = lambda row: (row["Station"], row["Individual"])  # noqa: E731
    wanted = []
    for which in sorted({key(row) for row in every}):
        mine = sorted((row for row in every if key(row) == which), key=lambda row: row["DateTimeOriginal"])
        moments = [datetime.fromisoformat(row["DateTimeOriginal"]) for row in mine]
        independent = [True]
        for n in range(1, len(mine)):
            earlier = [m for m, ok in zip(moments[:n], independent, strict=True) if ok or compared == "lastRecord"]
            independent.append(min((moments[n] - m).total_seconds() for m in earlier) >= 60 * minutes)
        firsts = [n for n, ok in enumerate(independent) if ok]
        for n, following in zip(firsts, [*firsts[1:], len(mine)], strict=True):
            wanted.append((*which, mine[n]["DateTimeOriginal"], str(following - n)))
    assert [(*key(row), row["DateTimeOriginal"], row["n_images"]) for row in sorted(rows, key=key)] == wanted
    assert len(rows) < len(every)
    for row in rows:
        seconds = int(row["delta.time.secs"])
        assert float(row["delta.time.mins"]) == round(seconds / 60, 1)
        assert float(row["delta.time.days"]) == round(round(round(seconds / 60, 1) / 60, 1) / 24, 1)
        assert seconds == 0 or seconds >= 60 * minutes


def test_videos_without_a_time_are_counted_and_wrong_options_refused(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    with study.write() as conn:
        conn.execute(sa.update(s.video).where(s.video.c.video_id < 9).values(recorded_at=None))
    written(study, "camtrapr", tmp_path / "r.csv", settings)
    (undated,) = asked(study, "SELECT COUNT(DISTINCT video_id) AS n FROM v_named_track WHERE video_id < 9")
    about = json.loads((tmp_path / "r.csv.about.json").read_text())
    assert about["counts"]["left_out_videos_without_time"] == undated["n"] > 0
    with pytest.raises(ExportError, match="minDeltaTime"):
        written(study, "camtrapr", tmp_path / "r.csv", settings, minDeltaTime="-5")
    with pytest.raises(ExportError, match=r"project\.species"):
        written(study, "camtrapr", tmp_path / "r.csv", Settings())


@pytest.mark.parametrize("name", ["asnipe", "bisonr", "strand", "parquet", "croissant", "camtrapr", "boris", "elan"])
def test_no_file_says_where_a_camera_stands(study: Database, settings: Settings, tmp_path: Path, name: str) -> None:
    out = written(study, name, tmp_path / "out", settings)
    files = [one for one in out.rglob("*") if one.is_file()] if out.is_dir() else [out]
    assert files
    for file in files:
        content = file.read_bytes()
        assert all(f"{abs(degrees):.3f}".encode() not in content for degrees in EXACT), file


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def zoned(settings: Settings) -> Settings:
    archive = settings.archive.model_copy(update={"timezone": ZONE})
    return settings.model_copy(update={"archive": archive})
