"""Tracks as vectors: the embedder, the candidates that are to replace it, and the embedding file of each bundle.

Does not belong here: the networks and their training (`vision.embedder`, `vision.fine_tuning`).
"""

from collections.abc import Iterator

import dagster as dg

from chimp_assets.assets.labels import training_set
from chimp_assets.assets.parts import OPERATORS, bundles, markdown_table
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
    """The network that turns crops into vectors: ImageNet weights where they can be had, else self-supervised on the
    archive's own crops. A `model` row and a safetensors checkpoint."""
    from chimp_assets.vision.embedding.embedder import fit_embedder
    from chimp_assets.vision.models.checkpoint import champion

    opened = home.open()
    fit_embedder(
        opened.database,
        opened.store,
        opened.settings,
        lambda what, done, total: context.log.info(f"{what}: {done} of {total}"),
    )
    with opened.database.read() as conn:
        model = champion(conn, "embedder")
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
    """A candidate embedder, learned from the names of the newest training set in a process of its own, which goes on
    where it was killed. Loss and accuracy come live; the plot of both, and what it finds on days it never saw, stay."""
    from chimp_assets.loop.ingest import training_command
    from chimp_assets.vision.datasets.training_set import newest_training_set
    from chimp_assets.vision.embedding.unfinished import unfinished_training

    opened = home.open()
    with opened.database.read() as conn:
        chosen = unfinished_training(conn, opened.settings) or newest_training_set(conn)
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
    """The verdict on candidate embedders: champion only if better beyond noise on days that they never saw, because the
    archive is embedded again then, a budget a run."""
    from chimp_assets.vision.evaluation.promotion import decide_embedder
    from chimp_assets.vision.models.checkpoint import candidates, champion

    opened = home.open()
    with opened.database.read() as conn:
        waiting = candidates(conn, "embedder")
    verdicts = [(model_id, *decide_embedder(opened.database, model_id)) for model_id in waiting]
    with opened.database.read() as conn:
        now = champion(conn, "embedder")
    rows = [
        {"model": model_id, "promoted": "yes" if yes else "no", "reason": reason} for model_id, yes, reason in verdicts
    ]
    return dg.MaterializeResult(
        metadata={"champion_model_id": now.model_id if now else "none yet", "verdicts": markdown_table(rows)}
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
    """A safetensors file for each bundle and embedder: f16 [n, d] and i64 track_id [n]. Nothing before there is an
    embedder: the re-scoring job comes back for the bundle then."""
    from chimp_assets.vision.embedding.bundle import embed_bundle
    from chimp_assets.vision.models.checkpoint import champion

    opened = home.open()
    with opened.database.read() as conn:
        model = champion(conn, "embedder")
    if model is None:
        context.log.info("There is no embedder yet: it is fitted when the tracks of the archive are there.")
        return
    done = embed_bundle(opened.database, opened.store, context.partition_key, opened.settings)
    yield dg.MaterializeResult(
        metadata={"dagster/row_count": done.n_tracks, "dagster/uri": str(done.uri), "embedder_model_id": model.model_id}
    )
