"""`chimp ingest` as its user runs it: whole, killed in the middle, twice, in two homes, and on impossible input."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.demo.archive import make_archive
from chimp_assets.home import Home, init_home
from chimp_assets.settings import TOML_NAME
from chimp_assets_tests.cli.ingest_runs import WHENS, blobs, command, environment, require_refusal, rows

_TOML = """\
[archive]
bundle_videos = 2
[decode]
workers = 1
[embed]
min_tracks = 2
[acquisition]
batch = 10
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Five clips of three animals, one of them damaged, and a text file called .mp4."""
    root = tmp_path_factory.mktemp("filmed")
    make_archive(root / "archive", root / "truth.json", individuals=3, cameras=1, days=1, clips=4, seconds=3, workers=1)
    return root / "archive"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=False)


def _new_home(folder: Path) -> Path:
    init_home(folder, toml=_TOML)
    return folder


def _ingest(folder: Path, archive: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("ingest", str(archive), "--json"),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def undisturbed(archive, tmp_path_factory) -> Path:
    folder = _new_home(tmp_path_factory.mktemp("undisturbed"))
    done = _ingest(folder, archive)
    assert done.returncode == 0, done.stderr
    return folder


def test_an_ingest_ends_with_a_queue_and_names_what_it_could_not_read(undisturbed, archive):
    found = rows(undisturbed)
    states = [
        row[list(c.name for c in t.video.columns if c.name not in WHENS).index("state")] for row in found["video"]
    ]
    assert states.count("tracked") == 5
    assert states.count("failed") == 1
    assert found["acquisition_queue"]
    assert found["embedding_file"]


@pytest.mark.long
def test_the_same_archive_gives_the_same_rows_in_another_home(undisturbed, archive, tmp_path):
    """Frames, tracks and the plan are a function of archive and seed; two institutes must be able to compare."""
    other = _new_home(tmp_path / "other")
    assert _ingest(other, archive).returncode == 0
    assert rows(other) == rows(undisturbed)
    assert blobs(other) == blobs(undisturbed)


def test_a_second_run_finds_nothing_to_do_and_doubles_nothing(undisturbed, archive):
    before = rows(undisturbed)
    done = _ingest(undisturbed, archive)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["new"], answer["bundles"], answer["round_id"]) == (0, 0, None)
    assert rows(undisturbed) == before


def _rows_of(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.Select:
    return sa.select(sa.func.count()).select_from(table).where(*conditions)


_MOMENTS = {
    "videos are listed": _rows_of(t.video),
    "a first video is decoded": _rows_of(t.video, t.video.c.state == "decoded"),
    "a first video is tracked": _rows_of(t.video, t.video.c.state == "tracked"),
    "an embedder is there": _rows_of(t.model, t.model.c.task == "embedder"),
}


def _killed_when(folder: Path, archive: Path, happened: sa.Select) -> bool:
    """Runs an ingest and kills it and its children as soon as a row says so; False if it ended before."""
    database = Home.open(folder).database
    process = subprocess.Popen(
        command("ingest", str(archive), "--json"),
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            with database.read() as conn:
                if conn.scalar(happened):
                    os.killpg(process.pid, signal.SIGKILL)
                    return process.wait() == -signal.SIGKILL
            time.sleep(0.01)
        return False
    finally:
        process.wait()
        database.dispose()


def test_an_ingest_killed_after_each_step_goes_on_to_the_same_rows(undisturbed, archive, tmp_path):
    """Bytes before rows and one transaction for each video: kill -9 may cost time and never a row.

    Killed by what the database says and not by the clock: on a slow machine a clock kills only the imports.
    """
    folder = _new_home(tmp_path / "killed")
    assert {when: _killed_when(folder, archive, row) for when, row in _MOMENTS.items()} == dict.fromkeys(_MOMENTS, True)

    done = _ingest(folder, archive)
    assert done.returncode == 0, done.stderr

    assert rows(folder) == rows(undisturbed)
    assert blobs(folder) == blobs(undisturbed)


def test_an_ingest_without_an_archive_says_so(tmp_path):
    folder = _new_home(tmp_path / "h")
    require_refusal(_run(command("ingest"), folder), "No archive", "chimp ingest FOLDER")


def test_a_missing_and_an_empty_archive_are_sentences_and_leave_no_trace(tmp_path):
    folder = _new_home(tmp_path / "h")
    require_refusal(_ingest(folder, tmp_path / "nowhere"), "nowhere")
    assert "nowhere" not in (folder / TOML_NAME).read_text()

    (tmp_path / "empty").mkdir()
    require_refusal(_ingest(folder, tmp_path / "empty"), "holds no video")
    # A folder that was mistaken for the archive must not bind the home to it.
    (tmp_path / "also empty").mkdir()
    require_refusal(_ingest(folder, tmp_path / "also empty"), "also empty holds no video")


def test_a_second_archive_in_the_same_home_is_refused(undisturbed, tmp_path):
    """The first archive's videos would look vanished, and all of them would be retired."""
    (tmp_path / "second").mkdir()
    before = rows(undisturbed)
    require_refusal(_ingest(undisturbed, tmp_path / "second"), "belongs to the archive", "CHIMP_HOME")
    assert rows(undisturbed) == before


def test_a_full_disk_is_one_sentence_and_the_run_can_be_resumed(archive, undisturbed, tmp_path):
    folder = _new_home(tmp_path / "h")
    # The shell's limit on the length of a file stands for a disk without room.
    limited = ["bash", "-c", 'ulimit -f 100; trap "" XFSZ; exec "$@"', "-"]
    done = _run([*limited, *command("ingest", str(archive), "--json")], folder)
    assert done.returncode == 2, (done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr

    assert _ingest(folder, archive).returncode == 0
    assert rows(folder) == rows(undisturbed)
