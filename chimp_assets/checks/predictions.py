"""What must hold of predictions before the queue or a researcher reads them."""

import dagster as dg

from chimp_assets.resources import HomeResource


@dg.asset_check(asset="predictions")
def probabilities_add_up(home: HomeResource) -> dg.AssetCheckResult:
    """The probabilities of a track's ranks add up to at most 1, for the champion head."""
    from chimp_assets.database.upkeep import invariants
    from chimp_assets.vision.models.checkpoint import champion

    opened = home.open()
    with opened.database.read() as conn:
        head = champion(conn, "head")
        wrong = invariants.predictions_that_do_not_add_up(conn, head.model_id) if head else []
    return dg.AssetCheckResult(passed=not wrong, metadata={"tracks": str(wrong)})
