"""The jobs: which assets are made together, and the two that are work on many bundles at once.

Each has its reason. Steps of a run follow each other in one process (`in_process`): a process for each step would cost
seconds of imports and no step here can run beside another. Heavy training still runs in its own process, by Pipes.
Does not belong here: when they run (`sensors`, `schedules`).
"""

from typing import Any

import dagster as dg

from chimp_assets.assets.acquisition import PLAN_KEY, RETRAIN, plan_metadata
from chimp_assets.resources import HomeResource

MODELS_TAG = {"chimp/models": "write"}
"""Runs with this tag follow each other (dagster.yaml): two trainings would fight for one champion."""

ingest_bundle = dg.define_asset_job(
    "ingest_bundle",
    selection=dg.AssetSelection.assets("frames", "tracks", "embeddings", "predictions"),
    executor_def=dg.in_process_executor,
    description="One bundle from video to predictions. One run for a bundle, because starting a run costs seconds.",
)

fit_embedder = dg.define_asset_job(
    "fit_embedder",
    selection=dg.AssetSelection.assets("embedder"),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="The first embedder. Rare: every new embedder means that all tracks are embedded again.",
)

fine_tune_embedder = dg.define_asset_job(
    "fine_tune_embedder",
    selection=dg.AssetSelection.assets("embedder_checkpoint", "champion_embedder"),
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG: this takes an hour, and new labels must not wait for it. A promotion is one transaction.
    description="A better embedder from names, and its verdict. Rare: labels must have grown by a factor.",
)

retrain = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.assets(
        "training_set", "head_checkpoint", "evaluation", "champion_head", PLAN_KEY, "label_returns"
    ),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    # The queue does not wait until the archive has been scored: people answer, and a plan needs vectors only.
    description="Labels to queue: training set, candidate head, evaluation on the audit, promotion or refusal, and a "
    "new plan where one is due.",
)

replan = dg.define_asset_job(
    "replan",
    selection=dg.AssetSelection.assets(PLAN_KEY),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="A new ranked queue from what is known now.",
)

make_pictures = dg.define_asset_job(
    "make_pictures",
    selection=dg.AssetSelection.assets("item_media"),
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG, and not a step of the plan: a queue must not wait for its pictures, nor a training for them.
    description="Pictures of the tracks that are asked and of the individuals that are offered. Short and often.",
)

nightly = dg.define_asset_job(
    "nightly",
    # Not the checks of bundles: those belong to a partition, and are made when it is.
    selection=dg.AssetSelection.assets("evaluation")
    | dg.AssetSelection.checks_for_assets(
        *(dg.AssetKey(key) for key in ("annotations", "training_set", "head_checkpoint", "predictions")), PLAN_KEY
    ),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="The champion measured again on all audit answers so far, and every check that spans the database.",
)


@dg.op(description="Embeddings and predictions of the champions for bundles that lack them, within the budget.")
def score_waiting_bundles(context: dg.OpExecutionContext, home: HomeResource) -> int:
    """Returns how many bundles wait for the next run."""
    from chimp_assets.loop.ingest import rescore as rescore_bundles

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


@dg.op(description="A new plan, made once the last bundle has its vectors, where none has been made with these models.")
def plan_after_scoring(context: dg.OpExecutionContext, home: HomeResource, bundles_waiting: int) -> None:
    """Plans if nothing waits: a plan from a part of the archive would ask about nothing else."""
    from chimp_assets.database.work import due as work
    from chimp_assets.loop.ingest import replan as plan_again

    opened = home.open()
    with opened.database.read() as conn:
        due = work.queue_due(conn, opened.settings)
    if bundles_waiting or not due.due:
        context.log.info(f"No new plan: {f'{bundles_waiting} bundles wait' if bundles_waiting else due.reason}.")
        return
    report = plan_again(opened)
    context.log_event(dg.AssetMaterialization(PLAN_KEY, metadata=plan_metadata(report)))


@dg.job(
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="A new champion reaches the archive: a budget of tracks a run, then a new plan. Never a fan-out.",
)
def rescore() -> None:
    """Score what waits, then plan."""
    plan_after_scoring(score_waiting_bundles())


JOBS: list[Any] = [ingest_bundle, fit_embedder, fine_tune_embedder, retrain, rescore, replan, make_pictures, nightly]
