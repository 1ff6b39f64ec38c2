"""The index of a home: a bundle that lands is found, embedders are never mixed, damage is noticed and mended."""

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.vision.embedding.search_index import catalogue, living, segments
from chimp_assets.vision.embedding.search_index.living import LivingIndex, answering_embedder
from chimp_assets_tests.database import world
from chimp_assets_tests.vision.embedding.search_index.landing import D, land


def another_embedder(home, key=9):
    with home.database.write() as conn:
        conn.execute(sa.update(t.model).where(t.model.c.model_id == world.EMBEDDER).values(state="retired"))
        conn.execute(
            sa.insert(t.model).values(
                model_id=key, task="embedder", version=2, name="new", state="champion", config="{}",
                created_at=world.START,
            )
        )  # fmt: skip
    return key


@pytest.fixture
def living_home(home, monkeypatch):
    monkeypatch.setattr(living, "LOOK_S", 0.0)
    monkeypatch.setattr(living, "AGAIN_S", 0.0)
    world.make_world(home.database)
    return home


def opened(home):
    return LivingIndex(home.database, lambda: home.store, home.settings.home / "cache" / "search")


def files(home):
    return sorted((home.settings.home / "cache" / "search").rglob("seg-*.faiss"))


def test_a_bundle_that_lands_is_in_the_next_answer(living_home):
    index = opened(living_home)
    assert index.current() is None
    land(living_home, 1, range(5))
    assert len(index.current(60).index) == 5
    land(living_home, 2, range(100, 103))
    now = index.current(60)
    assert (len(now.index), now.waiting, now.trouble) == (8, 0, None)
    assert len(files(living_home)) == 2  # the first was not written again
    assert len(opened(living_home).current(60).index) == 8


def test_a_bundle_embedded_anew_is_found_by_its_new_vectors_alone(living_home):
    """A split track has another vector; its old one would find it under what it no longer shows."""
    index = opened(living_home)
    land(living_home, 1, range(5))
    land(living_home, 2, range(100, 103))
    index.current(60)
    land(living_home, 2, range(101, 104), towards=3)
    found = index.current(60).index
    assert sorted(found.track_id[found.alive].tolist()) == [0, 1, 2, 3, 4, 101, 102, 103]
    rows, scores = found.nearest(np.eye(D, dtype=np.float32)[3], 3)
    assert sorted(found.track_id[rows].tolist()) == [101, 102, 103]
    assert scores.min() > 0.8
    assert np.array_equal(found.vectors(found.rows_of(np.array([101])))[0] > 0.7, np.eye(D)[3] > 0)


def test_the_old_embedder_answers_until_the_new_one_has_seen_the_archive(living_home):
    """Inner products between spaces of two embedders mean nothing, and look like answers."""
    index = opened(living_home)
    land(living_home, 1, range(50))
    land(living_home, 2, range(100, 150))
    assert index.current(60).index.embedder == world.EMBEDDER
    new = another_embedder(living_home)
    land(living_home, 1, range(50), new, towards=5)
    still = index.current(60).index
    assert still.embedder == world.EMBEDDER
    assert len(still) == 100
    land(living_home, 2, range(100, 149), new, towards=5)
    now = index.current(60).index
    assert now.embedder == new
    assert len(now) == 99
    assert (now.vectors(np.arange(99)) @ np.eye(D, dtype=np.float32)[5]).min() > 0.8
    assert {file.parent.parent.name for file in files(living_home)} == {str(new)}
    with living_home.database.read() as conn:
        assert answering_embedder(conn) == new


def test_a_damaged_segment_is_refused_and_made_again(living_home, caplog):
    land(living_home, 1, range(50))
    land(living_home, 2, range(100, 150))
    before = opened(living_home).current(60).index
    (file,) = files(living_home)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()  # what is mapped stays as it is
    file.write_bytes(content)
    after = opened(living_home).current(60).index
    assert "not what was written" in caplog.text
    assert np.array_equal(np.sort(after.track_id), np.sort(before.track_id))
    assert np.array_equal(after.vectors(after.rows_of(before.track_id)), before.vectors(np.arange(100)))


def test_a_bundle_that_ends_in_a_damaged_segment_is_whole_again(living_home, monkeypatch):
    """Half of it lies in a segment that is whole: taken for held, the other half would be lost for ever."""
    monkeypatch.setattr(segments, "MOST_ROWS", 30)
    monkeypatch.setattr(catalogue, "MOST_ROWS", 30)
    land(living_home, 1, range(50))
    opened(living_home).current(60)
    first, _ = files(living_home)
    first.write_bytes(b"")
    found = opened(living_home).current(60)
    assert sorted(found.index.track_id[found.index.alive].tolist()) == list(range(50))
    assert (len(found.index), found.waiting) == (50, 0)


def test_many_small_segments_are_put_together_and_lose_nothing(living_home, monkeypatch):
    """A bundle a day for ten years would be four thousand files to open."""
    monkeypatch.setattr(catalogue, "MOST_PARTS", 4)
    index = opened(living_home)
    for bundle in range(1, 12):
        land(living_home, bundle, range(100 * bundle, 100 * bundle + 3))
        found = index.current(60).index
        assert len(files(living_home)) <= 5
    assert sorted(found.track_id.tolist()) == [100 * b + n for b in range(1, 12) for n in range(3)]
    rows, scores = found.nearest(np.eye(D, dtype=np.float32)[0], 33)
    assert np.allclose(scores, found.vectors(rows)[:, 0], atol=1e-6)


def test_a_bundle_whose_file_is_lost_is_counted_and_hides_no_other(living_home):
    land(living_home, 1, range(5))
    uri = land(living_home, 2, range(100, 103))
    living_home.store.delete(uri)
    found = opened(living_home).current(60)
    assert (len(found.index), found.waiting, found.trouble) == (5, 1, "unreadable")


def test_a_bundle_without_a_vector_is_not_waited_for(living_home):
    land(living_home, 1, [])
    found = opened(living_home).current(60)
    assert (len(found.index), found.waiting) == (0, 0)
    assert found.index.nearest(np.ones(D, np.float32), 5)[0].tolist() == []


def test_two_that_serve_one_home_write_each_segment_once(living_home):
    """Two processes that answer for one home, as behind a balancer, each found what the other was writing."""
    for bundle in range(1, 5):
        land(living_home, bundle, range(100 * bundle, 100 * bundle + 50))
    both = [opened(living_home), opened(living_home)]
    asking = [threading.Thread(target=one.current, args=(60,)) for one in both]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert [len(one.current(60).index) for one in both] == [200, 200]
    assert len(files(living_home)) == 1


def test_a_catalogue_that_cannot_be_read_is_made_again(living_home):
    land(living_home, 1, range(5))
    opened(living_home).current(60)
    (file,) = files(living_home)
    (file.parent / "catalogue.json").write_text("{", "utf-8")
    assert len(opened(living_home).current(60).index) == 5
