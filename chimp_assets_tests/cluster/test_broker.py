"""What the broker may do to a message, and that no run is done twice because of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from chimp_assets.automation.launchers import worker
from chimp_assets.automation.launchers.broker import TASK, make_app
from chimp_assets_tests.support.cluster.servers import Redis, why_no_servers

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(why_no_servers()), reason=why_no_servers() or "runs"),
]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path / "redis", "127.0.0.1") as server:
        yield server


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that a worker has begun."""
    begun: list[str] = []
    monkeypatch.setattr(worker, "_execute", lambda run_id, name: begun.append(run_id))
    return begun


def _worker_of(broker: str) -> Celery:
    app = make_app(broker)
    worker._add_task(app)
    return app


def _take(app: Celery, run_id: str) -> None:
    app.tasks[TASK].apply(args=(run_id,), throw=True)


def test_a_run_that_was_sent_twice_is_done_by_one_worker(redis: Redis, done: list[str]) -> None:
    """A sender that got no answer sends again, and Dagster's own check is blind while both workers load the run."""
    app = _worker_of(redis.url)
    for run_id in ("first", "first", "second", "first", "second"):
        _take(app, run_id)
    assert done == ["first", "second"]


def test_a_run_is_done_although_the_broker_went_away_when_it_was_taken(redis: Redis, done: list[str]) -> None:
    app = _worker_of(redis.url)
    redis.stop()
    _take(app, "first")
    assert done == ["first"]
