"""Whether heavy steps can run in the workspace of Azure ML: what `chimp doctor` looks at where they should.

Belongs here: one look for each thing that a first job would fail at. Does not belong here: running jobs (`azureml`),
how findings are shown (`operations.doctor`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chimp_assets.compute.azureml_job import cluster_of, environment_of, variables_of
from chimp_assets.compute.azureml_messages import account_url, mailbox_store
from chimp_assets.compute.azureml_workspace import Workspace, first_line
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from chimp_assets.home import Home


class WorkspaceFinding(NamedTuple):
    """One line, as `operations.doctor` shows it: what was looked at, how it is, and the remedy where it is not well."""

    part: str
    verdict: Literal["well", "warning", "ill"]
    says: str
    remedy: str = ""


def findings(home: Home) -> list[WorkspaceFinding]:
    """Looks at settings, workspace, clusters, environment, identity and messages. Raises nothing.

    A workspace that does not answer hides the looks that need it, since each would say the same.
    """
    try:
        workspace = Workspace(home.settings.compute.azureml)
    except ChimpError as error:
        return [WorkspaceFinding("azureml", "ill", error.sentence, error.remedy)]
    found = _looked("azureml", lambda: _workspace(workspace))
    looks: list[tuple[str, Callable[[], list[WorkspaceFinding]]]] = [("azureml messages", lambda: _messages(home))]
    if all(finding.verdict != "ill" for finding in found):
        looks = [
            ("azureml clusters", lambda: _clusters(workspace, home)),
            ("azureml environment", lambda: _environment(workspace)),
            ("azureml identity", lambda: _identity(home)),
            *looks,
        ]
    for part, look in looks:
        found += _looked(part, look)
    return found


def _looked(part: str, look: Callable[[], list[WorkspaceFinding]]) -> list[WorkspaceFinding]:
    try:
        return look()
    except ChimpError as error:
        return [WorkspaceFinding(part, "ill", error.sentence, error.remedy)]
    except Exception as error:  # a doctor that crashes helps nobody: the finding carries the error
        return [WorkspaceFinding(part, "ill", first_line(error), "See `chimp --debug doctor`.")]


def _workspace(workspace: Workspace) -> list[WorkspaceFinding]:
    name = workspace.settings.workspace
    try:
        found = workspace.client.workspaces.get(name)
    except Exception as error:
        if getattr(error, "status_code", None) == 404:
            return [
                WorkspaceFinding(
                    "azureml",
                    "ill",
                    f"there is no workspace {name} in the resource group {workspace.settings.resource_group}",
                    "Correct compute.azureml.workspace and resource_group.",
                )
            ]
        raise workspace.explained(f"The workspace {name} could not be opened", error) from error
    return [WorkspaceFinding("azureml", "well", f"the workspace {name} answers, in {found.location}")]


def _clusters(workspace: Workspace, home: Home) -> list[WorkspaceFinding]:
    """The clusters of steps with and without GPUs: there, usable, and large enough for the nodes asked for."""
    settings = home.settings.compute
    wanted = dict.fromkeys((cluster_of(settings.azureml, 0), cluster_of(settings.azureml, 1)))
    lines = []
    for name in wanted:
        nodes = settings.nodes if name == cluster_of(settings.azureml, settings.gpus) else 1
        try:
            cluster = workspace.client.compute.get(name)
        except Exception as error:
            if getattr(error, "status_code", None) != 404:
                raise workspace.explained(f"The cluster {name} could not be looked at", error) from error
            sentence = f"there is no cluster {name} in the workspace"
            remedy = "Make it, or correct compute.azureml.cpu_compute and gpu_compute."
            lines.append(WorkspaceFinding("azureml clusters", "ill", sentence, remedy))
            continue
        lines.append(_cluster(name, cluster, nodes))
    return lines


def _cluster(name: str, cluster: Any, nodes: int) -> WorkspaceFinding:
    most = getattr(cluster, "max_instances", None)
    state = getattr(cluster, "provisioning_state", None)
    state = getattr(state, "value", state)
    errors = getattr(cluster, "provisioning_errors", None)
    if state not in (None, "Succeeded"):
        said = f" ({errors})" if errors else ""
        return WorkspaceFinding(
            "azureml clusters", "ill", f"the cluster {name} is not usable: {state}{said}", "Look at it in the studio."
        )
    if most is not None and most < nodes:
        return WorkspaceFinding(
            "azureml clusters",
            "ill",
            f"the cluster {name} has at most {most} nodes, and a step asks for {nodes}: it would wait for ever",
            "Raise the cluster's limit (and the quota of the region), or lower compute.nodes.",
        )
    size = getattr(cluster, "size", None) or "unknown size"
    return WorkspaceFinding("azureml clusters", "well", f"the cluster {name} has up to {most or 1} nodes of {size}")


def _environment(workspace: Workspace) -> list[WorkspaceFinding]:
    from azure.core.exceptions import ResourceNotFoundError

    asked = environment_of(workspace.settings).removeprefix("azureml:")
    if asked.startswith(("/", "//", "registries/")):
        return [WorkspaceFinding("azureml environment", "well", f"jobs run in {asked}, which was not looked up")]
    name, _, version = asked.partition(":")
    try:
        workspace.client.environments.get(name, version or None, label=None if version else "latest")
    except ResourceNotFoundError:
        return [
            WorkspaceFinding(
                "azureml environment",
                "ill",
                f"there is no environment {asked} in the workspace",
                "Make it from deploy/Dockerfile, or correct compute.azureml.environment.",
            )
        ]
    return [WorkspaceFinding("azureml environment", "well", f"jobs run in {asked}")]


def _identity(home: Home) -> list[WorkspaceFinding]:
    """Who a job is, and whether what it is told is complete and free of secrets."""
    variables_of(home, account_url())
    client_id = home.settings.compute.azureml.identity_client_id
    if not client_id:
        return [
            WorkspaceFinding(
                "azureml identity",
                "warning",
                "no identity is named for jobs, so they have that of their cluster, if it has one",
                "Set compute.azureml.identity_client_id to an identity that may read SQL and Blob.",
            )
        ]
    return [WorkspaceFinding("azureml identity", "well", f"jobs are {client_id}, and are told no secret")]


def _messages(home: Home) -> list[WorkspaceFinding]:
    store = mailbox_store(home)
    key = "doctor/write-test"
    store.put(key, b"written by chimp doctor")
    store.delete(key)
    return [WorkspaceFinding("azureml messages", "well", f"{store.url} can be written")]
