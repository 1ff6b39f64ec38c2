"""A file or folder appears whole, says what it is, replaces nothing that is not an export, and tells no place."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.files.whole_file import FileWriteError
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.conditions import selection_of
from chimp_assets.exchange.exports.export import YES_NO, Export, ExportError, ExportOption, ExportRequest, write_export
from chimp_assets.exchange.exports.places import handed_place, without_metadata
from chimp_assets.settings import Settings
from chimp_assets_tests.database.world import event


def two_files(request: ExportRequest, folder: Path) -> int:
    with request.read():
        (folder / "a.txt").write_text("a")
        (folder / "b").mkdir()
        (folder / "b" / "c.txt").write_text("cc")
    request.count(files=2, left_out=0)
    request.tell(together={"rule": "frame"})
    return 2


PARTS = (ExportOption("parts", "which", "all", ("all", "few")), ExportOption("sure", "or not", "no", YES_NO))
FOLDER = Export("Two files.", "", two_files, folder=True, options=PARTS)


def request_of(db: Database, settings: Settings | None = None, *where: str) -> ExportRequest:
    with db.read() as conn:
        return ExportRequest(db, settings or Settings(), selection=selection_of(conn, where))


def test_a_folder_says_what_is_in_it(study: Database, settings: Settings, tmp_path: Path) -> None:
    asked = replace(request_of(study, settings, "individual=FF", "to=2013-06-01"), options={"sure": "yes"})
    assert write_export(FOLDER, asked, tmp_path / "out", name="two") == 2
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["export"] == "two"
    assert about["selection"]["where"] == ["individual=FF", "to=2013-06-01"]
    assert about["selection"]["words"].startswith("Tracks of FF, recorded on or before 2013-06-01;")
    assert about["options"] == {"parts": "all", "sure": "yes"}
    assert about["counts"] == {"n": 2, "files": 2, "left_out": 0}
    assert about["together"] == {"rule": "frame"}
    assert about["coordinates"].startswith("rounded")
    assert {one["task"] for one in about["models"]} == {"detector", "embedder", "head"}
    assert about["project"]["citation"] == "Doe et al. 2026"
    assert about["project"]["contributors"] == list(settings.project.contributors)
    assert about["label_seq"] > 0
    assert about["files"] == {
        "a.txt": {"bytes": 1, "sha256": hashlib.sha256(b"a").hexdigest()},
        "b/c.txt": {"bytes": 2, "sha256": hashlib.sha256(b"cc").hexdigest()},
    }
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_dir()) == ["out"]


def test_the_last_label_is_that_of_the_moment_in_which_the_export_read(study: Database, tmp_path: Path) -> None:
    """A label that comes while a file is written is not in it."""
    from chimp_assets.database.labels.events import record_events

    def read_then_label(request: ExportRequest, stream: BinaryIO) -> int:
        with request.read() as conn:
            track_id = next(iter(conn.execute(request.selection.tracks()).all())).track_id
        record_events(study, [event("identify", track_id, "FF")])
        return 0

    before = write_export(Export("A.", ".txt", read_then_label), request_of(study), tmp_path / "a.txt")
    first = json.loads((tmp_path / "a.txt.about.json").read_text())["label_seq"]
    write_export(export("sightings"), request_of(study), tmp_path / "b.csv")
    second = json.loads((tmp_path / "b.csv.about.json").read_text())["label_seq"]
    assert (before, second) == (0, first + 1)


def test_an_older_folder_is_replaced_only_by_force_and_only_if_an_export_wrote_it(
    study: Database, tmp_path: Path
) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    write_export(FOLDER, request_of(study), mine)  # empty: nothing is lost
    (mine / "about.json").unlink()
    write_export(FOLDER, request_of(study), out)
    (out / "a.txt").write_text("changed")
    with pytest.raises(FileWriteError, match=r"is there already\. Name another folder, or replace it with --force"):
        write_export(FOLDER, request_of(study), out)
    assert (out / "a.txt").read_text() == "changed"
    write_export(FOLDER, request_of(study), out, force=True)
    assert (out / "a.txt").read_text() == "a"
    for force in (False, True):
        with pytest.raises(FileWriteError, match="holds files that no export has written"):
            write_export(FOLDER, request_of(study), mine, force=force)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileWriteError, match="is no folder"):
        write_export(FOLDER, request_of(study), tmp_path / "file", force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_folder_leaves_the_older_one(study: Database, tmp_path: Path) -> None:
    def full(_: ExportRequest, folder: Path) -> int:
        (folder / "half.txt").write_text("half")
        raise OSError(28, "No space left on device")

    write_export(FOLDER, request_of(study), tmp_path / "out")
    with pytest.raises(FileWriteError, match="No space left"):
        write_export(Export("Half.", "", full, folder=True), request_of(study), tmp_path / "out", force=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "a"
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_dir()) == ["out"]


KILLED = """
import os, signal, sys
from pathlib import Path
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports.export import Export, ExportRequest, write_export
from chimp_assets.settings import Settings

def write(request, folder):
    (folder / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

request = ExportRequest(Database(sys.argv[1]), Settings())
write_export(Export("Half.", "", write, folder=True), request, Path(sys.argv[2]))
"""


def test_kill_9_leaves_no_half_folder_and_the_next_run_sweeps(study: Database, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, study.url, str(out)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    write_export(FOLDER, request_of(study), out)
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_dir()) == ["out"]
    out.rename(tmp_path / ".out.older")  # killed between taking the older one away and putting the new one there
    with pytest.raises(FileWriteError, match="is there already"):
        write_export(FOLDER, request_of(study), out)
    assert (out / "a.txt").read_text() == "a"


def test_a_folder_export_into_a_zip_is_one_file(study: Database, tmp_path: Path) -> None:
    write_export(FOLDER, request_of(study), tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert sorted(packed.namelist()) == ["out/a.txt", "out/about.json", "out/b/c.txt"]
        assert json.loads(packed.read("out/about.json"))["counts"]["n"] == 2
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith((".", "out"))) == ["out.zip"]


def test_the_sidecar_of_a_file_stands_beside_it_and_never_describes_another(study: Database, tmp_path: Path) -> None:
    file = tmp_path / "sightings.csv"
    write_export(export("sightings"), request_of(study), file, name="sightings")
    about = json.loads((tmp_path / "sightings.csv.about.json").read_text())
    assert about["files"][file.name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()

    def fails(_: ExportRequest, stream: BinaryIO) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(FileWriteError):
        write_export(Export("Half.", ".csv", fails), request_of(study), file)
    assert (
        not (tmp_path / "sightings.csv.about.json").exists()
        or json.loads((tmp_path / "sightings.csv.about.json").read_text())["files"][file.name]["sha256"]
        == hashlib.sha256(file.read_bytes()).hexdigest()
    )


def test_what_does_not_fit_is_refused_in_a_sentence(study: Database, settings: Settings, tmp_path: Path) -> None:
    asked, out = request_of(study), tmp_path / "out"
    with pytest.raises(ExportError, match=r"no option 'part'\. Did you mean parts"):
        write_export(FOLDER, replace(asked, options={"part": "all"}), out)
    with pytest.raises(ExportError, match=r"The option parts is 'none'\. It is one of: all, few"):
        write_export(FOLDER, replace(asked, options={"parts": "none"}), out)
    with pytest.raises(ExportError, match=r"cannot be narrowed by 'camera'\. It takes individual"):
        write_export(export("association_network"), request_of(study, None, "camera=a/cam1"), tmp_path / "n.graphml")
    with pytest.raises(ExportError, match="but not these alone"):
        write_export(export("association_network"), request_of(study, None, "source=model"), tmp_path / "n.graphml")
    needs = replace(FOLDER, needs=("title", "species", "contributors"))
    with pytest.raises(ExportError) as refused:
        write_export(needs, asked, out)
    assert "project.title, project.species, project.contributors" in str(refused.value)
    assert '\n[project]\ntitle = "' in str(refused.value)
    assert not out.exists()
    assert write_export(needs, request_of(study, settings), out) == 2


def test_sightings_and_the_network_follow_the_selection(study: Database, tmp_path: Path) -> None:
    everything = write_export(export("sightings"), request_of(study), tmp_path / "all.csv")
    n = write_export(export("sightings"), request_of(study, None, "individual=FF"), tmp_path / "some.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "some.csv").read_text())))
    assert {row["anim_id"] for row in rows} == {"FF"}
    assert 0 < n == len(rows) < everything
    network = tmp_path / "network.graphml"
    many = write_export(export("association_network"), request_of(study), network)
    few = write_export(export("association_network"), request_of(study, None, "to=2013-05-09"), network)
    assert 0 < few < many
    write_export(export("association_network"), request_of(study, None, "individual=FF,FI"), network)
    assert "FD" not in network.read_text().split("<graph")[1]


def test_coordinates_leave_rounded_with_what_that_means() -> None:
    assert handed_place(None, 3.0, exact=False) is None
    place = handed_place(-4.123456, 29.654321, exact=False)
    assert place is not None
    assert (place.latitude, place.longitude, place.uncertainty_m, place.precision) == (-4.12, 29.65, 1600, 0.01)
    exact = handed_place(-4.123456, 29.654321, exact=True)
    assert exact is not None
    assert (exact.latitude, exact.longitude, exact.uncertainty_m) == (-4.123456, 29.654321, 30)


def test_a_picture_is_handed_on_without_what_its_camera_wrote_beside_it() -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (4.0, 7.0, 24.4)}
    exif[0x010F] = "a camera of somebody"
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 10, 10)).save(buffer, "JPEG", exif=exif, comment=b"by the stream")
    clean = without_metadata(buffer.getvalue())
    assert b"a camera of somebody" in buffer.getvalue()
    assert not any(word in clean for word in (b"Exif", b"a camera of somebody", b"by the stream"))
    with Image.open(io.BytesIO(clean)) as after, Image.open(buffer) as before:
        assert after.tobytes() == before.tobytes()
        assert not after.getexif()
    assert without_metadata(b"\xff\xd8\xff") == b"\xff\xd8\xff"
    assert without_metadata(b"GIF89a") == b"GIF89a"
