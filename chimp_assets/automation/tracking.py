"""The job `track_waiting`: detections and tracks of many bundles at once, where heavy steps run on another machine.

Belongs here: its op. Does not belong here: the other jobs (`jobs`), tracking (`loop`), when it is due (`sensors`).
"""

import dagster as dg

from chimp_assets.automation.made import record_made_partitions
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.resources import HomeResource


@dg.op(
    description="Detections and tracks of bundles that wait for a network, within the budget, where compute.kind says.",
    pool="detect",
)
def track_waiting_bundles(context: dg.OpExecutionContext, home: HomeResource, compute: ComputeResource) -> None:
    """Tracks what waits."""
    from chimp_assets.compute.messages import report_of
    from chimp_assets.loop.heavy.step import heavy_step

    opened = home.open()
    done = compute.run(context, opened, heavy_step(opened.settings, "track"))
    record_made_partitions(context, done)
    context.add_output_metadata(report_of(done))


@dg.job(
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG: it changes no model, and new labels must not wait for it.
    description="Tracks bundles whose frames wait for a network on another machine: a budget of frames a run.",
)
def track_waiting() -> None:
    """Track what waits."""
    track_waiting_bundles()
