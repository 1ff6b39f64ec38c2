"""The job `rescore`: work on many bundles at once, which no asset of one bundle could be.

Belongs here: its two ops. Does not belong here: the other jobs (`jobs`), re-scoring and planning (`loop`).
"""

import dagster as dg

from chimp_assets.assets.acquisition import PLAN_KEY, plan_metadata
from chimp_assets.resources import HomeResource

MODELS_TAG = {"chimp/models": "write"}
"""Runs with this tag follow each other (dagster.yaml): two trainings would fight for one champion."""


@dg.op(description="Embeddings and predictions of the champions for bundles that lack them, within the budget.")
def score_waiting_bundles(context: dg.OpExecutionContext, home: HomeResource) -> int:
    """Returns how many bundles wait for the next run."""
    from chimp_assets.loop.rescore import rescore as rescore_bundles

    done = rescore_bundles(home.open(), lambda what, now, total: context.log.info(f"{what}: {now} of {total}"))
    made = ["embeddings", "predictions"] if done.with_predictions else ["embeddings"]
    for key in done.bundles:
        for asset in made:
            context.log_event(
                dg.AssetMaterialization(asset, partition=key, description="by the champions, within the budget")
            )
    context.add_output_metadata(
        {"bundles": len(done.bundles), "tracks": done.predicted_tracks, "bundles waiting": done.left}
    )
    return done.left


@dg.op(description="A new plan, once every bundle has its vectors, unless one was made with the same models.")
def plan_after_scoring(context: dg.OpExecutionContext, home: HomeResource, bundles_waiting: int) -> None:
    """Plans if nothing waits: a plan from a part of the archive would ask about nothing else."""
    from chimp_assets.database.work.due import queue_due
    from chimp_assets.loop.plan import replan

    opened = home.open()
    with opened.database.read() as conn:
        due = queue_due(conn, opened.settings)
    if bundles_waiting or not due.due:
        context.log.info(f"No new plan: {f'{bundles_waiting} bundles wait' if bundles_waiting else due.reason}.")
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
