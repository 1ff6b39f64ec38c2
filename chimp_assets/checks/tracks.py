"""What must hold of tracks before they are embedded, asked about or counted."""

import dagster as dg

from chimp_assets.assets.parts import bundles
from chimp_assets.resources import HomeResource


@dg.asset_check(asset="tracks", partitions_def=bundles, blocking=True)
def tracks_are_whole(context: dg.AssetCheckExecutionContext, home: HomeResource) -> dg.AssetCheckResult:
    """Each track has as many detection rows as its row counts."""
    from chimp_assets.database.upkeep import invariants

    opened = home.open()
    with opened.database.read() as conn:
        miscounted = invariants.tracks_whose_detections_do_not_count(conn, context.partition_key)
    return dg.AssetCheckResult(passed=not miscounted, metadata={"miscounted_tracks": str(miscounted)})
