"""The job `rescore`: work on many bundles at once, which no asset of one bundle could be.

Belongs here: its two ops. Does not belong here: the other jobs (`jobs`), re-scoring and planning (`loop`).
"""

import dagster as dg

from chimp_assets.assets.acquisition import PLAN_KEY, plan_metadata
from chimp_assets.automation.made import record_made_partitions
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.resources import HomeResource

MODELS_TAG = {"chimp/models": "write"}
"""Runs with this tag follow each other (dagster.yaml): two trainings would fight for one champion."""


@dg.op(
    description="Embeddings and predictions of the champions for bundles that lack them, within the budget, where "
    "compute.kind says."
)
def score_waiting_bundles(context: dg.OpExecutionContext, home: HomeResource, compute: ComputeResource) -> int:
    """Returns how many bundles wait for the next run."""
    from chimp_assets.compute.messages import report_of
    from chimp_assets.loop.heavy.step import heavy_step

    opened = home.open()
    done = compute.run(context, opened, heavy_step(opened.settings, "score"))
    record_made_partitions(context, done)
    report = report_of(done)
    context.add_output_metadata(report)
    return int(report["bundles_waiting"])


@dg.op(
    description="A new plan, once every bundle has its vectors and names, unless one was made with the same models "
    "and no promise can be tested."
)
def plan_after_scoring(context: dg.OpExecutionContext, home: HomeResource, bundles_waiting: int) -> None:
    """Plans if nothing waits: a plan from a part of the archive would ask about nothing else.

    Only now every track has the names of the new head: where the archive stands is measured again, and where the
    promise is within reach a plan begins its test.
    """
    from chimp_assets.database.work.due import queue_due
    from chimp_assets.loop.minutes.forecasts import keep_forecast
    from chimp_assets.loop.minutes.promises import is_worth_testing
    from chimp_assets.loop.plan import replan

    opened = home.open()
    with opened.database.read() as conn:
        due = queue_due(conn, opened.settings)
    if bundles_waiting:
        context.log.info(f"No new plan: {bundles_waiting} bundles wait.")
        return
    if not due.due and not is_worth_testing(opened.database, opened.settings):
        keep_forecast(opened.database, opened.settings)
        context.log.info(f"No new plan: {due.reason}.")
        return
    context.log_event(dg.AssetMaterialization(PLAN_KEY, metadata=plan_metadata(replan(opened))))


@dg.job(
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="Brings new champions to the archive: a budget of tracks a run, then a new plan. Never a fan-out.",
)
def rescore() -> None:
    """Score what waits, then plan."""
    plan_after_scoring(score_waiting_bundles())
