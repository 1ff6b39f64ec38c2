"""Pages of many tracks over HTTP: given once, answered and taken back as a whole, every second counted."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.work import page_answers
from chimp_assets.database.work.page_answers import PageAnswer
from chimp_assets.database.work.pages import PageOfMany
from chimp_assets.database.work.seconds import seconds_spent
from chimp_assets.home import Home
from chimp_assets_tests.database.world import HEAD, add_video, event, plan, predict, track
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]
FIRST, LAST = 3, 20
LOOK_ALIKE, STRANGER = track(1), track(1, 1)


@pytest.fixture
def planned(home: Home) -> dict[str, list[int]]:
    """Two planned pages of Fifi, of eight tracks each. Gremlin looks like her, Freud does not; both are known."""
    db = home.database
    with db.write() as conn:
        for video_id in range(FIRST, LAST):
            add_video(conn, video_id, 1, 10)
    for video_id in range(FIRST, LAST):
        predict(db, track(video_id), {"FF": 0.7, "GM": 0.2, "FI": 0.1})
    record_events(db, [event("identify", LOOK_ALIKE, "GM", seconds=3.0), event("identify", track(1, 2), "GM")])
    record_events(db, [event("identify", STRANGER, "FD")])
    ids = [track(video_id) for video_id in range(FIRST, LAST)]
    pages = {"first": ids[:8], "second": ids[8:16]}
    with db.read() as conn:
        fifi = conn.execute(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == "FF")).scalar_one()
    offered = [
        PageOfMany(fifi, tracks, [0.7] * 8, "8 tracks, 80 frames, some 7 seconds: the model says Fifi (FF).", 1.0)
        for tracks in pages.values()
    ]
    plan(db, [track(2)], head_model_id=HEAD, pages=offered)
    return pages


def rows_of(home: Home, table: sa.Table) -> list[Any]:
    with home.database.read() as conn:
        return list(conn.execute(sa.select(table).order_by(*table.primary_key.columns)))


def events(home: Home, *kinds: str) -> list[Any]:
    found = [row for row in rows_of(home, t.annotation) if row.kind in kinds and row.lane == t.GRID]
    return sorted(found, key=lambda row: row.seq)


def shown(page: dict[str, Any]) -> list[int]:
    return [one["track_id"] for one in page["tracks"]]


def plants(home: Home, page: dict[str, Any]) -> list[int]:
    return [row.track_id for row in rows_of(home, t.quality_check) if row.page_id == page["page_id"]]


def said(page: dict[str, Any], marked: list[int], seconds: float = 20.0) -> dict[str, Any]:
    return {
        "annotation_id": str(uuid.uuid4()), "page_id": page["page_id"], "marked": marked, "seconds": seconds,
        "input": "key", "ui": "1", "client_time": datetime.now(UTC).isoformat(),
    }  # fmt: skip


def sent(browser: Browser, body: dict[str, Any], path: str = "/api/grid") -> dict[str, Any]:
    answer = browser.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["results"][0])


def test_the_page_of_the_plan_is_given_and_a_reload_gives_the_same(home: Home, browser: Browsers, planned: Any) -> None:
    """Another page after each reload wastes what somebody has marked, and shows who the hidden ones are."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()
    assert set(planned["first"]) <= set(shown(page))
    assert page["reason"] == "8 tracks, 80 frames, some 7 seconds: the model says Fifi (FF)."
    assert (page["planned"], page["pages_left"], page["anim_id"], page["last"]) == (True, 1, "FF", None)
    again = ida.get("/api/grid").json()
    assert (again["page_id"], shown(again)) == (page["page_id"], shown(page))
    assert set(planned["second"]) <= set(shown(browser("anna").get("/api/grid?planned=true").json()))
    assert (
        "8 pistes, 80 images" in ida.get("/api/grid", headers={"Cookie": f"{_cookies(ida)}; lang=fr"}).json()["reason"]
    )
    third = browser("rita").get("/api/grid?planned=true").json()
    assert (third["tracks"], third["planned"]) == ([], True), (
        "nobody is given a page that pays less than single questions"
    )


def _cookies(browser: Browser) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_the_hidden_ones_look_like_the_individual(home: Home, browser: Browsers, planned: Any) -> None:
    """A stranger among look-alikes is found without looking: the check would pass whoever does not look."""
    page = browser("ida").get("/api/grid?planned=true").json()
    assert set(plants(home, page)) == {LOOK_ALIKE, track(1, 2)}


def test_an_answer_names_what_stays_and_denies_what_was_taken_out(home: Home, browser: Browsers, planned: Any) -> None:
    """What was taken out and forgotten is shown again: 113 minutes where 71 do."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()
    out = planned["first"][:2]
    body = said(page, [*out, *plants(home, page)])
    result = sent(ida, body)
    assert (result["status"], result["named"], result["taken_out"], result["missed"]) == ("stored", 6, 2, [])
    named, denied = events(home, "identify"), events(home, "not_individual")
    assert [row.track_id for row in named] == planned["first"][2:]
    assert [row.track_id for row in denied] == out
    assert {row.propensity for row in named + denied} == {1.0}
    assert sum(row.seconds for row in named + denied) == pytest.approx(20.0, rel=1e-6)
    row = rows_of(home, t.grid_page)[0]
    assert (row.state, row.seconds, row.n_taken_out, row.n_missed) == ("answered", 20.0, 2, 0)
    members = [one for one in rows_of(home, t.grid_member) if one.page_id == row.page_id]
    assert [one.track_id for one in members if one.taken_out] == out
    # The acknowledgement was lost: the device sends it again.
    assert sent(ida, body)["status"] == "duplicate"
    assert len(events(home, "identify", "not_individual")) == 8
    with home.database.read() as conn:
        said_of = {row.track_id: row.state for row in conn.execute(sa.select(t.track_evidence))}
    assert said_of == dict.fromkeys(out, "denied")


def test_undo_takes_back_all_of_a_page_also_after_a_reload(home: Home, browser: Browsers, planned: Any) -> None:
    """Half of a page that stays named is wrong names that nobody knows of."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()
    body = said(page, [planned["first"][0], *plants(home, page)])
    sent(ida, body)
    last = ida.get("/api/grid?planned=true").json()["last"]
    assert (last["page_id"], last["answer_id"], last["named"]) == (page["page_id"], body["annotation_id"], 7)
    back = {"annotation_id": str(uuid.uuid4()), "page_id": last["page_id"], "answer_id": last["answer_id"]}
    assert sent(ida, back, "/api/grid/undo")["status"] == "stored"
    assert sent(ida, back, "/api/grid/undo")["status"] == "duplicate"
    assert sent(ida, body)["status"] == "duplicate", "an answer that comes again after all must not come back"
    with home.database.read() as conn:
        standing = set(conn.scalars(sa.select(t.standing_answer.c.track_id)))
        denied = conn.scalars(sa.select(t.track_evidence.c.track_id).where(t.track_evidence.c.state == "denied")).all()
    assert (standing & set(planned["first"]), denied) == (set(), [])
    again = ida.get("/api/grid?planned=true").json()
    assert again["page_id"] != page["page_id"], "the page that she has seen last stays hers"
    with home.database.read() as conn:
        first = conn.execute(sa.select(t.grid_page).where(t.grid_page.c.shown_id == page["page_id"])).one()
    assert (first.state, first.n_taken_out, first.answer_id) == ("leased", None, None)
    assert sent(ida, said(page, plants(home, page)))["named"] == 8


def test_a_missed_look_alike_stores_the_miss_and_no_name(home: Home, browser: Browsers, planned: Any) -> None:
    """Who confirms without looking must not name two dozen tracks, and her seconds were spent all the same."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()
    hidden = plants(home, page)
    body = said(page, hidden[:1], seconds=4.0)
    assert sent(ida, body)["missed"] == hidden[1:]
    assert sent(ida, said(page, hidden))["missed"] == hidden[1:], "who was told may not try again"
    assert events(home, "identify", "not_individual") == []
    row = rows_of(home, t.grid_page)[0]
    assert (row.state, row.seconds, row.n_missed, row.answer_id) == ("answered", 4.0, 1, None)
    assert ida.get("/api/grid?planned=true").json()["last"] is None
    with home.database.read() as conn:
        assert seconds_spent(conn) == pytest.approx(3.0 + 4.0)


def test_nothing_is_stored_of_an_answer_that_ends_in_the_middle(
    home: Home, browser: Browsers, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of a page named and the rest not, and the person sees the same page again."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()

    def killed(*rest: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    body = said(page, plants(home, page))
    whole = PageAnswer(body["annotation_id"], page["page_id"], frozenset(body["marked"]))
    with monkeypatch.context() as patch:
        patch.setattr(page_answers, "_change", killed)
        with pytest.raises(KeyboardInterrupt):
            home.database.transact(
                lambda conn: page_answers.answer_page(conn, _user(conn, "ida"), "ida", whole, [], datetime.now(UTC))
            )
    assert events(home, "identify", "not_individual") == []
    assert rows_of(home, t.grid_page)[0].state == "leased"
    assert sent(ida, body)["named"] == 8


def test_a_page_of_somebody_else_is_refused_with_a_reason(home: Home, browser: Browsers, planned: Any) -> None:
    """An answer that the server will never take must not wait in the outbox for ever."""
    page = browser("ida").get("/api/grid?planned=true").json()
    result = sent(browser("anna"), said(page, []))
    assert (result["status"], result["reason"]) == ("rejected", "this page was not given to you")
    assert browser("anna").post("/api/grid", json={**said(page, []), "user": "ida"}).json()["code"] == "other_user"


def test_a_late_answer_is_stored_though_somebody_else_has_the_page(home: Home, browser: Browsers, planned: Any) -> None:
    """Three days in the field must not be lost because the lease of a page is a quarter of an hour."""
    ida = browser("ida")
    page = ida.get("/api/grid?planned=true").json()
    long_ago = datetime.now(UTC) - timedelta(days=3)
    with home.database.write() as conn:
        conn.execute(sa.update(t.grid_page).where(t.grid_page.c.state == "leased").values(leased_until=long_ago))
    record_events(home.database, [event("identify", planned["first"][0], "FD")])
    other = browser("anna").get("/api/grid?planned=true").json()
    assert set(planned["first"][1:]) <= set(shown(other)), "without the one that was named meanwhile"
    assert planned["first"][0] not in shown(other)
    assert sent(ida, said(page, plants(home, page)))["named"] == 8
    assert sent(browser("anna"), said(other, plants(home, other)))["named"] == 7
    plan(home.database, [track(2)], head_model_id=HEAD)
    states = Counter(row.state for row in rows_of(home, t.grid_page))
    assert states == {"answered": 2, "withdrawn": 1}, "a newer plan withdraws what nobody has"


def test_an_individual_is_asked_for_on_demand_by_frames_and_chance(home: Home, browser: Browsers, planned: Any) -> None:
    """Surest first confirms what the machine carries for nothing; a wrong name is no better for being asked for."""
    db = home.database
    with db.write() as conn:
        for video_id in range(40, 50):
            add_video(conn, video_id, 1, video_id)
    for video_id in range(40, 50):
        predict(db, track(video_id), {"GM": 0.5 if video_id == 49 else 0.95 - (video_id - 40) / 100})
    page = browser("ida").get("/api/grid?anim_id=gm").json()
    with db.read() as conn:
        page_id = conn.scalar(sa.select(t.grid_page.c.page_id).where(t.grid_page.c.shown_id == page["page_id"]))
    members = [row for row in rows_of(home, t.grid_member) if row.page_id == page_id]
    assert track(49) not in {row.track_id for row in members}, "below the chance from which a page pays"
    by_place = [row.track_id for row in sorted(members, key=lambda row: row.position)]
    worth = {track(video_id): video_id * (0.95 - (video_id - 40) / 100) for video_id in range(40, 49)}
    assert by_place == [i for i in sorted(worth, key=lambda i: -worth[i]) if i in by_place]
    assert page["planned"] is False
    assert page["reason"].endswith("the model says Gremlin (GM).")
    plan(db, [track(2)], head_model_id=HEAD)
    assert browser("ida").get("/api/grid?anim_id=gm").json()["page_id"] == page["page_id"], "she still has it"


def test_the_seconds_of_a_session_add_up_to_the_wall(home: Home, browser: Browsers, planned: Any) -> None:
    """A forecast in minutes is worth what its minutes are worth: a second that is lost or counted twice is a lie."""
    ida = browser("ida")
    wall = 0.0
    for n in range(12):
        took = 2.0 + n % 4 * 0.37
        wall += took
        one = event("identify", track(1 + n % 2, n % 3), "FF", seconds=took)
        body = {"annotation_id": one.annotation_id, "kind": "identify", "track_id": one.track_id, "anim_id": "FF"}
        ida.post("/api/events", json={"events": [{**body, "seconds": took}]})
    for took, miss in ((23.7, False), (6.1, True)):
        page = ida.get("/api/grid?planned=true").json()
        own = [i for i in shown(page) if i not in plants(home, page)]
        sent(ida, said(page, own[:3] if miss else [*own[:3], *plants(home, page)], seconds=took))
        wall += took
    with home.database.read() as conn:
        spent = seconds_spent(conn, t.annotation.c.annotator_id != _user(conn, "anna"))
        again = seconds_spent(conn, t.annotation.c.annotator_id != _user(conn, "anna"), watermark_seq=10_000)
    assert spent == pytest.approx(wall, rel=0.02)
    assert again < spent, "a watermark that is no event's has no pages before it"


def _user(conn: sa.Connection, name: str) -> int:
    return int(conn.scalar(sa.select(t.app_user.c.user_id).where(t.app_user.c.name == name)) or 0)
