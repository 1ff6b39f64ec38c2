"""What the commands print about cameras and about files that are passed over."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.cli import app
from chimp_assets.home import init_home
from chimp_assets.vision.tracking.bundle import track_bundle
from chimp_assets_tests.archive.catalogue.test_discover import put


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home whose archive holds two cameras that may be one, and things that are no videos."""
    monkeypatch.setattr(ContainerTimes, "created_at", lambda self, key: None)
    monkeypatch.setenv("CHIMP_HOME", str(tmp_path / "home"))
    folder = tmp_path / "archive"
    for name in ("Gombe/Cam01/a.mp4", "Gombe/Cam1/b.mp4", "notes.txt", "$RECYCLE.BIN/S-1/$R1AB2C3.MP4"):
        put(folder, name)
    (folder / "Gombe" / "bad\x1b[31m.mp4").write_bytes(b"x")
    home = init_home(archive_url=str(folder))
    discover(home.database, home.archive, home.settings)
    yield home
    home.database.dispose()


def said(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_status_and_doctor_name_what_is_passed_over(home):
    assert "names that cannot be stored" in " ".join(said("status").split())
    everything = said("status", "--failed")
    assert "bad\\u001b[31m.mp4" in everything
    assert "\x1b[31m.mp4" not in everything
    told = json.loads(said("status", "--json"))["passed_over"]
    assert told["counts"] == {"name": 1, "not_video": 1, "system": 1}
    assert told["endings"] == {".txt": 1}
    assert {"path": "notes.txt", "reason": "not_video"}.items() <= told["named"][1].items()
    findings = {f["part"]: f for f in json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)["findings"]}
    assert findings["archive"]["verdict"] == "warning"
    assert "bad\\u001b[31m.mp4" in findings["archive"]["says"]
    assert findings["cameras"]["counts"]["proposals"] == 1


def test_cameras_are_listed_mapped_and_unmapped(home):
    assert 'chimp cameras map "Gombe/Cam1" "Gombe/Cam01"' in said("cameras", "list").replace("\n", " ")
    assert json.loads(said("cameras", "map", "Gombe/Cam1", "Cam01", "--why", "misread", "--json"))["videos"] == 1
    assert "misread" in said("cameras", "list")
    listed = json.loads(said("cameras", "list", "--json"))
    assert [(one["name"], one["n_videos"]) for one in listed["cameras"]] == [("Gombe/Cam01", 2)]
    assert "1 video has a different camera" in said("cameras", "unmap", "Gombe/Cam1")
    assert json.loads(said("cameras", "apply", "--json"))["videos"] == 0


def test_effort_import_names_cameras_that_no_video_has(home, tmp_path):
    file = tmp_path / "deployments.csv"
    file.write_text("site,camera,start_date\ngombe,cam01,2020-01-01\nGombe,Cam001,2020-01-01\n")
    told = json.loads(said("effort", "import", str(file), "--json"))
    assert told["unknown"] == [{"camera": "Gombe/Cam001", "likely": ["Gombe/Cam01", "Gombe/Cam1"]}]
    assert "perhaps Gombe/Cam01 or Gombe/Cam1 is meant" in said("effort", "import", str(file))


def test_tracking_an_unknown_bundle_fails_as_decoding_does(home):
    """`tracks` of a partition that is not there succeeded with nothing."""
    from chimp_assets.archive.storage.archive import ArchiveError

    with pytest.raises(ArchiveError, match="no bundle nowhere-0001"):
        track_bundle(home.database, home.store, "nowhere-0001", home.settings)
