"""The one place that wires: assets, checks, jobs, sensors, schedules and resources become Definitions.

Belongs here: the wiring. Does not belong here: anything else; importing this module imports no torch, av or azure.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from chimp_assets.assets import (
    acquisition,
    archive,
    embeddings,
    item_media,
    labels,
    models,
    predictions,
    returns,
    tracks,
)
from chimp_assets.automation.jobs import JOBS
from chimp_assets.automation.schedules import SCHEDULES
from chimp_assets.automation.sensors import build_sensors
from chimp_assets.checks import acquisition as acquisition_checks
from chimp_assets.checks import archive as archive_checks
from chimp_assets.checks import embeddings as embedding_checks
from chimp_assets.checks import item_media as item_media_checks
from chimp_assets.checks import labels as label_checks
from chimp_assets.checks import models as model_checks
from chimp_assets.checks import predictions as prediction_checks
from chimp_assets.checks import tracks as track_checks
from chimp_assets.resources import build_resources


def build_definitions(**overrides: Any) -> dg.Definitions:
    """Everything that Dagster shows. overrides replace resources by name (`home`, `compute`), as tests do."""
    return dg.Definitions(
        assets=[
            archive.video_files,
            archive.frames,
            tracks.tracks,
            embeddings.embedder,
            embeddings.embeddings,
            embeddings.embedder_checkpoint,
            embeddings.champion_embedder,
            labels.annotations,
            labels.individuals,
            labels.training_set,
            models.head_checkpoint,
            models.evaluation,
            models.champion_head,
            returns.label_returns,
            predictions.predictions,
            acquisition.acquisition_queue,
            item_media.item_media,
        ],
        asset_checks=[
            archive_checks.frames_are_whole,
            archive_checks.every_video_could_be_read,
            track_checks.tracks_are_whole,
            embedding_checks.embeddings_are_unit_vectors,
            label_checks.annotation_numbers_have_no_gap,
            label_checks.training_set_does_not_leak,
            model_checks.head_is_finite_and_unchanged,
            prediction_checks.probabilities_add_up,
            acquisition_checks.nothing_answered_is_asked_again,
            item_media_checks.item_media_fits_a_slow_link,
        ],
        jobs=JOBS,
        sensors=build_sensors(),
        schedules=SCHEDULES,
        resources=build_resources(**overrides),
    )


defs = build_definitions()
