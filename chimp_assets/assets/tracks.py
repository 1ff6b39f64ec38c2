"""Animals detected and followed: detections and tracks of a bundle.

Does not belong here: detectors and trackers (`vision`).
"""

import dagster as dg

from chimp_assets.assets.archive import frames
from chimp_assets.assets.parts import OPERATORS, bars, bundles, markdown_table, png_markdown
from chimp_assets.resources import HomeResource


@dg.asset(
    deps=[frames],
    partitions_def=bundles,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    group_name="vision",
    kinds={"python", "opencv"},
    owners=OPERATORS,
    pool="detect",
    code_version="1",
)
def tracks(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The detector's boxes, linked over time: `detection` and `track` rows. Junk tracks are kept and counted."""
    from chimp_assets.loop.bundle import track

    done = track(home.open(), context.partition_key)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.tracks,
            "videos": done.videos,
            "junk": done.junk,
            "detections": done.detections,
            "seconds": done.seconds,
            "failed": len(done.failed),
            "failed_files": markdown_table([{"file": uri, "error": error} for uri, error in done.failed]),
            "outcome": png_markdown(
                bars(["live", "junk"], [done.tracks - done.junk, done.junk], "Tracks", "tracks"), "live and junk tracks"
            ),
        }
    )
