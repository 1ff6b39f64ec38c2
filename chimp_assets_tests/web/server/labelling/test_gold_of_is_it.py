"""Known tracks among the questions "is this X?": look-alikes, hidden, judged; who guesses counts for nobody."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.carefulness import Carefulness, carefulness
from chimp_assets.database.upkeep.invariants import evidence_that_does_not_follow
from chimp_assets.home import Home
from chimp_assets.insight.volunteers import checked_people, volunteer_work
from chimp_assets_tests.database.labels.is_it.asked import ask, say
from chimp_assets_tests.database.world import add_video, event, predict, track
from chimp_assets_tests.web.server.api.test_claims import claim
from chimp_assets_tests.web.server.api.test_events import decision, send, stored
from chimp_assets_tests.web.server.conftest import Browser

OWN = [track(video) for video in range(13, 25)]
ALIKE = [track(video) for video in range(25, 35)]
"""Of Gremlin; the head's second name for them is Fifi."""
UNLIKE = [track(video) for video in range(35, 41)]
WAITING = [track(video) for video in range(41, 71)]


@pytest.fixture(scope="session")
def eyes_home(tmp_path_factory: pytest.TempPathFactory, template_home: Path) -> Path:
    """Tracks that the expert named, and thirty about which volunteers are asked. Copied for each test."""
    root = tmp_path_factory.mktemp("eyes") / "home"
    shutil.copytree(template_home, root)
    db = Home.open(root).database
    with db.write() as conn:
        for video_id in range(13, 71):
            add_video(conn, video_id, 1, 2 + video_id % 3)
    named = [(i, "FF") for i in OWN] + [(i, "GM") for i in ALIKE] + [(i, "FD") for i in UNLIKE]
    record_events(db, [event("identify", track_id, who) for track_id, who in named])
    for track_ids, first, second in (
        (OWN, "FF", "GM"),
        (ALIKE, "GM", "FF"),
        (UNLIKE, "FD", "GM"),
        (WAITING, "FF", "FI"),
    ):
        for track_id in track_ids:
            predict(db, track_id, {first: 0.7, second: 0.2})
    ask(db, WAITING)
    with db.write() as conn:
        conn.execute(sa.update(t.acquisition_queue).values(reason="Two people who say yes give 3 frames a name."))
    db.dispose()
    return root


@pytest.fixture
def home(tmp_path: Path, eyes_home: Path) -> Iterator[Home]:
    root = tmp_path / "home"
    shutil.copytree(eyes_home, root)
    opened = Home.open(root)
    yield opened
    opened.database.dispose()


def eyes(browser: Browser, n: int = 30, **more: Any) -> list[dict[str, Any]]:
    return claim(browser, n, lanes=["is_it"], **more)


def word(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    named = {"anim_id": item["individual"]["anim_id"]} if kind.endswith("individual") else {}
    return decision(kind, track_id=item["track_id"], item_id=item["item_id"], seconds=2.0, **named)


def truth(item: dict[str, Any]) -> str:
    return "is_individual" if item["track_id"] in (*OWN, *WAITING) else "not_individual"


def test_look_alikes_stand_among_the_questions_and_look_like_them(home: Home, make_app: Callable[..., FastAPI]) -> None:
    """Who sees which are known answers these with care; and somebody unlike is told apart by anybody."""
    vera = Browser(make_app(gold_first_share=0.6)).sign_in("vera")
    items = eyes(vera)
    gold = [item for item in items if item["track_id"] not in WAITING]
    others = [item for item in items if item["track_id"] in WAITING]
    assert len(gold) >= 8
    assert {item["track_id"] for item in gold} <= {*OWN, *ALIKE}
    assert {truth(item) for item in gold} == {"is_individual", "not_individual"}
    for item in items:
        assert (item["lane"], item["candidates"], item["model"], item["base_event_id"]) == ("is_it", [], None, None)
        assert item["individual"]["anim_id"] == "FF"
        assert item["track_id"] not in {photo["track_id"] for photo in item["individual"]["references"]}
    assert len({tuple(sorted(item)) for item in items}) == 1
    different = ("item_id", "position", "reason", "track_id", "track", "video", "face", "crops", "clip", "frame")
    for key in set(items[0]) - set(different):
        assert {json.dumps(item[key]) for item in gold} <= {json.dumps(item[key]) for item in others}, key
    for item in gold:
        n = item["track"]["n_detections"]
        assert item["reason"] == f"Two people who say yes give {n} frames a name."
    assert "0.7" not in json.dumps([item["candidates"] for item in items])


def test_answers_to_gold_are_judged_counted_and_no_answer_of_the_track(
    home: Home, make_app: Callable[..., FastAPI]
) -> None:
    """What was learned is whether somebody looks; the question behind it was never asked."""
    vera = Browser(make_app(gold_first_share=0.6)).sign_in("vera")
    items = eyes(vera)
    gold = [item for item in items if item["track_id"] not in WAITING]
    right, wrong, unsure = gold[:3]
    wrong_kind = "not_individual" if truth(wrong) == "is_individual" else "is_individual"
    words = [word(truth(right), right), word(wrong_kind, wrong), word("cannot_tell", unsure)]
    assert {r["status"] for r in send(vera, *words)} == {"stored"}
    assert {r["status"] for r in send(vera, *words)} == {"duplicate"}
    rows = stored(home)[-3:]
    assert {(row.lane, row.item_id, json.loads(row.shown)["mode"]) for row in rows} == {("is_it", None, "gold")}
    with home.database.read() as conn:
        c, q = t.quality_check.c, t.acquisition_queue.c
        judged = {
            r.track_id: r.passed for r in conn.execute(sa.select(c.track_id, c.passed, c.answered_at)) if r.answered_at
        }
        assert judged == {right["track_id"]: True, wrong["track_id"]: False, unsure["track_id"]: None}
        states = conn.scalars(sa.select(q.state).where(q.item_id.in_([item["item_id"] for item in gold[:3]])))
        assert set(states) == {"pending"}
        assert checked_people(conn) == {"vera": Carefulness(2, 1)}
        answer = conn.execute(
            sa.select(t.standing_answer.c.kind).where(t.standing_answer.c.track_id == unsure["track_id"])
        )
        assert answer.scalar_one() == "identify"
        work = volunteer_work(conn)
    assert work is not None
    assert (work.answers, work.people, work.tracks) == (3, 1, 0)
    # The items themselves are still to be asked, also of her, and she cannot tell which of them were gold.
    again = {item["item_id"]: item["track_id"] for item in eyes(vera)}
    assert {again[item["item_id"]] for item in gold[:3]} <= set(WAITING)


def test_who_guesses_counts_for_nobody_until_her_checks_are_better(
    home: Home, make_app: Callable[..., FastAPI]
) -> None:
    """Two careless people agree quickly."""
    vera = Browser(make_app(gold_first_share=0.6)).sign_in("vera")
    items = eyes(vera)
    gold = [item for item in items if item["track_id"] not in WAITING]
    real = next(item for item in items if item["track_id"] in WAITING)
    assert {r["status"] for r in send(vera, word("is_individual", real))} == {"stored"}
    say(home.database, "vito", real["item_id"], "yes", "FF", real["track_id"])
    e, u, q = t.track_evidence.c, t.app_user.c, t.acquisition_queue.c
    known = sa.select(e.n_yes, e.state, e.probability).where(e.track_id == real["track_id"])
    with home.database.read() as conn:
        n_yes, state, probability = conn.execute(known).one()
    assert (n_yes, state, round(probability, 4)) == (2, "agreed", 0.9983)
    # Always yes: wrong at each look-alike.
    send(vera, *(word("is_individual", item) for item in gold))
    with home.database.read() as conn:
        care = carefulness(conn)[conn.scalar(sa.select(u.user_id).where(u.name == "vera"))]
        assert care.wrong >= 4
        assert care.error == pytest.approx((1 + care.wrong) / (25 + care.n))
        assert not care.counts
        assert tuple(conn.execute(known).one()) == (1, "open", None), "what she said of it before counts no more either"
        waits = sa.select(q.state).where(q.item_id == real["item_id"])
        assert conn.scalar(waits) == "answered", "it is asked again by the next plan, not taken up again by itself"
        assert evidence_that_does_not_follow(conn) == []


def test_a_volunteer_may_answer_this_lane_and_no_other(home: Home, make_app: Callable[..., FastAPI]) -> None:
    vera = Browser(make_app(gold_first_share=0.0, gold_share=0.0)).sign_in("vera")
    item = eyes(vera, 1)[0]
    free = decision("cannot_tell", track_id=item["track_id"])
    named = decision("identify", track_id=item["track_id"], item_id=item["item_id"])
    assert [r["status"] for r in send(vera, free, named)] == ["rejected", "rejected"]
    assert [r["status"] for r in send(vera, word("cannot_tell", item))] == ["stored"]
    assert claim(vera, 5) == []
    assert eyes(Browser(vera.app).sign_in("anna"), 1)[0]["item_id"] == item["item_id"]


def test_a_merged_individual_is_asked_about_by_the_name_it_has_now(
    home: Home, make_app: Callable[..., FastAPI]
) -> None:
    with home.database.write() as conn:
        i = t.individual.c
        ff, gm = (conn.scalar(sa.select(i.individual_id).where(i.anim_id == code)) for code in ("FF", "GM"))
        conn.execute(sa.update(t.individual).where(i.individual_id == ff).values(same_as_id=gm))
    vera = Browser(make_app(gold_first_share=0.0, gold_share=0.0)).sign_in("vera")
    item = eyes(vera, 1)[0]
    assert (item["individual"]["anim_id"], item["individual"]["name"]) == ("FF", "Gremlin")
    assert [r["status"] for r in send(vera, word("is_individual", item))] == ["stored"]
    say(home.database, "vito", item["item_id"], "yes", "GM", item["track_id"])
    with home.database.read() as conn:
        q = t.acquisition_queue.c
        assert conn.scalar(sa.select(q.state).where(q.item_id == item["item_id"])) == "answered"
