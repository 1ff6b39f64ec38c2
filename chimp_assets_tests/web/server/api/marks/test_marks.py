"""Marked tracks over HTTP: named as a whole or not at all, after hidden look-alikes were found; never what measures."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.work.marks import MANY, MarksAnswer, name_marked
from chimp_assets.database.work.page_answers import PageRefusal
from chimp_assets.home import Home
from chimp_assets.loop.minutes.prices import learned_prices
from chimp_assets_tests.database.world import START, add_video, event, make_world, predict, track
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]
FIRST, LAST = 3, 30
LOOK_ALIKE, ANOTHER, STRANGER = track(1), track(1, 2), track(1, 1)


@pytest.fixture
def found(home: Home) -> list[int]:
    """Tracks that look like Fifi and measure nothing. Gremlin looks like her, Freud does not; both are known."""
    with home.database.write() as conn:
        for video_id in range(FIRST, LAST):
            add_video(conn, video_id, 1, 10)
    ids = np.array([track(video_id) for video_id in range(FIRST, LAST)], np.int64)
    kept = audit_reserve_mask(ids, home.settings.seed, home.settings.acquisition.audit_reserve)
    for track_id in ids.tolist():
        predict(home.database, track_id, {"FF": 0.7, "GM": 0.2, "FI": 0.1})
    known = ((LOOK_ALIKE, "GM"), (ANOTHER, "GM"), (STRANGER, "FD"))
    record_events(home.database, [event("identify", one, who) for one, who in known])
    return [int(one) for one in ids[~kept]]


def rows_of(home: Home, table: sa.Table) -> list[Any]:
    with home.database.read() as conn:
        return list(conn.execute(sa.select(table).order_by(*table.primary_key.columns)))


def said(home: Home) -> list[Any]:
    return sorted((row for row in rows_of(home, t.annotation) if row.shown_mode == "search"), key=lambda row: row.seq)


def marks(tracks: list[int], who: str = "FF") -> dict[str, Any]:
    return {"answer_id": str(uuid.uuid4()), "anim_id": who, "tracks": tracks, "user": "ida"}


def got(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_six_marked_tracks_are_looked_at_again_with_look_alikes_among_them(
    home: Home, found: list[int], browser: Browsers
) -> None:
    """Marks made in a row are confirmed without looking, and careful people look like careless ones."""
    ida, body = browser("ida"), marks(found[:MANY])
    refused = ida.post("/api/marks/answer", json=body)
    assert (refused.status_code, said(home)) == (409, [])
    page = got(ida.post("/api/marks", json=body))
    shown = [one["track_id"] for one in page["tracks"]]
    hidden = set(shown) - set(found)
    assert hidden == {LOOK_ALIKE, ANOTHER}, "the head takes Gremlin for her"
    assert shown == [one["track_id"] for one in got(ida.post("/api/marks", json=body))["tracks"]]
    assert {one["picture"].rpartition("/")[0] for one in page["tracks"]} == {"/media/track"}
    assert said(home) == []
    answer = body | {"taken_out": [*hidden, found[0]], "seconds": 12.0, "input": "key", "query": "?who=FF"}
    done = got(ida.post("/api/marks/answer", json=answer))
    assert [one["track_id"] for one in done["named"]] == found[1:MANY]
    assert [one["track_id"] for one in done["denied"]] == [found[0]]
    assert got(ida.post("/api/marks/answer", json=answer)) | {"server_time": 0} == done | {"server_time": 0}
    stored = said(home)
    assert [row.kind for row in stored] == ["not_individual", *["identify"] * (MANY - 1)]
    assert {(row.lane, row.propensity, row.item_id, row.seconds) for row in stored} == {("free", None, None, 2.0)}
    facts = json.loads(stored[1].shown)
    assert (facts["input"], facts["query"], facts["candidates"]) == ("key", "?who=FF", [["FF", 0.7]])
    assert {row.passed for row in rows_of(home, t.quality_check)} == {True}
    back = [{"annotation_id": str(uuid.uuid4()), "kind": "retract", "supersedes": row.annotation_id} for row in stored]
    assert {one["status"] for one in got(ida.post("/api/events", json={"events": back}))["results"]} == {"stored"}


def test_a_hidden_look_alike_that_stays_keeps_everything_from_being_stored(
    home: Home, found: list[int], browser: Browsers
) -> None:
    ida, body = browser("ida"), marks(found[:MANY])
    page = got(ida.post("/api/marks", json=body))
    hidden = [one["track_id"] for one in page["tracks"] if one["track_id"] not in found]
    for taken_out in ([hidden[0]], hidden):  # the first answer counts, however often it is given
        done = got(ida.post("/api/marks/answer", json=body | {"taken_out": taken_out}))
        assert (done["missed"], done["named"], done["denied"]) == (1, [], [])
    assert said(home) == []
    assert sorted(row.passed for row in rows_of(home, t.quality_check)) == [False, True]
    other = marks(found[MANY : 2 * MANY])
    assert ida.post("/api/marks/answer", json=body | {"tracks": other["tracks"]}).status_code == 409, "another page"
    assert browser("anna").post("/api/marks/answer", json=body | {"user": "anna"}).status_code == 409, "somebody else's"


def test_a_few_are_named_at_once(home: Home, found: list[int], browser: Browsers) -> None:
    done = got(browser("ida").post("/api/marks/answer", json=marks(found[: MANY - 1])))
    assert len(done["named"]) == MANY - 1
    assert rows_of(home, t.quality_check) == []


def test_tracks_that_measure_the_model_are_refused_in_both_steps(
    home: Home, found: list[int], browser: Browsers
) -> None:
    """Whoever looks for her finds her: the accuracy measured by such names is the model's own."""
    every = np.array([track(video_id) for video_id in range(FIRST, LAST)], np.int64)
    reserved = next(int(one) for one in every if int(one) not in found)
    with home.database.write() as conn:
        tested = {"video_id": found[0] // t.TRACKS_PER_VIDEO, "day_key": "a", "split": "test", "assigned_at": START}
        conn.execute(sa.insert(t.split_assignment).values(tested))
    ida = browser("ida")
    for kept in (reserved, found[0]):
        for path in ("/api/marks", "/api/marks/answer"):
            refused = ida.post(path, json=marks([found[1], kept]))
            assert (refused.status_code, refused.json()["code"]) == (422, "kept_for_measuring")
            assert str(kept) in refused.json()["error"]
    assert said(home) == []


def test_what_somebody_named_meanwhile_stays_and_is_counted(home: Home, found: list[int], browser: Browsers) -> None:
    ida = browser("ida")
    record_events(home.database, [event("identify", found[0], "FI", annotator="vera")])
    done = got(ida.post("/api/marks/answer", json=marks(found[:3])))
    assert done["left_out"] == [found[0]]
    assert [one["track_id"] for one in done["named"]] == found[1:3]
    nothing = ida.post("/api/marks", json=marks(found[:3]))
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_left")


def test_where_nobody_else_is_known_only_a_few_are_named_at_once(home: Home, browser: Browsers) -> None:
    with home.database.write() as conn:
        add_video(conn, FIRST, 8, 10)
    ids = np.array([track(FIRST, n) for n in range(8)], np.int64)
    kept = audit_reserve_mask(ids, home.settings.seed, home.settings.acquisition.audit_reserve)
    tracks = ids[~kept][:MANY].tolist()
    refused = browser("ida").post("/api/marks", json=marks(tracks))
    assert (refused.status_code, refused.json()["code"]) == (409, "nobody_known")
    assert "5" in refused.json()["remedy"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"anim_id": "NOBODY"}, 422), ({"tracks": []}, 422), ({"tracks": list(range(49))}, 422), ({"user": "anna"}, 409)],
)
def test_what_cannot_be_meant_is_refused(
    found: list[int], browser: Browsers, changed: dict[str, Any], status: int
) -> None:
    for path in ("/api/marks", "/api/marks/answer"):
        answer = browser("ida").post(path, json=marks(found[:2]) | changed)
        assert answer.status_code == status
        assert answer.json()["remedy"]
    assert browser("vito").post("/api/marks", json=marks(found[:2]) | {"user": "vito"}).status_code == 403


def test_a_screen_of_an_earlier_version_names_no_marks_one_by_one(
    home: Home, found: list[int], browser: Browsers
) -> None:
    """Such a page knows of no look-alikes, and names what measures the model if its reader was quicker than a draw."""
    one = {"annotation_id": str(uuid.uuid4()), "kind": "identify", "track_id": found[0], "anim_id": "FF"}
    old = one | {"shown": {"mode": "search", "input": "mark"}}
    (result,) = got(browser("ida").post("/api/events", json={"events": [old]}))["results"]
    assert result["status"] == "rejected"
    assert "load the page again" in result["reason"]


def test_a_share_of_many_marks_is_no_price_of_a_question(home: Home, found: list[int], browser: Browsers) -> None:
    """Names in a row take a second each, and a plan then asked for what takes ten."""
    with home.database.read() as conn:
        before = learned_prices(conn)
    for n in range(0, 20, 5):
        done = got(browser("ida").post("/api/marks/answer", json=marks(found[n : n + 5]) | {"seconds": 0.5}))
        assert len(done["named"]) == 5
    with home.database.read() as conn:
        assert learned_prices(conn) == before


def test_marks_are_stored_as_a_whole_on_every_database(db: Database) -> None:
    make_world(db)
    said = MarksAnswer(str(uuid.uuid4()), "FF", [track(1), track(2)], {track(2)})
    wrong = MarksAnswer(str(uuid.uuid4()), "NOBODY", [track(1, 1)])
    done = db.transact(lambda conn: name_marked(conn, "anna", said))
    assert ([*done.named], [*done.denied], done.left_out) == ([track(1)], [track(2)], [])
    with pytest.raises(PageRefusal):
        db.transact(lambda conn: name_marked(conn, "anna", wrong))
    later = MarksAnswer(str(uuid.uuid4()), "FI", [track(1), track(2, 1), 5])
    done = db.transact(lambda conn: name_marked(conn, "vera", later))
    assert ([*done.named], done.left_out) == ([track(2, 1)], [track(1), 5])
