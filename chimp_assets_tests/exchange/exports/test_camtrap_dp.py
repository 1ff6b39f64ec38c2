"""A Camtrap DP is valid without a network, tells no place, and says of each sighting what the views say."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from frictionless import Package, system

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.camera_traps.camtrap_dp import file_path, media_type
from chimp_assets.exchange.exports.conditions import selection_of
from chimp_assets.exchange.exports.export import ExportError, ExportRequest, write_export
from chimp_assets.settings import Settings
from chimp_assets_tests.exchange.exports.camtrap_dp_tables import schema
from chimp_assets_tests.exchange.exports.conftest import EXACT, PROJECT


def handed(db: Database, settings: Settings, folder: Path, *where: str, **more: Any) -> dict[str, list[dict[str, str]]]:
    """Exports, validates, and returns the tables."""
    with db.read() as conn:
        request = ExportRequest(db, settings, selection=selection_of(conn, where), **more)
    n = write_export(export("camtrap_dp"), request, folder, force=True, name="camtrap_dp")
    tables = {
        one.stem: list(csv.DictReader(one.read_text(encoding="utf-8").splitlines())) for one in folder.glob("*.csv")
    }
    assert n == len(tables["observations"])
    assert faults(folder) == []
    return tables


def faults(folder: Path) -> list[str]:
    described = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    assert described.pop("profile").endswith("/camtrap-dp/1.0.1/camtrap-dp-profile.json")
    for resource in described["resources"]:
        if resource["name"] != "individuals":
            assert resource["schema"].endswith(f"/camtrap-dp/1.0.1/{resource['name']}-table-schema.json")
            resource["schema"] = schema(resource["name"])
    with system.use_context(trusted=False):
        report = Package.from_descriptor(described, basepath=str(folder)).validate()
    return [f"{task.name}: {error.message}" for task in report.tasks for error in task.errors] + [
        error.message for error in report.errors
    ]


def test_a_package_is_valid_and_says_who_was_where(study: Database, settings: Settings, tmp_path: Path) -> None:
    tables = handed(study, settings, tmp_path / "dp")
    with study.read() as conn:
        sightings = conn.execute(
            sa.text("SELECT anim_id, video_id FROM v_sighting WHERE human_reviewed = 1 OR min_probability >= 0.9")
        ).all()
        n_videos = conn.scalar(sa.select(sa.func.count()).select_from(s.video))
        tracks = conn.execute(selection_of(conn, []).tracks()).all()
    seen = tables["observations"]
    events = {(row["individualID"], row["eventID"]) for row in seen if row["observationLevel"] == "event"}
    assert {(str(a), f"event {v}") for a, v in sightings} <= events
    assert len(tables["media"]) == n_videos
    media = {row["observationTags"]: row for row in seen if row["observationLevel"] == "media"}
    assert media.keys() == {f"track:{row.track_id}" for row in tracks}
    for row in tracks:
        told = media[f"track:{row.track_id}"]
        assert told["individualID"] == (row.anim_id or "")
        assert told["classificationMethod"] == ("human" if row.source == "person" else "machine")
        assert bool(told["classificationTimestamp"]) == (row.source == "person")
    assert {row["observationType"] for row in seen} == {"animal", "blank"}
    assert {row["individualID"] for row in tables["individuals"]} == {row["individualID"] for row in seen} - {""}
    text = "".join(one.read_text() for one in (tmp_path / "dp").glob("*.csv"))
    assert not re.search(r"\d{4}-\d\d-\d\d \d\d:", text), "a moment without its T"
    assert all(re.fullmatch(r"\d*", row["count"]) for row in seen), "an integer with a point"


def test_deployments_are_those_of_the_table_and_of_cameras_that_only_videos_tell_of(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    tables = handed(study, settings, tmp_path / "dp")
    by_name = {row["deploymentID"]: row for row in tables["deployments"]}
    assert {"deployment 1", "deployment 2", "camera cam3"} <= by_name.keys()
    days: dict[str, list[str]] = {}
    for row in tables["media"]:
        days.setdefault(row["deploymentID"], []).append(row["timestamp"])
    for name, row in by_name.items():
        assert all(row["deploymentStart"] <= at <= row["deploymentEnd"] for at in days.get(name, []))
    lonely = by_name["camera cam3"]
    assert lonely["deploymentStart"][:10] == min(days["camera cam3"])[:10]
    assert "nobody has recorded a deployment" in lonely["deploymentComments"]
    assert (lonely["latitude"], lonely["coordinateUncertainty"]) == ("0.0", "20037508")
    about = json.loads((tmp_path / "dp" / "about.json").read_text())
    assert about["counts"]["deployments_without_coordinates"] > 0
    assert "0, 0 with the whole Earth" in about["notes"][0]
    tables = handed(study, settings, tmp_path / "dp", options={"place": "-4.5678,29.5"})
    assert {row["latitude"] for row in tables["deployments"]} == {"-4.12", "-4.57"}
    assert {row["coordinateUncertainty"] for row in tables["deployments"]} == {"1600", "10000"}
    with pytest.raises(ExportError, match="place of the study cannot be read"):
        handed(study, settings, tmp_path / "dp", options={"place": "here"})


def test_no_exact_coordinate_leaves_unless_somebody_asks(study: Database, settings: Settings, tmp_path: Path) -> None:
    """Every file of every export, as poachers would look."""
    from chimp_assets.exchange.exports import exports

    exact = [str(abs(value))[:7] for value in EXACT]
    for name, one in exports().items():
        out = tmp_path / one.file_name(name)
        try:
            write_export(one, ExportRequest(study, settings), out, name=name)
        except ExportError:
            continue  # what needs pictures
        for file in tmp_path.rglob("*"):
            if file.is_file() and "study.db" not in file.name:
                told = file.read_bytes().decode("latin-1")
                assert not any(number in told for number in exact), (name, file)
    described = json.loads((tmp_path / "camtrap_dp" / "datapackage.json").read_text())
    assert described["coordinatePrecision"] == 0.01
    assert described["spatial"] == {"type": "Point", "coordinates": [29.65, -4.12]}
    handed(study, settings, tmp_path / "exact", exact_places=True)
    told = (tmp_path / "exact" / "deployments.csv").read_text()
    assert all(number in told for number in exact)
    assert json.loads((tmp_path / "exact" / "about.json").read_text())["coordinates"] == "exact"


def test_bursts_and_pictures_are_files_of_their_own_with_boxes(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    with study.write() as conn:
        v, f = s.video.c, s.frame.c
        conn.execute(sa.update(s.video).where(v.video_id == 1).values(uri="cam1/IMG_1.JPG"))
        conn.execute(
            sa.update(s.video).where(v.video_id == 2).values(uri="cam1/IMG_2.JPG", state="retired", burst_video_id=1)
        )
        conn.execute(sa.update(s.frame).where(f.video_id == 1, f.frame_no > 0).values(source_video_id=2))
    tables = handed(study, settings, tmp_path / "dp", "video=cam1/IMG_2.JPG")
    with study.read() as conn:
        n_boxes = conn.scalar(sa.select(sa.func.count()).select_from(s.detection).where(s.detection.c.video_id == 1))
        n_frames = conn.scalar(sa.select(sa.func.count()).select_from(s.frame).where(s.frame.c.video_id == 1))
    assert Counter(row["fileName"] for row in tables["media"]) == {"IMG_1.JPG": 1, "IMG_2.JPG": n_frames - 1}
    assert {row["fileMediatype"] for row in tables["media"]} == {"image/jpeg"}
    boxed = [row for row in tables["observations"] if row["observationLevel"] == "media"]
    assert 0 < len(boxed) <= n_boxes
    assert all(row["mediaID"] and float(row["bboxWidth"]) > 0 for row in boxed)
    assert len({row["eventID"] for row in tables["observations"]}) == 1


def test_what_cannot_be_said_is_counted(study: Database, settings: Settings, tmp_path: Path) -> None:
    with study.write() as conn:
        v = s.video.c
        conn.execute(sa.update(s.video).where(v.video_id == 1).values(recorded_at=None, recorded_on=None))
        conn.execute(sa.update(s.video).where(v.video_id == 2).values(state="failed"))
    tables = handed(study, settings, tmp_path / "dp")
    counts = json.loads((tmp_path / "dp" / "about.json").read_text())["counts"]
    assert (counts["left_out_without_time"], counts["left_out_not_decoded"]) == (1, 1)
    assert not {"1", "2"} & {row["mediaID"] for row in tables["media"]}
    only = handed(study, settings, tmp_path / "some", "individual=FF")
    assert {row["individualID"] for row in only["observations"]} == {"FF"}
    assert {row["observationType"] for row in only["observations"]} == {"animal"}


def test_the_project_must_be_told_in_the_terms_of_the_standard(study: Database, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as refused:
        write_export(export("camtrap_dp"), ExportRequest(study, Settings()), tmp_path / "dp")
    for name in ("title", "species", "sampling_design", "contributors", "data_licence", "media_licence"):
        assert f"project.{name}" in str(refused.value)
    assert str(refused.value).count(". ") == 1, "one sentence and one remedy"
    wrong = Settings(project=PROJECT | {"contributors": ("Jane Doe (boss)",)})
    with pytest.raises(ExportError, match="has the role 'boss'"):
        write_export(export("camtrap_dp"), ExportRequest(study, wrong), tmp_path / "dp")
    assert not (tmp_path / "dp").exists()
    right = Settings(project=PROJECT | {"organisation": "Institute", "contributors": ("Jane Doe <j@x.org> (contact)",)})
    write_export(export("camtrap_dp"), ExportRequest(study, right), tmp_path / "dp")
    told = json.loads((tmp_path / "dp" / "datapackage.json").read_text())
    assert told["contributors"] == [
        {"title": "Jane Doe", "role": "contact", "email": "j@x.org", "organization": "Institute"},
        {"title": "Institute", "role": "rightsHolder"},
    ]
    assert [one["scope"] for one in told["licenses"]] == ["data", "media"]
    assert told["taxonomic"][0]["scientificName"] == "Pan troglodytes"


def test_a_fault_in_a_table_would_be_found(study: Database, settings: Settings, tmp_path: Path) -> None:
    handed(study, settings, tmp_path / "dp", "individual=FF")
    file = tmp_path / "dp" / "observations.csv"
    file.write_text(file.read_text().replace(",animal,", ",ape,", 1))
    assert any('"ape"' in one for one in faults(tmp_path / "dp"))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("a/b.mp4", "a/b.mp4"),
        ("../b.mp4", "%2E%2E/b.mp4"),
        (".a/b..c.mp4", "%2Ea/b%2E%2Ec.mp4"),
        ("~/b.mp4", "%7E/b.mp4"),
    ],
)
def test_paths_are_as_the_standard_lets_them_be(uri: str, path: str) -> None:
    assert file_path(uri) == path
    assert re.fullmatch(r"^(?=^[^./~])(^((?!\.{2}).)*$).*$", file_path(uri))
    assert media_type(uri) == "video/mp4"
    assert media_type("a.xyz").startswith("video/")
