"""The whole ingest from `az://` to `az://`, as its user runs it: the rows and bytes of a folder, also after a break."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema as t
from chimp_assets.home import Home, init_home
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.azure.azurite import Azurite, why_not
from chimp_assets_tests.cli.ingest_runs import require_refusal, rows

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "runs")

# Shards are small, so that one file has several and a break falls between them. Nothing is embedded: torch takes longer
# to load than all of this to run.
_TOML = """\
[archive]
bundle_videos = 4
[decode]
workers = 2
fps = 12.5
jpeg_quality = 90
longest_side = 640
shard_bytes = 65536
[embed]
min_tracks = 1000
"""


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Path:
    """Six H.264 clips under odd names, one of them cut, and a text that calls itself a video."""
    root = tmp_path_factory.mktemp("filmed")
    names = [
        "gombe/cam1/2020-01-01/a.mp4", "gombe/cam1/2020-01-01/b #1.mp4", "gombe/cam 2/ä 50%.mp4",
        "taï/cam3/c.mkv", "taï/cam3/d.mov",
    ]  # fmt: skip
    for n, name in enumerate(names):
        make_clip(root / name, 60 + 7 * n, size=(320, 192), gop=25, created=f"2020-01-0{n + 1}T10:00:00Z")
    cut = root / "taï/cam3/cut.mkv"
    cut.write_bytes((root / "taï/cam3/c.mkv").read_bytes()[:-2_000])
    # Its time is in its name: the day on which a file was copied differs between a folder and a container.
    (root / "gombe/cam1/2020-01-09 11-00-00 no video.mp4").write_text("this is no video")
    return root


def _new_home(folder: Path) -> Path:
    init_home(folder, toml=_TOML)
    return folder


def _start(folder: Path, archive: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chimp_assets.cli", "ingest", archive, "--json"],
        env={**os.environ, "CHIMP_HOME": str(folder), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(run: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = run.communicate(timeout=280)
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


def _ingest(folder: Path, archive: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return _finish(_start(folder, archive, environment))


def _states(folder: Path) -> Counter[str]:
    home = Home.open(folder)
    with home.database.read() as conn:
        states = Counter(conn.execute(sa.select(t.video.c.state)).scalars())
    home.database.dispose()
    return states


def _blobs(store: BlobStore, folder: Path | None = None) -> dict[str, str]:
    """Content hashes of the shards that rows name (of a home), or of all that lie in the store."""
    keys = [info.key for info in store.list("shards")]
    if folder is not None:
        home = Home.open(folder)
        with home.database.read() as conn:
            keys = list(conn.execute(sa.select(t.frame_shard.c.uri)).scalars())
        home.database.dispose()
    return {key: store.content_hash(key) for key in keys}


@pytest.fixture(scope="module")
def undisturbed(filmed, tmp_path_factory) -> Path:
    """The same files from a folder to a folder, which nothing disturbed."""
    folder = _new_home(tmp_path_factory.mktemp("undisturbed"))
    done = _ingest(folder, str(filmed), {})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def expected(undisturbed) -> tuple[dict[str, list[tuple]], dict[str, str]]:
    return rows(undisturbed), _blobs(BlobStore.open(str(undisturbed / "store")))


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory):
    """An Azurite of this file's own: its tests stop it and start it again."""
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def server(stoppable, filmed, monkeypatch) -> Azurite:
    """The server with nothing but the archive in it."""
    if not stoppable.runs:  # the test before has failed
        stoppable.start()
    stoppable.empty()
    stoppable.make_container("archive")
    stoppable.make_container("store")
    stoppable.upload(filmed, "archive", "films/")
    for name, value in stoppable.environment().items():
        monkeypatch.setenv(name, value)
    return stoppable


_ARCHIVE = "az://archive/films"
_STORE = {"CHIMP_STORE_URL": "az://store/chimp"}


def _wait_until(condition, run: subprocess.Popen[str], seconds: float = 120) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None, _finish(run).stderr
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def _has_shards(server: Azurite, n: int):
    def enough() -> bool:
        return (
            len({p.split("?")[0] for m, p, s in server.requests(0) if m == "PUT" and "/shards/" in p and s == 201}) >= n
        )

    return enough


def _as_expected(folder: Path, expected) -> None:
    expected_rows, blobs = expected
    found = rows(folder)
    for name, there in expected_rows.items():
        assert found[name] == there, name
    assert _blobs(BlobStore.open(_STORE["CHIMP_STORE_URL"]), folder) == blobs


def test_from_azure_to_azure_gives_the_rows_and_bytes_of_a_folder(server, undisturbed, expected, tmp_path):
    """And writes by the shard, not by the frame: 30 million writes would cost more than the decoding."""
    folder = _new_home(tmp_path / "home")
    before = len(server.requests())
    done = _ingest(folder, _ARCHIVE, _STORE)
    assert done.returncode == 0, done.stderr
    requests = server.requests()[before:]
    _as_expected(folder, expected)
    assert _blobs(BlobStore.open("az://store/chimp")) == expected[1]

    writes = [path for method, path, _ in requests if method == "PUT" and "/shards/" in path]
    frames, shards = len(expected[0]["frame"]), len(expected[0]["frame_shard"])
    assert shards >= 10
    assert frames > 5 * shards
    assert len(writes) == shards
    assert not [1 for _, _, status in requests if status >= 500]


@pytest.mark.long
def test_a_service_that_pauses_in_the_middle_is_waited_for(server, expected, tmp_path):
    folder = _new_home(tmp_path / "home")
    run = _start(folder, _ARCHIVE, _STORE)
    _wait_until(_has_shards(server, 3), run)
    server.stop()
    time.sleep(5)
    server.start()
    done = _finish(run)
    if done.returncode != 0:  # it may give up, in one sentence
        require_refusal(done, "does not answer")
        done = _ingest(folder, _ARCHIVE, _STORE)
    assert done.returncode == 0, done.stderr
    _as_expected(folder, expected)


@pytest.mark.slow
def test_an_ingest_without_its_service_ends_in_one_sentence_and_goes_on_later(server, expected, tmp_path):
    """Minutes of silence are the network's fault and no video's: all stay registered."""
    folder = _new_home(tmp_path / "home")
    # Every process of the run, children too, has less patience than the minutes it would have.
    (tmp_path / "hasty").mkdir()
    (tmp_path / "hasty" / "sitecustomize.py").write_text(
        "from datetime import timedelta\n"
        "from chimp_assets.archive.storage import azure\n"
        "azure.RETRY['retry_timeout'] = timedelta(seconds=10)\n"
    )
    run = _start(folder, _ARCHIVE, {**_STORE, "PYTHONPATH": str(tmp_path / "hasty")})
    _wait_until(_has_shards(server, 3), run)
    run.send_signal(signal.SIGSTOP)
    server.stop()
    run.send_signal(signal.SIGCONT)
    require_refusal(_finish(run), "does not answer")
    assert not {"retired"} & set(_states(folder))
    assert _states(folder)["failed"] <= 1

    server.start()
    done = _ingest(folder, _ARCHIVE, _STORE)
    assert done.returncode == 0, done.stderr
    _as_expected(folder, expected)


def test_a_sas_that_expires_in_the_middle_is_one_sentence_and_the_next_sas_goes_on(server, expected, tmp_path):
    folder = _new_home(tmp_path / "home")
    environment = {**_STORE, "AZURE_STORAGE_ACCOUNT_KEY": ""}
    until = time.monotonic() + 9
    sas = server.sas(lasts=timedelta(seconds=9))
    run = _start(folder, _ARCHIVE, {**environment, "AZURE_STORAGE_SAS_TOKEN": sas})
    while run.poll() is None and time.monotonic() < until + 0.5:
        if time.monotonic() > until - 5 and _has_shards(server, 1)():
            run.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
    time.sleep(max(0.0, until + 0.5 - time.monotonic()))
    run.send_signal(signal.SIGCONT)
    done = _finish(run)
    require_refusal(done, "the SAS expired on", "AZURE_STORAGE_SAS_TOKEN")
    assert re.search(r"sig=|" + re.escape(sas.split("sig=")[1]), done.stdout + done.stderr) is None

    done = _ingest(folder, _ARCHIVE, {**environment, "AZURE_STORAGE_SAS_TOKEN": server.sas()})
    assert done.returncode == 0, done.stderr
    _as_expected(folder, expected)


@pytest.mark.long
def test_a_store_that_may_only_be_read_is_one_sentence_and_no_video_fails(server, expected, tmp_path):
    folder = _new_home(tmp_path / "home")
    environment = {**_STORE, "AZURE_STORAGE_ACCOUNT_KEY": ""}
    done = _ingest(folder, _ARCHIVE, {**environment, "AZURE_STORAGE_SAS_TOKEN": server.sas("rl")})
    require_refusal(done, "the SAS does not allow it")
    assert _states(folder)["registered"] >= 6
    assert _states(folder)["retired"] == 0
    done = _ingest(folder, _ARCHIVE, {**environment, "AZURE_STORAGE_SAS_TOKEN": server.sas()})
    assert done.returncode == 0, done.stderr
    _as_expected(folder, expected)


@pytest.mark.long
def test_an_archive_container_that_is_removed_retires_nothing(server, undisturbed, tmp_path):
    folder = _new_home(tmp_path / "home")
    done = _ingest(folder, _ARCHIVE, _STORE)
    assert done.returncode == 0, done.stderr
    before = _states(folder)
    server.client().delete_container("archive")
    require_refusal(_ingest(folder, _ARCHIVE, _STORE), "no container archive")
    assert _states(folder) == before
