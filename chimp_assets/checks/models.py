"""What must hold of a checkpoint before it is measured or used."""

import dagster as dg

from chimp_assets.resources import HomeResource


@dg.asset_check(asset="head_checkpoint", blocking=True)
def head_is_finite_and_unchanged(home: HomeResource) -> dg.AssetCheckResult:
    """The newest head's file has the recorded hash and no weight is NaN or infinite."""
    import numpy as np

    from chimp_assets.vision.models.checkpoint import load_arrays, newest_model

    opened = home.open()
    with opened.database.read() as conn:
        model = newest_model(conn, "head")
    if model is None or model.checkpoint_uri is None or model.checkpoint_hash is None:
        return dg.AssetCheckResult(passed=True, description="There is no head yet.")
    tensors, _ = load_arrays(opened.store, model.checkpoint_uri, model.checkpoint_hash)
    broken = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    return dg.AssetCheckResult(passed=not broken, metadata={"model_id": model.model_id, "not_finite": str(broken)})
