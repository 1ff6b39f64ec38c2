"""The report of cameras, and what an operator says of them: videos, deployments and splits follow, and go back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.cameras import CameraError, apply_mappings, camera_report, map_camera, unmap_camera
from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.database import schema as t
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.people.users import ensure_default_users
from chimp_assets_tests.archive.catalogue.test_discover import found, put, videos


@pytest.fixture(autouse=True)
def _without_probing(monkeypatch):
    monkeypatch.setattr(ContainerTimes, "created_at", lambda self, key: None)


@pytest.fixture
def filmed(place, archive_folder):
    """Cam01 and Cam1 of Gombe on ten days each, and one at Mahale."""
    for day in range(1, 11):
        put(archive_folder, f"Gombe/Cam01/DCIM/100EK113/201305{day:02d}_100000.mp4")
        put(archive_folder, f"Gombe/Cam1/DCIM/100EK113/201305{day:02d}_110000.mp4")
    put(archive_folder, "Gombe/Cam01/DCIM/101EK113/20130511_100000.mp4")
    put(archive_folder, "Mahale/Cam01/20130501_100000.mp4")
    found(place)
    return place


def report(place):
    with place.db.read() as conn:
        return camera_report(conn)


def places(place):
    return {row.uri: (row.site, row.camera) for row in videos(place)}


def splits(place):
    with place.db.read() as conn:
        rows = conn.execute(sa.select(t.split_assignment.c.video_id, t.split_assignment.c.split))
        return {video_id: split for video_id, split in rows}


def test_likely_the_same_cameras_are_proposed_and_never_merged(filmed):
    told = report(filmed)
    assert [(line.name, line.n_videos) for line in told.cameras] == [
        ("Gombe/Cam01", 11), ("Gombe/Cam1", 10), ("Mahale/Cam01", 1),
    ]  # fmt: skip
    assert [(one.camera, one.into) for one in told.proposals] == [("Gombe/Cam1", "Gombe/Cam01")]
    assert (told.misplaced, told.unknown, told.silent) == (0, 0, [])


def test_a_mapping_moves_videos_there_and_to_come_and_can_be_taken_back(filmed, archive_folder):
    ensure_default_users(filmed.db)
    before, split = places(filmed), splits(filmed)
    done = map_camera(filmed.db, "Gombe/Cam1", "Cam01", why="the label was misread", by="expert")
    assert done.videos == 10
    put(archive_folder, "Gombe/cam1/late.mp4")
    found(filmed)
    assert {place for uri, place in places(filmed).items() if uri.startswith("Gombe")} == {("Gombe", "Cam01")}
    assert report(filmed).proposals == []
    (mapping,) = report(filmed).mappings
    assert (mapping.subject, mapping.by, mapping.why) == ("Gombe/Cam1", "expert", "the label was misread")
    # A day of one camera lies in one split, and nothing has left the test.
    now = splits(filmed)
    assert all(now[video_id] == "test" for video_id, was in split.items() if was == "test")
    days = {}
    for row in videos(filmed):
        days.setdefault((row.site, row.camera, row.recorded_on), set()).add(now[row.video_id])
    assert all(len(found_splits) == 1 for found_splits in days.values())
    back = unmap_camera(filmed.db, "Gombe/Cam1", why="it was right")
    assert back.videos == 11
    assert {uri: place for uri, place in places(filmed).items() if uri in before} == before
    assert report(filmed).mappings == []
    with filmed.db.read() as conn:
        assert conn.scalar(sa.select(t.camera_mapping.c.undone_reason)) == "it was right"


def test_a_folder_may_be_mapped_and_the_longest_one_counts(filmed, archive_folder):
    map_camera(filmed.db, "Gombe/Cam01", "Gombe/Ridge", folder=True)
    map_camera(filmed.db, "Gombe/Cam01/DCIM/101EK113", "Mahale/Valley")
    assert places(filmed)["Gombe/Cam01/DCIM/100EK113/20130501_100000.mp4"] == ("Gombe", "Ridge")
    assert places(filmed)["Gombe/Cam01/DCIM/101EK113/20130511_100000.mp4"] == ("Mahale", "Valley")
    assert places(filmed)["Mahale/Cam01/20130501_100000.mp4"] == ("Mahale", "Cam01")


def test_later_videos_of_a_mapped_camera_join_the_split_of_its_day(filmed, archive_folder):
    map_camera(filmed.db, "Gombe/Cam1", "Gombe/Cam01")
    for day in range(1, 11):
        put(archive_folder, f"Gombe/Cam1/DCIM/102EK113/201305{day:02d}_120000.mp4")
    found(filmed)
    now, days = splits(filmed), {}
    for row in videos(filmed):
        days.setdefault((row.site, row.camera, row.recorded_on), set()).add(now[row.video_id])
    assert all(len(of_day) == 1 for of_day in days.values())


@pytest.mark.parametrize(
    ("what", "into", "says"),
    [
        ("Cam99", "Cam01", "no camera 'Cam99'"),
        ("Cam01", "Cam1", "may be several cameras: Gombe/Cam01, Mahale/Cam01"),
        ("Gombe/Cam1", "Gombe/", "names no camera"),
        ("Gombe/Cam1", "a/b/c", "has a slash"),
        ("Gombe/Cam1", "gombe/cam1", "already"),
    ],
)
def test_what_cannot_be_mapped_is_a_sentence(filmed, what, into, says):
    with pytest.raises(CameraError, match=says) as refused:
        map_camera(filmed.db, what, into)
    assert refused.value.remedy


def test_a_camera_that_folders_in_different_places_name_is_said_to_be_doubtful(place, archive_folder):
    """kasekela/north/cam1 and kasekela/south/cam1 may be two."""
    for name in (
        "kasekela/north/cam1/a.mp4",
        "kasekela/south/cam1/b.mp4",
        "kasekela/cam2/c.mp4",
        "DCIM/100MEDIA/d.mp4",
    ):
        put(archive_folder, name)
    found(place)
    doubts = {line.name: line.doubts for line in report(place).cameras}
    assert doubts["kasekela/cam2"] == []
    assert "kasekela/north/cam1, kasekela/south/cam1" in doubts["kasekela/cam1"][0]
    assert report(place).unknown == 1


def test_rows_of_an_older_version_are_told_and_filed_on_request(filmed):
    """An upgrade must not move splits unasked, nor leave 100EK113 a camera for ever."""
    with filmed.db.write() as conn:
        conn.execute(sa.update(t.video).where(t.video.c.uri.contains("Cam01/DCIM/100EK113")).values(camera="100EK113"))
        conn.execute(sa.delete(t.camera_name))
    assert report(filmed).misplaced == 10
    assert apply_mappings(filmed.db).videos == 10
    assert (report(filmed).misplaced, apply_mappings(filmed.db).videos) == (0, 0)


def test_deployments_without_videos_are_named_with_the_camera_that_may_be_meant(filmed, tmp_path):
    """`2 added` was all that was said of cameras that do not exist."""
    file = tmp_path / "deployments.csv"
    file.write_text(
        "site,camera,start_date\ngombe,cam01,2013-05-01\nGombe,Cam001,2013-05-01\ngombe,cam09,2013-05-01\n"
        ",Cam01,2012-05-01\n"
    )
    done = import_effort(filmed.db, file)
    assert (done.added, [(one.camera, one.likely) for one in done.unknown]) == (
        4, [("Gombe/Cam001", ["Gombe/Cam01", "Gombe/Cam1"]), ("gombe/cam09", [])],
    )  # fmt: skip
    with filmed.db.read() as conn:
        assert ("Gombe", "Cam01") in {(r.site, r.camera) for r in conn.execute(sa.select(t.deployment))}
    assert report(filmed).silent == ["Gombe/Cam001", "gombe/cam09"]
    assert import_effort(filmed.db, file).unchanged == 4
