"""Reading pictures back: all, some, none; and what is said when the bytes are gone."""

import numpy as np
import pytest

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.archive.ingest import decode_bundle
from chimp_assets.archive.storage.store import StoreError
from chimp_assets.archive.video import pictures
from chimp_assets.archive.video.pictures import PictureError, read_frames, read_jpegs
from chimp_assets_tests.archive.clips import make_clip, number_of


@pytest.fixture
def filled(make_place, archive_folder):
    place = make_place(decode={"workers": 1, "fps": 25.0, "shard_bytes": 65_536, "jpeg_quality": 95})
    make_clip(archive_folder / "cam" / "1.mp4", 60)
    discover(place.db, place.archive, place.settings)
    decode_bundle(place.db, place.archive, place.store, "cam-0001", place.settings)
    return place


@pytest.mark.parametrize("bound", [1, 10_000, 10**7])
def test_frames_come_in_order_and_once_whatever_the_bound(filled, monkeypatch, bound):
    """Reading in pieces must not lose or double the picture at a seam."""
    monkeypatch.setattr(pictures, "_ROWS", 7)
    monkeypatch.setattr(pictures, "_BYTES", bound)
    frames = list(read_frames(filled.db, filled.store, 1))
    assert [n for n, _, _ in frames] == list(range(60))
    assert [number_of(shown) for _, _, shown in frames] == [n % 26 for n in range(60)]
    assert [t for _, t, _ in frames] == pytest.approx([n / 25 for n in range(60)])
    assert frames[0][2].dtype == np.uint8
    some = list(read_frames(filled.db, filled.store, 1, np.array([55, 3, 3, 20, 21, 8, 9, 10, 11])))
    assert [(n, number_of(shown)) for n, _, shown in some] == [(n, n % 26) for n in (3, 8, 9, 10, 11, 20, 21, 55)]
    with filled.db.read() as conn:
        assert [n for n, _, _ in read_jpegs(conn, filled.store, 1, [4])] == [4]
    assert list(read_jpegs(filled.db, filled.store, 1, [])) == []
    assert list(read_jpegs(filled.db, filled.store, 99)) == []


def test_a_frame_that_is_not_there_is_named(filled):
    """A caller that asks for a frame of another ingest must not get fewer pictures than it asked for."""
    with pytest.raises(PictureError, match="no frame 60"):
        list(read_frames(filled.db, filled.store, 1, [0, 60]))


def test_lost_and_spoilt_shards_are_named(filled):
    """Grey pictures would be learned from."""
    shard = next(filled.store.list("shards"))
    content = filled.store.get(shard.key)
    filled.store.put(shard.key, bytes(len(content)))
    with pytest.raises(PictureError, match="Frame 0 of video 1 is not a JPEG"):
        list(read_frames(filled.db, filled.store, 1))
    filled.store.put(shard.key, content[:600])
    with pytest.raises(StoreError, match="ends before"):
        list(read_frames(filled.db, filled.store, 1))
    filled.store.delete(shard.key)
    with pytest.raises(StoreError, match="missing"):
        list(read_frames(filled.db, filled.store, 1))
