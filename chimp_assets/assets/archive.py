"""The archive of video and the frames that are kept.

Belongs here: the external archive and the decoding asset. Does not belong here: how a video is decoded (`archive`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from chimp_assets.assets.parts import MAX_PLOT_BYTES, OPERATORS, bundles, markdown_table, picture_markdown
from chimp_assets.resources import HomeResource

if TYPE_CHECKING:
    from chimp_assets.home import Home

video_files = dg.AssetSpec(
    "video_files",
    group_name="archive",
    kinds={"video"},
    owners=OPERATORS,
    description="The archive: a folder or a container of video files, listed into `bundle` and `video` rows. "
    "External: Chimp Assets only reads it. A replaced file becomes a new version, a vanished one is retired.",
)


@dg.asset(
    deps=[video_files],
    partitions_def=bundles,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    group_name="archive",
    kinds={"python", "ffmpeg"},
    owners=OPERATORS,
    pool="decode",
    code_version="2",
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL),
)
def frames(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """Frames of a bundle's videos: JPEGs in tar shards, and a `frame` row for each, written after its bytes.

    A damaged video yields the frames that can be decoded, and its row says what is missing; it never stops its bundle.
    """
    from chimp_assets.loop.bundle import decode

    opened = home.open()
    done = decode(opened, context.partition_key, retry=context.retry_number)
    sheet = _contact_sheet(context, opened)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.frames,
            "videos": done.videos,
            "bytes": done.bytes,
            "seconds": done.seconds,
            "hours_of_video": done.video_seconds / 3600,
            "times_real_time": done.video_seconds / done.seconds if done.seconds else 0.0,
            "failed": len(done.failed),
            "lost_something": len(done.partial),
            "duplicates": len(done.duplicates),
            "facts": len(done.facts),
            **({"facts_not_compared": done.facts_failed} if done.facts_failed else {}),
            "failed_files": markdown_table(
                [{"file": uri, "error": error} for uri, error in [*done.failed, *done.partial]]
            ),
            **({"contact_sheet": picture_markdown(sheet, "jpeg", "kept frames")} if sheet else {}),
        }
    )


def _contact_sheet(context: dg.AssetExecutionContext, opened: "Home") -> bytes | None:
    from chimp_assets.errors import ChimpError
    from chimp_assets.vision.pictures.contact_sheet import bundle_sheet

    try:
        return bundle_sheet(opened.database, opened.store, context.partition_key, max_bytes=MAX_PLOT_BYTES)
    except ChimpError as error:  # the frames are there; the next step reports what is wrong with them
        context.log.warning(f"No contact sheet: {error}")
        return None
