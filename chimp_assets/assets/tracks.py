"""Animals detected and followed: detections and tracks of a bundle.

Does not belong here: detectors and trackers (`vision`).
"""

from collections.abc import Iterator

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
    output_required=False,
)
def tracks(context: dg.AssetExecutionContext, home: HomeResource) -> Iterator[dg.MaterializeResult]:
    """The detector's boxes, linked over time: `detection` and `track` rows. Junk tracks are kept and counted. Made in
    the run of the bundle; by the job `track_waiting`, of many bundles at once, where a network finds the boxes and
    heavy steps run on another machine."""
    from chimp_assets.loop.bundle import leave_to_job, track

    opened = home.open()
    if leave_to_job(opened, context.partition_key):
        context.log.info("Left to the job track_waiting, which tracks many bundles where compute.kind says.")
        return
    done = track(opened, context.partition_key)
    yield dg.MaterializeResult(
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
