"""From the outputs of azure/main.bicep to values of the charts and grants: what one names, the other has."""

from __future__ import annotations

import json
import re
import runpy
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from chimp_assets.settings import Settings
from chimp_assets_tests.deploy.files import CHART, EXAMPLES, load, main_outputs
from chimp_assets_tests.deploy.test_dagster_values import VALUES, faults, launcher_config, merged
from chimp_assets_tests.deploy.test_names import settings_as_variables
from chimp_assets_tests.paths import REPOSITORY

PROGRAM = runpy.run_path(str(REPOSITORY / "azure/values.py"))
FEDERATION = (REPOSITORY / "azure/modules/federation.bicep").read_text(encoding="utf-8")
VAULT = (REPOSITORY / "azure/modules/vault.bicep").read_text(encoding="utf-8")


def outputs() -> dict[str, dict[str, str]]:
    """Each output with a value of its own."""
    return {
        name: {"value": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) if name.endswith("Id") else f"{name.lower()}.example"}
        for name in main_outputs()
    }


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "outputs.json").write_text(json.dumps(outputs()))
    arguments = ["--tag", "0.1.0", "--host", "labels.example.org", "--tls-secret", "labels", "--oidc-client-id", "app"]
    assert PROGRAM["main"]([str(tmp_path / "outputs.json"), *arguments, "--out", str(tmp_path)]) == 0
    return tmp_path


def same_shape(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two values files say different things, but for texts."""
    if isinstance(one, dict) and isinstance(other, dict):
        but = {"settings", "env", "secrets"}
        odd = [f"{path}.{key}" for key in one.keys() ^ other.keys()]
        return odd + [fault for key in one.keys() & other.keys() - but for fault in same_shape(one[key], other[key], f"{path}.{key}")]  # fmt: skip # noqa: E501
    return [] if type(one) is type(other) else [path]


def test_what_is_written_has_the_shape_of_the_examples_that_helm_has_rendered(written: Path) -> None:
    for name in ("chimp-assets.azure.yaml", "dagster.azure.yaml"):
        assert same_shape(load(written / name), load(EXAMPLES / name)) == [], name


def test_the_pipeline_is_told_where_its_heavy_steps_go(written: Path) -> None:
    values = load(written / "dagster.azure.yaml")
    config = launcher_config(merged(VALUES, values))
    assert faults(config) == []
    variables = dict(one.split("=", 1) for one in config["env_vars"])
    assert {name for name in variables if name.startswith("CHIMP_")} <= settings_as_variables(Settings)
    assert variables["CHIMP_COMPUTE__KIND"] == "azureml"
    assert variables["CHIMP_COMPUTE__AZUREML__WORKSPACE"] == outputs()["workspaceName"]["value"]
    assert values["dagster-user-deployments"]["deployments"][0]["env"] == variables


def test_settings_that_are_written_are_settings(written: Path) -> None:
    names = {name for name in load(written / "chimp-assets.azure.yaml")["settings"] if name.startswith("CHIMP_")}
    assert names <= settings_as_variables(Settings)


def test_service_accounts_are_those_that_azure_trusts(written: Path) -> None:
    trusted = set(re.findall(r"serviceaccount:\$\{namespace\}:([\w-]+)'", FEDERATION))
    values = load(written / "chimp-assets.azure.yaml")
    made = {
        one["serviceAccount"]["name"] for one in values.values() if isinstance(one, dict) and "serviceAccount" in one
    }
    assert made == trusted
    assert VALUES["global"]["serviceAccountName"] in made
    assert values["podLabels"] == {"azure.workload.identity/use": "true"}


def test_secrets_are_those_of_the_vault(written: Path) -> None:
    values = load(written / "chimp-assets.azure.yaml")
    in_vault = set(re.findall(r"(?m)^  parent: vault\n  name: '([\w-]+)'$", VAULT))
    secrets = values["keyVault"]["secrets"]
    assert {name for one in secrets.values() for name in one["keys"].values()} == in_vault
    assert {values["page"]["keyVaultSecret"], values["migration"]["keyVaultSecret"]} <= set(secrets)
    assert VALUES["global"]["postgresqlSecretName"] in secrets
    assert VALUES["postgresql"]["postgresqlUsername"] == "dagster"


def test_pods_go_to_pools_that_there_are(written: Path) -> None:
    pools = re.findall(r"'chimp/pool': '(\w+)'", (REPOSITORY / "azure/modules/kubernetes.bicep").read_text())
    assert load(written / "chimp-assets.azure.yaml")["nodeSelector"] == {"chimp/pool": pools[0]}
    assert pools == ["work", "gpu"]


def test_grants_are_t_sql_that_makes_members_of_our_roles(written: Path) -> None:
    roles = set(re.findall(r"CREATE ROLE (\w+)", (REPOSITORY / "sql/azure/roles.sql").read_text(encoding="utf-8")))
    text = (written / "grants.sql").read_text(encoding="utf-8")
    statements = [one.strip() for one in re.split(r"(?m)^GO$", text)]
    assert len(statements) == 6
    assert set(re.findall(r"ALTER ROLE (\w+)", text)) <= roles
    page = outputs()["pageClientId"]["value"]
    # SQL Server keeps a client id as the bytes of a uniqueidentifier: the first three parts turned round.
    assert f"SID = 0x{uuid.UUID(page).bytes_le.hex().upper()}" in text
    for statement in statements:
        sqlglot.parse_one(statement, dialect="tsql")


def test_an_output_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outputs.json").write_text(json.dumps({k: v for k, v in outputs().items() if k != "sqlHost"}))
    arguments = [
        str(tmp_path / "outputs.json"),
        "--tag",
        "1",
        "--host",
        "a.b",
        "--tls-secret",
        "c",
        "--out",
        str(tmp_path),
    ]
    assert PROGRAM["main"](arguments) == 2
    assert "has no 'sqlHost'" in capsys.readouterr().err
    assert not (tmp_path / "grants.sql").exists()


def test_every_output_has_a_use() -> None:
    """An output that neither the program nor the steps name would be one more thing to understand."""
    used = (REPOSITORY / "azure/values.py").read_text() + (REPOSITORY / "docs/operate/azure.md").read_text()
    assert [name for name in main_outputs() if name not in used] == []
    assert (CHART / "values.yaml").is_file()
