"""Stores: atomic writes, ranges, sorted listings, keys that cannot leave, errors in words."""

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from chimp_assets.archive.storage.store import BlobStore, MissingBlobError, StoreError, checked_key
from chimp_assets.errors import FullDiskError
from chimp_assets_tests.paths import REPOSITORY

NAMES = ["a/x.mp4", "a.mp4", "a-b/1.mp4", "a/b/c.mp4", "é/ñ clip#1 50%.MP4", "b.mp4", "a b.mp4", "z/~y?.mp4"]


@pytest.fixture(params=["folder", "objects"])
def store(request, tmp_path):
    return (
        BlobStore.open(str(tmp_path / "s"), create=True) if request.param == "folder" else BlobStore.open("memory://s")
    )


def test_what_is_put_comes_back_whole_and_in_ranges(store):
    """An offset that is wrong by one would show another picture."""
    content = bytes(range(256)) * 1000
    for key, source in {"k/b": content, "k/m": memoryview(bytearray(content)), "k/f": io.BytesIO(content)}.items():
        store.put(key, source)
        assert store.get(key) == content
        assert store.get_range(key, 255, 3) == content[255:258]
        # overlapping, out of order, far apart, empty
        starts, lengths = [200_000, 5, 0, 6, 9], [100, 10, 3, 2, 0]
        assert store.get_ranges(key, starts, lengths) == [
            content[s : s + n] for s, n in zip(starts, lengths, strict=True)
        ]
        with store.open_reader(key) as file:
            file.seek(-5, io.SEEK_END)
            assert file.read() == content[-5:]
            file.seek(300)
            assert file.read(7) == content[300:307]


def test_a_listing_is_sorted_by_key_and_resumes_after_any_key(store):
    """A listing in folder order (a/x before a.mp4) would give other ids on a disk than in Azure."""
    for name in NAMES:
        store.put(name, b"1")
    listed = [info.key for info in store.list()]
    assert listed == sorted(NAMES)
    for after in [*NAMES, "a/", "a/b", "", "zz"]:
        assert [info.key for info in store.list(after=after)] == [n for n in sorted(NAMES) if n > after]
    assert [info.key for info in store.list("a")] == ["a/b/c.mp4", "a/x.mp4"]
    assert list(store.list("nothing")) == []


def test_a_changed_blob_has_another_etag_and_head_agrees_with_the_listing(store):
    """If the two disagreed, every listing would think that every file was replaced."""
    store.put("v.mp4", b"one")
    first = store.head("v.mp4")
    assert first == next(store.list())
    assert first.size == 3
    assert first.modified.utcoffset().total_seconds() == 0
    store.put("v.mp4", b"three")
    assert store.head("v.mp4").etag != first.etag


def test_missing_blobs_are_named(store):
    """`head` says None, reading says which key is missing, deleting twice is no error."""
    assert store.head("no/such") is None
    for read in (
        lambda: store.get("no/such"),
        lambda: store.get_range("no/such", 0, 1),
        lambda: store.get_ranges("no/such", [0], [1]),
        lambda: store.open_reader("no/such"),
    ):
        with pytest.raises(MissingBlobError, match="no/such"):
            read()
    store.delete("no/such")


def test_a_blob_that_was_cut_is_an_error_and_not_a_short_picture(store):
    """A shard cut by a bad copy would otherwise give grey pictures."""
    store.put("s.tar", b"0123456789")
    with pytest.raises(StoreError, match=r"s\.tar .* ends before byte 15"):
        store.get_ranges("s.tar", [5], [10])
    assert store.get_range("s.tar", 8, 100) == b"89"


@pytest.mark.parametrize("key", ["../x", "a/../x", "/etc/passwd", "a//b", "./a", "a/", "", "a\nb", "a\x00", "\ud800"])
def test_keys_that_could_leave_the_store_are_refused(store, key):
    """A row with a wrong uri must not read or overwrite a file outside the store."""
    for use in (lambda: store.put(key, b""), lambda: store.get(key), lambda: store.local_path(key)):
        with pytest.raises(StoreError):
            use()
    with pytest.raises(StoreError):
        checked_key(key)


def test_a_store_travels_to_another_process_by_its_address(tmp_path):
    """Connections and file handles do not survive a pickle."""
    store = BlobStore.open(str(tmp_path))
    store.put("a b/ü", b"x")
    again = pickle.loads(pickle.dumps(store))
    assert again.url == store.url
    assert again.get("a b/ü") == b"x"
    assert again.local_path("a b/ü") == tmp_path / "a b/ü"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host/x", "not the address"),
        ("file://host/x", "names a host"),
        ("az://", "no container"),
        ("/no/such", "does not exist"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(url, says):
    """A typing error in a setting must not end in a traceback."""
    with pytest.raises(StoreError, match=says):
        BlobStore.open(url)


def test_opening_creates_a_folder_only_when_told_to(tmp_path):
    """A mistyped archive address must not become an empty archive."""
    with pytest.raises(StoreError):
        BlobStore.open(str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()
    assert list(BlobStore.open((tmp_path / "new").as_uri(), create=True).list()) == []


def test_a_writer_killed_in_the_middle_leaves_the_old_blob(tmp_path):
    """kill -9 while a shard is written: neither half a shard nor a lost old one, and the leftover is swept."""
    store = BlobStore.open(str(tmp_path))
    store.put("k/s.tar", b"old")
    code = (
        "import os, signal, sys\n"
        "from chimp_assets.archive.storage.store import BlobStore\n"
        "class Dies:\n"
        "    n = 0\n"
        "    def read(self, size):\n"
        "        self.n += 1\n"
        "        if self.n == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return b'x' * 100_000\n"
        "BlobStore.open(sys.argv[1]).put('k/s.tar', Dies())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY)
    assert done.returncode == -9
    assert store.get("k/s.tar") == b"old"
    assert [info.key for info in store.list()] == ["k/s.tar"]
    assert store.sweep_partial("k", older_than_s=3600) == 0
    assert store.sweep_partial("k", older_than_s=-1) == 1
    assert list((tmp_path / "k").iterdir()) == [tmp_path / "k" / "s.tar"]


def test_a_full_disk_is_told_apart_from_other_errors(tmp_path, monkeypatch):
    """Full disk: stop and say so. Reported as a damaged video it would mark the whole archive failed."""
    store = BlobStore.open(str(tmp_path))
    store.put("s.tar", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FullDiskError, match="no room left"):
        store.put("s.tar", b"new")
    assert store.get("s.tar") == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "s.tar"]


def test_folders_that_cannot_be_read_are_told_and_loops_of_links_end(tmp_path):
    """`lost+found` on a camera disk must not stop the listing, nor may a link to its own parent make it endless."""
    store = BlobStore.open(str(tmp_path))
    for key in ("a/1", "b/2", "c/3"):
        store.put(key, b"x")
    (tmp_path / "c" / "up").symlink_to(tmp_path)
    (tmp_path / "c" / "nowhere").symlink_to(tmp_path / "gone")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/\xff\xfe")).mkdir()
    told = []
    assert [i.key for i in store.list(on_unreadable=lambda path, why: told.append(path))] == ["a/1", "b/2", "c/3"]
    assert len(told) == 1
    assert told[0].startswith("b/")
    with pytest.raises(StoreError, match="not valid text"):
        list(store.list())
