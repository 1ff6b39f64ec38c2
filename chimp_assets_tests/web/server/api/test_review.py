"""What there is to review, what is told of it, and what a decision does; one's own answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import last_seq, record_events
from chimp_assets.database.people.users import add_user
from chimp_assets.home import Home
from chimp_assets.insight.labelling import own
from chimp_assets.insight.labelling.review import queues
from chimp_assets_tests.database.world import add_video, event, predict, track
from chimp_assets_tests.web.disputed import (
    ASKED,
    DOUBTED,
    FLAGGED,
    GOLD,
    NAMES,
    NEW,
    PLANT,
    SAME,
    make_disputed,
    shown,
)
from chimp_assets_tests.web.server.conftest import Browser


@pytest.fixture
def disputed(home: Home) -> Home:
    """The home of ten videos, with something in each queue."""
    with home.database.write() as conn:
        for video_id in range(3, 11):
            add_video(conn, video_id, 2, 10)
    make_disputed(home.database)
    return home


def keys_of(home: Home, queue: str) -> list[int | None]:
    with home.database.read() as conn:
        return [case.track_id for case in queues.find_cases(conn, queue, home.settings).cases]


def decide(browser: Browser, case: dict[str, Any], **send: Any) -> dict[str, Any]:
    """A decision as the screen sends it."""
    made = {
        "annotation_id": str(uuid.uuid4()),
        "track_id": case["item"]["track_id"],
        "base_event_id": case["base_event_id"],
        "supersedes": case["base_event_id"],
        "shown": {"mode": "review", "queue": case["queue"], "reason": "chose", "schema": 1},
        **send,
    }
    result: dict[str, Any] = browser.post("/api/events", json={"events": [made]}).json()["results"][0]
    return {**result, "id": made["annotation_id"]}


def case_of(browser: Browser, queue: str) -> dict[str, Any]:
    cases: list[dict[str, Any]] = browser.get(f"/api/review/cases?queue={queue}").json()["cases"]
    return cases[0]


def test_each_queue_has_its_case_and_no_other(disputed: Home, browser: Callable[..., Browser]) -> None:
    """A case that is missed stays wrong; one too many costs the expert's minutes."""
    assert keys_of(disputed, "names") == [NAMES]
    assert keys_of(disputed, "pairs") == [SAME[0]]
    assert keys_of(disputed, "missed") == [PLANT, GOLD]
    assert keys_of(disputed, "provisional") == [NEW]
    assert keys_of(disputed, "doubtful") == [DOUBTED]
    assert keys_of(disputed, "flags") == [FLAGGED]
    assert keys_of(disputed, "conflicts") == [track(8)]
    assert keys_of(disputed, "asked") == [ASKED]
    counts = browser("rita").get("/api/review/counts").json()["counts"]
    assert counts == {queue: 2 if queue == "missed" else 1 for queue in queues.QUEUES}


@pytest.mark.parametrize("queue", queues.QUEUES)
def test_who_said_what_is_told_only_when_it_is_asked_after(
    disputed: Home, browser: Callable[..., Browser], queue: str
) -> None:
    """A reviewer who sees that the expert said A says A."""
    rita = browser("rita")
    text = rita.get(f"/api/review/cases?queue={queue}").text
    assert [name for name in ("anna", "vera", "vito") if name in text] == []
    ids = [e["annotation_id"] for opinion in json.loads(text)["cases"][0]["opinions"] for e in opinion["events"]]
    authors = rita.get("/api/review/authors", params={"ids": ids}).json()["authors"]
    assert authors.keys() == set(ids)
    assert set(authors.values()) <= {"anna", "vera", "vito", "rita"}


def test_a_case_tells_what_each_saw_and_how_long_it_took(disputed: Home, browser: Callable[..., Browser]) -> None:
    """Who saw no suggestions judged more freely: the reviewer must know."""
    case = case_of(browser("rita"), "names")
    (fifi,), (fred,) = (opinion["events"] for opinion in case["opinions"])
    assert [opinion["name"] for opinion in case["opinions"]] == ["Fifi", "Fred"]
    assert (fifi["seconds"], fifi["saw"], fifi["mode"]) == (3.5, [["FF", 0.62], ["FI", 0.2]], "single")
    assert (fred["seconds"], fred["saw"], fred["mode"]) == (8.25, [], "blind")
    assert [opinion["stands"] for opinion in case["opinions"]] == [False, True]


def test_a_decision_stands_settles_the_case_and_keeps_what_was_said(
    disputed: Home, browser: Callable[..., Browser]
) -> None:
    """The same case every day, or an answer of somebody that is gone."""
    rita = browser("rita")
    case = case_of(rita, "names")
    with disputed.database.read() as conn:
        before = conn.execute(sa.select(s.annotation).where(s.annotation.c.track_id == NAMES)).all()
    done = decide(rita, case, kind="identify", anim_id="FF")
    assert done["status"] == "stored"
    assert keys_of(disputed, "names") == []
    with disputed.database.read() as conn:
        after = conn.execute(sa.select(s.annotation).where(s.annotation.c.track_id == NAMES)).all()
        assert after[: len(before)] == before
        standing = conn.execute(effective_answers(of_tracks=[NAMES])).one()
        assert standing.annotation_id == done["id"]
    # Taken back, the case is there again.
    taken = {"annotation_id": str(uuid.uuid4()), "kind": "retract", "supersedes": done["id"]}
    assert rita.post("/api/events", json={"events": [taken]}).json()["results"][0]["status"] == "stored"
    assert keys_of(disputed, "names") == [NAMES]


def test_what_somebody_says_after_a_decision_opens_the_case_again(
    disputed: Home, browser: Callable[..., Browser]
) -> None:
    """A volunteer who knows better than the reviewer is never heard."""
    rita = browser("rita")
    decide(rita, case_of(rita, "names"), kind="identify", anim_id="FF")
    record_events(disputed.database, [event("identify", NAMES, "GM", annotator="vera", shown=shown())])
    assert keys_of(disputed, "names") == [NAMES]


@pytest.mark.parametrize("queue", ["missed", "doubtful", "flags"])
def test_agreeing_with_what_stands_settles_a_case_too(
    disputed: Home, browser: Callable[..., Browser], queue: str
) -> None:
    """A doubted label that is right would be doubted for ever."""
    rita = browser("rita")
    case = case_of(rita, queue)
    stands = next(opinion for opinion in case["opinions"] if opinion["stands"])
    assert decide(rita, case, kind="identify", anim_id=stands["anim_id"])["status"] == "stored"
    assert case["item"]["track_id"] not in keys_of(disputed, queue)


def test_a_decision_about_a_box_settles_its_conflict(disputed: Home, browser: Callable[..., Browser]) -> None:
    """Two boxes of one animal in one frame, one of them wrong, teach the detector the wrong one."""
    rita = browser("rita")
    case = case_of(rita, "conflicts")
    frame, (x, y, w, h) = case["frame"], case["opinions"][0]["box"]
    assert [opinion["box"][0] for opinion in case["opinions"]] == pytest.approx([0.1, 0.3, 0.5])
    place = {"video_id": frame["video_id"], "frame_no": frame["frame_no"], "x": x, "y": y, "w": w, "h": h}
    assert decide(rita, case, kind="box", **place)["status"] == "stored"
    assert keys_of(disputed, "conflicts") == []


def test_a_decision_about_a_pair_ends_the_contradiction(disputed: Home, browser: Callable[..., Browser]) -> None:
    """Names that contradict each other through a wrong "same" spoil what is learned from both."""
    rita = browser("rita")
    case = case_of(rita, "pairs")
    assert "Freud" in case["reason"]
    other = case["other"]["track_id"]
    assert decide(rita, case, kind="different", other_track_id=other, base_event_id=None)["status"] == "stored"
    assert keys_of(disputed, "pairs") == []


def test_whose_answer_counts_more_than_the_reviewers_binds(disputed: Home, browser: Callable[..., Browser]) -> None:
    """A decision that is stored and changes nothing, without a word, is a lie."""
    record_events(disputed.database, [event("identify", NAMES, "GM", annotator="anna")])
    record_events(disputed.database, [event("identify", NAMES, "FF", annotator="vera", shown=shown())])
    case = case_of(browser("rita"), "names")
    assert case["opinions"][case["bound"]]["name"] == "Gremlin"
    assert case_of(browser("anna"), "names")["bound"] is None


def test_a_question_waits_for_its_answer_and_its_author_sees_it(
    disputed: Home, browser: Callable[..., Browser]
) -> None:
    """Who is not told of the question cannot answer it; a case that does not wait is asked twice."""
    rita, vera = browser("rita"), browser("vera")
    case = case_of(rita, "flags")
    about = case["opinions"][0]["events"][0]["annotation_id"]
    asked = decide(rita, case, kind="skip", supersedes=about, base_event_id=None, note="Which ears?")
    assert asked["status"] == "stored"
    assert keys_of(disputed, "flags") == []
    assert keys_of(disputed, "asked") == [FLAGGED, ASKED]
    page = vera.get("/mine").text
    assert "Which ears?" in page
    assert "Look at the left ear." in page
    answer = event("identify", FLAGGED, "GM", annotator="vera", shown=shown())
    record_events(disputed.database, [answer])
    assert keys_of(disputed, "asked") == [ASKED]


def test_provisional_individuals_are_confirmed_or_merged_and_back(
    disputed: Home, browser: Callable[..., Browser]
) -> None:
    """Two entries of one animal halve everything that is counted of it; a merge that cannot be undone frightens."""
    rita = browser("rita")

    def act(**body: str) -> int:
        return rita.post("/api/review/individual", json={"anim_id": "NEW-1", **body}).status_code

    assert act(act="confirm") == 200
    assert keys_of(disputed, "provisional") == []
    assert act(act="unconfirm") == 200
    assert keys_of(disputed, "provisional") == [NEW]
    assert act(act="merge") == 422
    assert act(act="merge", into="GM") == 200
    assert keys_of(disputed, "provisional") == []
    assert act(act="unmerge") == 200
    assert keys_of(disputed, "provisional") == [NEW]
    with disputed.database.read() as conn:
        e = s.audit_event.c
        who = conn.execute(
            sa.select(e.action, s.app_user.c.name)
            .join_from(s.audit_event, s.app_user, s.app_user.c.user_id == e.user_id)
            .where(e.subject == "NEW-1")
            .order_by(e.audit_event_id)
        ).all()
    assert who == [(f"individual.{act}", "rita") for act in ("confirm", "unconfirm", "merge", "unmerge")]
    assert rita.post("/api/review/individual", json={"anim_id": "NOBODY", "act": "confirm"}).status_code == 404


def test_a_look_ends_and_the_next_one_begins_there(
    disputed: Home, monkeypatch: pytest.MonkeyPatch, browser: Callable[..., Browser]
) -> None:
    """An archive with a million answers would be read whole for a page, or its older cases would never be seen."""
    monkeypatch.setattr(queues, "TRACKS_LOOKED_AT", 5)
    rita = browser("rita")
    found, before = [], None
    for _ in range(20):
        more = f"&before={before}" if before is not None else ""
        answer = rita.get(f"/api/review/cases?queue=names{more}").json()
        found += [case["item"]["track_id"] for case in answer["cases"]]
        if (before := answer["older"]) is None:
            break
    assert found == [NAMES]


def test_own_answers_say_what_became_of_them(
    disputed: Home, browser: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who never hears of corrections repeats the mistake."""
    rita = browser("rita")
    decide(rita, case_of(rita, "names"), kind="identify", anim_id="FI", note="no white on the chin")
    with disputed.database.read() as conn:
        vera = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == "vera"))
        answers = own.page(conn, vera).answers
        state = {one.track_id: one.state for one in answers}
        assert state[NAMES] == "corrected"
        assert state[DOUBTED] == "stands"
        monkeypatch.setattr(own, "PAGE", 2)
        second = own.page(conn, vera, answers[2].seq)
        assert [one.seq for one in second.answers] == [answers[3].seq, answers[4].seq]
        assert second.older == answers[4].seq
        monkeypatch.setattr(own, "LOOKED_AT", 1)
        last = last_seq(conn)
        assert own.page(conn, vera) == own.OwnAnswersPage([], [], last), "rita's decision is the newest event"
        monkeypatch.undo()
        corrected = {one.track_id: one for one in own.page(conn, vera).corrected}
    assert corrected.keys() == {NAMES, ASKED}
    instead = corrected[NAMES].instead
    assert instead is not None
    assert (instead.by, instead.anim_id, instead.in_review, instead.note) == (
        "rita",
        "FI",
        True,
        "no white on the chin",
    )
    page = browser("vera").get("/mine").text
    assert "no white on the chin" in page


def test_own_answers_do_not_betray_checks_and_repeats(disputed: Home, browser: Callable[..., Browser]) -> None:
    """Who can tell a check from other questions answers it with more care, and it measures nothing."""
    record_events(disputed.database, [event("identify", DOUBTED, "FF", annotator="vera", lane="repeat")])
    with disputed.database.read() as conn:
        vera = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == "vera"))
        answers = own.page(conn, vera).answers
    assert next(one for one in answers if one.track_id == GOLD).state == "stands"
    assert {one.lane for one in answers} == {"free", "boundary"}
    rita = browser("rita")
    case = next(c for c in rita.get("/api/review/cases?queue=missed").json()["cases"] if c["check"] == "gold")
    decide(rita, case, kind="identify", anim_id="FD")
    with disputed.database.read() as conn:
        assert GOLD in {one.track_id for one in own.page(conn, vera).corrected}


def test_an_unknown_queue_and_strangers_are_refused(disputed: Home, browser: Callable[..., Browser]) -> None:
    """An address that somebody mistyped must say so, not show an empty queue."""
    assert browser("rita").get("/api/review/cases?queue=all").status_code == 422
    assert browser("vera").get("/api/review/cases?queue=names").status_code == 403
    add_user(disputed.database, "zoe", "volunteer")
    predict(disputed.database, track(1, 1), {"FF": 0.99})
    assert keys_of(disputed, "doubtful") == [DOUBTED], "nobody has named the other track"
