"""Broker, database and store go away for a while, one after the other, and all bundles end without help."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.cluster.test_two_hosts import SETTINGS, all_ended, all_tracked
from chimp_assets_tests.support.cluster.cluster import Cluster, cluster_of, why_no_cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(why_no_cluster()), reason=why_no_cluster() or "runs"),
]
BUNDLES = 8
STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    films = tmp_path_factory.mktemp("films")
    for number in range(BUNDLES):
        day = f"2020-02-{number + 1:02d}"
        make_clip(films / f"site/cam{number}/{day}/clip{number}.mp4", 300, size=(320, 192), created=f"{day}T10:00:00Z")
    with cluster_of(films, settings=SETTINGS | {"CHIMP_EMBED__MIN_TRACKS": "1000"}) as made:
        for name in ("a", "b"):
            made.start_worker(name)
        made.start_daemon()
        yield made


def test_all_bundles_end_although_broker_database_and_store_go_away(cluster: Cluster) -> None:
    """In the middle of runs. Nothing is given up, nothing is there twice."""
    cluster.wait(lambda: cluster.runs(STARTED), "runs have started", 300)
    with cluster.redis.away(5):
        pass
    cluster.wait(lambda: cluster.runs(STARTED), "runs go on", 300)
    with cluster.postgresql.away(30):
        pass
    cluster.wait(lambda: cluster.runs(STARTED) or all_tracked(cluster, BUNDLES), "runs go on", 300)
    cluster.azurite.stop()
    time.sleep(60)
    cluster.azurite.start()

    cluster.wait(lambda: all_tracked(cluster, BUNDLES), "all bundles are tracked", 900)
    cluster.wait(lambda: all_ended(cluster), "all runs have ended", 300)
    with cluster.database().read() as conn:
        frames = Counter(
            dict(conn.execute(sa.select(t.frame.c.video_id, sa.func.count()).group_by(t.frame.c.video_id)).all())
        )
        attempts = set(conn.scalars(sa.select(t.bundle.c.attempts)))
    assert sorted(frames.values()) == [300] * BUNDLES
    assert attempts == {0}
