"""After each answer the waiting items are in the order of today's doubt, and nothing else has changed."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets.loop.rerank import Reranker, _smallest_margin, main
from chimp_assets_tests.loop.test_planning import DIMENSIONS, DOUBTS, World, with_shares


@pytest.fixture
def world(home: Home) -> World:
    """A plan of 30 items, made with a head that tells two animals apart."""
    world = World(home, videos=40)
    with world.db.write() as conn:
        conn.execute(
            sa.update(t.model).where(t.model.c.task == "embedder").values(config=f'{{"dimensions": {DIMENSIONS}}}')
        )
    # Enough of each that the lane of rare animals leaves the rest to the boundary.
    for n, track in enumerate(world.open_to_training[:24]):
        world.answer("identify", track, "FF" if world.embeddings[track][0] > 0 else "FI", lane="free")
        assert n < 24
    world.add_head(accuracy=0.8)
    plan_queue(world.db, home.store, with_shares(world.settings, DOUBTS), batch=30)
    return world


def _queue(world: World) -> list[tuple[int, str, int, str, float]]:
    q = t.acquisition_queue.c
    with world.db.read() as conn:
        newest = sa.select(sa.func.max(t.acquisition_round.c.round_id)).scalar_subquery()
        return [
            tuple(row)
            for row in conn.execute(
                sa.select(q.track_id, q.lane, q.position, q.state, q.propensity)
                .where(q.round_id == newest)
                .order_by(q.position)
            )
        ]


def _waiting(world: World) -> list[int]:
    return [track for track, lane, _, state, _ in _queue(world) if lane == "boundary" and state == "pending"]


def test_an_answer_changes_who_comes_next_and_nothing_else(world: World) -> None:
    """The next item must rest on the last answer, or twenty answers say the same thing twenty times."""
    ranker = Reranker(world.home)
    ranker.look()
    before = _queue(world)
    assert ranker.look() == 0
    item = next(i for i in claim(world.db, "expert", 30, 15) if i.lane == "boundary")
    with world.db.write() as conn:  # the others go back to the queue
        conn.execute(sa.update(t.acquisition_queue).where(t.acquisition_queue.c.state == "leased").values(
            state="pending", leased_by=None, leased_until=None))  # fmt: skip
    name = "FI" if world.embeddings[item.track_id][0] > 0 else "FF"  # a surprise
    event = LabelEvent(
        str(uuid4()), "identify", "expert", lane=item.lane, track_id=item.track_id, item_id=item.item_id, anim_id=name
    )
    assert record_events(world.db, [event])[0].status == "stored"
    moved = ranker.look()
    after = _queue(world)
    assert moved > 0
    assert sorted(p for _, _, p, _, _ in after) == sorted(p for _, _, p, _, _ in before)
    places = {track: (lane, position, chance) for track, lane, position, _, chance in before}
    for track, lane, position, _, chance in after:
        assert (lane, chance) == (places[track][0], places[track][2])
        if lane != "boundary" or track == item.track_id:
            assert position == places[track][1]
    assert len([1 for t_, lane, p, _, _ in after if lane == "boundary" and places[t_][1] != p]) == moved
    assert Reranker(world.home).look() == 0, "a ranker that starts anew comes to the same order"


def test_an_answer_that_is_taken_back_is_forgotten(world: World) -> None:
    """Undo must undo the ranking too."""
    ranker = Reranker(world.home)
    ranker.look()
    order = _waiting(world)
    surprise = "FI" if world.embeddings[order[0]][0] > 0 else "FF"
    said = world.answer("identify", order[0], surprise, lane="free")
    ranker.look()
    changed = _waiting(world)
    event = LabelEvent(str(uuid4()), "retract", "expert", lane="free", track_id=order[0], supersedes=said)
    assert record_events(world.db, [event])[0].status == "stored"
    ranker.look()
    with world.db.read() as conn:
        q = t.acquisition_queue.c
        open_again = conn.scalar(sa.select(q.state).where(q.track_id == order[0], q.lane == "boundary").limit(1))
    assert open_again == "pending"
    assert [track for track in _waiting(world) if track != order[0]] == order[1:]
    assert changed != order[1:]


def test_a_missing_home_is_one_sentence(tmp_path, monkeypatch, capsys) -> None:
    """A traceback in a log is read by nobody."""
    monkeypatch.setenv("CHIMP_HOME", str(tmp_path / "none"))
    assert main() == 2
    assert "There is no Chimp Assets home" in capsys.readouterr().err


def test_without_a_plan_or_a_second_animal_it_waits(home: Home) -> None:
    """It is started before anything else is there."""
    assert Reranker(home).look() == 0
    world = World(home)
    with world.db.write() as conn:
        conn.execute(
            sa.update(t.model).where(t.model.c.task == "embedder").values(config=f'{{"dimensions": {DIMENSIONS}}}')
        )
    plan_queue(world.db, home.store, world.settings, batch=5)
    world.answer("identify", world.open_to_training[0], "FF")
    assert Reranker(home).look() == 0
    assert np.isfinite([p for _, _, p, _, _ in _queue(world)]).all()


def test_a_name_that_people_denied_is_no_doubt_of_the_ranker(world: World) -> None:
    """It looks like one of two animals, and somebody has said which it is not: there is nothing left to ask first."""
    ranker = Reranker(world.home)
    ranker.look()
    first, *others = _waiting(world)
    event = LabelEvent(str(uuid4()), "not_individual", "expert", lane="free", track_id=first, anim_id="FF")
    assert record_events(world.db, [event])[0].status == "stored"
    assert ranker.look() > 0
    assert _waiting(world) == [*others, first], "of two names one is left"


def test_a_track_of_which_every_name_is_denied_is_placed_all_the_same(world: World) -> None:
    """Not a number has no place in any order."""
    ranker = Reranker(world.home)
    ranker.look()
    first = _waiting(world)[0]
    for code in ("FF", "FI"):
        event = LabelEvent(str(uuid4()), "not_individual", "expert", lane="free", track_id=first, anim_id=code)
        assert record_events(world.db, [event])[0].status == "stored"
    ranker.look()
    assert _waiting(world)[-1] == first
    scores = np.array([[-np.inf, -np.inf], [0.4, 0.1]])
    assert np.isinf(_smallest_margin(scores)[0])
    assert np.isfinite(_smallest_margin(scores)[1])
