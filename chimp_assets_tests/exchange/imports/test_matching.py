"""Which video a medium of a file is, and that no path of a file opens anything that nobody named."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.imports.annotations import ImportFileError, Medium, Reading
from chimp_assets.exchange.imports.intake.matching import list_rows, match_media, parts_of
from chimp_assets.exchange.imports.intake.report import MediaCounts
from chimp_assets.exchange.imports.intake.spool import Spool
from chimp_assets_tests.exchange.imports.pictures import add_pictures

URIS = (
    "north/cam1/IMG_0001.JPG", "north/cam2/IMG_0001.JPG", "south/cam1/IMG_0001.JPG", "south/cam1/IMG_0002.JPG",
    "été/crête.mp4", "Clip.MP4", "clip.mp4", "films/only.mp4",
)  # fmt: skip


def matched(
    db: Database, media: list[str | Medium], folder: Path | None = None, archive: Path | None = None
) -> tuple[dict[str, str], MediaCounts]:
    """uri by path, and the counts."""
    counts = MediaCounts()
    rows = [one if isinstance(one, Medium) else Medium(one, one) for one in media]
    with Spool() as spool:
        spool.fill(Reading(iter(rows), iter(())))
        list_rows(db, spool)
        match_media(spool, folder, archive, counts)
        return {one.medium.path: one.uri for one in spool.matched()}, counts


@pytest.fixture
def archive(db: Database) -> Database:
    add_pictures(db, URIS)
    return db


FOUND = {
    "north/cam1/IMG_0001.JPG": "north/cam1/IMG_0001.JPG",
    "C:\\study\\north\\cam2\\IMG_0001.JPG": "north/cam2/IMG_0001.JPG",
    "/mnt/x/south/cam1/IMG_0001.JPG": "south/cam1/IMG_0001.JPG",
    "file:///data/south/cam1/IMG_0002.jpg": "south/cam1/IMG_0002.JPG",
    "NORTH/CAM1/img_0001.jpg": "north/cam1/IMG_0001.JPG",
    unicodedata.normalize("NFD", "x/été/crête.mp4"): "été/crête.mp4",
    "elsewhere/only.mp4": "films/only.mp4",
    "clip.mp4": "clip.mp4",
    "a/Clip.MP4": "Clip.MP4",
    "../../etc/../films/only.mp4": "films/only.mp4",
}


def test_a_name_without_an_ending_finds_the_one_video_of_that_name(archive: Database) -> None:
    """MOT and DIVE name sequences, not files."""
    for name, uri in {"only": "films/only.mp4", "x/ONLY": "films/only.mp4", "clip": "clip.mp4"}.items():
        assert matched(archive, [name])[0] == {name: uri}
    for name in ("onl", "only.v2", "IMG_0001"):
        found, counts = matched(archive, [name])
        assert (found, counts.several.n) == ({}, int(name == "IMG_0001"))


def test_a_path_finds_the_one_video_that_shares_its_end(archive: Database) -> None:
    for path, uri in FOUND.items():
        assert matched(archive, [path])[0] == {path: uri}


def test_what_several_could_be_is_named_with_all_of_them(archive: Database) -> None:
    found, counts = matched(archive, ["cam1/IMG_0001.JPG", "CLIP.mp4", "new.mp4"])
    assert found == {}
    assert counts.several.named == [
        "cam1/IMG_0001.JPG: several have this name: north/cam1/IMG_0001.JPG, south/cam1/IMG_0001.JPG",
        "CLIP.mp4: several have this name: Clip.MP4, clip.mp4",
    ]
    assert counts.unmatched.named == ["new.mp4: no video or picture has this name"]


def test_two_entries_cannot_be_one_video(archive: Database) -> None:
    """A file of many cameras, an archive of one: the pictures of the others have the same names."""
    found, counts = matched(archive, ["films/only.mp4", "other/only.mp4", "third/only.mp4"])
    assert found == {"films/only.mp4": "films/only.mp4"}
    assert counts.several.n == 2
    found, counts = matched(archive, ["other/only.mp4", "third/only.mp4"])
    assert (found, counts.several.n) == ({}, 2)


def test_a_replaced_file_is_its_newest_version(archive: Database) -> None:
    with archive.write() as conn:
        v = t.video.c
        row = dict(conn.execute(sa.select(t.video).where(v.uri == "films/only.mp4")).mappings().one())
        conn.execute(sa.update(t.video).where(v.uri == "films/only.mp4").values(state="retired"))
        conn.execute(sa.insert(t.video).values(**(row | {"video_id": 99, "version": 2, "state": "registered"})))
    with Spool() as spool:
        spool.fill(Reading(iter([Medium("only.mp4", "only.mp4")]), iter(())))
        list_rows(archive, spool)
        match_media(spool, None, None, MediaCounts())
        assert [(one.row_id, one.state) for one in spool.matched()] == [(99, "registered")]


def test_content_finds_a_file_whatever_it_is_called(archive: Database, tmp_path: Path) -> None:
    content = b"the bytes of a film"
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    with archive.write() as conn:
        film = t.video.c.uri == "films/only.mp4"
        conn.execute(sa.update(t.video).where(film).values(content_hash=digest, bytes=len(content)))
    assert matched(archive, [Medium("a", "renamed.avi", content_hash=digest.upper())])[0] == {
        "renamed.avi": "films/only.mp4"
    }
    other = "0" * 64
    found, counts = matched(archive, [Medium("a", "films/only.mp4", content_hash=other)])
    assert (found, counts.unmatched.n) == ({}, 1), "a file of the same name and other bytes is another one"
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1/renamed.avi").write_bytes(content)
    assert matched(archive, ["E:/x/day1/renamed.avi"], tmp_path)[0] == {"E:/x/day1/renamed.avi": "films/only.mp4"}


def test_media_below_the_archive_are_what_the_archive_calls_them(archive: Database, tmp_path: Path) -> None:
    (tmp_path / "north/cam1").mkdir(parents=True)
    (tmp_path / "north/cam1/IMG_0001.JPG").write_bytes(b"x")
    media = tmp_path / "north/cam1"
    found, _ = matched(archive, ["IMG_0001.JPG"], media, tmp_path)
    assert found == {"IMG_0001.JPG": "north/cam1/IMG_0001.JPG"}


def test_no_path_leaves_the_folder_of_the_media(archive: Database, tmp_path: Path) -> None:
    content = b"a secret"
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    (tmp_path / "secret.mp4").write_bytes(content)
    media = tmp_path / "media"
    media.mkdir()
    (media / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with archive.write() as conn:
        film = t.video.c.uri == "films/only.mp4"
        conn.execute(sa.update(t.video).where(film).values(content_hash=digest, bytes=len(content)))
    paths = ["../secret.mp4", str(tmp_path / "secret.mp4"), "link.mp4", "x/../../secret.mp4", "\x00", "a" * 1500]
    assert matched(archive, [*paths], media)[0] == {}
    with pytest.raises(ImportFileError, match="is no folder"):
        matched(archive, ["a"], tmp_path / "nowhere")


def test_paths_of_every_system_are_read() -> None:
    assert parts_of("C:\\a\\b.jpg") == ["a", "b.jpg"]
    assert parts_of("./a//b.jpg") == ["a", "b.jpg"]
    assert parts_of("a/../b.jpg") == ["b.jpg"]
    assert parts_of("/") == []
