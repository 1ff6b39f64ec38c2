"""The resource `compute`: runs heavy steps where the settings say.

Belongs here: the choice of the place, and what holds in every place. Does not belong here: the places themselves, each
in its own module that is imported when it is chosen (`azure.ai.ml` alone takes 124 MB).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import dagster as dg

from chimp_assets.compute.messages import report_of
from chimp_assets.compute.step_context import StepContext, leave_pool
from chimp_assets.errors import SettingsError

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home


class ComputeResource(dg.ConfigurableResource):
    """Runs heavy steps by Dagster Pipes where `compute.kind` says: subprocess, azureml or k8s."""

    def run(self, context: StepContext, home: Home, step: HeavyStep) -> dg.PipesClientCompletedInvocation | Any:
        """Runs a step to its end; the event log holds its messages. Raises whatever the place raises if it fails,
        SettingsError if the place cannot be used, UnfinishedStepError if the step has not said `done`.

        A step that runs elsewhere gives back its slot of the pool: a pool counts work of this machine, and waiting for
        an hour is none.
        """
        if home.settings.compute.is_remote:
            require_shared(home)
            leave_pool(context)
        done = _run_in_place(context, home, step)
        report_of(done)
        return done


def _run_in_place(context: StepContext, home: Home, step: HeavyStep) -> dg.PipesClientCompletedInvocation | Any:
    kind = home.settings.compute.kind
    if kind == "azureml":
        _require("azure.ai.ml", kind)
        from chimp_assets.compute.azureml import run_in_azureml

        return run_in_azureml(context, home, step)
    if kind == "k8s":
        _require("dagster_k8s", kind)
        from chimp_assets.compute.kubernetes import run_in_pod

        return run_in_pod(context, home, step)
    from chimp_assets.compute.subprocess import run_in_subprocess

    return run_in_subprocess(context, home, step)


def _require(package: str, kind: str) -> None:
    """Raises SettingsError if a package of requirements-scale-out.lock is not installed."""
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it is part of
        found = False
    if not found:
        raise SettingsError(
            f"compute.kind is {kind}, but the package {package} is not installed.",
            "Run `pip install -r requirements-scale-out.lock`, or set compute.kind to subprocess.",
        )


def require_shared(home: Home) -> None:
    """Raises SettingsError if another machine could not work in this home: its database or store is a local file."""
    settings = home.settings
    for name, url in (("database_url", settings.database_url), ("store_url", settings.store_url)):
        if url.startswith(("sqlite", "file:", "/")):
            raise SettingsError(
                f"compute.kind is {settings.compute.kind}, but {name} names files of this machine.",
                "Move the home to a database server and to az://container/prefix, or set compute.kind to subprocess.",
            )
