"""The path over Azure ML, whole: a head and an embedder, trained elsewhere from the environment alone, with each fault.

The real SDK, the real Pipes, Azurite and PostgreSQL; the service is a stand-in that really runs the job. Whatever
happens on the way, each training set gives exactly one model row.
"""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.compute import azureml_messages
from chimp_assets.compute.azureml import JobError
from chimp_assets.compute.azureml_workspace import WorkspaceError
from chimp_assets.compute.heavy_step import HeavyStep
from chimp_assets.database import schema
from chimp_assets.database.people.users import ensure_default_users
from chimp_assets.home import Home
from chimp_assets.loop.training import training_step
from chimp_assets.vision.datasets.training_set import build_training_set
from chimp_assets.vision.embedding.bundle import embed_bundle
from chimp_assets.vision.embedding.embedder import fit_embedder
from chimp_assets_tests.azure.conftest import _no_credentials_from_outside, azurite, with_key  # noqa: F401  fixtures
from chimp_assets_tests.support.azureml.place import QUIET, Place, kill_a_run, place  # noqa: F401  a fixture
from chimp_assets_tests.support.azureml.service import (
    SETTINGS,
    ClusterJob,
    await_true,
    service,  # noqa: F401  a fixture
)
from chimp_assets_tests.vision.animals import answer, make_animals, teaching_and_audit

pytestmark = [pytest.mark.cluster, QUIET]


EMBED = {"crop_side": 48, "dimensions": 16, "weights": "self_supervised", "crops_per_track": 3, "workers": 0,
         "fine_tune_epochs": 1, "fine_tune_labels": 20}  # fmt: skip
TRAINING = "chimp_assets_tests.support.azureml.training"


def _opened(folder: Path, database_url: str, container: str) -> Home:
    return Home.open(
        folder, database_url=database_url, store_url=container, archive_url=container, embed=EMBED,
        compute={"kind": "azureml", "device": "cpu", "azureml": {**SETTINGS, "patience_s": 60}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def filled(postgresql, azurite, tmp_path_factory):  # noqa: F811
    """30 named videos in PostgreSQL and Azurite, and a training set: (database to copy, container)."""
    db, container = postgresql.create_migrated(), azurite.make_container("whole")
    folder = tmp_path_factory.mktemp("filled")
    (folder / "chimp.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in azurite.environment().items():
            patch.setenv(name, value)
        home = _opened(folder, db.url, container)
        ensure_default_users(home.database)
        truth = make_animals(home, videos=30)
        fit_embedder(home.database, home.store, home.settings)
        for key in ("site-0001", "site-0002"):
            embed_bundle(home.database, home.store, key, home.settings)
        answer(home, truth, "typical", teaching_and_audit(home, truth)[0])
        build_training_set(home.database, home.store, home.settings)
        home.database.dispose()
    db.dispose()
    return sa.make_url(db.url).database, container


@pytest.fixture
def archive(postgresql, filled, with_key, service, tmp_path):  # noqa: F811
    """A place whose database is this test's own."""
    template, container = filled
    db = postgresql.create(template)
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "chimp.toml").touch()
    yield Place(lambda: _opened(folder, db.url, container), service, tmp_path, container)
    postgresql.drop(db)


def _models(place: Place, task: str) -> int:  # noqa: F811
    """Rows of this task that a training set gave."""
    c = schema.model.c
    database = place.home().database
    with database.read() as conn:
        rows = conn.scalar(
            sa.select(sa.func.count()).select_from(schema.model).where(c.task == task, c.training_set_id.is_not(None))
        )
    database.dispose()
    return rows


def _training(place: Place, task: str, gate: bool = True) -> HeavyStep:  # noqa: F811
    asked = training_step(1, task, place.home().settings)
    return HeavyStep(
        TRAINING, (*asked.arguments, *(("--gate", str(place.gate)) if gate else ())), minutes=asked.minutes
    )


def _not_responding_then_lost_looks(place: Place, job: ClusterJob) -> None:  # noqa: F811
    job.pretended = [("NotResponding", 5)]
    await_true(lambda: not job.pretended, "it was seen not to respond")
    place.service.fail_next("GET", f"/jobs/{job.name}", "drop", "drop", 429, 503, "drop")


def _node_taken(place: Place, job: ClusterJob) -> None:  # noqa: F811
    """Where there is something to go on from: an embedder's state in Blob."""
    if "embedder" in job.properties["command"]:
        await_true(lambda: "at step 5" in job.log, "it waits at its gate", 300)
    place.service.take_node(job.name)
    await_true(lambda: job.starts == 2, "it starts again")


def _files(job: ClusterJob) -> str:
    return " ".join(str(path) for path in job.folder.rglob("*"))


@pytest.mark.parametrize("task", ["head", "embedder"])
@pytest.mark.parametrize("fault", [_not_responding_then_lost_looks, _node_taken], ids=lambda f: f.__name__)
def test_a_model_is_trained_elsewhere_once(archive, task, fault):
    thread, came = archive.start(_training(archive, task))
    job = archive.service.only_job()
    await_true(lambda: job.status == "Running", "it runs")
    fault(archive, job)
    archive.gate.touch()
    thread.join(400)
    assert came, "it ends"
    assert not isinstance(came[0], BaseException), (came[0], job.log[-3000:])
    assert came[0].metadata["model_id"].value > 0
    assert _models(archive, task) == 1
    assert len(archive.service.jobs) == 1
    assert archive.blobs() == []
    if fault is _node_taken and task == "embedder":
        second = (job.folder / "log-2-0.txt").read_text()
        assert "at step 1\n" not in second, "it goes on from what lies in Blob"
        steps = [int(line.removeprefix("at step ")) for line in second.splitlines() if line.startswith("at step ")]
        assert 3 <= steps[0] <= 5 < steps[-1]
    assert "chimp.toml" not in _files(job), "the environment alone"


@pytest.mark.parametrize("task", ["head", "embedder"])
def test_a_cancelled_training_is_made_by_the_next_run(archive, task):
    thread, came = archive.start(_training(archive, task))
    job = archive.service.only_job()
    await_true(lambda: job.status == "Running", "it runs")
    archive.service.cancel(job.name)
    thread.join(120)
    assert isinstance(came[0], JobError)
    assert _models(archive, task) == 0
    archive.gate.touch()
    # Without any fault.
    assert archive.run(_training(archive, task)).metadata["model_id"].value > 0
    assert _models(archive, task) == 1
    assert len(archive.service.jobs) == 2
    assert archive.blobs() == []
    assert not any("chimp.toml" in _files(one) for one in archive.service.jobs.values()), "the environment alone"


@pytest.mark.parametrize("task", ["head", "embedder"])
def test_a_training_whose_run_was_killed_is_taken_over(archive, task):
    kill_a_run(archive, _training(archive, task))
    thread, came = archive.start(_training(archive, task))
    archive.gate.touch()
    thread.join(400)
    assert not isinstance(came[0], BaseException), came[0]
    assert (_models(archive, task), len(archive.service.jobs), archive.service.only_job().starts) == (1, 1, 1)


# Faults of the service that take longer to show, with a step that does nothing.


def test_several_gpus_and_nodes_are_asked_for_together(place):  # noqa: F811
    """Each process gets its rank as torchrun would give it; the job is told how many, not where."""
    with pytest.raises(JobError, match="without saying"):
        place.run(place.step("--ending", "mute", gpus=2, nodes=2), gpu_compute="gpu", shm_size="64g")
    job = place.service.only_job()
    assert job.properties["distribution"] == {"distributionType": "PyTorch", "processCountPerInstance": 2}
    assert job.properties["resources"] == {"instanceCount": 2, "properties": {}, "shmSize": "64g"}
    assert job.properties["computeId"].endswith("/computes/gpu")


def test_a_workspace_that_stays_away_fails_the_step_and_loses_nothing(place):  # noqa: F811
    """The job may live on unseen: its messages stay, and the next run takes it over."""
    thread, came = place.start(place.step(waits=True), patience_s=0.5)
    job = place.service.only_job()
    place.service.fail_next("GET", "/jobs/", *[500] * 200)
    place.service.fail_next("POST", "/cancel", *[500] * 200)
    thread.join(120)
    assert isinstance(came[0], JobError)
    assert "could not be looked at" in came[0].sentence
    assert job.status == "Running"
    place.service._faults.clear()
    thread, came = place.start(place.step(waits=True))
    looks = len(place.service.requests)
    await_true(lambda: len(place.service.requests) > looks + 3, "the job is followed again")
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert len(place.service.jobs) == 1
    assert place.blobs() == []


def test_a_job_that_arrived_unseen_keeps_its_mailbox(place, monkeypatch):  # noqa: F811
    """Every answer to its submission was lost, and then the workspace was away: nobody knows of it, and it lives."""
    used, asked_of, away = place.service, place.service._of_jobs, []

    def answer_and_go_away(method, *asked):
        if method == "PUT" and not away:
            away.append(True)
            for of in (("GET", "/jobs/"), ("POST", "/cancel")):
                used.fail_next(*of, *["drop"] * 200)
        return asked_of(method, *asked)

    monkeypatch.setattr(used, "_of_jobs", answer_and_go_away)
    used.lose_submissions = 200
    thread, came = place.start(place.step(waits=True), patience_s=0.5)
    job = used.only_job()
    thread.join(120)
    assert isinstance(came[0], WorkspaceError), came
    assert job.status == "Running"
    assert f"{job.name}/context.json" in place.blobs()
    place.service._faults.clear()
    place.service.lose_submissions = 0
    thread, came = place.start(place.step(waits=True))
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert (len(place.service.jobs), job.starts) == (1, 1)
    assert place.blobs() == []


def test_the_end_of_a_job_that_nobody_waited_for_is_read(place):  # noqa: F811
    """The work is done: it is not done again."""
    kill_a_run(place)
    job = place.service.only_job()
    place.gate.touch()
    for process in job.processes:
        process.wait(60)
    assert place.run(place.step(waits=True)).metadata["model_id"].value == 7
    assert len(place.service.jobs) == 1
    assert place.blobs() == []


def test_two_runs_that_ask_for_the_same_get_one_job(place):  # noqa: F811
    runs = [place.start(place.step("--ending", "mute", waits=True)) for _ in range(2)]
    job = place.service.only_job()
    await_true(lambda: sum(path.endswith(job.name) for _, path in place.service.requests) > 6, "both look at it")
    place.gate.touch()
    for thread, _ in runs:
        thread.join(120)
    assert len(place.service.jobs) == 1
    assert job.starts == 1


def test_the_next_attempt_has_the_next_name(place):  # noqa: F811
    """The service keeps the names of jobs that have ended for ever; after years they are still found quickly."""
    with pytest.raises(JobError):
        place.run(place.step("--ending", "mute"))
    first = place.service.only_job()
    stem = first.name.removesuffix("-1")
    assert stem != first.name
    for attempt in range(2, 200):
        place.service.jobs[f"{stem}-{attempt}"] = ClusterJob(
            f"{stem}-{attempt}", first.properties, first.folder, "Failed"
        )
    place.service.requests.clear()
    with pytest.raises(JobError, match=f"{stem}-200 "):
        place.run(place.step("--ending", "mute"))
    looks = [path for method, path in place.service.requests if method == "GET" and "/jobs/" in path]
    assert len(set(looks)) < 20


def test_another_command_or_another_version_is_another_job(place):  # noqa: F811
    for step, environment in ((place.step("--ending", "mute"), "chimp-assets:1"), (place.step("--ending", "silent"),
                              "chimp-assets:1"), (place.step("--ending", "mute"), "chimp-assets:2")):  # fmt: skip
        with pytest.raises(JobError):
            place.run(step, environment=environment)
    assert len({name.rpartition("-")[0] for name in place.service.jobs}) == 3


def test_a_job_whose_node_is_taken_starts_again_and_counts_once(place):  # noqa: F811
    thread, came = place.start(place.step(waits=True))
    job = place.service.only_job()
    await_true(lambda: any("/messages/" in key for key in place.blobs()), "its first start has reported")
    place.service.take_node(job.name)
    await_true(lambda: job.starts == 2, "it runs again")
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert "start-2" in str(came[0].metadata["folder"].value)
    assert place.blobs() == []


def test_what_dead_runs_have_left_is_removed_by_the_next(place, monkeypatch):  # noqa: F811
    """Only what is old and whose job has ended: a job of days may say little."""
    store = BlobStore.open(place.mailboxes)
    for name, status in (("chimp-old-1", "Completed"), ("chimp-busy-1", "Running")):
        store.put(f"{name}/context.json", b"{}")
        job = ClusterJob(name, {"jobType": "Command", "command": "true"}, place.folder / name, status)
        job.pretended = [(status, None)]
        place.service.jobs[name] = job
    store.put("chimp-unknown-1/messages/1.json", b"{}")
    with pytest.raises(JobError):
        place.run(place.step("--ending", "mute"))
    assert len(place.blobs()) == 3  # too young to judge
    monkeypatch.setattr(azureml_messages, "_LEFT_AFTER", timedelta(0))
    with pytest.raises(JobError):
        place.run(place.step("--ending", "mute"))
    assert place.blobs() == ["chimp-busy-1/context.json"]
