"""The jobs: which assets are made together, each with its reason.

Steps of a run follow each other in one process (`in_process`): a process for each step would cost seconds of imports
and no step here can run beside another. Heavy steps run where `compute` says, by Pipes.
Does not belong here: when they run (`sensors`, `schedules`), the ops of `rescore` (`rescoring`), of `track_waiting`
and of `retrack` (`tracking`).
"""

from typing import Any

import dagster as dg

from chimp_assets.assets.acquisition import PLAN_KEY, RETRAIN
from chimp_assets.automation.rescoring import MODELS_TAG, rescore
from chimp_assets.automation.tracking import retrack, track_waiting

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
    description="Fits the first embedder. Rare: after every new embedder all tracks are embedded again.",
)

fine_tune_embedder = dg.define_asset_job(
    "fine_tune_embedder",
    selection=dg.AssetSelection.assets("embedder_checkpoint", "champion_embedder"),
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG: this takes an hour, and new labels must not wait for it. A promotion is one transaction.
    description="Fits a better embedder on names and decides about it. Rare: labels must have grown by a factor.",
)

retrain = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.assets(
        "training_set", "head_checkpoint", "evaluation", "champion_head", PLAN_KEY, "label_returns"
    ),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    # The queue does not wait until the archive has been scored: people answer, and a plan needs vectors only.
    description="From labels to a queue: training set, candidate head, evaluation on the audit, promotion or refusal, "
    "and a new plan if one is due.",
)

replan = dg.define_asset_job(
    "replan",
    selection=dg.AssetSelection.assets(PLAN_KEY),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="Makes a new ranked queue from what is known now.",
)

make_pictures = dg.define_asset_job(
    "make_pictures",
    selection=dg.AssetSelection.assets("item_media"),
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG, and not a step of the plan: a queue must not wait for its pictures, nor a training for them.
    description="Makes pictures of queued tracks and of individuals that are offered as answers. Short and often.",
)

watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.assets("drift") | dg.AssetSelection.checks_for_assets(dg.AssetKey("drift")),
    executor_def=dg.in_process_executor,
    # Not MODELS_TAG: it reads models and changes none.
    description="Looks for what changed in the archive, the champion and the answers; opens alerts and closes them.",
)

nightly = dg.define_asset_job(
    "nightly",
    # Not the checks of bundles: those belong to a partition, and are made when it is.
    selection=dg.AssetSelection.assets("evaluation", "drift", "associations", "archive_report")
    | dg.AssetSelection.checks_for_assets(
        *(dg.AssetKey(key) for key in ("annotations", "training_set", "head_checkpoint", "predictions", "drift")),
        PLAN_KEY,
    ),
    executor_def=dg.in_process_executor,
    tags=MODELS_TAG,
    description="Evaluates the champion on all audit answers so far, looks for what changed, counts associations, "
    "writes the report of the archive, and runs every check that spans the database.",
)


JOBS: list[Any] = [
    ingest_bundle, track_waiting, retrack, fit_embedder, fine_tune_embedder, retrain, rescore, replan, make_pictures,
    watch, nightly,
]  # fmt: skip
