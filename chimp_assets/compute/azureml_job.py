"""What a job of Azure ML is made of: its name, its tags, its variables, the machines that it asks for.

Belongs here: the description that is handed to the service. Does not belong here: the service (`azureml_workspace`),
following the job (`azureml`).

**The name is the arbiter.** A service that has a job of a name never starts a second one of that name, whoever asks and
however often. So the name is made from the work and not from the run: home, step, command and code, and the number of
the attempt. A run that takes the place of a dead one has another id, and often is not even marked as a retry, since a
sensor asked again: it finds the job of its predecessor by looking. Two runs that ask for the same work at the same
moment get one job. An attempt is the next one once the job of the last has ended; the id of the run is a tag.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chimp_assets.errors import SettingsError

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home
    from chimp_assets.settings.compute import AzureMLSettings

EXPERIMENT = "chimp-assets"
WORK_TAG, RUN_TAG, STEP_TAG = "chimp_work", "dagster_run_id", "chimp_step"
_LONGEST_WORD = 40


@dataclass(frozen=True)
class Work:
    """What one step of the asset graph asks for, whichever run asks. name(n): of the job of its n-th attempt."""

    stem: str
    digest: str

    def name(self, attempt: int) -> str:
        """Letters, digits and hyphens, at most 70: a name that Azure ML accepts."""
        return f"{self.stem}-{self.digest}-{attempt}"


def work_of(home: Home, step: HeavyStep, step_key: str, partition: str | None) -> Work:
    """The identity of a step's work: home, step of the graph, command and code, not the run nor the machines asked for.

    So a job that waits for a cluster is still found after the operator has named another cluster.
    """
    settings = home.settings
    facts = [
        settings.secret_free_database_url, settings.secret_free_store_url, settings.compute.azureml.environment,
        step_key, partition, step.module, list(step.arguments),
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    word = re.sub(r"[^a-z0-9]+", "-", step_key.lower()).strip("-")[:_LONGEST_WORD].strip("-")
    return Work(f"chimp-{word or 'step'}", digest)


def cluster_of(settings: AzureMLSettings, gpus: int) -> str:
    """The cluster of a step that asks for so many GPUs a node. Raises SettingsError if none is named."""
    wanted = settings.gpu_compute or settings.cpu_compute if gpus else settings.cpu_compute or settings.gpu_compute
    if not wanted:
        raise SettingsError(
            "compute.kind is azureml, but no cluster is named.",
            "Set compute.azureml.cpu_compute or compute.azureml.gpu_compute.",
        )
    return wanted


def environment_of(settings: AzureMLSettings) -> str:
    """The environment as the service names it. Raises SettingsError if none is named."""
    if not settings.environment:
        raise SettingsError(
            "compute.kind is azureml, but compute.azureml.environment is not set.",
            "Make one from deploy/Dockerfile and set its name and version: chimp-assets:VERSION.",
        )
    return settings.environment if settings.environment.startswith("azureml:") else f"azureml:{settings.environment}"


def job_of(
    home: Home, step: HeavyStep, name: str, work: Work, run_id: str, pipes: Mapping[str, str], account_url: str
) -> Any:
    """The command job for the SDK. pipes: the variables by which the step reports.

    No code is uploaded: it is in the image. Nothing here is a secret: whoever may see the workspace reads it all.
    Raises SettingsError if an address of the home carries one, or if a setting is missing.
    """
    from azure.ai.ml import command
    from azure.ai.ml.entities import ManagedIdentityConfiguration

    settings = home.settings.compute.azureml
    client_id = settings.identity_client_id
    together = {"type": "PyTorch", "process_count_per_instance": max(step.gpus, 1)}
    job = command(
        name=name,
        display_name=work.stem.removeprefix("chimp-"),
        experiment_name=EXPERIMENT,
        description=step.portable_command,
        command=step.portable_command,
        environment=environment_of(settings),
        compute=cluster_of(settings, step.gpus),
        instance_count=step.nodes,
        distribution=together if step.gpus > 1 or step.nodes > 1 else None,
        shm_size=settings.shm_size,
        identity=ManagedIdentityConfiguration(client_id=client_id) if client_id else None,
        environment_variables={**variables_of(home, account_url), **pipes},
        tags={WORK_TAG: work.digest, RUN_TAG: run_id, STEP_TAG: step.module},
    )
    if step.minutes is not None:
        job.set_limits(timeout=math.ceil(step.minutes * 60))
    return job


def variables_of(home: Home, account_url: str) -> dict[str, str]:
    """All that a job is told: settings that differ from their defaults, the storage account and who the job is.

    No key and no token: the job has the identity of its cluster. Raises SettingsError as `Home.job_environment`.
    """
    from chimp_assets.archive.storage.azure import account_of

    account = account_of()
    client_id = home.settings.compute.azureml.identity_client_id
    return {
        **home.job_environment(),
        "AZURE_STORAGE_ACCOUNT_NAME": account.name,
        **({"AZURE_STORAGE_ENDPOINT": account_url} if "endpoint" in account.options else {}),
        **({"AZURE_CLIENT_ID": client_id} if client_id else {}),
        "CHIMP_PIPES_KIND": "azureml",
        "CHIMP_PIPES_ACCOUNT_URL": account_url,
    }
