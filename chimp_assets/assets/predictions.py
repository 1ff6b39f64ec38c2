"""Names proposed by the champion head.

Does not belong here: the arithmetic (`vision.identity.predict`), or re-scoring after a promotion (`automation.jobs`):
a new champion never fans out by itself.
"""

from collections.abc import Iterator

import dagster as dg

from chimp_assets.assets.embeddings import embeddings
from chimp_assets.assets.parts import OPERATORS, bundles
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[embeddings],
    partitions_def=bundles,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    group_name="predictions",
    kinds={"table"},
    owners=OPERATORS,
    code_version="1",
    output_required=False,
)
def predictions(context: dg.AssetExecutionContext, home: HomeResource) -> Iterator[dg.MaterializeResult]:
    """`prediction` (ranks 1 to 5, calibrated) and `track_score` (margin, max_logit, novelty, entropy) of a bundle. Made
    in the run of the bundle, and by the job `rescore` of many at once."""
    from chimp_assets.loop.bundle import predict

    made = predict(home.open(), context.partition_key)
    if made is None:
        context.log.info("The champion embedder has no head yet: the bundle is scored after the next promotion.")
        return
    head, done = made
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.n_rows,
            "tracks": done.n_tracks,
            "unknown": done.n_unknown,
            "head_model_id": head.model_id,
        }
    )
