"""What must hold of labels and of what is learned from them."""

import dagster as dg

from chimp_assets.resources import HomeResource


@dg.asset_check(asset="annotations")
def annotation_numbers_have_no_gap(home: HomeResource) -> dg.AssetCheckResult:
    """`annotation.seq` counts from 1 without a gap: no decision was deleted, none was written around the counter."""
    from chimp_assets.database.upkeep import invariants

    with home.open().database.read() as conn:
        largest, rows = invariants.gap_in_annotation_numbers(conn)
    return dg.AssetCheckResult(passed=largest == rows, metadata={"largest_seq": largest, "rows": rows})


@dg.asset_check(asset="training_set", blocking=True)
def training_set_does_not_leak(home: HomeResource) -> dg.AssetCheckResult:
    """No member was asked by the audit lane, none was filmed on a test day, and the member file is the one recorded."""
    from chimp_assets.database.upkeep import invariants
    from chimp_assets.vision.datasets.training_set import newest_training_set, read_members

    opened = home.open()
    with opened.database.read() as conn:
        newest = newest_training_set(conn)
    if newest is None:
        return dg.AssetCheckResult(passed=True, description="There is no training set yet.")
    members = read_members(opened.database, opened.store, newest)
    with opened.database.read() as conn:
        leaked = invariants.leaked_members(conn, members.track_id)
    return dg.AssetCheckResult(
        passed=not leaked, metadata={"members": len(members.track_id), "leaked_tracks": str(leaked)}
    )
