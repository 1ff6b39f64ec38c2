"""The jobs `track_waiting` and `retrack`: detections and tracks of many videos at once.

Belongs here: their ops. Does not belong here: the other jobs (`jobs`), tracking (`loop`), when one is due (`sensors`).
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


@dg.op(
    description="Tracks anew, by the detector in use, videos that another one has tracked, within the budget, where "
    "compute.kind says. What people said follows.",
    pool="detect",
)
def retrack_videos(context: dg.OpExecutionContext, home: HomeResource, compute: ComputeResource) -> None:
    """Tracks anew what another detector has tracked; the sensor of scores then sees bundles that changed."""
    from chimp_assets.compute.messages import report_of
    from chimp_assets.loop.heavy.step import heavy_step

    opened = home.open()
    context.add_output_metadata(report_of(compute.run(context, opened, heavy_step(opened.settings, "retrack"))))


@dg.job(
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG: it changes no model. No sensor asks for it: a person does, once a new detector is worth it.
    description="Tracks videos anew that another detector has tracked: a budget of frames a run. Started by a person; "
    "started again, it goes on.",
)
def retrack() -> None:
    """Track anew."""
    retrack_videos()
