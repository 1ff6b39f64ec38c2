"""What counts as the archive: everything else is passed over, counted and named, and harms nothing beside it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue import comparison
from chimp_assets.archive.catalogue import listing as listing_module
from chimp_assets.archive.catalogue.container_times import ContainerTimes
from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.catalogue.listing import _as_named, printable
from chimp_assets.archive.storage.archive import ArchiveError
from chimp_assets.database import schema
from chimp_assets.database.footage.passed_over import passed_over_files
from chimp_assets_tests.archive.catalogue.test_discover import Listing, found, put, videos


@pytest.fixture(autouse=True)
def _without_probing(monkeypatch):
    monkeypatch.setattr(ContainerTimes, "created_at", lambda self, key: None)


def beside(place):
    with place.db.read() as conn:
        return passed_over_files(conn)


def uris(place):
    return [row.uri for row in videos(place) if row.state != "retired"]


def test_one_bad_entry_harms_itself_alone(place, archive_folder):
    """A link to itself beside videos hid the whole folder, and the status said nothing."""
    put(archive_folder, "cam1/a.mp4")
    put(archive_folder, "cam1/z.mp4")
    (archive_folder / "cam1" / "latest").symlink_to("latest")
    (archive_folder / "cam1" / "gone.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(archive_folder / "cam1" / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(archive_folder / "cam1")  # the path of a socket must be short
        try:
            listening.bind("s.mp4")
        finally:
            os.chdir(here)
    (archive_folder / "cam1" / "up").symlink_to(archive_folder)
    result = found(place)
    assert uris(place) == ["cam1/a.mp4", "cam1/z.mp4"]
    assert result.passed_over == {"link": 3, "not_file": 2}
    assert {(one.path, one.detail) for one in result.named if one.reason == "link"} == {
        ("cam1/latest", "a link that leads to itself"),
        ("cam1/gone.mp4", "a link to nothing"),
        ("cam1/up", "a link to a folder that it lies in"),
    }
    assert len(result.problems) == 3
    assert beside(place).counts == result.passed_over


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"new\nline.mp4", "cam/new\\u000aline.mp4"),
        (b"esc\x1b[31m.mp4", "cam/esc\\u001b[31m.mp4"),
        (b"lat\xe9.mp4", "cam/lat\\xe9.mp4"),
        ("right\u202eto left.mp4".encode(), None),
    ],
)
def test_names_that_cannot_be_stored_are_named_as_a_terminal_can_show_them(place, archive_folder, name, shown):
    """They were not listed, and nothing said so."""
    put(archive_folder, "cam/a.mp4")
    (archive_folder / "cam").joinpath(os.fsdecode(name)).write_bytes(b"x")
    result = found(place)
    if shown is None:  # an odd name, and a good one
        assert result.listed == 2
        return
    assert (result.listed, result.passed_over) == (1, {"name": 1})
    assert [path for path, *_ in beside(place).named] == [shown]
    assert result.problems == [f"{shown}: {beside(place).named[0][2]}"]


def test_paths_that_are_too_long_are_named_and_a_walk_always_ends(place, archive_folder):
    put(archive_folder, "cam/a.mp4")
    here = Path.cwd()
    os.chdir(archive_folder)
    try:
        for _ in range(900):  # deeper than Python may recurse
            Path("d").mkdir()
            os.chdir("d")
        Path("deep.mp4").touch()
        os.chdir(archive_folder)
        result = found(place)
        assert (result.listed, result.passed_over) == (1, {"name": 1})
        assert "longer than 800 letters" in beside(place).named[0][2]
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    "text", ["a\\b", "\\x41", "é\udce9", "tab\t", "\u200b\U000e0001", "plain name (2).mp4", "\x9b"]
)
def test_a_printable_path_names_one_path(text):
    assert printable(text).isprintable()
    assert _as_named(printable(text)) == text


def test_folders_of_systems_are_passed_over_and_counted(place, archive_folder):
    """A recycle bin was tracked as the camera S-1-5-21."""
    put(archive_folder, "Cam07/a.mp4")
    for name in ("$RECYCLE.BIN/S-1-5-21/$R1AB2C3.MP4", "$RECYCLE.BIN/S-1-5-21/$I1AB2C3.MP4", ".Trash-1000/files/b.mp4",
                 "System Volume Information/c.mp4", "Cam07/@eaDir/a.mp4", "__MACOSX/Cam07/._a.mp4", "#recycle/d.mp4",
                 "Cam07/._a.mp4", "lost+found/e.mp4"):  # fmt: skip
        put(archive_folder, name)
    result = found(place)
    assert uris(place) == ["Cam07/a.mp4"]
    assert (result.passed_over, result.ignored) == ({"system": 9}, 9)
    assert "$RECYCLE.BIN" in [path for path, *_ in beside(place).named]


def test_the_home_and_the_store_are_never_archive(make_place, archive_folder):
    """`chimp ingest .` made sightings of the store's own clips."""
    place = make_place("archive/chimp_home")
    put(archive_folder, "Cam07/a.mp4")
    put(archive_folder, "chimp_home/store/item-media/clip.mp4")
    put(archive_folder, "backup of home/chimp.toml")
    put(archive_folder, "backup of home/store/item-media/clip.mp4")
    put(archive_folder, "old store/shards/a.tar")
    put(archive_folder, "old store/item-media/clip.mp4")
    (archive_folder / "Cam07" / "home").symlink_to(archive_folder / "chimp_home")
    result = found(place)
    assert uris(place) == ["Cam07/a.mp4"]
    assert result.passed_over["own"] == 4
    assert {path for path, reason, _ in beside(place).named if reason == "own"} == {
        "chimp_home", "backup of home", "old store", "Cam07/home",
    }  # fmt: skip


def test_an_archive_that_is_itself_the_home_is_listed_without_it(make_place, archive_folder):
    place = make_place("archive/home")
    settings = place.settings.model_copy(update={"archive_url": str(place.settings.home)})
    put(place.settings.home, "chimp.toml")
    put(place.settings.home, "Cam07/a.mp4")
    put(place.settings.home, "store/item-media/clip.mp4")
    from chimp_assets.archive.storage.store import BlobStore

    assert discover(place.db, BlobStore.open(settings.archive_url), settings).listed == 1
    assert uris(place) == ["Cam07/a.mp4"]


def test_clips_of_the_store_that_became_videos_once_retire(make_place, archive_folder, monkeypatch):
    place = make_place("archive/chimp_home")
    put(archive_folder, "Cam07/a.mp4")
    put(archive_folder, "chimp_home/store/item-media/clip.mp4")
    with monkeypatch.context() as before:
        before.setattr(listing_module, "_never", lambda settings: frozenset())
        before.setattr(listing_module, "_is_own", lambda folder, names: False)
        before.setattr(listing_module, "_own_prefixes", lambda archive, settings: [])
        assert found(place).new == 2
    assert found(place).retired == 1
    assert uris(place) == ["Cam07/a.mp4"]


def test_a_store_below_the_prefix_of_a_container_is_not_archive(place):
    settings = place.settings.model_copy(update={"store_url": "az://fake/archive/chimp"})
    names = ["cam/a.mp4", "chimp/item-media/x.mp4", "copy/chimp.toml", "copy/store/item-media/y.mp4", "d/b.mp4"]
    result = discover(place.db, Listing(lambda: iter(names)), settings)
    assert uris(place) == ["cam/a.mp4", "d/b.mp4"]
    assert result.passed_over == {"own": 2}


@pytest.mark.parametrize(("follow", "listed"), [("all", 3), ("inside", 2), ("none", 1)])
def test_links_are_followed_as_the_setting_says_and_named_where_they_are_not(
    make_place, archive_folder, tmp_path, follow, listed
):
    place = make_place(archive={"follow_links": follow})
    put(archive_folder, "cam/a.mp4")
    put(tmp_path, "disk/b.mp4")
    (archive_folder / "disk").symlink_to(tmp_path / "disk")
    (archive_folder / "best.mp4").symlink_to(archive_folder / "cam" / "a.mp4")
    result = found(place)
    assert (result.listed, result.passed_over.get("link", 0)) == (listed, 3 - listed)


def test_a_linked_disk_that_is_not_there_retires_nothing(place, archive_folder, tmp_path):
    put(archive_folder, "cam/a.mp4")
    put(tmp_path, "disk/b.mp4")
    (archive_folder / "disk").symlink_to(tmp_path / "disk")
    assert found(place).new == 2
    (tmp_path / "disk").rename(tmp_path / "away")
    assert found(place).retired == 0
    assert beside(place).counts == {"link": 1}
    (tmp_path / "away").rename(tmp_path / "disk")
    assert found(place).unchanged == 2
    assert beside(place).counts == {}


def test_files_with_endings_of_camcorders_are_videos_and_others_are_counted_by_ending(place, archive_folder):
    for name in ("a.MOD", "b.TOD", "c.m2t", "d.mpe", "e.m2v", "f.asf"):
        put(archive_folder, f"cam/{name}")
    for name in ("x.pdf", "y.PDF", "notes.txt", "README"):
        put(archive_folder, f"cam/{name}")
    put(archive_folder, "cam/VD_0001", b"\x00\x00\x00\x18ftypisom" + bytes(100))
    result = found(place)
    assert result.listed == 6
    assert result.endings == {".pdf": 2, ".txt": 1, "": 2}
    assert beside(place).endings == result.endings
    described = {path: detail for path, _, detail in beside(place).named}
    assert "looks like MP4" in described["cam/VD_0001"]
    assert "looks like" not in described["cam/README"]


def test_an_archive_of_other_files_alone_says_what_they_are(place, archive_folder):
    put(archive_folder, "cam/a.pdf")
    with pytest.raises(ArchiveError, match="1 other files"):
        found(place)


def test_a_listing_in_parts_counts_as_one_listing_does(place, archive_folder, monkeypatch):
    """A sensor lists a large archive in parts: the numbers must be those of the whole."""
    monkeypatch.setattr(comparison, "_PAGE", 2)
    for n in range(6):
        put(archive_folder, f"cam/{n}.mp4")
        put(archive_folder, f"cam/{n}.pdf")
    put(archive_folder, "zoo/a.txt")
    (archive_folder / "cam" / "loop").symlink_to("loop")
    whole = found(place)
    assert whole.passed_over == {"link": 1, "not_video": 7}
    (archive_folder / "cam" / "0.pdf").unlink()
    put(archive_folder, "zoo/b.xml")
    after, parts = None, 0
    while parts == 0 or after is not None:
        part = found(place, quiet_files=3, after=after)
        after, parts = part.resume_after, parts + 1
        if after is not None:  # until it has ended, the numbers are the last ones
            assert beside(place).counts == {"link": 1, "not_video": 7}
    assert parts > 2
    assert beside(place).counts == {"link": 1, "not_video": 7}
    assert beside(place).endings == {".pdf": 5, ".txt": 1, ".xml": 1}
    assert {path for path, *_ in beside(place).named} == {
        *(f"cam/{n}.pdf" for n in range(1, 6)), "zoo/a.txt", "zoo/b.xml", "cam/loop",
    }  # fmt: skip


def test_a_quiet_listing_writes_nothing(place, archive_folder):
    put(archive_folder, "cam/a.mp4")
    put(archive_folder, "cam/a.pdf")
    found(place)
    wrote = []
    sa.event.listen(
        place.db.engine,
        "before_cursor_execute",
        lambda conn, cursor, statement, *_: (
            wrote.append(statement) if statement.startswith(("INSERT", "UPDATE", "DELETE")) else None
        ),
    )
    assert found(place).unchanged == 1
    assert wrote == []


def test_very_many_are_counted_exactly_and_named_in_part(place, archive_folder, monkeypatch):
    monkeypatch.setattr(listing_module, "NAMED", 3)
    put(archive_folder, "cam/a.mp4")
    for n in range(20):
        put(archive_folder, f"cam/{n:02d}.pdf")
    found(place)
    assert (beside(place).counts, len(beside(place).named)) == ({"not_video": 20}, 3)


def test_spellings_of_a_camera_are_one_and_keep_the_first_spelling(place, archive_folder):
    """Cam01, cam01 and CAM 01 were three cameras, in every table and page."""
    for name in ("Gombe/Cam01/a.mp4", "Gombe/cam01/b.mp4", "gombe/CAM 01/c.mp4", "Gombe/Cam-01 - Copy/d.mp4"):
        put(archive_folder, name)
    found(place)
    assert {(r.site, r.camera) for r in videos(place)} == {("Gombe", "Cam-01")}
    put(archive_folder, "GOMBE/cam_01/e.mp4")
    found(place)
    assert {(r.site, r.camera) for r in videos(place)} == {("Gombe", "Cam-01")}
    with place.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(schema.camera_name)) == 1


def test_a_folder_removed_for_good_leaves_no_trace_of_what_was_passed_over(place, archive_folder):
    put(archive_folder, "cam/a.mp4")
    put(archive_folder, "notes/x.txt")
    found(place)
    shutil.rmtree(archive_folder / "notes")
    found(place)
    assert (beside(place).counts, beside(place).named) == ({}, [])
