"""What must hold of embeddings before a head reads them: a NaN would silently rank first or last everywhere."""

import dagster as dg

from chimp_assets.assets.parts import bundles
from chimp_assets.resources import HomeResource


@dg.asset_check(asset="embeddings", partitions_def=bundles, blocking=True)
def embeddings_are_unit_vectors(context: dg.AssetCheckExecutionContext, home: HomeResource) -> dg.AssetCheckResult:
    """Every vector of the bundle is finite and of length 1 within half precision."""
    import numpy as np

    from chimp_assets.vision.embedding.bundle import read_embeddings
    from chimp_assets.vision.models.checkpoint import champion

    opened = home.open()
    with opened.database.read() as conn:
        model = champion(conn, "embedder")
    if model is None:
        return dg.AssetCheckResult(passed=True, description="There is no embedder yet, so there is nothing to check.")
    wrong = n = 0
    for _, _, vectors in read_embeddings(opened.database, opened.store, model.model_id, [context.partition_key]):
        lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
        wrong += int((~np.isfinite(lengths) | (np.abs(lengths - 1) > 0.01)).sum())
        n += len(lengths)
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"vectors": n, "not_unit_or_not_finite": wrong})
