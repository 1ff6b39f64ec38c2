"""Two servers of the page, each with its own home and TMPDIR, behind a balancer that knows nobody: one page."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.people.users import disable_user
from chimp_assets_tests.support.databases import Server
from chimp_assets_tests.web.label_home import PASSWORD
from chimp_assets_tests.web.replicas import PATIENCE_S, Pages, Place, two_pages

JANE = {"tid": "t-1", "oid": "o-1", "name": "Jane", "roles": ["chimp.expert"]}


@pytest.fixture(scope="module")
def pages(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with two_pages(postgresql, tmp_path_factory.mktemp("replicas"), [Place(), Place()]) as running:
        yield running


def test_what_one_server_gives_out_the_other_takes_back(pages: Pages) -> None:
    """Each browser's requests go anywhere: an item claimed here is answered there, once."""
    anna, rita = pages.browser("anna"), pages.browser("rita")
    items = [anna.post("/api/queue/claim", json={"n": 2, "lanes": None}).json()["items"] for _ in range(2)]
    assert [i["item_id"] for i in items[0]] == [i["item_id"] for i in items[1]], "a person's own items stay the same"
    others = rita.post("/api/queue/claim", json={"n": 3}).json()["items"]
    assert not {i["item_id"] for i in others} & {i["item_id"] for i in items[0]}
    first = items[0][0]
    sent = {
        "annotation_id": str(uuid.uuid4()), "kind": "identify", "track_id": first["track_id"], "anim_id": "FF",
        "item_id": first["item_id"],
    }  # fmt: skip
    results = [anna.post("/api/events", json={"events": [sent]}).json()["results"][0] for _ in range(4)]
    assert [result["status"] for result in results] == ["stored"] + ["duplicate"] * 3
    with pages.home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.annotation)) == 1
        state = conn.scalar(
            sa.select(t.acquisition_queue.c.state).where(t.acquisition_queue.c.item_id == first["item_id"])
        )
    assert state == "answered"


def test_pictures_come_from_either_server(pages: Pages) -> None:
    """They lie in the store, and what is cut on request is cut alike."""
    vera = pages.browser("vera")
    shown = pages.browser("anna").post("/api/queue/claim", json={"n": 1}).json()["items"][0]
    for path in (shown["crops"][0]["url"], shown["clip"]["url"], shown["face"]):
        here, there = pages.each(vera, path)
        assert (here.status_code, here.content) == (200, there.content)
        assert here.headers["etag"] == there.headers["etag"]


def test_who_is_out_at_one_server_is_out_at_the_other(pages: Pages) -> None:
    """Signing out, and being shown the door, must not wait for anything."""
    vera, again = pages.browser("vera"), pages.browser("vera")
    assert pages.status(vera, "/api/me") == [200, 200]
    kept = dict(vera.cookies)
    assert vera.post("/api/sign-out", json={}).status_code == 200
    vera.cookies.update(kept)
    assert pages.status(vera, "/api/me") == [401, 401]
    assert pages.status(again, "/api/me") == [200, 200]
    disable_user(pages.home.database, "vera")
    assert pages.status(again, "/api/me") == [401, 401]


def test_a_guesser_has_as_many_attempts_at_two_servers_as_at_one(pages: Pages) -> None:
    """Counts in memory gave five at each. The known device of the person is not slowed down, wherever it asks."""
    tablet = pages.browser("rita", "203.0.113.7")
    guesser = pages.browser(address="203.0.113.7")
    codes = [guesser.post("/api/sign-in", json={"name": "rita", "password": "wrong"}).status_code for _ in range(5)]
    assert codes == [401] * 5
    at_once = [guesser.post("/api/sign-in", json={"name": "rita", "password": PASSWORD}) for _ in range(2)]
    assert {answer.headers["x-backend"] for answer in at_once} == set(pages.balancer.backends)
    assert 429 in {answer.status_code for answer in at_once} or _paused(pages), "limits hold at both"
    for _ in range(2):
        assert tablet.post("/api/sign-in", json={"name": "rita", "password": PASSWORD}).status_code == 200


def _paused(pages: Pages) -> bool:
    """Whether the pause of a second was over before the sixth attempt, on a machine that slept."""
    with pages.home.database.read() as conn:
        return (conn.scalar(sa.select(sa.func.max(t.sign_in_failure.c.failures))) or 0) < 6


def test_who_leaves_for_the_provider_from_one_server_comes_back_at_the_other(pages: Pages) -> None:
    """The state of the sign-in is the browser's; that its answer was taken is everybody's."""
    pages.provider.claims = JANE
    jane = pages.browser()
    here, there = pages.balancer.backends
    try:
        pages.balancer.only = here
        out = jane.get("/sign-in/oidc?next=/label")
        back = httpx2.get(out.headers["location"], trust_env=False).headers["location"]
        assert back.startswith(f"{pages.balancer.url}/sign-in/oidc/callback?")
        kept = dict(jane.cookies)
        pages.balancer.only = there
        assert jane.get(back).headers["location"] == "/label"
        pages.balancer.only = None
        assert [answer.json()["name"] for answer in pages.each(jane, "/api/me")] == ["Jane", "Jane"]
        thief = pages.browser()
        thief.cookies.update(kept)
        assert {thief.get(back).headers["location"] for _ in range(2)} == {"/sign-in?problem=failed"}
    finally:
        pages.balancer.only = None


def test_a_server_that_is_asked_to_end_loses_no_request(pages: Pages) -> None:
    """It says that it leaves, answers what comes meanwhile, lets running requests end, and its end is a good one."""
    anna = pages.browser("anna")
    leaving, stays = pages.replicas
    codes: list[int] = []
    said: list[Any] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            codes.append(anna.get("/api/me").status_code)

    asking = threading.Thread(target=go_on)
    asking.start()
    leaving.process.terminate()
    while leaving.process.poll() is None:
        try:
            said.append(httpx2.get(f"{leaving.url}/readyz", trust_env=False).json())
        except httpx2.TransportError:
            break
    code = leaving.process.wait(PATIENCE_S)  # a second signal would not wait for the end
    stop.set()
    asking.join()
    assert code == 0, leaving.log.read_text()
    assert {"status": "not ready", "lacking": ["leaving"]} in said
    assert set(codes) == {200}
    assert httpx2.get(f"{stays.url}/readyz", trust_env=False).json() == {"status": "ready"}
    assert httpx2.get(f"{stays.url}/livez", headers={"Host": "10.0.0.9"}, trust_env=False).status_code == 200
    assert httpx2.get(f"{stays.url}/healthz", headers={"Host": "10.0.0.9"}, trust_env=False).status_code == 421
