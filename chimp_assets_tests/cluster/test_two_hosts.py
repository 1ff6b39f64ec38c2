"""Bundles on two workers' hosts: the same rows as on one machine, and a host that dies loses nothing but time.

The tests follow each other on one cluster, since starting it takes longer than most of them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.automation.brakes import BUNDLE_TAG
from chimp_assets.automation.launchers.worker import WORKER_TAG
from chimp_assets.database import schema as t
from chimp_assets.home import Home, init_home
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.cluster.two_homes import found_in
from chimp_assets_tests.support.cluster.cluster import CHIMP, Cluster, cluster_of, why_no_cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(why_no_cluster()), reason=why_no_cluster() or "runs"),
]

BUNDLES = 16
SETTINGS = {
    "CHIMP_ARCHIVE__BUNDLE_VIDEOS": "1",
    "CHIMP_DECODE__WORKERS": "0",
    "CHIMP_DECODE__FPS": "25",
    "CHIMP_DECODE__SHARD_BYTES": "65536",
    "CHIMP_EMBED__MIN_TRACKS": "8",
}
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
NOTICED_S = 90.0
"""So soon a dead host's run must be marked as failed."""


def film(films: Path, number: int, frames: int = 50) -> Path:
    """A clip of its own camera and day, thus of its own bundle."""
    day = f"2020-01-{number % 28 + 1:02d}"
    name = f"site/cam{number}/{day}/clip{number}.mp4"
    return make_clip(films / name, frames, size=(320, 192), created=f"{day}T10:00:00Z")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(BUNDLES):
        film(folder, number)
    return folder


@pytest.fixture(scope="module")
def cluster(films: Path) -> Iterator[Cluster]:
    """Two workers with a slot each, and a daemon on a third host."""
    with cluster_of(films, settings=SETTINGS) as made:
        for name in ("a", "b"):
            made.start_worker(name)
        made.start_daemon()
        yield made


@pytest.fixture
def alone(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One machine with SQLite and a folder, which has read the same films."""
    home = init_home(tmp_path / "alone")
    told = {**os.environ, **SETTINGS, "CHIMP_HOME": str(home.settings.home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*CHIMP, "ingest", str(films), "--json"], env=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return Home.open(home.settings.home)


def all_tracked(cluster: Cluster, videos: int) -> bool:
    return cluster.states() == Counter(tracked=videos)


def all_ended(cluster: Cluster) -> bool:
    return all(run.is_finished for run in cluster.runs())


def host_of(run: dg.DagsterRun) -> str:
    return run.tags[WORKER_TAG].split("@")[1]


def test_two_hosts_find_what_one_machine_finds(cluster: Cluster, alone: Home) -> None:
    """Every row and every byte of a shard, although hosts can write into their own folders alone."""
    cluster.wait(lambda: all_tracked(cluster, BUNDLES), "all bundles are tracked", 600)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended")
    runs = cluster.runs(job="ingest_bundle")
    assert Counter(run.status for run in runs) == {SUCCESS: BUNDLES}
    assert {host_of(run) for run in runs} == {"a", "b"}
    here, there = found_in(cluster.database()), found_in(alone.database)
    for name, rows in there.items():
        assert rows, name
        assert here[name] == rows, name


# Longer films, so that a step lasts; the bundle's number also says which one it is.
@pytest.mark.parametrize(("step", "number"), [("frames", 101), ("tracks", 102), ("embeddings", 103)])
def test_a_host_that_dies_in_a_step_is_noticed_and_another_does_its_work(
    cluster: Cluster, films: Path, tmp_path: Path, step: str, number: int
) -> None:
    """dagster-celery counts such a run as running for ever."""
    wait_for_embedder(cluster)
    before = sum(cluster.states().values())
    new = tmp_path / "new"
    film(new, number, frames=400)
    cluster.azurite.upload(new, "archive", "films/")
    run = cluster.wait(lambda: run_in(cluster, step, f"cam{number}"), f"a run is in {step}", 300)
    host = host_of(run)
    cluster.hosts[host].kill()
    died_at = time.monotonic()
    with cluster.instance() as seen:
        done = {e.step_key for e in seen.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS) if e.step_key}
    assert step not in done, "it was over before its host died"

    cluster.wait(lambda: status_of(cluster, run) is FAILURE, "the run is marked as failed", 240)
    if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):  # its polls come late on a machine that has no time
        assert time.monotonic() - died_at <= NOTICED_S
    cluster.wait(lambda: all_tracked(cluster, before + 1), "the bundle is tracked", 300)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended")

    def done_again() -> list[dg.DagsterRun]:
        return [one for one in cluster.runs(SUCCESS) if one.tags.get(BUNDLE_TAG) == run.tags[BUNDLE_TAG]]

    # Where tracks are there already, nothing waits for the run but its vectors: Dagster tries it again.
    again = cluster.wait(done_again, "its run has been done again", 300)
    assert {host_of(one) for one in again} == {"a", "b"} - {host}
    with cluster.database().read() as conn:
        attempts = conn.scalar(sa.select(sa.func.max(t.bundle.c.attempts)))
        twice = sa.select(t.detection.c.video_id).group_by(
            t.detection.c.video_id, t.detection.c.frame_no, t.detection.c.detection_no
        )
        assert conn.execute(twice.having(sa.func.count() > 1)).first() is None
        frames = conn.scalar(sa.select(sa.func.count()).select_from(t.frame).where(t.frame.c.video_id == newest(conn)))
    assert attempts == 0
    assert frames == 400
    with cluster.instance() as seen:
        claimed = cluster.wait(lambda: not claims_of(seen, run.run_id), "its pool slots are free", 120)
    assert claimed
    cluster.start_worker(host)
    cluster.wait(lambda: host in answering(cluster), "the host is back")


def wait_for_embedder(cluster: Cluster) -> None:
    def there() -> bool:
        with cluster.database().read() as conn:
            embedder = sa.select(t.model.c.model_id).where(t.model.c.task == "embedder", t.model.c.state == "champion")
            return conn.execute(embedder).first() is not None

    cluster.wait(there, "there is an embedder", 300)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended", 300)


def run_in(cluster: Cluster, step: str, words: str) -> dg.DagsterRun | None:
    """The run that is in a step now, of a bundle whose key or video holds these words."""
    with cluster.database().read() as conn:
        of = sa.select(t.bundle.c.bundle_key).join(t.video, t.video.c.bundle_id == t.bundle.c.bundle_id)
        keys = set(conn.scalars(of.where(t.video.c.uri.contains(words))))
    with cluster.instance() as seen:
        for run in seen.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], job_name="ingest_bundle")):
            if run.tags.get(BUNDLE_TAG) in keys and WORKER_TAG in run.tags:
                started = {e.step_key for e in seen.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)}
                if step in started:
                    return run
    return None


def status_of(cluster: Cluster, run: dg.DagsterRun) -> dg.DagsterRunStatus | None:
    with cluster.instance() as seen:
        found = seen.get_run_by_id(run.run_id)
    return found and found.status


def newest(conn: sa.Connection) -> int:
    return conn.scalar(sa.select(sa.func.max(t.video.c.video_id))) or 0


def claims_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    storage = instance.event_log_storage
    pools = [storage.get_concurrency_info(info.name) for info in storage.get_pool_limits()]
    return [pool.concurrency_key for pool in pools if run_id in {slot.run_id for slot in pool.claimed_slots}]


def answering(cluster: Cluster) -> set[str]:
    """Hosts whose workers answer."""
    from chimp_assets.automation.launchers.broker import make_app
    from chimp_assets.automation.launchers.roll_calls import ask_all

    call = ask_all(make_app(cluster.redis.url))
    return {worker.name.split("@")[1] for worker in call.workers or ()}


def test_a_worker_that_is_stopped_gives_its_run_up_at_once(cluster: Cluster, tmp_path: Path) -> None:
    """Celery would wait until the run ends, and a drained node is killed before that."""
    before = sum(cluster.states().values())
    film(tmp_path / "new", 104, frames=400)
    cluster.azurite.upload(tmp_path / "new", "archive", "films/")
    run = cluster.wait(lambda: run_in(cluster, "frames", "cam104"), "a run decodes", 300)
    host = host_of(run)
    cluster.hosts[host].ask_to_end()
    cluster.wait(lambda: status_of(cluster, run) in (FAILURE, SUCCESS), "the run has ended", 120)
    cluster.wait(lambda: all_tracked(cluster, before + 1), "the bundle is tracked", 300)
    left = list((cluster.hosts[host].folder / "tmp").glob("chimp-worker-*"))
    assert left == []
