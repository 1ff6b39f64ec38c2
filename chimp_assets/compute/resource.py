"""The resource `compute`: runs heavy steps where the settings say.

Belongs here: the choice of the place. Does not belong here: the places themselves, each in its own module that is
imported when it is chosen (`dagster_azure.pipes` alone takes 124 MB).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home


class ComputeResource(dg.ConfigurableResource):
    """Runs heavy steps by Dagster Pipes where `compute.kind` says: subprocess, azureml or k8s."""

    def run(
        self, context: dg.AssetExecutionContext | dg.OpExecutionContext, home: Home, step: HeavyStep
    ) -> dg.PipesClientCompletedInvocation | Any:
        """Runs a step to its end. Raises whatever the place raises if it fails; the event log holds its messages."""
        kind = home.settings.compute.kind
        if kind == "subprocess":
            from chimp_assets.compute.subprocess import run_in_subprocess

            return run_in_subprocess(context, home, step)
        if kind == "azureml":
            from chimp_assets.compute.azureml import run_in_azureml

            return run_in_azureml(context, home, step)
        raise NotImplementedError(kind)
