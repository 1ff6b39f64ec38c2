"""Who may decide what about what, and what the server says of a decision whatever its sender says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.kinds import ANSWER_KINDS
from chimp_assets.database.upkeep.integrity import check_database
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets_tests.database.world import event, plan, track
from chimp_assets_tests.web.server.api.test_events import decision, send, stored
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]

PEOPLE = {
    "viewer": "lotte",
    "volunteer": "vera",
    "identifier": "ida",
    "reviewer": "rita",
    "expert": "anna",
    "admin": "ada",
}
NAMERS = {"identifier", "reviewer", "expert", "admin"}
ANYBODY = NAMERS | {"volunteer"}
CORRECTORS = NAMERS - {"identifier"}
BOX = {"video_id": 1, "frame_no": 3, "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}
TWO = {"other_track_id": track(1, 1)}
# subject -> kinds and more fields -> roles that may
ABOUT_ONE = {
    "identify": ({}, NAMERS),
    "new_individual": ({"anim_id": "NEWONE"}, NAMERS),
    "unknown": ({}, NAMERS),
    "not_animal": ({}, NAMERS),
    "bad_box": ({}, NAMERS),
    "cannot_tell": ({}, NAMERS),
    "skip": ({}, NAMERS),
    "split": ({"frame_no": 5}, NAMERS),
    "merge": (TWO, NAMERS),
}
ABOUT_TWO = {
    "same": (TWO, ANYBODY),
    "different": (TWO, ANYBODY),
    "cannot_tell": (TWO, ANYBODY),
    "skip": (TWO, ANYBODY),
}
# lane -> (second track, who may settle it)
LANES = {
    "boundary": (None, NAMERS),
    "audit": (None, NAMERS),
    "typical": (None, NAMERS),
    "repeat": (None, NAMERS),
    "pairs": (track(1, 1), ANYBODY),
    "disputed": (track(1, 1), CORRECTORS),
}


def queue_of(home: Home) -> dict[int, Any]:
    with home.database.read() as conn:
        return {row.item_id: row for row in conn.execute(sa.select(t.acquisition_queue))}


@pytest.mark.parametrize("role", PEOPLE)
def test_each_role_decides_what_it_may_about_what_it_may(home: Home, browser: Browsers, role: str) -> None:
    """Rights by the kind of an answer alone let a volunteer empty the audit with skips."""
    person = browser(PEOPLE[role])
    if role == "viewer":
        answer = person.post("/api/events", json={"events": [decision("skip")]})
        assert (answer.status_code, answer.json()["code"]) == (403, "role")
        return
    wanted = [(kind, *ABOUT_ONE[kind]) for kind in ABOUT_ONE] + [(kind, *ABOUT_TWO[kind]) for kind in ABOUT_TWO]
    wanted.append(("box", BOX, ANYBODY))
    batch = [decision(kind, **more) for kind, more, _ in wanted]
    results = send(person, *batch)
    for (kind, more, who), result in zip(wanted, results, strict=True):
        assert (result["status"] == "stored") == (role in who), (kind, more, result)
        if role not in who:
            assert result["field"] == "kind"
            assert "your role is annotator" in result["reason"]


@pytest.mark.parametrize("lane", LANES)
def test_a_question_is_settled_only_by_who_may_answer_it(home: Home, browser: Browsers, lane: str) -> None:
    """Whatever a volunteer sends to a naming or an audit item, the item goes on waiting."""
    second, who = LANES[lane]
    for role in ANYBODY:
        plan(home.database, [track(1)], lanes=[lane], other_track_ids=[second])
        item_id = max(queue_of(home))
        person = browser(PEOPLE[role])
        facts = {**(TWO if second else {}), "item_id": item_id, "lane": "free"}
        kinds = ["same", "skip"] if second else [*ANSWER_KINDS, "skip", "split", "box"]
        if role in who:
            kinds = ["skip"]
        more: dict[str, Any] = {"box": BOX, "split": {"frame_no": 5}, "new_individual": {"anim_id": "NEWONE"}}
        results = send(person, *(decision(kind, **(facts | more.get(kind, {}))) for kind in kinds))
        waits = queue_of(home)[item_id].state == "pending"
        assert waits == (role not in who), (role, results)
        assert {r["status"] for r in results} == {"stored" if role in who else "rejected"}, (role, results)


def test_a_box_or_a_pair_is_no_answer_to_who_an_animal_is(home: Home, browser: Browsers) -> None:
    """A decision of another kind that names the item would take it out of the queue."""
    plan(home.database, [track(1)], lanes=["audit"])
    (item_id,) = queue_of(home)
    ida = browser("ida")
    results = send(ida, decision("box", item_id=item_id, **BOX), decision("same", item_id=item_id, **TWO),
                   decision("skip", item_id=item_id, **TWO))  # fmt: skip
    assert {r["status"] for r in results} == {"stored"}, "nobody's work is lost"
    assert queue_of(home)[item_id].state == "pending"
    assert {(row.lane, row.propensity, row.item_id) for row in stored(home)} == {("free", None, None)}


def test_lane_and_propensity_are_the_servers_whatever_is_sent(home: Home, browser: Browsers) -> None:
    """Eighteen hand-made requests moved the audit from 38 to 56 tracks."""
    plan(home.database, [track(2)], lanes=["boundary"], propensity=[0.25])
    (item_id,) = queue_of(home)
    ida = browser("ida")
    for lane, propensity in (("audit", 0.0001), ("repeat", 1), ("nonsense", 7), (["audit"], "x"), (None, -1), (5, {})):
        sent = [
            decision(lane=lane, propensity=propensity, track_id=track(1, 1)),
            decision("skip", lane=lane, propensity=propensity, track_id=track(1, 2)),
        ]
        assert [r["status"] for r in send(ida, *sent)] == ["stored", "stored"]
    assert {(row.lane, row.propensity) for row in stored(home)} == {("free", None)}
    asked = decision(track_id=track(2), item_id=item_id, lane="audit", propensity=0.9)
    assert send(ida, asked)[0]["status"] == "stored"
    assert [(row.lane, row.propensity) for row in stored(home)][-1] == ("boundary", 0.25)
    assert [ill for ill in check_database(home.database) if "Decision" in ill] == []


def test_a_forged_skip_makes_no_audit_track(home: Home, browser: Browsers) -> None:
    """One skip with the lane audit took a track out of training for ever."""
    from chimp_assets.vision.datasets.training_set import audited

    send(browser("ida"), decision("skip", lane="audit", propensity=1e-4), decision("skip", lane="audit"))
    with home.database.read() as conn:
        assert conn.scalars(sa.select(t.track.c.track_id).where(audited(t.track.c.track_id, 99))).all() == []


@pytest.mark.parametrize("seconds", [-1, 3600.5, 1e9, 1e308])
def test_absurd_seconds_are_left_out_and_the_decision_stays(home: Home, browser: Browsers, seconds: float) -> None:
    """One tab left open over a weekend would be an hour of somebody's pace; its answer is good all the same."""
    result = send(browser("ida"), decision(seconds=seconds), decision(seconds=3600))
    assert (result[0]["status"], result[0]["field"]) == ("stored", "seconds")
    assert "left out" in result[0]["reason"]
    assert (result[1]["status"], result[1]["reason"]) == ("stored", None)
    assert [row.seconds for row in stored(home)] == [None, 3600]


@pytest.mark.parametrize(
    "time", ["2099-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "1970-01-01T00:00:01Z", "0001-01-02T00:00:00Z"]
)
def test_a_time_of_no_clock_is_left_out_and_the_decision_stays(home: Home, browser: Browsers, time: str) -> None:
    """A time of 2099 comes from no tablet."""
    result = send(browser("ida"), decision(client_time=time))[0]
    assert (result["status"], result["field"]) == ("stored", "client_time")
    assert stored(home)[0].client_time is None


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", 1e300, {}])
def test_a_time_that_no_calendar_has_is_refused_alone(home: Home, browser: Browsers, time: Any) -> None:
    """One bad event failed its batch, and with it a day in the field."""
    results = send(browser("ida"), decision(client_time=time), decision("skip"), decision("skip", track_id="x"))
    assert [r["status"] for r in results] == ["rejected", "stored", "rejected"]
    assert results[0]["field"] == "client_time"
    assert len(results[0]["reason"]) > 10
    assert len(stored(home)) == 1


def test_an_answer_to_what_somebody_else_holds_is_free_and_leaves_it_there(home: Home, browser: Browsers) -> None:
    """Whoever guesses the number of an audit item could answer it before the person who was asked."""
    plan(home.database, [track(1), track(2)], lanes=["audit", "boundary"])
    ida, rita = browser("ida"), browser("rita")
    held = {item.item_id: item for item in claim(home.database, "rita", 2, 15)}
    items = [decision(track_id=item.track_id, item_id=item_id) for item_id, item in held.items()]
    unasked = [decision("unknown", track_id=item.track_id) for item in held.values()]
    assert {r["status"] for r in send(ida, *items, *unasked)} == {"stored"}
    assert {(row.lane, row.propensity, row.item_id) for row in stored(home)} == {("free", None, None)}
    rows = queue_of(home).values()
    assert {(row.state, row.leased_by) for row in rows} == {("leased", next(iter(rows)).leased_by)}
    again = [decision(track_id=item.track_id, item_id=item_id, anim_id="GM") for item_id, item in held.items()]
    assert {r["status"] for r in send(rita, *again)} == {"stored"}
    assert {row.state for row in queue_of(home).values()} == {"answered"}
    assert sorted(row.lane for row in stored(home)[-2:]) == ["audit", "boundary"]


def test_who_comes_back_after_the_lease_answers_the_item_unless_it_is_somebody_elses_now(
    home: Home, browser: Browsers
) -> None:
    """Three days in the forest: the answer is never lost, and counts for the item where nobody else is at it."""
    plan(home.database, [track(1), track(2)])
    mine = claim(home.database, "ida", 2, 15)
    with home.database.write() as conn:
        conn.execute(sa.update(t.acquisition_queue).values(leased_until=datetime.now(UTC) - timedelta(days=1)))
    taken = claim(home.database, "rita", 1, 15)[0]
    answers = [decision(track_id=item.track_id, item_id=item.item_id) for item in mine]
    assert {r["status"] for r in send(browser("ida"), *answers)} == {"stored"}
    by_track = {row.track_id: row.item_id for row in stored(home)}
    assert by_track == {item.track_id: None if item == taken else item.item_id for item in mine}
    states = {row.item_id: row.state for row in queue_of(home).values()}
    assert states == {item.item_id: "leased" if item == taken else "answered" for item in mine}


@pytest.mark.parametrize("how", ["released", "disabled"])
def test_what_was_answered_while_somebody_held_it_does_not_wait_again(home: Home, browser: Browsers, how: str) -> None:
    """The queue would ask about a track that is named, and the check of the database would complain."""
    from chimp_assets.database.people.users import disable_user
    from chimp_assets.database.work.queue import release

    db = home.database
    plan(
        db, [track(1), track(2), track(1, 1), track(2, 1)], lanes=["typical", "typical", "pairs", "pairs"],
        other_track_ids=[None, None, track(1, 2), track(2, 2)],
    )  # fmt: skip
    claim(db, "vito", 4, 15, lanes=["typical", "pairs"])
    record_events(db, [event("identify", track(1), "FF"), event("different", track(1, 2), other_track_id=track(1, 1))])
    assert {row.state for row in queue_of(home).values()} == {"leased"}
    assert release(db, "vito") == 4 if how == "released" else disable_user(db, "vito") is None
    assert [row.state for row in queue_of(home).values()] == ["answered", "pending", "answered", "pending"]
    assert [ill for ill in check_database(db) if "waits" in ill] == []


def test_a_volunteer_takes_back_what_was_ones_own(home: Home, browser: Browsers) -> None:
    """Undo must work for whatever one could decide."""
    vera = browser("vera")
    first = decision("same", **TWO)
    undo = {"annotation_id": str(uuid.uuid4()), "kind": "retract", "supersedes": first["annotation_id"]}
    assert [r["status"] for r in send(vera, first, undo)] == ["stored", "stored"]
