"""Tracks as vectors: the embedder, the candidates to replace it, and the embedding file of each bundle.

Does not belong here: the networks and their training (`vision.embedding`).
"""

from collections.abc import Iterator

import dagster as dg

from chimp_assets.assets.labels import training_set
from chimp_assets.assets.parts import OPERATORS, bundles, verdict_table
from chimp_assets.assets.tracks import tracks
from chimp_assets.compute.azureml_models import mirrored
from chimp_assets.compute.resource import ComputeResource
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[tracks],
    group_name="vision",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="gpu",
    code_version="1",
)
def embedder(context: dg.AssetExecutionContext, home: HomeResource, compute: ComputeResource) -> dg.MaterializeResult:
    """The network that turns crops into vectors: with ImageNet weights if they are available, else self-supervised on
    the archive's own crops. A `model` row and a safetensors checkpoint. The work is done where `compute.kind` says."""
    from chimp_assets.loop.bundle import champion_embedder
    from chimp_assets.loop.heavy.step import heavy_step

    opened = home.open()
    model = champion_embedder(opened)
    before = 0 if model is None else model.model_id
    done = compute.run(context, opened, heavy_step(opened.settings, "embedder", "--instead-of", str(before)))
    return done.get_materialize_result()


@dg.asset(
    deps=[embedder, training_set],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="fine_tuning",
    code_version="1",
)
def embedder_checkpoint(
    context: dg.AssetExecutionContext, home: HomeResource, compute: ComputeResource
) -> dg.MaterializeResult:
    """A candidate embedder, trained on the names of the newest training set where `compute.kind` says, on all GPUs and
    nodes that it grants; an interrupted training resumes. Loss and accuracy are reported live; their plot and the
    accuracy on held-out days are kept."""
    from chimp_assets.loop.embedders import training_set_for_embedder
    from chimp_assets.loop.training import training_step

    opened = home.open()
    chosen = training_set_for_embedder(opened)
    if chosen is None:
        raise dg.Failure("There is no training set yet: label tracks first.", allow_retries=False)
    done = compute.run(context, opened, training_step(chosen, "embedder", opened.settings))
    return done.get_materialize_result()


@dg.asset(
    deps=[embedder_checkpoint],
    group_name="models",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
)
def champion_embedder(home: HomeResource) -> dg.MaterializeResult:
    """The verdict on candidate embedders: one becomes champion only if it is better beyond noise on held-out days,
    because the whole archive is embedded again then, a budget of tracks at a time."""
    from chimp_assets.loop.bundle import champion_embedder
    from chimp_assets.loop.embedders import judge_embedders

    opened = home.open()
    verdicts = judge_embedders(opened)
    now = champion_embedder(opened)
    return dg.MaterializeResult(
        metadata={
            "champion_model_id": now.model_id if now else "none yet",
            "verdicts": verdict_table((one.model_id, one.promoted, one.reason) for one in verdicts),
            **mirrored(opened),
        }
    )


@dg.asset(
    deps=[tracks, dg.AssetDep(embedder, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=bundles,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    group_name="vision",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="gpu",
    code_version="1",
    output_required=False,
)
def embeddings(context: dg.AssetExecutionContext, home: HomeResource) -> Iterator[dg.MaterializeResult]:
    """A safetensors file for each bundle and embedder: f16 [n, d] and i64 track_id [n]. Made in the run of the bundle.
    Before there is an embedder, and where heavy steps run on another machine, the job `rescore` makes it of many
    bundles at once."""
    from chimp_assets.loop.bundle import embed

    opened = home.open()
    if opened.settings.compute.is_remote:
        context.log.info("Left to the job rescore, which embeds many bundles where compute.kind says.")
        return
    made = embed(opened, context.partition_key)
    if made is None:
        context.log.info("There is no embedder yet: the first is fitted when there are enough tracks.")
        return
    model, done = made
    yield dg.MaterializeResult(
        metadata={"dagster/row_count": done.n_tracks, "dagster/uri": str(done.uri), "embedder_model_id": model.model_id}
    )
