"""What must hold of the queue: the expert's minutes are the scarcest thing there is."""

import dagster as dg

from chimp_assets.resources import HomeResource


@dg.asset_check(asset="acquisition_queue")
def nothing_answered_is_asked_again(home: HomeResource) -> dg.AssetCheckResult:
    """No waiting item repeats an answered question or asks about a track that is no longer live (repeats and disputed
    answers are asked again on purpose)."""
    from chimp_assets.database.upkeep import invariants

    with home.open().database.read() as conn:
        wrong = invariants.items_that_should_not_wait(conn)
    return dg.AssetCheckResult(passed=not wrong, metadata={"items": str(wrong)})
