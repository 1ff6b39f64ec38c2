"""Tracks as vectors: the embedder, and the embedding file of each bundle.

Does not belong here: the network and its training (`vision.embedder`).
"""

from collections.abc import Iterator

import dagster as dg

from chimp_assets.assets.parts import OPERATORS, bundles
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
    from chimp_assets.vision.checkpoint import champion
    from chimp_assets.vision.embedder import fit_embedder

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
    from chimp_assets.vision.checkpoint import champion
    from chimp_assets.vision.embedding import embed_bundle

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
