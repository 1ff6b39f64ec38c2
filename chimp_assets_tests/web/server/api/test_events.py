"""Decisions over HTTP: none lost, none twice, whatever the link, the clock, the database and the server do."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import BusyDatabaseError, Database
from chimp_assets.home import Home
from chimp_assets_tests.database.world import plan, track
from chimp_assets_tests.web.server.conftest import PASSWORD, Browser

Browsers = Callable[..., Browser]


def decision(kind: str = "identify", **more: Any) -> dict[str, Any]:
    """A decision as a browser sends it."""
    facts: dict[str, Any] = {"annotation_id": str(uuid.uuid4()), "kind": kind, "track_id": track(1)}
    if kind == "identify":
        facts["anim_id"] = "FF"
    return facts | more


def send(browser: Any, *decisions: dict[str, Any]) -> list[dict[str, Any]]:
    answer = browser.post("/api/events", json={"events": list(decisions)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def stored(home: Home) -> list[Any]:
    with home.database.read() as conn:
        return list(conn.execute(sa.select(t.annotation).order_by(t.annotation.c.seq)))


def test_what_was_shown_is_stored_with_the_answer(home: Home, browser: Browsers) -> None:
    """Without it nobody can tell later whether a suggestion was believed or a face was known."""
    shown = {"mode": "single", "model_id": 2, "candidates": [["FF", 0.7]], "input": "key", "ui": "1", "schema": 1}
    sent = decision(shown=shown, seconds=2.5, note="ünï 🐵", client_time="2026-11-23T10:00:00+02:00")
    assert send(browser("anna"), sent)[0] == {
        "annotation_id": sent["annotation_id"], "status": "stored", "seq": 1, "reason": None, "field": None,
        "head": None,
    }  # fmt: skip
    row = stored(home)[0]
    assert (row.annotator_id, row.seconds, row.note) == (1 + 1, 2.5, "ünï 🐵")
    assert row.shown == '{"mode":"single","model_id":2,"candidates":[["FF",0.7]],"input":"key","ui":"1","schema":1}'
    assert row.client_time == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_an_answer_is_the_one_of_who_is_signed_in(home: Home, browser: Browsers) -> None:
    """On a shared tablet the outbox of one person must not go out in the name of the next."""
    vito = browser("vito")
    refused = vito.post("/api/events", json={"user": "vera", "events": [decision("skip")]})
    assert (refused.status_code, refused.json()["code"]) == (409, "other_user")
    assert vito.post("/api/events", json={"events": [decision("skip", annotator="anna")]}).status_code == 422
    assert stored(home) == []


def test_a_bad_decision_does_not_keep_the_others_of_its_batch_out(home: Home, browser: Browsers) -> None:
    """One typing error must not hold a day of work back."""
    good, reused = decision(), decision("skip")
    results = send(
        browser("anna"), decision(anim_id="NOBODY"), good, decision(track_id=77), good, reused,
        {**reused, "kind": "unknown"}, {**good, "annotation_id": "no uuid"},
    )  # fmt: skip
    assert [(r["status"], r["field"]) for r in results] == [
        ("rejected", "anim_id"), ("stored", None), ("rejected", "track_id"), ("duplicate", None), ("stored", None),
        ("rejected", "annotation_id"), ("rejected", "annotation_id"),
    ]  # fmt: skip
    assert "id_reused" in results[5]["reason"]
    assert len(stored(home)) == 2


def test_a_late_answer_is_stored(home: Home, browser: Browsers) -> None:
    """Three days in the forest: the lease has run out, somebody else has answered, a new plan was made."""
    db = home.database
    plan(db, [track(1)])
    anna = browser("anna")
    item = anna.post("/api/queue/claim", json={"n": 1}).json()["items"][0]
    with db.write() as conn:
        conn.execute(sa.update(t.acquisition_queue).values(leased_until=datetime.now(UTC) - timedelta(days=3)))
    rita = browser("rita")
    assert rita.post("/api/queue/claim", json={"n": 1}).json()["items"][0]["item_id"] == item["item_id"]
    assert send(rita, decision(item_id=item["item_id"], anim_id="GM"))[0]["status"] == "stored"
    plan(db, [track(2)])
    assert send(anna, decision(item_id=item["item_id"]))[0]["status"] == "stored"
    assert [row.item_id for row in stored(home)] == [item["item_id"]] * 2
    assert browser("anna").get("/api/labels/mine").json()["labels"][0]["state"] == "stands", "an expert's answer wins"
    assert rita.get("/api/labels/mine").json()["labels"][0]["state"] == "overruled"


def test_two_people_on_one_track_are_two_opinions_unless_one_edits_what_he_saw(home: Home, browser: Browsers) -> None:
    """Agreement is data; but who mends a box that was mended meanwhile must be told."""
    anna, rita = browser("anna"), browser("rita")
    assert [send(b, decision(anim_id=a))[0]["status"] for b, a in ((anna, "FF"), (rita, "GM"))] == ["stored"] * 2
    standing = stored(home)[0].annotation_id
    late = send(rita, decision(anim_id="FI", base_event_id=stored(home)[1].annotation_id))[0]
    assert (late["status"], late["head"]["annotation_id"], late["head"]["annotator"]) == ("conflict", standing, "anna")
    assert late["head"]["anim_id"] == "FF"
    assert send(rita, decision(anim_id="FI", base_event_id=standing))[0]["status"] == "stored"
    assert len(stored(home)) == 4, "a competing opinion is kept"

    box = {"video_id": 1, "frame_no": 3, "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}
    first = decision("box", **box)
    assert send(anna, first)[0]["status"] == "stored"
    second = decision("box", **box | {"x": 0.2}, base_event_id=first["annotation_id"])
    third = decision("box", **box | {"x": 0.3}, base_event_id=second["annotation_id"])
    assert [r["status"] for r in send(rita, second, third)] == ["stored", "stored"], "she saw her own"
    lost = decision("box", **box | {"x": 0.4}, base_event_id=first["annotation_id"])
    conflict = send(anna, lost)[0]
    assert (conflict["status"], conflict["head"]["annotation_id"]) == ("conflict", third["annotation_id"])
    assert conflict["head"]["x"] == pytest.approx(0.3)
    assert send(anna, lost)[0]["status"] == "duplicate", "sent again it is the same answer, not a new conflict"
    elsewhere = decision("box", **box | {"frame_no": 4}, base_event_id=first["annotation_id"])
    assert send(anna, elsewhere)[0]["status"] == "stored"


@pytest.mark.parametrize("skew", [timedelta(days=-4000), timedelta(hours=-1), timedelta(days=4000)])
def test_a_wrong_clock_changes_nothing_but_what_it_says(home: Home, browser: Browsers, skew: timedelta) -> None:
    """Tablets at stations start in 1970 after every flat battery: order and leases must not hang on them."""
    told = datetime.now(UTC) + skew
    anna = browser("anna")
    first = decision(client_time=told.isoformat())
    second = decision(anim_id="GM", client_time=(told - timedelta(hours=2)).isoformat())
    send(anna, first, second)
    rows = stored(home)
    assert [row.annotation_id for row in rows] == [first["annotation_id"], second["annotation_id"]]
    assert abs(rows[0].client_time - told) < timedelta(seconds=1)
    assert all(abs(row.server_time - datetime.now(UTC)) < timedelta(minutes=1) for row in rows)
    assert [label["state"] for label in anna.get("/api/labels/mine").json()["labels"]] == ["stands", "overruled"]


def test_undone_labels_say_so(home: Home, browser: Browsers) -> None:
    """The strip of the last decisions is read from here after a reload."""
    anna = browser("anna")
    first = decision()
    send(anna, first, decision("retract", supersedes=first["annotation_id"], track_id=None))
    labels = anna.get("/api/labels/mine?limit=5").json()["labels"]
    assert [(label["kind"], label["state"], label["anim_id"]) for label in labels] == [
        ("retract", "stands", None), ("identify", "retracted", "FF"),
    ]  # fmt: skip


class Link:
    """A bad one: what is sent may be lost on the way out, answered into nothing, doubled, or arrive late."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.delayed: list[list[dict[str, Any]]] = []

    def send(self, batch: list[dict[str, Any]], fate: str) -> list[dict[str, Any]]:
        """Results, or [] where no answer comes back."""
        if fate == "lost":
            return []
        if fate == "late":
            self.delayed.append(batch)
            return []
        results = send(self.browser, *batch)
        if fate == "doubled":
            results = send(self.browser, *batch)
        if fate == "overtaken" and self.delayed:
            send(self.browser, *self.delayed.pop(0))
        return [] if fate == "unanswered" else results


FATES = st.sampled_from(["fine", "lost", "unanswered", "doubled", "late", "overtaken"])


def test_a_thousand_doubled_lost_and_reordered_decisions_are_each_stored_once(home: Home, browser: Browsers) -> None:
    """Zooniverse lost and doubled thousands in ways like these (front-end-monorepo #4725, Panoptes-Front-End #7258)."""
    anna = browser("anna")
    all_sent: set[str] = set()

    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(FATES, st.integers(1, 40)), min_size=5, max_size=30))
    def send_hundred(plan_of_link: list[tuple[str, int]]) -> None:
        link = Link(anna)
        outbox = [decision(track_id=track(1 + n % 2, n % 3), anim_id=("FF", "GM", "FI")[n % 3]) for n in range(100)]
        mine = {one["annotation_id"] for one in outbox}
        all_sent.update(mine)
        fates = iter(plan_of_link)
        while outbox:
            fate, size = next(fates, ("fine", 200))
            done = {r["annotation_id"] for r in link.send(outbox[:size], fate) if r["status"] != "rejected"}
            outbox = [one for one in outbox if one["annotation_id"] not in done]
        for batch in link.delayed:
            assert {r["status"] for r in send(anna, *batch)} == {"duplicate"}
        rows = stored(home)
        assert mine <= {row.annotation_id for row in rows}
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))

    send_hundred()
    rows = stored(home)
    assert {row.annotation_id for row in rows} == all_sent
    assert len(rows) == len(all_sent) >= 1_000


def test_a_database_that_is_held_is_waited_for_and_then_told_and_nothing_is_lost(
    home: Home, make_app: Callable[..., Any]
) -> None:
    """A backup or a bulk write may hold it for seconds: the page must hear "again", not "failed" and not nothing."""
    app = make_app(database_wait_s=0.3)
    anna = Browser(app).sign_in("anna")
    sent = decision()
    free = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with Database(home.database.url).write():
            held.set()
            free.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    answers = [
        anna.post("/api/events", json={"events": [sent]}),
        anna.post("/api/queue/claim", json={"n": 1}),
        Browser(app).post("/api/sign-in", json={"name": "vera", "password": PASSWORD}),
    ]
    reads = [anna.get("/api/individuals"), anna.get("/api/me"), anna.get("/healthz")]
    free.set()
    holder.join()
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert [answer.status_code for answer in reads] == [200, 200, 200], "who only reads does not wait for a writer"
    assert send(anna, sent)[0]["status"] == "stored"
    assert len(stored(home)) == 1


def test_a_session_is_good_while_its_use_cannot_be_written(home: Home, make_app: Callable[..., Any]) -> None:
    """Noting when a session was last used is no reason to refuse what its owner wants."""
    app = make_app(database_wait_s=0.2)
    anna = Browser(app).sign_in("anna")
    with home.database.write() as conn:
        conn.execute(sa.update(t.user_session).values(last_seen_at=datetime.now(UTC) - timedelta(hours=1)))
    with Database(home.database.url).write():
        assert anna.get("/api/me").status_code == 200
    assert anna.get("/api/me").status_code == 200
    with home.database.read() as conn:
        seen = conn.scalar(sa.select(t.user_session.c.last_seen_at))
    assert datetime.now(UTC) - seen < timedelta(minutes=1)


def test_all_connections_taken_is_busy_and_not_broken(home: Home) -> None:
    """When sixty people wait for one writer, the next must hear "again"."""
    db = Database(home.database.url, wait_s=0.1)
    taken = [db.engine.connect() for _ in range(64)]
    with pytest.raises(BusyDatabaseError, match="All connections"), db.read():
        pass
    for connection in taken:
        connection.close()
    db.dispose()


def test_a_server_that_is_killed_in_mid_session_loses_nothing(home: Home) -> None:
    """The station's power fails between two key presses: after the restart everybody goes on, still signed in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    plan(home.database, [track(1), track(2)])
    # One for all questions: each client reads all certificates anew, which would take the server's time to start.
    client = httpx2.Client(base_url=address, headers={"Origin": address}, timeout=10)

    def start() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [sys.executable, "-m", "chimp_assets.web.serve", str(port)],
            env={**os.environ, "CHIMP_HOME": str(home.settings.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2400):
            try:
                if client.get("/healthz").status_code == 200:
                    return server
            except httpx2.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    outbox = [decision(track_id=track(1 + n % 2, n % 3)) for n in range(60)]
    acknowledged: set[str] = set()
    server = start()
    try:
        signed_in = client.post("/api/sign-in", json={"name": "anna", "password": PASSWORD})
        assert signed_in.status_code == 200, signed_in.text
        items = client.post("/api/queue/claim", json={"n": 2}).json()["items"]
        kill = threading.Timer(0.15, lambda: os.kill(server.pid, signal.SIGKILL))
        kill.start()

        def send_on() -> None:
            for place in itertools.count():
                acknowledged.update(r["annotation_id"] for r in send(client, outbox[place % 50]))

        with pytest.raises(httpx2.TransportError):
            send_on()
        kill.join()
        server.wait(timeout=10)
        server = start()
        assert client.get("/api/me").json()["name"] == "anna"
        again = client.post("/api/queue/claim", json={"n": 2}).json()["items"]
        assert [item["item_id"] for item in again if item in items] == [i["item_id"] for i in again if i in items]
        statuses = [r["status"] for r in send(client, *outbox)]
        assert set(statuses) <= {"stored", "duplicate"}
        assert statuses.count("duplicate") >= len(acknowledged)
    finally:
        server.terminate()
        server.wait(timeout=15)
        client.close()
    rows = stored(home)
    assert {row.annotation_id for row in rows} == {one["annotation_id"] for one in outbox}
    assert [row.seq for row in rows] == list(range(1, 61))
