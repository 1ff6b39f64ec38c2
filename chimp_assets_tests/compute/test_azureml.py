"""Heavy steps as jobs of Azure ML: the real SDK, the real Pipes and Azurite, against a stand-in of the service.

Each fault of the service that a run may meet ends in a known way: the step succeeds once its work is whole, and fails
with a sentence otherwise; no job is started twice, none is left, and no blob stays.
"""

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.compute import azureml, azureml_messages
from chimp_assets.compute.azureml import JobError, run_in_azureml
from chimp_assets.compute.azureml_workspace import WorkspaceError
from chimp_assets.compute.heavy_step import HeavyStep
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home
from chimp_assets_tests.azure.azurite import KEY
from chimp_assets_tests.azure.conftest import _no_credentials_from_outside, azurite, with_key  # noqa: F401  fixtures
from chimp_assets_tests.support.azureml_service import (
    SETTINGS,
    AzureMLService,
    ClusterJob,
    await_true,
    service,  # noqa: F401  a fixture
)

_numbers = itertools.count()
# The SDK's own use of its libraries.
pytestmark = pytest.mark.filterwarnings("ignore:::(azure|marshmallow)[.]")
STEP = "chimp_assets_tests.support.azureml_step"


class Place:
    """A home whose heavy steps run in the stand-in, and one asset that asks for one."""

    def __init__(self, settings: Callable[..., Home], used: AzureMLService, folder: Path, store_url: str) -> None:
        self._settings, self.service, self.folder = settings, used, folder
        self.mailboxes = f"{store_url}/jobs"
        self.gate = folder / "gate"

    def home(self, **compute: Any) -> Home:
        return self._settings(**compute)

    def step(self, *arguments: str, waits: bool = False, **asked: Any) -> HeavyStep:
        gate = ("--gate", str(self.gate)) if waits else ()
        return HeavyStep(STEP, (*arguments, *gate), **asked)

    def run(self, step: HeavyStep | None = None, **compute: Any) -> dg.MaterializeResult:
        """What the asset's step gives. Raises its error."""
        given: list[Any] = []

        @dg.asset
        def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            try:
                done = run_in_azureml(context, self.home(**compute), step or self.step())
            except BaseException as error:
                given.append(error)
                raise
            given.append(done.get_materialize_result())
            return given[0]

        dg.materialize([trained], raise_on_error=False)
        (one,) = given
        if isinstance(one, BaseException):
            raise one
        return one

    def start(self, step: HeavyStep, **compute: Any) -> tuple[threading.Thread, list[Any]]:
        """The same in a thread: the list gets what came of it."""
        came: list[Any] = []

        def run() -> None:
            try:
                came.append(self.run(step, **compute))
            except BaseException as error:
                came.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, came

    def blobs(self) -> list[str]:
        return [blob.key for blob in BlobStore.open(self.mailboxes).list()]


@pytest.fixture
def place(with_key, service, tmp_path) -> Place:  # noqa: F811
    container = with_key.make_container(f"jobs-{next(_numbers)}")
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "chimp.toml").touch()  # its database is never opened

    def opened(**compute: Any) -> Home:
        azureml = {**SETTINGS, **compute}
        return Home.open(
            folder,
            store_url=container,
            archive_url=container,
            database_url="postgresql+psycopg://chimp@db.example/chimp",
            compute={"kind": "azureml", "azureml": azureml},
        )

    return Place(opened, service, tmp_path, container)


def test_a_step_runs_elsewhere_and_reports_here(place):
    """The job gets what is listed here and nothing else: no code, no variable of this process, no secret."""
    made = place.run(place.step(minutes=3))
    job = place.service.only_job()
    assert made.metadata["model_id"].value == 7
    assert str(job.folder) in str(made.metadata["folder"].value)
    assert made.metadata["azureml/job"].value == job.name
    assert (job.status, job.starts) == ("Completed", 1)
    assert place.blobs() == []
    asked = job.properties
    assert asked["command"] == f"python -m {STEP}"
    assert asked["environmentId"].endswith("/environments/chimp-assets/versions/1")
    assert asked["computeId"].endswith("/computes/cpu")
    assert asked["limits"]["timeout"] == "PT3M"
    assert asked["identity"]["clientId"] == "client-of-the-cluster"
    assert asked["resources"] == {"instanceCount": 1, "properties": {}, "shmSize": "16g"}
    assert not asked.get("codeId")
    assert not asked.get("distribution")
    assert asked["tags"]["chimp_step"] == STEP
    assert sorted(name for name in job.variables if not name.startswith("CHIMP_COMPUTE")) == [
        "AZURE_CLIENT_ID", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT",
        "CHIMP_ARCHIVE_URL", "CHIMP_DATABASE_URL", "CHIMP_PIPES_ACCOUNT_URL", "CHIMP_PIPES_KIND", "CHIMP_STORE_URL",
        "DAGSTER_PIPES_CONTEXT", "DAGSTER_PIPES_MESSAGES",
    ]  # fmt: skip
    assert KEY not in str(asked)


def test_several_gpus_and_nodes_are_asked_for_together(place):
    """Each process gets its rank as torchrun would give it; the job is told how many, not where."""
    with pytest.raises(JobError, match="without saying"):
        place.run(place.step("--ending", "mute", gpus=2, nodes=2), gpu_compute="gpu", shm_size="64g")
    job = place.service.only_job()
    assert job.properties["distribution"] == {"distributionType": "PyTorch", "processCountPerInstance": 2}
    assert job.properties["resources"] == {"instanceCount": 2, "properties": {}, "shmSize": "64g"}
    assert job.properties["computeId"].endswith("/computes/gpu")


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("mute", "completed without saying that its work is whole."),
        ("silent", "completed without saying that its work is whole."),
        ("error", "ended as Failed: ValueError: the step of the test fails"),
    ],
)
def test_an_end_without_the_steps_own_word_is_a_failure(place, ending, sentence):
    """`Completed` says that a process has ended with 0, which one that did nothing does too."""
    with pytest.raises(JobError) as failed:
        place.run(place.step("--ending", ending))
    assert sentence in failed.value.sentence
    assert "studio" in failed.value.remedy
    assert place.blobs() == []


def test_a_job_that_somebody_cancels_has_failed(place):
    """With `PipesAzureMLClient` it had succeeded."""
    thread, came = place.start(place.step("--ending", "mute", waits=True))
    job = place.service.only_job()
    await_true(lambda: job.status == "Running", "it runs")
    place.service.cancel(job.name)
    thread.join(60)
    assert isinstance(came[0], JobError)
    assert "was cancelled" in came[0].sentence
    assert place.blobs() == []


@pytest.mark.parametrize("word", ["NotResponding", "Paused"])
def test_a_node_that_never_answers_again_is_given_up(place, word):
    place.service.new_jobs_pretend = [(word, None)]
    with pytest.raises(JobError, match=f"is cancelled: it was {word} for 1 s"):
        place.run(place.step("--ending", "mute", waits=True), patience_s=1.0)
    job = place.service.only_job()
    assert job.status == "Canceled"
    assert place.blobs() == []


def test_what_passes_is_waited_out(place):
    """A silent node, throttling, errors of the server and lost connections, between a submission and its good end."""
    place.service.new_jobs_pretend = [("NotResponding", 3), ("Paused", 2), ("Queued", 1)]
    place.service.fail_next("GET", "/jobs/", 503, "drop", 429, 500)
    thread, came = place.start(place.step(waits=True))
    job = place.service.only_job()
    await_true(lambda: job.pretended == [], "it answers again")
    place.service.fail_next("GET", f"/jobs/{job.name}", "drop", "drop", 429, 500, 401, 404)
    await_true(lambda: not place.service._faults, "all faults were met")
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert (len(place.service.jobs), job.starts) == (1, 1)


def test_a_workspace_that_stays_away_fails_the_step_and_loses_nothing(place):
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


def test_a_submission_whose_answer_is_lost_is_found(place):
    place.service.lose_submissions = 4
    assert place.run().metadata["model_id"].value == 7
    job = place.service.only_job()
    assert job.starts == 1


def test_a_submission_that_is_refused_says_why_and_leaves_nothing(place):
    place.service.fail_next("PUT", "/jobs/", 403)
    with pytest.raises(WorkspaceError) as refused:
        place.run()
    assert "may not do that" in refused.value.sentence
    assert "AzureML Data Scientist" in refused.value.remedy
    assert place.service.jobs == {}
    assert place.blobs() == []


def test_a_run_that_is_terminated_ends_its_job(place, monkeypatch):
    """What Dagster raises in a step when its run is terminated."""
    sleep, terminated = azureml.time.sleep, []

    def interrupted(seconds: float) -> None:
        if place.service.jobs and not terminated:
            terminated.append(True)
            raise dg.DagsterExecutionInterruptedError()
        sleep(seconds)

    monkeypatch.setattr(azureml.time, "sleep", interrupted)
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        place.run(place.step("--ending", "mute", waits=True))
    job = place.service.only_job()
    assert job.status == "Canceled"
    assert all(process.poll() is not None for process in job.processes)
    assert place.blobs() == []


def test_the_job_of_a_run_that_was_killed_is_taken_over(place):
    """A run that is killed can do nothing more; the run in its place has another id, and still finds the job."""
    killed = _killed_run(place)
    job = place.service.only_job()
    assert killed != job.name
    thread, came = place.start(place.step(waits=True))
    await_true(lambda: any("context.json" in key for key in place.blobs()), "the context is there")
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert (len(place.service.jobs), job.starts) == (1, 1)
    assert place.blobs() == []


def test_the_end_of_a_job_that_nobody_waited_for_is_read(place):
    """The work is done: it is not done again."""
    _killed_run(place)
    job = place.service.only_job()
    place.gate.touch()
    for process in job.processes:
        process.wait(60)
    assert place.run(place.step(waits=True)).metadata["model_id"].value == 7
    assert len(place.service.jobs) == 1
    assert place.blobs() == []


def test_two_runs_that_ask_for_the_same_get_one_job(place):
    runs = [place.start(place.step("--ending", "mute", waits=True)) for _ in range(2)]
    job = place.service.only_job()
    await_true(lambda: sum(request == ("PUT", _path(place, job)) for request in place.service.requests) >= 1, "asked")
    place.gate.touch()
    for thread, _ in runs:
        thread.join(120)
    assert len(place.service.jobs) == 1
    assert job.starts == 1


def test_the_next_attempt_has_the_next_name(place):
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


def test_another_command_or_another_version_is_another_job(place):
    for step, environment in ((place.step("--ending", "mute"), "chimp-assets:1"), (place.step("--ending", "silent"),
                              "chimp-assets:1"), (place.step("--ending", "mute"), "chimp-assets:2")):  # fmt: skip
        with pytest.raises(JobError):
            place.run(step, environment=environment)
    assert len({name.rpartition("-")[0] for name in place.service.jobs}) == 3


def test_a_job_whose_node_is_taken_starts_again_and_counts_once(place):
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


def test_what_dead_runs_have_left_is_removed_by_the_next(place, monkeypatch):
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


@pytest.mark.parametrize(
    ("setting", "value", "names"),
    [
        ("subscription_id", None, "compute.azureml.subscription_id"),
        ("environment", None, "compute.azureml.environment"),
        ("cpu_compute", None, "cpu_compute"),
        ("messages_url", "file:///somewhere", "messages_url"),
    ],
)
def test_what_is_not_set_is_named_before_anything_is_submitted(place, setting, value, names):
    with pytest.raises(SettingsError) as refused:
        place.run(**{setting: value})
    assert names in str(refused.value)
    assert place.service.jobs == {}
    assert place.blobs() == []


def _killed_run(place: Place) -> str:
    """A run that submits the step that waits, and is killed while it follows its job; returns the word that ends it."""
    with pytest.MonkeyPatch.context() as patch:
        follow = azureml._Run._follow

        def killed(run: Any, state: Any, messages: Any) -> Any:
            # As a killed process would: nothing after this line is done.
            patch.setattr(azureml._Run, "_end_for", lambda run, error, name: False)
            raise SystemExit("killed")

        patch.setattr(azureml._Run, "_follow", killed)
        with pytest.raises(SystemExit):
            place.run(place.step(waits=True))
        assert follow is not killed
    await_true(lambda: place.service.only_job().status == "Running", "it runs")
    return "killed"


def _path(place: Place, job: ClusterJob) -> str:
    return next(path for method, path in place.service.requests if method == "PUT" and path.endswith(job.name))
