"""Questions over HTTP: who gets which, what comes with them, and how many statements that takes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.schema import MEASURING_LANES, PROMISE
from chimp_assets.home import Home
from chimp_assets.web.labelling.items import is_blind
from chimp_assets_tests.database.world import HEAD, START, add_video, event, plan, predict, track
from chimp_assets_tests.web.server.conftest import Browser

Browsers = Callable[..., Browser]


def claim(browser: Browser, n: int, **more: Any) -> list[dict[str, Any]]:
    answer = browser.post("/api/queue/claim", json={"n": n, **more})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


@contextmanager
def counted(db: Any) -> Iterator[list[str]]:
    """Every statement that goes to a database while the block runs."""
    said: list[str] = []

    def listen(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", listen)
    yield said
    sa.event.remove(db.engine, "before_cursor_execute", listen)


def test_an_item_says_what_the_page_needs(home: Home, browser: Browsers) -> None:
    """What is missing here is missing on the screen of who names the animals."""
    db = home.database
    plan(db, [track(1), track(2)], head_model_id=HEAD)
    predict(db, track(1), {"FF": 0.7, "GM": 0.2})
    record_events(db, [event("identify", track(1, 1), "FF")])
    answer = browser("anna").post("/api/queue/claim", json={"n": 5}).json()
    first, second = answer["items"]
    assert (answer["waiting"], answer["held"]) == (0, [])
    assert first["video"] == {
        "video_id": 1, "file": "1.mp4", "site": "a", "camera": "cam1", "recorded_at": "2013-05-06T07:00:00.000Z",
        "recorded_at_source": "container",
    }  # fmt: skip
    assert first["track"] == {
        "first_s": 0.0, "last_s": 1.8, "n_detections": 10, "first_frame_no": 0, "last_frame_no": 9,
    }  # fmt: skip
    assert [(c["rank"], c["anim_id"], c["in_frame"]) for c in first["candidates"]] == [
        (1, "FF", track(1, 1)), (2, "GM", None),
    ], "Fifi is in the picture already"  # fmt: skip
    assert first["media_missing"] is True
    assert (first["clip"], first["frame"], first["crops"], first["other"]) == (None, None, [], None)
    assert first["model"]["head_id"] == HEAD
    assert second["candidates"] == []
    until = datetime.fromisoformat(first["lease_until"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < until < timedelta(minutes=15)


def test_who_is_denied_is_no_suggestion_from_that_moment_on(home: Home, browser: Browsers) -> None:
    """An expert must not take a name away twice, and should know that others said so; who is blind learns nothing."""
    db = home.database
    plan(db, [track(1), track(2)], head_model_id=HEAD)
    predict(db, track(1), {"FF": 0.7, "GM": 0.2, "FI": 0.1})
    told = [event("not_individual", track(1), "FF", annotator=who) for who in ("vera", "vito")]
    record_events(db, [*told, event("not_individual", track(1), "GM", annotator="vera")])
    first, second = claim(browser("anna"), 5)
    assert [(c["rank"], c["anim_id"]) for c in first["candidates"]] == [(1, "GM"), (2, "FI")]
    assert first["evidence"] == [{"state": "denied", "anim_id": "FF", "name": "Fifi", "people": 2}]
    assert "evidence" not in second
    with db.write() as conn:
        conn.execute(sa.update(t.acquisition_queue).values(lane="audit"))
    assert ["evidence" in one for one in claim(browser("anna"), 5)] == [False, False]


def test_a_claim_takes_as_many_statements_for_many_items_as_for_few(
    home: Home, app: FastAPI, browser: Browsers
) -> None:
    """A statement for each item makes a claim of 500 wait for a second on a server, and for ever on a slow one."""
    db = home.database
    with db.write() as conn:
        for video_id in range(3, 60):
            add_video(conn, video_id, 3, 10)
    tracks = [track(video_id, ordinal) for video_id in range(1, 60) for ordinal in range(3)]
    plan(db, tracks, head_model_id=HEAD)
    for track_id in tracks[:20]:
        predict(db, track_id, {"FF": 0.6, "GM": 0.3, "FI": 0.1})
    record_events(db, [event("identify", tracks[170], "FF")])
    anna = browser("anna")
    numbers = []
    for n in (2, 150):
        with counted(app.state.db) as said:
            assert len(claim(anna, n)) == n
        numbers.append(len([s for s in said if not s.startswith(("PRAGMA", "BEGIN", "COMMIT"))]))
    # The one more renews the leases of the first claim.
    assert numbers[1] <= numbers[0] + 1
    assert numbers[0] <= 16


def test_blind_items_hide_their_suggestions_for_everybody_and_ever(home: Home, make_app: Any) -> None:
    """Whether suggestions sway people is only seen where there are none, and a reload must not show them."""
    db = home.database
    plan(db, [track(1)], head_model_id=HEAD)
    predict(db, track(1), {"FF": 0.7})
    for share, blind in ((0.0, False), (1.0, True)):
        app = make_app(blind_share=share)
        for _ in range(2):
            item = claim(Browser(app).sign_in("anna"), 1)[0]
            assert item["blind"] is blind
            assert bool(item["candidates"]) is not blind
            assert (item["model"] is None) is blind
    drawn = sum(is_blind(item_id, 0.05) for item_id in range(20_000))
    assert 900 < drawn < 1100, "one in twenty, spread over all numbers"


@pytest.mark.parametrize("lane", [*MEASURING_LANES, PROMISE, "frames"])
def test_whoever_measures_the_model_is_not_told_what_it_thinks(home: Home, make_app: Any, lane: str) -> None:
    """People agree with what they are shown: an audit with names beside it finds the model better than it is."""
    plan(home.database, [track(1)], lane, head_model_id=HEAD)
    predict(home.database, track(1), {"FF": 0.7})
    (item,) = claim(Browser(make_app(blind_share=0.0)).sign_in("anna"), 1)
    blind = lane != "frames"
    assert (item["blind"], bool(item["candidates"]), item["model"] is None) == (blind, not blind, blind)


def test_a_repeat_looks_like_any_other_item(home: Home, browser: Browsers) -> None:
    """Who knows that he answered this before answers from memory, and agrees with himself."""
    db = home.database
    record_events(db, [event("identify", track(1), "FF")])
    plan(db, [track(1)], "repeat", reasons=["asked before"])
    item = claim(browser("anna"), 1)[0]
    assert "repeat" not in str(item)
    assert "before" not in str(item)
    assert (item["blind"], item["base_event_id"], item["candidates"]) == (True, None, [])


@pytest.mark.parametrize("lane", ["frames", "boundary"])
def test_a_repeat_is_shown_as_of_a_lane_that_its_plan_has(home: Home, browser: Browsers, lane: str) -> None:
    """A lane that no other question is of gives every repeat away."""
    record_events(home.database, [event("identify", track(1), "FF")])
    plan(home.database, [track(1), track(2)], lanes=["repeat", lane])
    assert [item["lane"] for item in claim(browser("anna"), 2)] == [lane, lane]


def test_items_that_are_held_say_by_whom(home: Home, browser: Browsers) -> None:
    """ "No more tracks" while somebody holds twelve of them sends people home."""
    db = home.database
    plan(db, [track(1), track(2)])
    assert len(claim(browser("anna"), 2)) == 2
    answer = browser("rita").post("/api/queue/claim", json={"n": 1}).json()
    assert answer["items"] == []
    assert [(held["by"], held["n"]) for held in answer["held"]] == [("anna", 2)]
    assert answer["held"][0]["until"] > answer["server_time"]


def test_items_taken_to_the_field_stay_theirs_for_days(home: Home, browser: Browsers) -> None:
    """Who walks three days without a link must not come back to a queue that others have answered."""
    plan(home.database, [track(1)])
    item = claim(browser("anna"), 1, offline=True)[0]
    until = datetime.fromisoformat(item["lease_until"]) - datetime.now(UTC)
    assert timedelta(hours=71) < until < timedelta(hours=73)


def test_a_volunteer_is_given_pairs_and_no_names(home: Home, browser: Browsers) -> None:
    """Names need training; same or different needs eyes."""
    db = home.database
    plan(db, [track(1), track(2)], lanes=["boundary", "pairs"], other_track_ids=[None, track(1, 1)])
    assert claim(browser("vera"), 5) == []
    pair = claim(browser("vera"), 5, pairs=True)
    assert [(item["track_id"], item["other"]["track_id"]) for item in pair] == [(track(2), track(1, 1))]
    assert [item["track_id"] for item in claim(browser("ida"), 5)] == [track(1)]
    assert claim(browser("ida"), 5, lanes=["disputed"]) == []


def test_texts_are_compressed_and_pictures_are_not(home: Home, browser: Browsers) -> None:
    """A claim for the field takes twelve seconds of a slow link, and one if it is compressed."""
    from chimp_assets.database.individuals.biographies import upsert_individuals

    upsert_individuals(home.database, [{"anim_id": f"X{n:03d}"} for n in range(300)])
    anna = browser("anna")
    answer = anna.get("/api/individuals", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers["content-length"]) < len(answer.content) / 5
    assert anna.get("/static/x/sign_in.js").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in anna.get("/media/" + "0" * 64 + ".jpg").headers


def test_gold_is_never_asked_of_who_may_correct_nor_alone(home: Home, make_app: Any) -> None:
    """An expert who is asked what an expert said loses a minute; gold alone would show itself. More: test_gold."""
    db = home.database
    tracks = [track(2, 0), track(2, 1), track(2, 2)]
    plan(db, tracks)
    record_events(db, [event("identify", track(1, ordinal), "FF") for ordinal in range(3)])
    app = make_app(gold_first_share=0.99)
    anna, ida = Browser(app).sign_in("anna"), Browser(app).sign_in("ida")
    assert [item["track_id"] for item in claim(anna, 3)] == tracks
    assert claim(ida, 3) == [], "gold alone would show itself"
    anna.post("/api/queue/release", json={})
    assert len({item["track_id"] for item in claim(ida, 3)} - set(tracks)) == 2
    assert all(item["base_event_id"] is None for item in claim(ida, 3)), "that it was answered before would show it"


def wire(e: Any) -> dict[str, Any]:
    """An event as a browser sends it."""
    return {k: v for k, v in vars(e).items() if v is not None and k not in ("annotator",)}


def test_a_page_of_many_has_wrong_tracks_that_only_the_server_knows(home: Home, browser: Browsers) -> None:
    """Who confirms 24 faces with one key must have looked at them."""
    db = home.database
    with db.write() as conn:
        for video_id in range(3, 40):
            add_video(conn, video_id, 1, 10)
    for video_id in range(3, 40):
        predict(db, track(video_id), {"FF": 0.5 + video_id / 100})
    record_events(db, [event("identify", track(1, ordinal), "GM") for ordinal in range(3)])
    ida = browser("ida")
    page = ida.get("/api/grid?anim_id=ff").json()
    shown = [item["track_id"] for item in page["tracks"]]
    wrong = {track(1, ordinal) for ordinal in range(3)}
    assert len(shown) == 24
    assert len(wrong & set(shown)) == 2
    assert len({tuple(sorted(item)) for item in page["tracks"]}) == 1, "a planted track must not look different"
    planted = sorted(wrong & set(shown))
    assert ida.post("/api/grid/check", json={"page_id": page["page_id"], "marked": [planted[0]]}).json() == {
        "passed": False, "plants": planted, "missed": [planted[1]],
    }  # fmt: skip
    again = ida.post("/api/grid/check", json={"page_id": page["page_id"], "marked": planted}).json()
    assert again["passed"] is False, "who was told may not try again"
    other = ida.get("/api/grid").json()
    found = sorted(wrong & {item["track_id"] for item in other["tracks"]})
    assert ida.post("/api/grid/check", json={"page_id": other["page_id"], "marked": found}).json()["passed"] is True
    page_id = other["page_id"]
    assert browser("rita").post("/api/grid/check", json={"page_id": page_id, "marked": []}).status_code == 404


def test_a_page_of_many_asks_nothing_that_the_audit_may_ask(home: Home, browser: Browsers) -> None:
    """A name that was suggested would spoil the only unbiased measurement there is."""
    from chimp_assets.database.labels.splits import audit_reserve_mask

    db = home.database
    with db.write() as conn:
        for video_id in range(3, 60):
            add_video(conn, video_id, 1, 10)
        conn.execute(
            sa.insert(t.split_assignment).values(
                [
                    {"video_id": v, "day_key": f"{v}", "split": "test" if v % 2 else "train", "assigned_at": START}
                    for v in range(3, 60)
                ]
            )
        )  # fmt: skip
    for video_id in range(3, 60):
        predict(db, track(video_id), {"FF": 0.9})
    record_events(db, [event("identify", track(1), "GM"), event("identify", track(4), "FF")])
    shown = {item["track_id"] for item in browser("ida").get("/api/grid?anim_id=FF").json()["tracks"]} - {track(1)}
    acquisition = home.settings.acquisition
    reserved = audit_reserve_mask(sorted(shown), home.settings.seed, acquisition.audit_reserve)
    assert len(shown) > 5
    assert not any(reserved)
    assert not any((track_id // t.TRACKS_PER_VIDEO) % 2 for track_id in shown)
    assert track(4) not in shown


def test_boxes_begin_with_those_that_somebody_called_bad(home: Home, browser: Browsers) -> None:
    """A track with a bad box stays unnamed until somebody draws it."""
    record_events(home.database, [event("bad_box", track(1, 1))])
    vera = browser("vera")
    task = vera.get("/api/boxes/next").json()["task"]
    assert (task["reason"], task["track_id"], task["video"]["video_id"]) == ("bad_box", track(1, 1), 1)
    assert [len(frame["boxes"]) for frame in task["frames"]] == [3] * 10
    frame = task["frames"][4]
    drawn = wire(event("box", track(1, 1), video_id=1, frame_no=frame["frame_no"], x=0.1, y=0.1, w=0.5, h=0.5))
    assert vera.post("/api/events", json={"events": [drawn]}).json()["results"][0]["status"] == "stored"
    after = vera.get("/api/boxes/next").json()["task"]
    assert (after["reason"], after["track_id"], after["video"]["video_id"]) == ("undrawn", None, 2)
    assert vera.get("/api/boxes/next?skip_videos=2").json()["task"] is None


def test_the_names_are_all_there_in_one_answer_that_browsers_keep(home: Home, browser: Browsers) -> None:
    """Name search works offline on what this gives."""
    from chimp_assets.database.individuals.aliases import add_alias
    from chimp_assets.database.individuals.batch import Terms
    from chimp_assets.database.individuals.biographies import upsert_individuals

    db = home.database
    upsert_individuals(db, [{"anim_id": f"X{n:03d}", "name": f"Name {n}"} for n in range(300)])
    add_alias(db, "FF", "Flo's daughter", None, None, Terms())
    record_events(db, [event("identify", track(1), "FF")])
    anna = browser("anna")
    answer = anna.get("/api/individuals")
    people = {one["anim_id"]: one for one in answer.json()["individuals"]}
    assert len(people) == 304
    assert people["FF"] == {
        "anim_id": "FF", "name": "Fifi", "sex": "F", "aliases": ["Flo's daughter"], "provisional": False,
        "community": None, "references": [f"/media/track/{track(1)}.jpg?v=0-9-10"], "recent": 1,
    }  # fmt: skip
    etag = answer.headers["etag"]
    assert anna.get("/api/individuals", headers={"If-None-Match": etag}).status_code == 304
    upsert_individuals(db, [{"anim_id": "NEW"}])
    assert anna.get("/api/individuals", headers={"If-None-Match": etag}).status_code == 200
    assert len(answer.content) < 60_000


def test_sixteen_claimers_over_http_get_each_item_once(home: Home, browser: Browsers) -> None:
    """Two people on one track is an expert's minute thrown away; an error is an expert who waits."""
    db = home.database
    with db.write() as conn:
        for video_id in range(3, 35):
            add_video(conn, video_id, 10, 2)
    plan(db, [track(video_id, ordinal) for video_id in range(3, 35) for ordinal in range(10)])
    with db.write() as conn:
        role = sa.select(t.app_user.c.role, t.app_user.c.password_hash).where(t.app_user.c.name == "rita")
        rita = conn.execute(role).one()
        for n in range(16):
            conn.execute(
                sa.insert(t.app_user).values(
                    name=f"w{n}", role=rita.role, password_hash=rita.password_hash, created_at=datetime.now(UTC)
                )
            )
    browsers = [browser(f"w{n}") for n in range(16)]
    got: list[list[int]] = [[] for _ in browsers]
    faults: list[str] = []

    def work(place: int) -> None:
        while True:
            answer = browsers[place].post("/api/queue/claim", json={"n": 7, "exclude": got[place]})
            if answer.status_code != 200:
                faults.append(answer.text)
                return
            fresh = [item["item_id"] for item in answer.json()["items"]]
            if not fresh:
                return
            got[place] += fresh

    threads = [threading.Thread(target=work, args=(place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    counts = Counter(item_id for items in got for item_id in items)
    assert len(counts) == 320
    assert set(counts.values()) == {1}
