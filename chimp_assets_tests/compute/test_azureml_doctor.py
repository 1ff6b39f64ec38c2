"""What a first job would fail at is said before there is one."""

import pytest

from chimp_assets.compute.azureml_doctor import WorkspaceFinding, findings
from chimp_assets.home import Home
from chimp_assets_tests.azure.conftest import _no_credentials_from_outside, azurite, with_key  # noqa: F401  fixtures
from chimp_assets_tests.support.azureml.place import QUIET
from chimp_assets_tests.support.azureml.service import SETTINGS, AzureMLService, service  # noqa: F401  a fixture

pytestmark = QUIET


@pytest.fixture(scope="module")
def container(azurite) -> str:  # noqa: F811
    return azurite.make_container("doctor")


@pytest.fixture
def look(with_key, service, container, tmp_path):  # noqa: F811
    """look(setting=value): what is found where [compute.azureml] has these settings."""
    (tmp_path / "chimp.toml").touch()

    def findings_with(nodes: int = 1, **azureml: object) -> dict[str, WorkspaceFinding]:
        compute = {"kind": "azureml", "nodes": nodes, "azureml": {**SETTINGS, **azureml}}
        home = Home.open(
            tmp_path, store_url=container, archive_url=container, compute=compute,
            database_url="mssql+pyodbc://db.example/chimp",
        )  # fmt: skip
        return {finding.part: finding for finding in findings(home)}

    return findings_with


def test_a_workspace_in_which_a_job_can_run_is_well(look):
    found = look()
    assert {part: finding.verdict for part, finding in found.items()} == {
        "azureml": "well", "azureml clusters": "well", "azureml environment": "well", "azureml identity": "well",
        "azureml messages": "well",
    }  # fmt: skip
    assert "up to 2 nodes" in found["azureml clusters"].says


@pytest.mark.parametrize(
    ("setting", "value", "part", "says", "remedy"),
    [
        ("workspace", None, "azureml", "compute.azureml.workspace is not set", "portal"),
        ("workspace", "elsewhere", "azureml", "no workspace elsewhere", "compute.azureml.workspace"),
        ("cpu_compute", "gone", "azureml clusters", "no cluster gone", "Make it"),
        ("cpu_compute", None, "azureml clusters", "no cluster is named", "compute.azureml.cpu_compute"),
        ("environment", "chimp-assets:9", "azureml environment", "no environment chimp-assets:9", "deploy/Dockerfile"),
        ("environment", None, "azureml environment", "environment is not set", "deploy/Dockerfile"),
        ("messages_url", "az://not-made/jobs", "azureml messages", "no container not-made", "create the container"),
        ("messages_url", "/tmp", "azureml messages", "/tmp is none", "az://"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(look, setting, value, part, says, remedy):
    found = look(**{setting: value})[part]
    assert found.verdict == "ill"
    assert says in found.says
    assert remedy in found.remedy


def test_a_cluster_that_is_too_small_or_broken_is_named(look, service):  # noqa: F811
    """A job that asks for more nodes than there can be is queued for ever."""
    assert "at most 2 nodes, and a step asks for 3" in look(nodes=3)["azureml clusters"].says
    service.computes["cpu"]["provisioningState"] = "Failed"
    assert "not usable: Failed" in look()["azureml clusters"].says


def test_jobs_without_an_identity_are_warned_of(look):
    found = look(identity_client_id=None)["azureml identity"]
    assert (found.verdict, "identity" in found.remedy) == ("warning", True)


def test_a_refusal_names_the_role(look, service: AzureMLService):  # noqa: F811
    service.fail_next("GET", "/workspaces/", 403)
    found = look()
    assert "AzureML Data Scientist" in found["azureml"].remedy
    assert set(found) == {"azureml", "azureml messages"}
