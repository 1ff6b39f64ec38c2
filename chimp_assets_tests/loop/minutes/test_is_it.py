"""What volunteers are asked in a plan: from SQL to items, and what is then asked of nobody else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.people.users import add_user
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets.loop.minutes.is_it import volunteer_time
from chimp_assets.loop.plan import plan_queue
from chimp_assets_tests.loop.test_planning import World


@pytest.fixture
def world(home: Home) -> World:
    """A world whose champion head gives every track FF with 0.45: likely, and not likely enough for a page."""
    made = World(home)
    head = made.add_head(0.9)
    who = made.individual_id("FF")
    with made.db.write() as conn:
        rows = [{"model_id": head, "track_id": i, "rank": 1, "individual_id": who, "probability": 0.45}
                for i in made.tracks]  # fmt: skip
        conn.execute(sa.insert(t.prediction), rows)
    return made


def planned(world: World, **changed: Any) -> Any:
    wanted = world.settings.acquisition.model_copy(update={"video_cap": 1.0, "identity_cap": 1.0, **changed})
    settings = world.settings.model_copy(update={"acquisition": wanted})
    return plan_queue(world.db, world.home.store, settings, batch=4)


def asked(world: World, lane: str | None = "is_it") -> list[Any]:
    """Waiting items of the lane, or of all others, in their order."""
    q = t.acquisition_queue.c
    which = q.lane == "is_it" if lane else q.lane != "is_it"
    with world.db.read() as conn:
        return list(
            conn.execute(sa.select(t.acquisition_queue).where(which, q.state == "pending").order_by(q.position))
        )


def answer(world: World, name: str, kind: str, n: int) -> list[int]:
    """What somebody says to the next n questions; their tracks."""
    items = claim(world.db, name, n, 15, ["is_it"])
    events = [
        LabelEvent(str(uuid.uuid4()), kind, name, track_id=item.track_id, item_id=item.item_id, lane="free",
                   anim_id="FF" if kind.endswith("individual") else None)
        for item in items
    ]  # fmt: skip
    assert {result.status for result in record_events(world.db, events)} <= {"stored"}
    return [item.track_id for item in items]


def test_nobody_is_asked_where_nobody_volunteers_unless_the_settings_say_so(world: World) -> None:
    assert planned(world).is_it == 0
    assert planned(world, is_it_per_round=3).is_it == 3
    add_user(world.db, "vera", "volunteer")
    add_user(world.db, "vito", "volunteer")
    assert planned(world).is_it > 3
    assert planned(world, is_it_per_round=0).is_it == 0


def test_volunteers_are_asked_what_the_plan_leaves_and_nothing_closed(world: World) -> None:
    """A track of the reserve that volunteers have named measures nothing any more."""
    for name in ("vera", "vito"):
        add_user(world.db, name, "volunteer")
    answered, denied, *_ = world.open_to_training
    world.answer("identify", answered, "FF")
    with world.db.write() as conn:
        no = {"track_id": denied, "individual_id": world.individual_id("FF"), "n_yes": 0, "n_no": 1}
        conn.execute(sa.insert(t.track_evidence).values(**no, state="denied", seq=0))
    report = planned(world)
    items = asked(world)
    assert report.is_it == len(items) > 0
    assert {item.individual_id for item in items} == {world.individual_id("FF")}
    assert all(item.reason.startswith("Two people who say yes give ") for item in items)
    assert {item.propensity for item in items} == {1.0}
    tracks = {item.track_id for item in items}
    assert tracks <= set(world.open_to_training) - {answered, denied}
    others = [item.track_id for item in asked(world, lane=None) if item.other_track_id is None]
    assert len(others) > 0
    assert not tracks & set(others)


def test_likely_names_are_left_to_people_who_answer(world: World) -> None:
    """Two active volunteers name for nothing what the expert would be asked first; of one alone nothing comes."""
    for name in ("vera", "vito"):
        add_user(world.db, name, "volunteer")
    first = planned(world)
    said = answer(world, "vera", "is_individual", 2)
    planned(world)
    with world.db.read() as conn:
        assert not volunteer_time(conn).goes_first
    (nobodys,) = answer(world, "vito", "cannot_tell", 1)
    with world.db.read() as conn:
        assert volunteer_time(conn).goes_first
        assert not volunteer_time(conn, datetime.now(UTC) + timedelta(days=15)).goes_first
    report = planned(world)
    assert report.is_it > first.is_it
    experts = {item.track_id for item in asked(world, lane=None) if item.track_id in world.open_to_training}
    assert experts == {nobodys}, "nobody is left who could confirm it; all else is theirs, but for the audit"
    # What somebody has confirmed needs one person only, and comes first.
    assert next(item.track_id for item in asked(world)) in set(said) - {nobodys}


def test_what_nobody_is_left_to_answer_goes_to_the_expert(world: World) -> None:
    """With two volunteers, one of whom said yes and the other no, a third is missing."""
    for name in ("vera", "vito"):
        add_user(world.db, name, "volunteer")
    planned(world)
    split = answer(world, "vera", "is_individual", 1)
    assert answer(world, "vito", "not_individual", 1) == split
    planned(world)
    assert split[0] not in {item.track_id for item in asked(world)}
    add_user(world.db, "carl", "volunteer")
    planned(world)
    assert split[0] in {item.track_id for item in asked(world)}


def test_two_who_agree_name_the_track_and_it_is_asked_no_more(world: World) -> None:
    for name in ("vera", "vito"):
        add_user(world.db, name, "volunteer")
    planned(world)
    (named,) = answer(world, "vera", "is_individual", 1)
    assert answer(world, "vito", "is_individual", 1) == [named]
    planned(world)
    assert named not in {item.track_id for item in [*asked(world), *asked(world, lane=None)]}
    with world.db.read() as conn:
        row = conn.execute(sa.text("SELECT source, anim_id FROM v_named_track WHERE track_id = :i"), {"i": named}).one()
    assert tuple(row) == ("volunteers", "FF")
