"""Work on many bundles as a step of its own: what it does, what it reports, and what is left to it by a run."""

import json
import os
import subprocess
import sys

import dagster as dg
import pytest
import sqlalchemy as sa

from chimp_assets.archive.catalogue.discover import discover
from chimp_assets.assets.archive import frames
from chimp_assets.assets.embeddings import embeddings
from chimp_assets.assets.tracks import tracks
from chimp_assets.automation.sensors import build_sensors
from chimp_assets.automation.tracking import track_waiting as track_waiting_job
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.database import schema as t
from chimp_assets.database.work import due, job_size, waiting_tracks
from chimp_assets.home import Home
from chimp_assets.loop import bundle
from chimp_assets.loop.heavy.step import heavy_step
from chimp_assets.loop.heavy.waiting_tracks import track_waiting
from chimp_assets.loop.training import training_step
from chimp_assets.resources import HomeResource
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.support.rows import add_bundle, add_model, add_track, add_video

KEYS = ["site_cam-0001", "site_cam-0002"]
REMOTE = {"kind": "k8s", "gpus": 4, "nodes": 2}
NETWORK = {"detector": "torchvision"}


@pytest.fixture
def filmed(home, tmp_path, monkeypatch):
    """A home with two bundles of one clip each, decoded and not tracked."""
    for name, n_frames in (("1.mp4", 20), ("2.mp4", 30)):  # two of the same pictures would be one
        make_clip(tmp_path / "archive" / "site" / "cam" / name, n_frames)
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "archive"))
    monkeypatch.setenv("CHIMP_ARCHIVE__BUNDLE_VIDEOS", "1")
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    opened = Home.open(home.settings.home)
    discover(opened.database, opened.archive, opened.settings)
    for key in KEYS:
        bundle.decode(opened, key)
        due.finish_attempt(opened.database, key)
    return opened


def attempts(home):
    with home.database.read() as conn:
        return dict(conn.execute(sa.select(t.bundle.c.bundle_key, t.bundle.c.attempts)).all())


def test_a_job_tracks_what_waits_within_its_budget_and_the_next_goes_on(filmed):
    with filmed.database.read() as conn:
        assert waiting_tracks.bundles_to_track(conn) == KEYS
        frames_of = waiting_tracks.frames_to_track(conn, KEYS)
    told = []
    first = track_waiting(filmed, lambda key, done: told.append((key, done.videos)), budget=1)
    assert (first.bundles, first.frames, first.left) == (1, frames_of[KEYS[0]], 1)
    again = track_waiting(filmed, lambda key, done: told.append((key, done.videos)))
    assert (again.bundles, again.left) == (1, 0)
    assert told == [(KEYS[0], 1), (KEYS[1], 1)]
    assert attempts(filmed) == dict.fromkeys(KEYS, 0)


def test_a_bundle_that_kills_its_job_stops_the_others_for_three_jobs_only(filmed, monkeypatch):
    """One broken bundle, the oldest, would be tried first for ever, and the archive never be tracked."""
    whole = bundle.track

    def dies(home, key, progress=None):
        if key == KEYS[0]:
            raise MemoryError
        return whole(home, key, progress)

    monkeypatch.setattr(bundle, "track", dies)
    for _ in range(due.MAX_ATTEMPTS):
        with pytest.raises(MemoryError):
            track_waiting(filmed, lambda key, done: None)
    assert track_waiting(filmed, lambda key, done: None).bundles == 1
    with filmed.database.read() as conn:
        assert due.exhausted_bundles(conn) == [KEYS[0]]


def test_a_run_with_a_remote_network_ends_with_the_frames_and_a_job_tracks_them(filmed, monkeypatch):
    """The run of each bundle would have asked for a GPU of its own."""
    monkeypatch.setattr(waiting_tracks, "tracked_by_jobs", lambda conn, settings: True)
    monkeypatch.setattr(bundle, "tracked_by_jobs", lambda conn, settings: True)
    due.begin_attempt(filmed.database, KEYS[0])
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("bundle", KEYS)
        resources = {"home": HomeResource(path=str(filmed.settings.home)), "compute": ComputeResource()}
        run = dg.materialize(
            [frames, tracks, embeddings], instance=instance, partition_key=KEYS[0], resources=resources,
            selection=[tracks, embeddings],
        )  # fmt: skip
        assert run.success
        assert not run.asset_materializations_for_node("tracks")
        assert attempts(filmed)[KEYS[0]] == 0
        with filmed.database.read() as conn:
            assert waiting_tracks.bundles_for_own_runs(conn, filmed.settings) == []
        # The job, which starts the real command as a process of this machine.
        done = track_waiting_job.execute_in_process(instance=instance, resources=resources)
    made = [
        event.step_materialization_data.materialization
        for event in done.all_events
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    ]
    assert [(one.asset_key.to_user_string(), one.partition) for one in made] == [("tracks", key) for key in KEYS]
    assert made[0].metadata["videos"].value == 1
    assert "dagster/row_count" in made[0].metadata
    with filmed.database.read() as conn:
        assert waiting_tracks.bundles_to_track(conn) == []


def test_bundles_wait_for_a_job_only_where_a_network_runs_elsewhere(home, monkeypatch):
    add_bundle(home.database, 1)
    add_bundle(home.database, 2)
    add_video(home.database, 1, 1, "decoded")
    add_video(home.database, 2, 2, "registered")
    add_video(home.database, 3, 2, "decoded")
    cases = {
        "here": {"detect": NETWORK}, "motion": {"compute": REMOTE}, "jobs": {"detect": NETWORK, "compute": REMOTE},
    }  # fmt: skip
    asked = {}
    for name, settings in cases.items():
        opened = Home.open(home.settings.home, **settings)
        with opened.database.read() as conn:
            asked[name] = waiting_tracks.bundles_for_own_runs(conn, opened.settings)
    everything = ["site-0001", "site-0002"]
    assert asked == {"here": everything, "motion": everything, "jobs": ["site-0002"]}

    sensor = next(one for one in build_sensors() if one.name == "tracks_waiting")

    def tick():
        resources = {"home": HomeResource(path=str(home.settings.home))}
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance, resources=resources) as context,
        ):
            return sensor(context)

    assert isinstance(tick(), dg.SkipReason)
    monkeypatch.setenv("CHIMP_COMPUTE__KIND", "k8s")
    monkeypatch.setenv("CHIMP_DETECT__DETECTOR", "torchvision")
    monkeypatch.setenv("CHIMP_DETECT__FRAMES_PER_RUN", "1")
    with pytest.raises(dg.DagsterError) as refused:
        tick()
    assert "cannot open the database" in str(refused.value.__cause__)
    # A database server and a store of Azure are not needed to see what is asked for.
    monkeypatch.setattr("chimp_assets.dagster_home.require_reachable", lambda *_: None)
    assert tick().job_name == "track_waiting"


def test_a_step_asks_for_what_its_task_can_use(home):
    """A head waited minutes for a node with a GPU that it never used."""
    settings = Home.open(home.settings.home, compute=REMOTE).settings
    asked = {
        (step.module.rsplit(".", 1)[-1], step.arguments[-1]): (step.gpus, step.nodes)
        for step in (
            training_step(3, "head", settings), training_step(3, "embedder", settings),
            training_step(3, "detector", settings), heavy_step(settings, "score"), heavy_step(settings, "track"),
        )
    }  # fmt: skip
    assert asked == {
        ("train", "head"): (0, 1), ("train", "embedder"): (4, 2), ("train", "detector"): (1, 1),
        ("heavy", "score"): (1, 1), ("heavy", "track"): (1, 1),
    }  # fmt: skip
    assert training_step(3, "embedder", settings).minutes > settings.embed.fine_tune_minutes


def test_the_command_reports_one_line_of_json_and_errors_in_words(filmed):
    def call(*arguments):
        command = [sys.executable, "-W", "ignore", "-m", "chimp_assets.loop.heavy", *arguments]
        environment = {**os.environ, "CHIMP_HOME": str(filmed.settings.home)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = call("score")
    assert json.loads(done.stdout) == {"bundles": 0, "bundles_waiting": 0, "tracks": 0}
    failed = call("embedder")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "Traceback" not in failed.stderr


def test_a_job_elsewhere_waits_for_more_only_while_more_will_come(home):
    """A node of a cluster started for each bundle of two hundred videos, and stood idle for most of its time."""
    add_bundle(home.database, 1)
    add_bundle(home.database, 2)
    add_video(home.database, 1, 1, "tracked")
    add_video(home.database, 2, 2, "registered")
    add_model(home.database, 1, "detector")
    for ordinal in range(3):
        add_track(home.database, 1, ordinal)

    def worth_it(**settings):
        opened = Home.open(home.settings.home, **settings)
        with opened.database.read() as conn:
            return job_size.worth_scoring(conn, opened.settings, ["site-0001"])

    assert worth_it()
    assert not worth_it(compute=REMOTE)
    assert worth_it(compute=REMOTE, score={"tracks_per_run": 30})
    with home.database.write() as conn:
        conn.execute(sa.update(t.video).where(t.video.c.video_id == 2).values(state="failed"))
    assert worth_it(compute=REMOTE)
