"""From a change to its end: one alert, one closing, whatever is killed in between and run again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home
from chimp_assets.loop.plan import plan_queue
from chimp_assets.loop.retrain import make_training_set
from chimp_assets.monitoring.alerts import Alert, alert, alerts, open_one
from chimp_assets.monitoring.changes import Change
from chimp_assets.monitoring.closing import PAST, close_alerts
from chimp_assets.monitoring.noticing import notice
from chimp_assets.vision.models.checkpoint import promote
from chimp_assets.vision.train import train_head
from chimp_assets_tests.loop.test_planning import World
from chimp_assets_tests.monitoring.filmed_world import DAY, filmed_world, opened
from chimp_assets_tests.support.rows import name_tracks

FOG = Change(
    kind="data", signal="contrast", camera="C1", since=DAY + timedelta(days=3), noticed=DAY + timedelta(days=9),
    until=None, size=-5.0, evidence=1e4,
    detail={"before": 50.0, "after": 12.0, "also": [{"signal": "brightness", "size": 3.0}], "videos": [3, 5]},
)  # fmt: skip


@pytest.fixture
def world(home: Home, monkeypatch: pytest.MonkeyPatch) -> World:
    return filmed_world(home, monkeypatch)


def ended(day: int) -> Change:
    return Change(**{**FOG.__dict__, "until": DAY + timedelta(days=day)})


def every_alert(world: World) -> list[Alert]:
    with world.db.read() as conn:
        return alerts(conn)


def answer_waiting(world: World) -> int:
    """The expert names everything that waits, by the first number of its vector."""
    waiting = world.items()
    for track, lane, *_ in waiting:
        world.answer("identify", track, "FF" if world.embeddings[track][0] > 0 else "FI", lane)
    return len(waiting)


def retrain(world: World) -> int:
    head = train_head(world.db, world.home.store, world.settings, make_training_set(world.home)).model_id
    with world.db.read() as conn:
        state = conn.scalar(sa.select(t.model.c.state).where(t.model.c.model_id == head))
    if state != "champion":
        promote(world.db, head, "for the test")
    return head


def test_a_change_is_noticed_asked_about_learned_and_closed(world: World) -> None:
    assert len(notice(world.home, [FOG])) == 1
    plan_queue(world.db, world.home.store, world.settings, batch=24)
    lanes = [lane for _, lane, *_ in world.items()]
    assert lanes.count("drift") >= 0.2 * len(lanes)
    answer_waiting(world)
    assert close_alerts(world.home) == [], "no head has learned from the answers yet"
    head = retrain(world)
    (closed,) = close_alerts(world.home)
    with world.db.read() as conn:
        there = alert(conn, closed)
    assert there.state == "resolved"
    assert there.decided_by is None
    assert there.why is not None
    assert there.why.startswith(f"Head {head} has learned from ")
    assert close_alerts(world.home) == []
    assert notice(world.home, [FOG]) == [], "the same change does not flap"


def test_killed_at_any_transaction_and_run_again_it_is_one_alert_and_one_closing(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transact = Database.transact

    def dies_before_its_commit(self: Database, work: Callable[[sa.Connection], Any]) -> Any:
        def dying(conn: sa.Connection) -> Any:
            work(conn)
            raise KeyboardInterrupt

        return transact(self, dying)

    def killed_once(step: Callable[[], object]) -> None:
        with monkeypatch.context() as killing:
            killing.setattr(Database, "transact", dies_before_its_commit)
            with pytest.raises(KeyboardInterrupt):
                step()
        step()
        step()

    killed_once(lambda: notice(world.home, [FOG]))
    assert [one.state for one in every_alert(world)] == ["open"]
    plan_queue(world.db, world.home.store, world.settings, batch=24)
    answer_waiting(world)
    retrain(world)
    killed_once(lambda: close_alerts(world.home))
    (one,) = every_alert(world)
    assert (one.state, one.decided_by) == ("resolved", None)


def test_a_signal_that_is_back_closes_its_alert(world: World) -> None:
    (first,) = notice(world.home, [FOG])
    assert close_alerts(world.home) == []
    assert notice(world.home, [ended(11)]) == []
    assert close_alerts(world.home) == [first]
    (one,) = every_alert(world)
    assert (one.until, one.why) == (DAY + timedelta(days=11), "It has been as before since 12 March 2026.")


def test_a_change_of_the_past_is_asked_about_though_it_is_over(world: World) -> None:
    (first,) = notice(world.home, [ended(11)])
    assert close_alerts(world.home) == []
    plan_queue(world.db, world.home.store, world.settings, batch=20)
    assert any(lane == "drift" for _, lane, *_ in world.items())
    assert [one.alert_id for one in every_alert(world)] == [first]


def test_another_name_of_the_same_change_opens_nothing(world: World) -> None:
    """When older videos come in, another of the signals that changed together may be noticed first."""
    notice(world.home, [FOG])
    renamed = {**FOG.__dict__, "signal": "brightness", "since": FOG.since + timedelta(days=2), "detail": {"also": []}}
    assert notice(world.home, [Change(**renamed)]) == []
    assert len(notice(world.home, [Change(**{**renamed, "camera": "C2"})])) == 1


def test_an_alert_of_which_nothing_is_left_to_ask_says_so(world: World) -> None:
    first = opened(world, until=4, detail={PAST: True})  # video 3 alone
    while True:
        plan_queue(world.db, world.home.store, world.settings, batch=20)
        if not any(lane == "drift" for _, lane, *_ in world.items()):
            break
        assert close_alerts(world.home) == []
        answer_waiting(world)
    assert close_alerts(world.home) == [first]
    (one,) = every_alert(world)
    assert one.why == "None of its 5 tracks is left to ask."


def test_a_champion_that_is_worse_there_closes_nothing(world: World) -> None:
    """It has learned from enough answers, and the audit says that it errs there all the same."""
    opened(world, first=1)
    for track in world.tracks:
        wrong = track in world.reserve and track // t.TRACKS_PER_VIDEO % 2 == 1
        says = "FF" if (world.embeddings[track][0] > 0) != wrong else "FI"
        if track not in world.test_tracks or track in world.reserve:
            world.answer("identify", track, says, "audit" if track in world.reserve else "typical")
    retrain(world)
    here = [track for track in world.reserve if track // t.TRACKS_PER_VIDEO % 2 == 1]
    assert len(here) > 3
    assert close_alerts(world.home) == []


def test_a_person_who_is_back_closes_the_alert(world: World) -> None:
    name_tracks(world.db, world.tracks[:1])
    with world.db.write() as conn:
        expert = conn.scalar(sa.select(t.app_user.c.user_id).where(t.app_user.c.name == "expert"))
        who = conn.scalar(sa.select(sa.func.min(t.individual.c.individual_id)))
    now = datetime.now(UTC)
    first = open_one(
        world.db, kind="annotator", signal="gold", camera="", since=now.date(), noticed=now.date(),
        annotator_id=expert, detail={"before": 0.95, "after": 0.5, "person": "expert"},
    )  # fmt: skip

    def check(n: int, passed: bool) -> None:
        with world.db.write() as conn:
            for i in range(n):
                at = now + timedelta(days=1, minutes=i)
                conn.execute(
                    sa.insert(t.quality_check).values(
                        kind="gold", user_id=expert, track_id=world.tracks[0], individual_id=who, asked_at=at,
                        answered_at=at, passed=passed,
                    )
                )  # fmt: skip

    check(15, True)
    assert close_alerts(world.home) == []
    check(5, True)
    assert close_alerts(world.home) == [first]


def test_falls_of_people_and_models_are_found_and_nothing_else() -> None:
    from chimp_assets.monitoring.answers.falls import PROOF, find_fall

    rng = np.random.default_rng(0)
    fell = find_fall(np.concatenate([rng.random(200) < 0.9, rng.random(150) < 0.6]))
    assert fell is not None
    assert fell.evidence > PROOF
    assert abs(fell.start - 200) < 25
    assert fell.before > 0.85 > 0.7 > fell.after
    assert find_fall(rng.random(40) < 0.9) is None
    false = sum((find_fall(rng.random(400) < 0.85) or fell).evidence >= PROOF for _ in range(60))
    assert false <= 3
