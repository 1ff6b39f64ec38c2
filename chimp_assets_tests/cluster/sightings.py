"""What can be seen of runs on a cluster from outside, and the films that they are about.

Belongs here: questions to Dagster's records and to the database. Does not belong here: what a test expects of them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from chimp_assets.automation.brakes import BUNDLE_TAG
from chimp_assets.automation.launchers.broker import make_app
from chimp_assets.automation.launchers.roll_calls import ask_all
from chimp_assets.automation.launchers.worker import WORKER_TAG
from chimp_assets.database import schema as t
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.support.cluster.cluster import Cluster

STARTED, SUCCESS, FAILURE = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
)


def film(films: Path, number: int, frames: int = 50) -> Path:
    """A clip of its own camera and day, thus of its own bundle."""
    day = f"2020-{1 + number // 28 % 12:02d}-{number % 28 + 1:02d}"
    name = f"site/cam{number}/{day}/clip{number}.mp4"
    return make_clip(films / name, frames, size=(320, 192), created=f"{day}T10:00:00Z")


def all_tracked(cluster: Cluster, videos: int) -> bool:
    return cluster.states() == Counter(tracked=videos)


def all_ended(cluster: Cluster) -> bool:
    return all(run.is_finished for run in cluster.runs())


def has_embedder(cluster: Cluster) -> bool:
    with cluster.database().read() as conn:
        embedder = sa.select(t.model.c.model_id).where(t.model.c.task == "embedder", t.model.c.state == "champion")
        return conn.execute(embedder).first() is not None


def host_of(run: dg.DagsterRun) -> str:
    return run.tags[WORKER_TAG].split("@")[1]


def run_in(cluster: Cluster, step: str, words: str) -> dg.DagsterRun | None:
    """The run that is in a step now, of a bundle whose key or video holds these words."""
    with cluster.database().read() as conn:
        of = sa.select(t.bundle.c.bundle_key).join(t.video, t.video.c.bundle_id == t.bundle.c.bundle_id)
        keys = set(conn.scalars(of.where(t.video.c.uri.contains(words))))
    with cluster.instance() as seen:
        for run in seen.get_runs(dg.RunsFilter(statuses=[STARTED], job_name="ingest_bundle")):
            if run.tags.get(BUNDLE_TAG) in keys and WORKER_TAG in run.tags and step in _steps(seen, run, True):
                return run
    return None


def steps_done(cluster: Cluster, run: dg.DagsterRun) -> set[str]:
    with cluster.instance() as seen:
        return _steps(seen, run, False)


def _steps(instance: dg.DagsterInstance, run: dg.DagsterRun, started: bool) -> set[str]:
    kind = dg.DagsterEventType.STEP_START if started else dg.DagsterEventType.STEP_SUCCESS
    return {event.step_key for event in instance.all_logs(run.run_id, of_type=kind) if event.step_key}


def status_of(cluster: Cluster, run: dg.DagsterRun) -> dg.DagsterRunStatus | None:
    with cluster.instance() as seen:
        found = seen.get_run_by_id(run.run_id)
    return found and found.status


def done_again(cluster: Cluster, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """Runs of the same bundle that have succeeded."""
    return [one for one in cluster.runs(SUCCESS) if one.tags.get(BUNDLE_TAG) == run.tags[BUNDLE_TAG]]


def pools_claimed(cluster: Cluster, run: dg.DagsterRun) -> list[str]:
    """Pools in which a run holds a slot."""
    with cluster.instance() as seen:
        storage = seen.event_log_storage
        pools = [storage.get_concurrency_info(info.name) for info in storage.get_pool_limits()]
    return [pool.concurrency_key for pool in pools if run.run_id in {slot.run_id for slot in pool.claimed_slots}]


def answering(cluster: Cluster) -> set[str]:
    """Hosts whose workers answer."""
    call = ask_all(make_app(cluster.redis.url))
    return {worker.name.split("@")[1] for worker in call.workers or ()}


def frames_of_videos(cluster: Cluster) -> Counter[str]:
    """Frames of each video, by its address."""
    with cluster.database().read() as conn:
        counted = (
            sa.select(t.video.c.uri, sa.func.count())
            .join(t.frame, t.frame.c.video_id == t.video.c.video_id)
            .group_by(t.video.c.uri)
        )
        return Counter(dict(conn.execute(counted).all()))  # type: ignore[arg-type]


def detections_twice(cluster: Cluster) -> int:
    with cluster.database().read() as conn:
        key = (t.detection.c.video_id, t.detection.c.frame_no, t.detection.c.detection_no)
        return len(conn.execute(sa.select(*key).group_by(*key).having(sa.func.count() > 1)).all())


def attempts(cluster: Cluster) -> set[int]:
    """How often bundles have failed, as far as it counts."""
    with cluster.database().read() as conn:
        return set(conn.scalars(sa.select(t.bundle.c.attempts)))
