"""Heavy steps in a process of this machine.

Belongs here: starting it. Does not belong here: the choice of the place (`resource`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home


def run_in_subprocess(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, home: Home, step: HeavyStep
) -> dg.PipesClientCompletedInvocation | Any:
    """Runs a step in a process of its own, which finds this home by its environment."""
    return dg.PipesSubprocessClient().run(command=step.local_command, context=context, env=home.environment())
