"""Who waits for a piece, for how long, and what is answered; mostly with a maker that obeys the test."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chimp_assets.archive.video.workers import Worker, WorkerDeathError
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.vision.playing.stored import Stored, pieces_of, thumbs_of
from chimp_assets.web.app import FILMS
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.picture_cache import PictureCache
from chimp_assets.web.metrics import Metrics
from chimp_assets.web.playing import films as films_module
from chimp_assets.web.playing.films import MOST_WAITING, Films
from chimp_assets_tests.vision.playing.counted import store_counted, uneven
from chimp_assets_tests.web.server.conftest import Browser

PIECES = 20
TIMES = np.arange(0, 10.0 * PIECES, 1.0)
NOTHING = np.zeros(len(TIMES), np.int64)
PLAN = Stored("0" * 16, ("s.tar",), TIMES, NOTHING, NOTHING, NOTHING + 1, pieces_of(TIMES), thumbs_of(TIMES))


class Maker(Worker):
    """Makes nothing until it is let; then the number of the first second, or what the test wants to happen."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.made: list[int] = []
        self.fails: list[Exception] = []

    def call(self, function: Callable[..., Any], message: Any) -> Any:
        self.began.release()
        assert self.let.acquire(timeout=10)
        if self.fails:
            raise self.fails.pop()
        self.made.append(int(message["time_s"][0]) // 10)
        return {"content": np.frombuffer(b"piece %d" % self.made[-1], np.uint8), "unreadable": 0}


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def films(maker: Maker, tmp_path: Path) -> Iterator[Films]:
    made = Films(PictureCache(tmp_path / "films", 10**6, ".piece"), Metrics(), lambda: maker)
    yield made
    made.end()


async def stays() -> bool:
    return False


async def leaves() -> bool:
    return True


def ask(films: Films, piece: int, user_id: int, left: Any = stays) -> asyncio.Task[bytes]:
    return asyncio.create_task(films.made(PLAN, "piece", piece, {}, user_id, left))


async def refusal(task: asyncio.Task[bytes]) -> WebError:
    with pytest.raises(WebError) as error:
        await task
    return error.value


def test_eight_wait_one_a_person_and_the_rest_is_told_when_to_come_again(films: Films, maker: Maker) -> None:
    async def scene() -> None:
        tasks = [ask(films, 0, 0)]
        await asyncio.to_thread(maker.began.acquire)
        tasks += [ask(films, n, n) for n in range(1, MOST_WAITING + 1)]
        same = ask(films, 3, 50)  # somebody else's piece costs nothing
        await asyncio.sleep(0)
        second, full = ask(films, 15, 3), ask(films, 16, 99)
        assert (await refusal(second)).sentence == "Another piece is being made for you."
        refused = await refusal(full)
        assert (refused.status, refused.headers) == (503, {"Retry-After": "1"})
        assert "Many pieces" in refused.sentence
        maker.let.release(MOST_WAITING + 1)
        assert await asyncio.gather(*tasks) == [b"piece %d" % n for n in range(MOST_WAITING + 1)]
        assert await same == b"piece 3"
        assert maker.made == list(range(MOST_WAITING + 1)), "each once, in the order of asking"
        assert films.waiting() == 0
        assert films.cached(PLAN, "piece", 3) == b"piece 3"
        assert films.cached(PLAN, "strip", 3) is None

    asyncio.run(scene())


def test_who_leaves_is_dropped_and_what_was_begun_is_kept(films: Films, maker: Maker) -> None:
    async def scene() -> None:
        begun = ask(films, 0, 1, leaves)
        await asyncio.to_thread(maker.began.acquire)
        waiting = ask(films, 1, 2, leaves)
        assert (await refusal(begun)).status == (await refusal(waiting)).status == 503
        after = ask(films, 2, 2)
        maker.let.release(3)
        assert await after == b"piece 2"

    asyncio.run(scene())
    assert maker.made == [0, 2]
    assert films.cached(PLAN, "piece", 0) == b"piece 0"


def test_nobody_waits_longer_than_the_limit(films: Films, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "LIMIT_S", 0.0)

    async def scene() -> None:
        slow = ask(films, 0, 1)
        assert "too long" in (await refusal(slow)).sentence

    asyncio.run(scene())
    maker.let.release()


@pytest.mark.parametrize(
    ("failure", "status", "again"),
    [
        (WorkerDeathError("SIGKILL"), 503, True), (ChimpError("It is gone.", "Look."), 404, False),
        (KeyError("x"), 404, False),
    ],
    ids=["the process died", "unreadable", "a fault of ours"],
)  # fmt: skip
def test_a_death_is_tried_again_and_a_failure_is_not(
    films: Films, maker: Maker, failure: Exception, status: int, again: bool
) -> None:
    maker.fails.append(failure)
    maker.let.release(2)

    async def scene() -> None:
        assert (await refusal(ask(films, 0, 1))).status == status
        if again:
            assert await ask(films, 0, 1) == b"piece 0"
        else:
            assert (await refusal(ask(films, 0, 1))).status == status
        assert maker.made == ([0] if again else [])

    asyncio.run(scene())


def test_a_server_that_ends_leaves_nobody_waiting(films: Films, maker: Maker) -> None:
    async def scene() -> None:
        begun = ask(films, 0, 1)
        await asyncio.to_thread(maker.began.acquire)
        waiting = ask(films, 1, 2)
        await asyncio.sleep(0)
        films.end()
        assert (await refusal(waiting)).status == 503
        maker.let.release()
        assert await begun == b"piece 0"
        assert (await refusal(ask(films, 5, 5))).status == 503

    asyncio.run(scene())


def test_a_killed_process_costs_one_answer(home: Home, make_app: Any) -> None:
    """The real process, killed between two pieces; and what the answers say."""
    store_counted(home, 900, uneven(150), 96, 64)
    app = make_app()
    workers: list[Worker] = []

    def worker() -> Worker:
        workers.append(Worker())
        return workers[-1]

    app.state.films._new_worker = worker
    lotte = Browser(app).sign_in("lotte")
    plan = lotte.get("/api/videos/900/playing").json()
    address = f"/api/videos/900/proxy/{plan['version']}"
    first = lotte.get(f"{address}/0.mp4")
    assert (first.status_code, first.headers["content-type"]) == (200, "video/mp4")
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "content-encoding" not in first.headers
    assert len(plan["pieces"]) == 2
    child = workers[0]._child
    assert child is not None
    child.kill()
    child.wait()
    killed = lotte.get(f"{address}/1.mp4")
    assert (killed.status_code, killed.headers["retry-after"]) == (503, "1")
    assert lotte.get(f"{address}/1.mp4").status_code == 200
    strip = lotte.get(f"/api/videos/900/sprite/{plan['version']}/0.jpg")
    assert (strip.status_code, strip.headers["content-type"]) == (200, "image/jpeg")
    kept = [file for file in (home.settings.home / FILMS).rglob("*") if file.is_file()]
    assert len(kept) == 3
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
    for path, status in (
        (f"/api/videos/900/proxy/{'0' * 16}/0.mp4", 404), (f"{address}/2.mp4", 404), (f"{address}/x.mp4", 422),
        (f"/api/videos/900/sprite/{plan['version']}/9.jpg", 404), ("/api/videos/900/proxy/nothing/0.mp4", 422),
        ("/api/videos/1234567/playing", 404),
    ):  # fmt: skip
        assert lotte.get(path).status_code == status, path
    again = lotte.get(f"{address}/0.mp4", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    home.store.delete("shards/900.tar")
    shutil.rmtree(home.settings.home / FILMS)
    lost = lotte.get(f"{address}/0.mp4")
    assert (lost.status_code, lost.json()["error"]) == (404, "The stored pictures of this piece cannot be read.")
    app.state.films.end()
