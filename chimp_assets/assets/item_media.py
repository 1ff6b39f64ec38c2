"""Pictures of the tracks that people are asked about.

Does not belong here: choosing and encoding pictures (`vision.pictures`).
"""

import dagster as dg

from chimp_assets.assets.acquisition import PLAN_KEY
from chimp_assets.assets.parts import EXPERTS
from chimp_assets.resources import HomeResource

TRACKS_PER_RUN = 2_000
"""A run ends after this many; the sensor `missing_pictures` asks for the next."""


@dg.asset(
    deps=[PLAN_KEY],
    group_name="acquisition",
    kinds={"h264"},
    owners=EXPERTS,
    code_version="1",
)
def item_media(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """Crops, a frame and a short clip with its boxes for each queued track and each reference photo, small enough for a
    slow link: 150 kB of stills and 400 kB of clip. Files are named by the hash of their content, with a row for each.
    Pictures of other tracks are made when somebody looks at them; above a bound the oldest are deleted."""
    from chimp_assets.database.labels.references import choose_references
    from chimp_assets.database.work.due import tracks_without_pictures
    from chimp_assets.vision.pictures.item_media import drop_old_pictures, make_item_media

    opened = home.open()
    changed = choose_references(opened.database)
    with opened.database.read() as conn:
        waiting = tracks_without_pictures(conn, TRACKS_PER_RUN)
    done = make_item_media(opened.database, opened.store, waiting)
    dropped = drop_old_pictures(opened.database, opened.store, opened.settings.web.stored_pictures_bytes)
    for track_id, sentence in done.failed.items():
        context.log.warning(f"track {track_id}: {sentence}")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.tracks,
            "clips": done.clips,
            "bytes": done.bytes,
            "seconds": done.seconds,
            "reference_photos_changed": changed,
            "tracks_whose_old_pictures_were_dropped": dropped,
            "without_pictures": len(done.failed),
        }
    )
