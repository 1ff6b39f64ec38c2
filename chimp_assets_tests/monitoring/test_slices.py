"""An open alert becomes questions: its slice gets a share of the next plan, and a plan is due at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work.due import queue_due
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets.monitoring.alerts import expect
from chimp_assets.monitoring.slices import drifted_tracks
from chimp_assets_tests.loop.test_planning import World
from chimp_assets_tests.monitoring.filmed_world import filmed_world, opened, video_of
from chimp_assets_tests.support.sentences import untranslated


@pytest.fixture
def world(home: Home, monkeypatch: pytest.MonkeyPatch) -> World:
    return filmed_world(home, monkeypatch)


def planned(world: World) -> list[tuple[int, str, float, str]]:
    plan_queue(world.db, world.home.store, world.settings, batch=20)
    return world.items()


def test_a_slice_is_what_its_camera_filmed_in_its_days(world: World) -> None:
    track = np.array(sorted(world.tracks), np.int64)
    with world.db.read() as conn:
        assert drifted_tracks(conn, track) is None
    for values in ({"first": 3, "until": 8}, {"camera": "", "signal": "codec", "kind": "fact", "first": 7}):
        opened(world, **values)
    opened(world, kind="model", signal="accuracy", camera="")  # about every plan: it has no slice
    with world.db.read() as conn:
        found = drifted_tracks(conn, track)
    assert found is not None
    of_slice = {number: {video_of(int(i)) for i in track[found.slice_no == number]} for number in (-1, 0, 1)}
    # Video 7 belongs to both slices, and goes to the smaller one.
    assert of_slice == {0: {3, 5, 7}, 1: {8, 9, 10, 11, 12}, -1: {1, 2, 4, 6}}
    assert len(found.alert_ids) == 2


def test_an_alert_takes_its_share_of_the_next_plan_and_gives_it_back(world: World) -> None:
    before = planned(world)
    alert_id = opened(world)
    with world.db.read() as conn:
        assert queue_due(conn, world.settings).reason == "1 change was noticed"
    items = planned(world)
    drift = [item for item in items if item[1] == "drift"]
    slice_of = [track for track in world.open_to_training if video_of(track) in (3, 5, 7, 9, 11)]
    assert len(drift) == 5, "a quarter of 20"
    assert {track for track, *_ in drift} <= set(slice_of)
    assert [propensity for _, _, propensity, _ in drift] == pytest.approx([5 / len(slice_of)] * 5)
    assert {reason for *_, reason in drift} == {
        f"Filmed by camera C1 since 4 March 2026, when its pictures became darker: 5 of {len(slice_of)} such tracks,"
        " drawn at random."
    }
    assert untranslated(reason for *_, reason in items) == set()
    assert [item for item in items if item[1] == "audit"] == [item for item in before if item[1] == "audit"]
    with world.db.read() as conn:
        assert not queue_due(conn, world.settings).due, "one alert asks for one plan"
        policy = json.loads(
            conn.scalar(sa.select(t.acquisition_round.c.policy).order_by(t.acquisition_round.c.round_id.desc()))
        )
    assert policy["alerts"] == [alert_id]
    expect(world.db, alert_id, "It rained for weeks.", "expert")
    assert planned(world) == before


def test_an_alert_without_tracks_waits_for_them(world: World) -> None:
    """A fact is noticed while the bundle is decoded: a plan made then would ask about nothing of it."""
    planned(world)
    opened(world, camera="C3", kind="fact", signal="codec", size=None)
    with world.db.read() as conn:
        assert not queue_due(conn, world.settings).due
