"""Bundles on several workers' hosts: the rows of one machine, and what dies or goes away costs nothing but time.

The tests follow each other on one cluster, since starting it takes longer than most of them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from chimp_assets.home import Home, init_home
from chimp_assets_tests.cluster.sightings import (
    FAILURE,
    STARTED,
    SUCCESS,
    all_ended,
    all_tracked,
    answering,
    attempts,
    detections_twice,
    done_again,
    film,
    frames_of_videos,
    has_embedder,
    host_of,
    pools_claimed,
    run_in,
    status_of,
    steps_done,
)
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
FIRST, LATER = ("a", "b"), ("c", "d")
STEPS = {"frames": 101, "tracks": 102, "embeddings": 103}
"""In which a host dies, and the film that it works on then."""
NOTICED_S = 90.0
"""So soon a dead host's run must be marked as failed."""


class Death(NamedTuple):
    """A host lost its power in the middle of a run. at: time.monotonic()."""

    host: str
    run: dg.DagsterRun
    at: float


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(BUNDLES):
        film(folder, number)
    return folder


@pytest.fixture(scope="module")
def cluster(films: Path) -> Iterator[Cluster]:
    """Two workers with a slot each, a daemon on a third host, and two hosts without work yet."""
    with cluster_of(films, ("desk", *FIRST, *LATER), SETTINGS) as made:
        for name in FIRST:
            made.start_worker(name)
        made.start_daemon()
        yield made


@pytest.fixture
def alone(cluster: Cluster, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One machine with SQLite and a folder, which reads the same films while the cluster does."""
    home = init_home(tmp_path / "alone")
    told = {**os.environ, **SETTINGS, "CHIMP_HOME": str(home.settings.home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*CHIMP, "ingest", str(films), "--json"], env=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return Home.open(home.settings.home)


def test_two_hosts_find_what_one_machine_finds(cluster: Cluster, alone: Home) -> None:
    """Every row and every byte of a shard, although hosts can write into their own folders alone."""
    cluster.wait(lambda: all_tracked(cluster, BUNDLES), "all bundles are tracked", 600)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended")
    runs = cluster.runs(job="ingest_bundle")
    assert Counter(run.status for run in runs) == {SUCCESS: BUNDLES}
    assert {host_of(run) for run in runs} == set(FIRST)
    here, there = found_in(cluster.database()), found_in(alone.database)
    for name, rows in there.items():
        assert rows, name
        assert here[name] == rows, name


def test_hosts_that_die_in_a_step_are_noticed_and_another_does_their_work(cluster: Cluster, tmp_path: Path) -> None:
    """dagster-celery counts such runs as running for ever. Three of four hosts die, each in another step."""
    cluster.wait(lambda: has_embedder(cluster), "there is an embedder", 600)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended", 600)
    for name in LATER:
        cluster.start_worker(name)
    cluster.wait(lambda: answering(cluster) == {*FIRST, *LATER}, "four workers answer")
    before = sum(cluster.states().values())
    for number in STEPS.values():
        film(tmp_path, number, frames=400)  # longer, so that a step lasts
    cluster.azurite.upload(tmp_path, "archive", "films/")
    deaths: dict[str, Death] = {}

    def all_dead() -> bool:
        for step, number in STEPS.items():
            if step not in deaths and (run := run_in(cluster, step, f"cam{number}")):
                cluster.hosts[host_of(run)].kill()
                deaths[step] = Death(host_of(run), run, time.monotonic())
        return len(deaths) == len(STEPS)

    cluster.wait(all_dead, "a host has died in each step", 600)
    for step, death in deaths.items():
        assert step not in steps_done(cluster, death.run), "it was over before its host died"

    dead = {death.host for death in deaths.values()}
    assert len(dead) == len(STEPS)
    noticed: dict[str, float] = {}

    def all_noticed() -> bool:
        for step, death in deaths.items():
            if step not in noticed and status_of(cluster, death.run) is FAILURE:
                noticed[step] = time.monotonic() - death.at
        return len(noticed) == len(deaths)

    cluster.wait(all_noticed, "their runs are marked as failed", 240)
    if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):  # its polls come late on a machine that has no time
        assert max(noticed.values()) <= NOTICED_S
    cluster.wait(lambda: all_tracked(cluster, before + len(STEPS)), "the bundles are tracked", 600)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended")
    for death in deaths.values():
        # Where tracks are there already, nothing waits for the run but its vectors: Dagster tries it again.
        again = cluster.wait(lambda death=death: done_again(cluster, death.run), "its run has been done again", 600)
        assert {host_of(run) for run in again}.isdisjoint(dead)
    assert attempts(cluster) == {0}
    assert detections_twice(cluster) == 0
    frames = frames_of_videos(cluster)
    assert sorted(frames.values()) == [50] * BUNDLES + [400] * len(STEPS)
    for death in deaths.values():
        cluster.wait(lambda death=death: not pools_claimed(cluster, death.run), "its pool slots are free", 120)
    for host in dead:
        cluster.start_worker(host)
    cluster.wait(lambda: answering(cluster) == {*FIRST, *LATER}, "the hosts are back")


def test_a_worker_that_is_stopped_gives_its_run_up_at_once(cluster: Cluster, tmp_path: Path) -> None:
    """Celery would wait until the run ends, and a drained node is killed before that."""
    before = sum(cluster.states().values())
    film(tmp_path, 104, frames=400)
    cluster.azurite.upload(tmp_path, "archive", "films/")
    run = cluster.wait(lambda: run_in(cluster, "frames", "cam104"), "a run decodes", 600)
    host = host_of(run)
    cluster.hosts[host].ask_to_end()
    cluster.wait(lambda: status_of(cluster, run) in (FAILURE, SUCCESS), "the run has ended", 120)
    cluster.wait(lambda: all_tracked(cluster, before + 1), "the bundle is tracked", 600)
    left = list((cluster.hosts[host].folder / "tmp").glob("chimp-worker-*"))
    assert left == []


def test_all_bundles_end_although_broker_database_and_store_go_away(cluster: Cluster, tmp_path: Path) -> None:
    """One after the other, each in the middle of runs. Nothing is given up, nothing is there twice."""
    before, known = sum(cluster.states().values()), frames_of_videos(cluster)
    numbers = iter(range(201, 209))

    def in_the_middle(films: int, turn: str) -> None:
        for _ in range(films):
            film(tmp_path / turn, next(numbers), frames=300)
        cluster.azurite.upload(tmp_path / turn, "archive", "films/")
        cluster.wait(lambda: cluster.runs(STARTED), "runs have started", 600)

    in_the_middle(3, "broker")
    with cluster.redis.away(5):
        pass
    in_the_middle(3, "database")
    with cluster.postgresql.away(30):
        pass
    in_the_middle(2, "store")
    cluster.azurite.stop()
    time.sleep(60)
    cluster.azurite.start()

    cluster.wait(lambda: all_tracked(cluster, before + 8), "all bundles are tracked", 900)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended", 600)
    assert sorted((frames_of_videos(cluster) - known).values()) == [300] * 8
    assert detections_twice(cluster) == 0
    assert attempts(cluster) == {0}
