"""The labelling page on each database: everything that it asks of one, asked once, and read as SQL Server would."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.labels.references import choose_references
from chimp_assets.database.people.users import add_user
from chimp_assets.database.work.due import tracks_without_pictures
from chimp_assets.database.work.pages import PageOfMany
from chimp_assets.home import Home, init_home
from chimp_assets.settings import OidcSettings
from chimp_assets.vision.pictures.item_media import make_item_media, sizes
from chimp_assets.web.app import Options, create_app
from chimp_assets.web.auth import accounts, sessions
from chimp_assets.web.pages.oidc import user_of
from chimp_assets_tests.database.world import HEAD, add_video, event, make_world, plan, predict, track
from chimp_assets_tests.rules.test_t_sql import faults_in, spoken  # noqa: F401  a fixture
from chimp_assets_tests.web.server.conftest import _cheap_hashes  # noqa: F401  a fixture

ADDRESS = "http://127.0.0.1:3001"
PASSWORD = "a chimpanzee in the fig tree"


@pytest.fixture
def home(db: Database, tmp_path: Path) -> Iterator[Home]:
    """A world in this database, with pictures of two tracks."""
    root = init_home(tmp_path / "home").settings.home
    make_world(db)
    opened = Home.open(root, database_url=db.url, web={"gold_first_share": 0.9, "media_wait_s": 0.1})
    for name, role in (("ida", "identifier"), ("ada", "admin")):
        add_user(db, name, role)
    for name in ("anna", "ida", "vera", "ada"):
        accounts.set_password(db, name, PASSWORD)
    with db.write() as conn:
        for video_id in range(3, 9):
            add_video(conn, video_id, 2, 10)
            conn.execute(
                sa.insert(s.split_assignment).values(
                    video_id=video_id, day_key=str(video_id), split="train", assigned_at=sa.func.current_timestamp()
                )
            )
        conn.execute(sa.insert(s.community).values(community_id=1, comm_id="KK", name="Kasekela"))
        conn.execute(
            sa.insert(s.community_membership).values(individual_id=1, community_id=1, start_date=date(1960, 1, 1))
        )
    yield opened
    opened.database.dispose()


def test_everything_the_page_asks_is_answered_and_is_t_sql(home: Home, db: Database, spoken: Any) -> None:  # noqa: F811
    """A statement that one database alone understands stops the page on the others, at the expert's first click."""
    add_alias(db, "FF", "Flo's daughter", None, None, Terms())
    for video_id in range(3, 9):
        predict(db, track(video_id), {"FF": 0.8, "GM": 0.1})
    named = [event("identify", track(2, ordinal), "GM") for ordinal in range(3)]
    record_events(db, [*named, event("bad_box", track(1, 2))])
    plan(
        db, [track(3, 1), track(4, 1), track(1), track(5)], head_model_id=HEAD,
        lanes=["audit", "boundary", "pairs", "repeat"], other_track_ids=[None, None, track(1, 1), None],
        pages=[PageOfMany(1, [track(video), track(video + 1)], [0.8, 0.8], "r") for video in (3, 6)],
    )  # fmt: skip
    assert choose_references(db) == 1
    assert choose_references(db) == 0
    with db.read() as conn:
        wanted = tracks_without_pictures(conn)
    assert {track(3, 1), track(1, 1), track(2)} & set(wanted)
    make_item_media(db, home.store, wanted)  # there are no shards in this world
    _pretend_pictures(db, [track(2), track(3, 1)])
    with db.read() as conn:
        assert sizes(conn) == ([20, 20], [])

    app = create_app(home, Options(make_media=True))
    anna, ida, vera, ada = (_signed_in(app, name) for name in ("anna", "ida", "vera", "ada"))
    items = anna.post("/api/queue/claim", json={"n": 3}).json()["items"]
    assert {item["track_id"] for item in items} == {track(3, 1), track(4, 1), track(5)}
    assert next(item for item in items if item["track_id"] == track(3, 1))["crops"]
    assert vera.post("/api/queue/claim", json={"n": 1, "pairs": True}).json()["items"][0]["other"]
    assert anna.post("/api/queue/claim", json={"n": 1, "lanes": ["disputed"]}).json()["items"] == []
    assert anna.post("/api/queue/release", json={}).json() == {"released": 3}
    for _ in range(4):
        assert len(ida.post("/api/queue/claim", json={"n": 4}).json()["items"]) == 3
    with db.read() as conn:
        c = s.quality_check.c
        gold = {row.item_id: row.track_id for row in conn.execute(sa.select(c.item_id, c.track_id))}
    assert gold, "its statements would not be heard"
    answers = [_wire("identify", track_id=track_id, anim_id="GM", item_id=item) for item, track_id in gold.items()]
    box = {"video_id": 1, "frame_no": 2, "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}
    answers += [
        _wire("box", track_id=track(1, 2), base_event_id=str(uuid.uuid4()), **box),
        _wire("box", track_id=track(1, 2), base_event_id=str(uuid.uuid4()), **box | {"w": 0.3}),
        _wire("identify", track_id=track(2), anim_id="FF", base_event_id=str(uuid.uuid4())),
        _wire("identify", track_id=track(2, 1), anim_id="flo's daughter"),
        _wire("retract", supersedes=named[0].annotation_id),
    ]
    statuses = [r["status"] for r in ida.post("/api/events", json={"events": answers}).json()["results"]]
    assert statuses[-5:] == ["stored", "stored", "conflict", "stored", "rejected"]
    with db.read() as conn:
        passed = conn.execute(sa.select(s.quality_check.c.passed).where(s.quality_check.c.kind == "gold")).all()
    assert [bool(row.passed) for row in passed] == [True] * len(gold)

    assert len(anna.get("/api/individuals").json()["individuals"]) == 4
    assert anna.get("/api/individuals").json()["individuals"][1]["aliases"] == ["Flo's daughter"]
    assert len(ida.get("/api/labels/mine").json()["labels"]) == len(answers) - 1
    page = anna.get("/api/grid?anim_id=FF").json()
    assert len(page["tracks"]) >= 2
    assert anna.get("/api/grid").json()["anim_id"] == "FF"
    marked = {"page_id": page["page_id"], "marked": [item["track_id"] for item in page["tracks"]]}
    assert anna.post("/api/grid/check", json=marked).json()["passed"] is True
    page = anna.get("/api/grid?planned=true").json()
    given = {"page_id": page["page_id"], "marked": [item["track_id"] for item in page["tracks"]], "seconds": 2.0}
    answer = {**given, "annotation_id": str(uuid.uuid4())}
    (done,) = anna.post("/api/grid", json=answer).json()["results"]
    assert (done["status"], done["taken_out"], done["missed"]) == ("stored", 2, [])
    assert anna.get("/api/grid?planned=true").json()["last"]["answer_id"] == answer["annotation_id"]
    back = {"annotation_id": str(uuid.uuid4()), "page_id": page["page_id"], "answer_id": answer["annotation_id"]}
    assert anna.post("/api/grid/undo", json=back).json()["results"][0]["status"] == "stored"
    (done,) = anna.post("/api/grid", json={**answer, "annotation_id": str(uuid.uuid4())}).json()["results"]
    assert done["status"] == "stored"
    assert anna.get("/api/grid?anim_id=FF").json()["planned"] is False
    assert anna.get("/api/boxes/next").json()["task"]["reason"] == "undrawn"
    assert anna.get(f"/api/boxes/next?exclude={track(1, 2)}&skip_videos=2").json()["task"]
    assert anna.get("/media/" + "0" * 64 + ".jpg").status_code == 404
    assert anna.get("/media/frame/1/1.jpg").status_code == 404
    assert ada.get("/metrics").status_code == 200
    assert anna.get("/api/sessions").json()["sessions"][0]["this"] is True
    assert anna.post("/api/sessions/revoke", json={}).json() == {"revoked": 0}
    assert anna.post("/api/password", json={"old": PASSWORD, "new": PASSWORD + "s"}).status_code == 200
    assert anna.post("/api/sign-out", json={}).status_code == 200
    claims = {"tid": "t", "oid": "o", "name": "Jane"}
    for roles in (["chimp.viewer"], ["chimp.expert"]):
        user_of(db, OidcSettings(), {**claims, "roles": roles})
    assert accounts.first_admin(db) is None
    assert sessions.sweep(db) == 0
    app.state.media.end()
    app.state.db.dispose()
    if db.dialect == "sqlite":  # what is asked is the same everywhere
        assert faults_in(spoken) == {}
    assert len({str(element) for element, _ in spoken}) > 90, "the flow has become too short to prove anything"


def _signed_in(app: Any, name: str) -> TestClient:
    client = TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS})
    assert client.post("/api/sign-in", json={"name": name, "password": PASSWORD}).status_code == 200
    return client


def _wire(kind: str, **more: Any) -> dict[str, Any]:
    return {"annotation_id": str(uuid.uuid4()), "kind": kind, **more}


def _pretend_pictures(db: Database, track_ids: list[int]) -> None:
    """Rows as if there were files: this world has no pictures."""
    with db.write() as conn:
        for track_id in track_ids:
            for kind in ("crop", "frame"):
                conn.execute(
                    sa.insert(s.item_media).values(
                        track_id=track_id, kind=kind, place=0, content_hash="a" * 64, uri="item-media/a.jpg", bytes=10,
                        frame_no=1, created_at=sa.func.current_timestamp(),
                    )
                )  # fmt: skip


def test_servers_that_start_at_once_make_one_administrator(db: Database) -> None:
    """Each inserted `admin`, so that all but one ended; or the password that was printed first was void at once."""
    servers = 4
    ready = threading.Barrier(servers)

    def start(_: int) -> str | None:
        own = Database(db.url)
        ready.wait()
        try:
            return accounts.first_admin(own)
        finally:
            own.dispose()

    with ThreadPoolExecutor(servers) as pool:
        made = [password for password in pool.map(start, range(servers)) if password is not None]
    assert len(made) == 1
    account = accounts.verify(db, "admin", made[0])
    assert account is not None
    assert account.role == "admin"
