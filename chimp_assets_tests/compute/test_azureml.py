"""Heavy steps as jobs of Azure ML: the real SDK, the real Pipes and Azurite, against a stand-in of the service.

Each fault of the service that a run may meet ends in a known way: the step succeeds once its work is whole, and fails
with a sentence otherwise; no job is started twice, none is left, and no blob stays.
"""

import dagster as dg
import pytest

from chimp_assets.compute import azureml
from chimp_assets.compute.azureml import JobError
from chimp_assets.compute.azureml_workspace import WorkspaceError
from chimp_assets.errors import SettingsError
from chimp_assets_tests.azure.azurite import KEY
from chimp_assets_tests.azure.conftest import _no_credentials_from_outside, azurite, with_key  # noqa: F401  fixtures
from chimp_assets_tests.support.azureml.place import QUIET, STEP, kill_a_run, place  # noqa: F401  a fixture
from chimp_assets_tests.support.azureml.service import ClusterJob, await_true, service  # noqa: F401  a fixture

pytestmark = QUIET


def test_a_step_runs_elsewhere_and_reports_here(place):  # noqa: F811
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


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("mute", "completed without saying that its work is whole."),
        ("silent", "completed without saying that its work is whole."),
        ("error", "ended as Failed: ValueError: the step of the test fails"),
    ],
)
def test_an_end_without_the_steps_own_word_is_a_failure(place, ending, sentence):  # noqa: F811
    """`Completed` says that a process has ended with 0, which one that did nothing does too."""
    with pytest.raises(JobError) as failed:
        place.run(place.step("--ending", ending))
    assert sentence in failed.value.sentence
    assert "studio" in failed.value.remedy
    assert place.blobs() == []


def test_a_job_that_somebody_cancels_has_failed(place):  # noqa: F811
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
def test_a_node_that_never_answers_again_is_given_up(place, word):  # noqa: F811
    place.service.new_jobs_pretend = [(word, None)]
    with pytest.raises(JobError, match=f"is cancelled: it was {word} for 1 s"):
        place.run(place.step("--ending", "mute", waits=True), patience_s=1.0)
    job = place.service.only_job()
    assert job.status == "Canceled"
    assert place.blobs() == []


def test_what_passes_is_waited_out(place):  # noqa: F811
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


def test_a_submission_whose_answer_is_lost_is_found(place):  # noqa: F811
    place.service.lose_submissions = 4
    assert place.run().metadata["model_id"].value == 7
    job = place.service.only_job()
    assert job.starts == 1


def test_a_submission_that_is_refused_says_why_and_leaves_nothing(place):  # noqa: F811
    place.service.fail_next("PUT", "/jobs/", 403)
    with pytest.raises(WorkspaceError) as refused:
        place.run()
    assert "may not do that" in refused.value.sentence
    assert "AzureML Data Scientist" in refused.value.remedy
    assert place.service.jobs == {}
    assert place.blobs() == []


def test_a_run_that_is_terminated_ends_its_job(place, monkeypatch):  # noqa: F811
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


def test_the_job_of_a_run_that_was_killed_is_taken_over(place):  # noqa: F811
    """A run that is killed can do nothing more; the run in its place has another id, and still finds the job."""
    kill_a_run(place)
    job = place.service.only_job()
    thread, came = place.start(place.step(waits=True))
    await_true(lambda: any("context.json" in key for key in place.blobs()), "the context is there")
    place.gate.touch()
    thread.join(120)
    assert came[0].metadata["model_id"].value == 7, came
    assert (len(place.service.jobs), job.starts) == (1, 1)
    assert place.blobs() == []


@pytest.mark.parametrize(
    ("setting", "value", "names"),
    [
        ("subscription_id", None, "compute.azureml.subscription_id"),
        ("environment", None, "compute.azureml.environment"),
        ("cpu_compute", None, "cpu_compute"),
        ("messages_url", "file:///somewhere", "messages_url"),
    ],
)
def test_what_is_not_set_is_named_before_anything_is_submitted(place, setting, value, names):  # noqa: F811
    with pytest.raises(SettingsError) as refused:
        place.run(**{setting: value})
    assert names in str(refused.value)
    assert place.service.jobs == {}
    assert place.blobs() == []
