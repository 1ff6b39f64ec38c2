"""What must hold of frames before anything is detected on them. Blocking: a wrong frame would spoil every box."""

import dagster as dg

from chimp_assets.assets.parts import bundles, markdown_table
from chimp_assets.resources import HomeResource


@dg.asset_check(asset="frames", partitions_def=bundles, blocking=True)
def frames_are_whole(context: dg.AssetCheckExecutionContext, home: HomeResource) -> dg.AssetCheckResult:
    """Each usable video has as many frame rows as its row counts, and each frame lies inside its shard."""
    from chimp_assets.database.upkeep import invariants

    opened = home.open()
    with opened.database.read() as conn:
        miscounted = invariants.videos_whose_frames_do_not_count(conn, context.partition_key)
        outside = invariants.frames_outside_their_shard(conn, context.partition_key)
    return dg.AssetCheckResult(
        passed=not miscounted and not outside,
        metadata={"miscounted_videos": str(miscounted), "frames_outside_their_shard": str(outside)},
    )


@dg.asset_check(asset="frames", partitions_def=bundles)
def every_video_could_be_read(context: dg.AssetCheckExecutionContext, home: HomeResource) -> dg.AssetCheckResult:
    """A warning that names the videos of the bundle that failed or lost something, with the reason of each."""
    from chimp_assets.database.upkeep import invariants

    opened = home.open()
    with opened.database.read() as conn:
        failed = invariants.failed_videos(conn, context.partition_key)
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"files": markdown_table([{"file": uri, "reason": error} for uri, error in failed])},
    )
