"""Disks that are full, read-only, forbidden or taken away while they are in use: one sentence, nothing retired or lost.

Root may do everything, so rights are tested as another user, and a read-only disk is really mounted so where possible.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.archive.storage.store import BlobStore, MissingBlobError, StoreError
from chimp_assets.database import schema as t
from chimp_assets.errors import FullDiskError
from chimp_assets.home import Home
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.cli.ingest_runs import require_refusal


def _take_away(folder: Path) -> None:
    """The disk is unmounted: its mount point is an empty folder."""
    folder.rename(folder.with_name(folder.name + " (unmounted)"))
    folder.mkdir()


def _bring_back(folder: Path) -> None:
    folder.rmdir()
    folder.with_name(folder.name + " (unmounted)").rename(folder)


@pytest.fixture(params=["gone", "empty mount point"])
def taken_away(request):
    """taken_away(folder): as a pulled cable or an unmounted disk leaves it."""

    def take(folder: Path) -> None:
        _take_away(folder)
        if request.param == "gone":
            folder.rmdir()

    return take


def test_a_copy_that_is_downloaded_is_whole_and_hashed(tmp_path):
    store = BlobStore.open(str(tmp_path / "s"), create=True)
    content = os.urandom(20_000_000)
    store.put("k/v.mp4", content)
    beats = []
    digest = store.download("k/v.mp4", tmp_path / "copy", lambda: beats.append(1))
    assert (tmp_path / "copy").read_bytes() == content
    assert digest == hashlib.blake2b(content, digest_size=32).hexdigest() == store.content_hash("k/v.mp4")
    assert len(beats) == 3
    with pytest.raises(MissingBlobError, match="no/such"):
        store.download("no/such", tmp_path / "x", lambda: None)
    with pytest.raises(StoreError, match="could not be copied"):
        store.download("k/v.mp4", tmp_path / "no folder" / "x", lambda: None)


def test_a_download_without_room_names_the_disk_that_is_full_and_leaves_nothing(tmp_path):
    """It is the disk for temporary files that is full, not the archive."""
    store = BlobStore.open(str(tmp_path / "s"), create=True)
    store.put("v.mp4", b"x")

    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(FullDiskError, match="could not be fetched") as refused:
        store.download("v.mp4", tmp_path / "copy", full)
    assert "TMPDIR" in refused.value.remedy
    assert not (tmp_path / "copy").exists()


def test_every_use_of_a_disk_that_was_taken_away_says_so(tmp_path, taken_away):
    """As missing files, a removed disk would retire every video; as a folder made anew, it would swallow shards."""
    root = tmp_path / "disk"
    store = BlobStore.open(str(root), create=True)
    store.put("k/v.mp4", b"1")
    message = store.as_message()
    taken_away(root)
    for use in (
        lambda: store.head("k/v.mp4"),
        lambda: store.get("k/v.mp4"),
        lambda: store.get_range("k/v.mp4", 0, 1),
        lambda: store.get_ranges("k/v.mp4", [0], [1]),
        lambda: store.open_reader("k/v.mp4"),
        lambda: store.download("k/v.mp4", tmp_path / "copy", lambda: None),
        lambda: store.put("k/w.mp4", b"1"),
        lambda: list(store.list()),
        lambda: BlobStore.of_message(message),
    ):
        with pytest.raises(StoreError, match="is no longer there") as refused:
            use()
        assert not isinstance(refused.value, MissingBlobError)
        assert "mount" in refused.value.remedy
    assert not (root / "k").exists()


def test_a_disk_that_comes_back_is_used_again(tmp_path):
    root = tmp_path / "disk"
    store = BlobStore.open(str(root), create=True)
    store.put("k/v.mp4", b"1")
    _take_away(root)
    with pytest.raises(StoreError):
        store.get("k/v.mp4")
    _bring_back(root)
    assert store.get("k/v.mp4") == b"1"
    assert BlobStore.of_message(store.as_message()).get("k/v.mp4") == b"1"


def test_a_disk_that_goes_while_it_is_listed_is_not_a_shorter_listing(tmp_path, taken_away):
    root = tmp_path / "disk"
    store = BlobStore.open(str(root), create=True)
    for n in range(6):
        store.put(f"{'k/' if n > 2 else ''}{n}.mp4", b"1")
    listing = store.list(on_unreadable=lambda path, why: None)
    assert next(listing).key == "0.mp4"
    taken_away(root)
    with pytest.raises(StoreError, match="is no longer there"):
        list(listing)


@pytest.fixture
def archive(tmp_path) -> Path:
    root = tmp_path / "archive"
    for n in range(4):
        make_clip(root / f"cam1/{n}.mp4", 10, created=f"2020-01-0{n + 1}T10:00:00Z")
    return root


def _states(home: Home) -> list[str]:
    with home.database.read() as conn:
        return list(conn.execute(sa.select(t.video.c.state).order_by(t.video.c.video_id)).scalars())


def test_an_archive_disk_that_goes_during_a_listing_retires_no_video(home, archive, taken_away, monkeypatch):
    """The worst that a loose cable could do: a decade of videos retired overnight."""
    store = BlobStore.open(str(archive))
    discover(home.database, store, home.settings)
    assert _states(home) == ["registered"] * 4

    class Loose(BlobStore):
        def list(self, *arguments):
            for n, info in enumerate(super().list(*arguments)):
                if n == 2:
                    taken_away(archive)
                yield info

    loose = Loose.of_message(store.as_message())
    with pytest.raises(ArchiveError, match="is no longer there"):
        discover(home.database, loose, home.settings)
    assert _states(home) == ["registered"] * 4


@pytest.fixture
def as_guest(tmp_path_factory):
    """as_guest(use): run it without the rights of root. The folder that it yields may be entered by all."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)

        def run(use):
            if os.geteuid() != 0:
                return use()
            os.seteuid(nobody)
            try:
                return use()
            finally:
                os.seteuid(0)

        yield Path(open_to_all), run


def test_a_right_that_was_taken_away_is_named_and_loses_nothing(as_guest):
    """A server whose shares are cleaned up by somebody else."""
    folder, run = as_guest
    (folder / "s" / "k").mkdir(parents=True)
    (folder / "s" / "k" / "v.tar").write_bytes(b"old")
    store = BlobStore.open(str(folder / "s"))
    (folder / "s" / "k").chmod(0o555)
    with pytest.raises(StoreError, match=r"k/v\.tar .* could not be written: Permission denied") as refused:
        run(lambda: store.put("k/v.tar", b"new"))
    assert "right" in refused.value.remedy
    assert run(lambda: store.get("k/v.tar")) == b"old"
    (folder / "s" / "k" / "v.tar").chmod(0o000)
    for use in (
        lambda: store.get("k/v.tar"),
        lambda: store.open_reader("k/v.tar"),
        lambda: store.download("k/v.tar", folder / "copy", lambda: None),
    ):
        with pytest.raises(StoreError, match="Permission denied") as refused:
            run(use)
        assert not isinstance(refused.value, MissingBlobError)
    (folder / "s" / "k").chmod(0o000)
    with pytest.raises(StoreError, match="Permission denied"):
        run(lambda: store.head("k/v.tar"))
    told = []
    assert run(lambda: list(store.list(on_unreadable=lambda path, why: told.append(path)))) == []
    assert told == ["k"]
    (folder / "s").chmod(0o000)
    with pytest.raises(StoreError, match="Permission denied"):
        run(lambda: BlobStore.open(str(folder / "s")))
    (folder / "s").chmod(0o755)


# The command, as its user runs it.


def _ingest(home: Home, archive: Path, prefix: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "chimp_assets.cli", "ingest", str(archive), "--json"],
        env={**os.environ, "CHIMP_HOME": str(home.settings.home), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


# A mount of one's own, which ends with the process: as root of this machine, or of a namespace.
_UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def _mounted_read_only(folder: Path) -> list[str]:
    script = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && exec "$@"'
    return [*_UNSHARE, "bash", "-c", script, "-"]


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([*_mounted_read_only(Path(folder)), "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="mounting needs rights that this user does not have")
def test_a_store_on_a_read_only_disk_is_one_sentence_and_goes_on_when_it_is_writable(home, archive):
    store = home.settings.home / "store"
    done = _ingest(home, archive, _mounted_read_only(store))
    require_refusal(done, "could not be written", "Read-only file system", "Mount the disk")
    assert _states(home) == ["registered"] * 4
    done = _ingest(home, archive, [])
    assert done.returncode == 0, done.stderr
    assert set(_states(home)) == {"tracked"}


@pytest.fixture
def loose_disk(tmp_path):
    """loose_disk(folder, key): the environment of a run in which the disk goes as soon as key is written to it or read.

    A module that every Python process imports stands for the cable: it moves the folder away, once, in whichever
    process comes first.
    """

    def loose(folder: Path, what: str, when: int) -> dict[str, str]:
        code = tmp_path / "loose"
        code.mkdir()
        (code / "sitecustomize.py").write_text(
            "from pathlib import Path\n"
            "from chimp_assets.archive.storage import folders\n"
            f"root, count = Path({str(folder)!r}), Path({str(tmp_path / 'count')!r})\n"
            f"real = folders.Folder.{what}\n"
            "def wrapped(self, key, *rest):\n"
            "    if self.root == root:\n"
            "        with count.open('a') as file: file.write('.')\n"
            f"        if count.stat().st_size == {when}:\n"
            "            root.rename(root.with_name(root.name + ' (unmounted)'))\n"
            "            root.mkdir()\n"
            "    return real(self, key, *rest)\n"
            f"folders.Folder.{what} = wrapped\n"
        )
        return {"PYTHONPATH": str(code)}

    return loose


def test_a_store_disk_that_is_taken_away_is_one_sentence_and_goes_on_when_it_is_back(home, archive, loose_disk):
    store = home.settings.home / "store"
    done = _ingest(home, archive, [], **loose_disk(store, "put", 2))
    require_refusal(done, "is no longer there", "mount")
    assert set(_states(home)) <= {"registered", "decoded"}
    assert list(store.iterdir()) == []
    _bring_back(store)
    done = _ingest(home, archive, [])
    assert done.returncode == 0, done.stderr
    assert set(_states(home)) == {"tracked"}


@pytest.mark.slow
@pytest.mark.parametrize("when", [5, 7])
def test_an_archive_disk_that_is_taken_away_retires_and_fails_nothing(home, archive, loose_disk, when):
    """Whichever file was being read: the disk is the reason, not the file."""
    done = _ingest(home, archive, [], **loose_disk(archive, "head", when))
    require_refusal(done, "is no longer there")
    assert set(_states(home)) <= {"registered", "decoded"}, _states(home)
    _bring_back(archive)
    done = _ingest(home, archive, [])
    assert done.returncode == 0, done.stderr
    assert set(_states(home)) == {"tracked"}
