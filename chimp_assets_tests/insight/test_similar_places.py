"""Cameras and days of what is searched: what lands is known at once, what is corrected soon after."""

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.search.query import parse
from chimp_assets.insight.search.reading import read_columns, stamp_of
from chimp_assets.insight.similar import places
from chimp_assets.insight.similar.places import Places
from chimp_assets.vision.embedding.search_index.catalogue import Catalogue
from chimp_assets.vision.embedding.search_index.scan import VectorIndex
from chimp_assets_tests.database import world


def index_of(videos):
    """An index that holds two tracks of each video, without vectors."""
    index = VectorIndex(1, [], Catalogue(), {})
    index.track_id = np.array([world.track(video, n) for video in videos for n in (0, 1)], np.int64)
    index.alive = np.ones(len(index.track_id), bool)
    index._tracks, index._by_track = index.track_id, np.arange(len(index.track_id))
    return index


@pytest.mark.parametrize("few", [0, 5_000])
def test_videos_that_land_later_are_known_by_camera_and_day(home, monkeypatch, few):
    """What is unknown passes no filter and looks like an answer without it."""
    monkeypatch.setattr(places, "_FEW", few)
    world.make_world(home.database, videos=2)
    asked = Places(home.database.read)
    assert asked.cameras(index_of([1, 2])) == ["a/cam0", "a/cam1"]
    with home.database.write() as conn:
        world.add_video(conn, 3, 2, 5, camera="new")
        world.add_video(conn, 4, 2, 5, recorded_on=None, camera=None)
    later = index_of([1, 2, 3, 4])
    assert asked.cameras(later) == ["a/cam0", "a/cam1", "a/new", "a/–"]
    with home.database.read() as conn:
        columns = read_columns(conn, 0, 0.0, stamp_of(conn))
    found = asked.found_by(later, columns, parse([("cam", "a/new")]))
    assert found.tolist() == [False] * 4 + [True] * 2 + [False] * 2
    day = world.START.date().isoformat()
    found = asked.found_by(later, columns, parse([("since", day), ("until", day)]))
    assert found.tolist() == [True] * 2 + [False] * 6
    groups = asked.groups(later, "day")
    assert [groups[n] == groups[n + 1] for n in range(0, 8, 2)] == [True] * 4
    assert len(set(groups.tolist())) == 4
    assert asked.there(later).tolist() == [True] * 8
    assert asked.groups(later, "none") is None


def test_a_corrected_day_is_known_after_a_while(home, monkeypatch):
    monkeypatch.setattr(places, "KEPT_S", -1.0)
    world.make_world(home.database, videos=2)
    asked, index = Places(home.database.read), index_of([1, 2])
    assert len(set(asked.groups(index, "day").tolist())) == 2
    with home.database.write() as conn:
        conn.execute(sa.update(t.video).values(recorded_on=world.START.date()))
    asked.groups(index, "day")  # begins to read again
    while (reading := asked._reading) is not None:
        reading.join()
    assert len(set(asked.groups(index, "day").tolist())) == 1


def test_tracks_and_videos_that_are_gone_pass_no_filter(home):
    """Looked at one by one, the tracks of a bundle that was tracked anew would take seconds of each question."""
    world.make_world(home.database, videos=3)
    with home.database.write() as conn:
        conn.execute(sa.update(t.track).where(t.track.c.track_id == world.track(1, 1)).values(state="replaced"))
        conn.execute(sa.update(t.video).where(t.video.c.video_id == 3).values(state="retired"))
    there = Places(home.database.read).there(index_of([1, 2, 3]))
    assert there.tolist() == [True, False, True, True, False, False]


def test_a_track_of_the_index_that_no_column_has_is_found_by_no_search(home):
    """Its place would be that of another track."""
    world.make_world(home.database, videos=2)
    with home.database.read() as conn:
        columns = read_columns(conn, 0, 0.0, stamp_of(conn))
    asked, index = Places(home.database.read), index_of([1, 2, 9])
    assert asked.found_by(index, columns, parse([])).tolist() == [True] * 4 + [False] * 2
    # Other columns of the same tracks, as after each decision, need no new places.
    assert asked._in_columns(index, columns.track) is asked._in_columns(index, columns.track)
