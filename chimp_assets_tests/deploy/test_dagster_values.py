"""Our values for Dagster's chart, as far as they can be checked without the chart: by the packages that read them."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._serdes.config_class import class_from_code_pointer
from dagster_k8s import K8sRunLauncher
from dagster_shared.check import CheckError

from chimp_assets_tests.deploy.files import EXAMPLES, load
from chimp_assets_tests.paths import REPOSITORY

VALUES = load(REPOSITORY / "deploy/helm/dagster.values.yaml")
INSTANCE = load(REPOSITORY / "deploy/dagster.k8s.yaml")
# Keys within these are names of others, not words of Dagster.
VERBATIM = {"labels", "node_selector", "limits", "requests"}


def snake(value: Any) -> Any:
    """Words of the chart as its templates write them into dagster.yaml."""
    if isinstance(value, dict):
        return {
            (word := re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", key)): (
                inner if word in VERBATIM else snake(inner)
            )
            for key, inner in value.items()
        }
    return [snake(one) for one in value] if isinstance(value, list) else value


def merged(below: Any, above: Any) -> Any:
    """Values of two files, as Helm lays one over the other."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: merged(below[key], above[key]) if key in below and key in above else {**below, **above}[key]
                for key in {**below, **above}}  # fmt: skip
    return above


def launcher_config(values: dict[str, Any]) -> dict[str, Any]:
    """What the chart makes of runLauncher.config.k8sRunLauncher."""
    return {
        **snake(values["runLauncher"]["config"]["k8sRunLauncher"]),
        "service_account_name": values["global"]["serviceAccountName"],
        "instance_config_map": "dagster-instance",
        "job_namespace": "chimp-assets",
    }


def faults(config: dict[str, Any]) -> list[str]:
    return [error.message for error in validate_config(K8sRunLauncher.config_type(), config).errors or []]


@pytest.mark.parametrize("over", [None, "dagster.azure.yaml"])
def test_the_launcher_takes_what_the_chart_is_told(over: str | None) -> None:
    values = merged(VALUES, load(EXAMPLES / over)) if over else VALUES
    config = launcher_config(values)
    assert faults(config) == []
    assert faults({**config, "run_k8s_configs": {}}) != []
    from dagster_k8s.job import UserDefinedDagsterK8sConfig

    UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"])
    assert config["run_k8s_config"]["job_spec_config"]["ttl_seconds_after_finished"] > 0
    scratch = next(one for one in config["volumes"] if one["name"] == "scratch")
    assert scratch["empty_dir"]["size_limit"]


def test_the_instance_of_the_chart_is_the_one_of_the_template() -> None:
    """Run monitoring, retries and limits: a run that was killed must give its slots back here too."""
    told = VALUES["additionalInstanceConfig"]
    for part in ("run_monitoring", "run_retries", "concurrency", "nux"):
        assert told[part] == INSTANCE[part], part
    assert told["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    daemon = VALUES["dagsterDaemon"]
    for part in ("sensors", "schedules"):
        assert snake(daemon[part]) == INSTANCE[part]
    coordinator = daemon["runCoordinator"]
    assert coordinator["type"] == INSTANCE["run_coordinator"]["class"]
    assert snake(coordinator["config"]["queuedRunCoordinator"]) == INSTANCE["run_coordinator"]["config"]
    # What stands in both would be written twice.
    assert not daemon["runMonitoring"]["enabled"]
    assert not daemon["runRetries"]["enabled"]
    for part in ("sensor", "schedule"):
        days = snake(VALUES["retention"][part])["purge_after_days"]
        wanted = INSTANCE["retention"][part]["purge_after_days"]
        assert days == wanted or wanted.items() <= days.items()


def test_dagster_reads_what_goes_into_its_instance_as_it_is() -> None:
    known = set(dagster_instance_config_schema())
    assert set(VALUES["additionalInstanceConfig"]) <= known
    assert {*VALUES["additionalInstanceConfig"], "run_monitorings"} - known == {"run_monitorings"}


def test_the_records_name_their_driver() -> None:
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
    assert not VALUES["postgresql"]["enabled"]


@pytest.mark.parametrize("name", ["dagster.yaml", "deploy/dagster.celery.yaml", "deploy/dagster.k8s.yaml"])
def test_every_class_that_an_instance_names_can_be_imported(name: str) -> None:
    instance = load(REPOSITORY / name)
    named = [part for part in instance.values() if isinstance(part, dict) and "class" in part]
    assert named
    for part in named:
        # Dagster itself reads `dagster.core` in an instance as `dagster._core`.
        assert class_from_code_pointer(re.sub(r"^dagster\.core\b", "dagster._core", part["module"]), part["class"])
    with pytest.raises(CheckError):
        class_from_code_pointer(named[0]["module"], "NoLauncher")


def test_the_code_location_of_the_examples_is_the_one_of_the_product() -> None:
    """Helm does not merge lists: an example repeats the deployment, and must not lose what the values say of it."""
    ours = VALUES["dagster-user-deployments"]["deployments"][0]
    example = load(EXAMPLES / "dagster.azure.yaml")["dagster-user-deployments"]["deployments"][0]
    for part in (
        "name",
        "dagsterApiGrpcArgs",
        "port",
        "includeConfigInLaunchedRuns",
        "resources",
        "podSecurityContext",
    ):
        assert example[part] == ours[part], part
    assert importlib.util.find_spec(ours["dagsterApiGrpcArgs"][1])
    told = load(EXAMPLES / "dagster.azure.yaml")["runLauncher"]["config"]["k8sRunLauncher"]["envVars"]
    assert told == [f"{name}={value}" for name, value in example["env"].items()]
