"""Tracks as vectors: the embedder, the candidates to replace it, and the embedding file of each bundle.

Does not belong here: the networks and their training (`vision.embedding`).
"""

from collections.abc import Iterator

import dagster as dg

from chimp_assets.assets.labels import training_set
from chimp_assets.assets.parts import OPERATORS, bundles, verdict_table
from chimp_assets.assets.tracks import tracks
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[tracks],
    group_name="vision",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="gpu",
    code_version="1",
)
def embedder(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The network that turns crops into vectors: with ImageNet weights if they are available, else self-supervised on
    the archive's own crops. A `model` row and a safetensors checkpoint."""
    from chimp_assets.loop.bundle import champion_embedder
    from chimp_assets.loop.embedders import fit_first_embedder

    opened = home.open()
    fit_first_embedder(opened, lambda what, done, total: context.log.info(f"{what}: {done} of {total}"))
    model = champion_embedder(opened)
    assert model is not None
    return dg.MaterializeResult(
        metadata={
            "model_id": model.model_id,
            "version": model.version,
            "checkpoint": str(model.checkpoint_uri),
            "checkpoint_hash": str(model.checkpoint_hash),
            "config": dg.MetadataValue.json(model.config),
        }
    )


@dg.asset(
    deps=[embedder, training_set],
    group_name="models",
    kinds={"pytorch"},
    owners=OPERATORS,
    pool="fine_tuning",
    code_version="1",
)
def embedder_checkpoint(
    context: dg.AssetExecutionContext, home: HomeResource, compute: dg.PipesSubprocessClient
) -> dg.MaterializeResult:
    """A candidate embedder, trained on the names of the newest training set in a process of its own; an interrupted
    training resumes. Loss and accuracy are reported live; their plot and the accuracy on held-out days are kept."""
    from chimp_assets.loop.embedders import training_set_for_embedder
    from chimp_assets.loop.training import training_command

    opened = home.open()
    chosen = training_set_for_embedder(opened)
    if chosen is None:
        raise dg.Failure("There is no training set yet: label tracks first.", allow_retries=False)
    done = compute.run(command=training_command(opened, chosen, "embedder"), context=context, env=opened.environment())
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
    """A safetensors file for each bundle and embedder: f16 [n, d] and i64 track_id [n]. Before there is an embedder
    nothing is made; the re-scoring job makes it later."""
    from chimp_assets.loop.bundle import embed

    made = embed(home.open(), context.partition_key)
    if made is None:
        context.log.info("There is no embedder yet: the first is fitted when there are enough tracks.")
        return
    model, done = made
    yield dg.MaterializeResult(
        metadata={"dagster/row_count": done.n_tracks, "dagster/uri": str(done.uri), "embedder_model_id": model.model_id}
    )
