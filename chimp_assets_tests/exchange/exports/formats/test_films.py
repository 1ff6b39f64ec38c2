"""BORIS and ELAN get who is in view from and to which second, and their readers take the files."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pympi
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.export import ExportRequest, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.settings import Settings
from chimp_assets_tests.database.field_study import FRAME_S

EVERY_NAME = Selection(min_probability=0.0)
Stretch = tuple[float, float]


def written(db: Database, name: str, out: Path, settings: Settings, **options: str) -> Path:
    write_export(export(name), ExportRequest(db, settings, selection=EVERY_NAME, options=options), out, name=name)
    return out


def wanted(db: Database) -> dict[tuple[str, str], list[Stretch]]:
    """(path, individual) to the seconds in view, tick by tick of half a frame: tracks last to the end of their last
    frame, and ones that touch are one."""
    statement = sa.text(
        "SELECT v.uri, v.duration_s, COALESCE(i.anim_id, 'unnamed') AS who, k.first_s, k.last_s FROM v_track_identity i"
        " JOIN track k ON k.track_id = i.track_id JOIN video v ON v.video_id = i.video_id"
        " WHERE i.status NOT IN ('not_animal', 'bad_box')"
    )
    ticks: dict[tuple[str, str], set[int]] = defaultdict(set)
    tick = FRAME_S / 2
    with db.read() as conn:
        for row in conn.execute(statement):
            stop = min(row.last_s + FRAME_S, row.duration_s)
            ticks[row.uri, row.who] |= set(range(round(row.first_s / tick), round(stop / tick)))
    found: dict[tuple[str, str], list[Stretch]] = {}
    for key, there in ticks.items():
        begins = sorted(n for n in there if n - 1 not in there)
        ends = sorted(n + 1 for n in there if n + 1 not in there)
        found[key] = [(a * tick, b * tick) for a, b in zip(begins, ends, strict=True)]
    return found


def stretches_of(project: dict[str, Any]) -> dict[tuple[str, str], list[Stretch]]:
    """As BORIS reads a project: events by time, each state of a subject begins and ends in turn (format 7.0)."""
    assert project["project_format_version"] == "7.0"
    states = {one["code"] for one in project["behaviors_conf"].values() if one["type"] == "State event"}
    subjects = {one["name"] for one in project["subjects_conf"].values()}
    found: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
    for observation in project["observations"].values():
        assert observation["type"] == "MEDIA"
        assert set(observation["file"]) == {str(n) for n in range(1, 9)}
        (path,) = observation["file"]["1"]
        assert path in observation["media_info"]["length"]
        assert set(observation["independent_variables"]) == {
            one["label"] for one in project["independent_variables"].values()
        }
        events = observation["events"]
        assert [one[0] for one in events] == sorted(one[0] for one in events)
        begun: dict[str, float] = {}
        for seconds, subject, code, modifiers, _comment in events:
            assert (code in states, subject in subjects, modifiers) == (True, True, "")
            if subject in begun:
                found[path, subject].append((begun.pop(subject), seconds))
            else:
                begun[subject] = seconds
        assert not begun  # every state is closed
    return found


def test_boris_is_told_who_is_in_view(study: Database, settings: Settings, tmp_path: Path) -> None:
    zoned = settings.model_copy(update={"archive": settings.archive.model_copy(update={"timezone": "Africa/Kigali"})})
    file = written(study, "boris", tmp_path / "study.boris", zoned)
    project = json.loads(file.read_text(encoding="utf-8"))
    assert stretches_of(project) == wanted(study)
    assert project["project_name"] == "Chimpanzees of a forest"
    about = json.loads((tmp_path / "study.boris.about.json").read_text())
    assert "Africa/Kigali" in about["times"]
    assert about["counts"]["n"] == len(project["observations"])
    with study.read() as conn:
        hours = {row.uri: row.recorded_at.hour for row in conn.execute(sa.select(s.video.c.uri, s.video.c.recorded_at))}
    for observation in project["observations"].values():
        assert int(observation["date"][11:13]) == hours[observation["file"]["1"][0]] + 2


def test_elan_is_told_who_is_in_view(study: Database, settings: Settings, tmp_path: Path) -> None:
    """By pympi, which reads what ELAN reads."""
    folder = written(study, "elan", tmp_path / "elan", settings, media="/data/films of 2013")
    found: dict[tuple[str, str], list[Stretch]] = {}
    with (folder / "videos.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["file"] for row in rows} == {one.name for one in folder.glob("*.eaf")}
    for row in rows:
        document = pympi.Elan.Eaf(str(folder / row["file"]))
        (media,) = document.media_descriptors
        assert media["MEDIA_URL"] == f"file:///data/films%20of%202013/{row['video']}"
        assert media["RELATIVE_MEDIA_URL"] == f"./{row['video']}"
        assert media["MIME_TYPE"] == "video/mp4"
        names = document.get_tier_names()
        assert sorted(names) == row["individuals"].split()
        for name in names:
            found[row["video"], name] = sorted(
                (start / 1000, stop / 1000) for start, stop, _ in document.get_annotation_data_for_tier(name)
            )
    assert found == wanted(study)


def test_films_lie_where_people_say_and_pictures_are_left_out(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    with study.write() as conn:
        first = conn.scalar(sa.select(sa.func.min(s.track.c.video_id)).where(s.track.c.state == "live"))
        conn.execute(sa.update(s.video).where(s.video.c.video_id == first).values(uri="cam1/IMG_1.JPG"))
    file = written(study, "boris", tmp_path / "s.boris", settings, media="D:\\films\\")
    project = json.loads(file.read_text(encoding="utf-8"))
    paths = [one["file"]["1"][0] for one in project["observations"].values()]
    assert all(path.startswith("D:/films/cam") and path.endswith(".mp4") for path in paths)
    about = json.loads((tmp_path / "s.boris.about.json").read_text())
    assert about["counts"]["left_out_pictures"] == 1


def test_names_that_xml_cannot_hold_are_written_all_the_same(
    study: Database, settings: Settings, tmp_path: Path
) -> None:
    with study.write() as conn:
        conn.execute(sa.update(s.individual).where(s.individual.c.anim_id == "FF").values(anim_id='F<&">\x01F'))
    folder = written(study, "elan", tmp_path / "elan", settings)
    tiers = {name for file in folder.glob("*.eaf") for name in pympi.Elan.Eaf(str(file)).get_tier_names()}
    assert 'F<&">\ufffdF' in tiers


@pytest.mark.parametrize(("name", "out"), [("boris", "s.boris"), ("elan", "elan")])
def test_an_empty_database_gives_an_empty_project(
    db: Database, settings: Settings, tmp_path: Path, name: str, out: str
) -> None:
    made = written(db, name, tmp_path / out, settings)
    if name == "boris":
        project = json.loads(made.read_text())
        assert project["observations"] == {}
        assert project["project_format_version"] == "7.0"
    else:
        assert len((made / "videos.csv").read_text().splitlines()) == 1
        assert not list(made.glob("*.eaf"))
