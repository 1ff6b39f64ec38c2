"""Lists the archive: new videos become rows, new bundles become partitions. Does not belong here: listing itself."""

import dagster as dg

from chimp_assets.assets.parts import bundles
from chimp_assets.automation.sensors.requests import RUNNING, seconds
from chimp_assets.resources import HomeResource

LISTING_BUDGET_S = 40.0
"""Dagster ends a tick after 60 s; a longer listing continues at the next tick."""


def build() -> dg.SensorDefinition:
    """The sensor `new_videos`."""

    @dg.sensor(
        minimum_interval_seconds=seconds("NEW_VIDEOS", 60),
        default_status=RUNNING,
        description="Lists the archive into `bundle` and `video` rows and adds a partition for each new bundle. "
        "Requests no runs. If the listing fails, the tick fails and nothing changes: a failed listing is not an empty "
        "archive.",
    )
    def new_videos(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.archive.catalogue.discover import discover
        from chimp_assets.database.footage.archive_state import listing_is_noted
        from chimp_assets.database.work.due import bundle_keys

        opened = home.open()
        if not opened.archive_url:
            return dg.SkipReason("No archive is set. Run `chimp ingest FOLDER`, or set archive_url in chimp.toml.")
        with listing_is_noted(opened.database, opened.secret_free_archive_url):
            found = discover(
                opened.database,
                opened.archive,
                opened.settings,
                deadline_s=LISTING_BUDGET_S,
                quiet_files=opened.settings.archive.files_per_tick,
                after=context.cursor or None,
            )
        with opened.database.read() as conn:
            keys = bundle_keys(conn)
        known = set(context.instance.get_dynamic_partitions("bundle"))
        missing = [key for key in keys if key not in known]
        cursor = found.resume_after or ""
        if not missing and not found.changed:
            nothing = f"{found.listed} videos listed, {found.waiting} still being written, nothing new."
            return dg.SensorResult(skip_reason=nothing, cursor=cursor)
        counts = {
            "listed": found.listed,
            "new": found.new,
            "replaced": found.replaced,
            "returned": found.returned,
            "retired": found.retired,
            "other_files": found.ignored,
            "waiting": found.waiting,
        }
        return dg.SensorResult(
            cursor=cursor,
            dynamic_partitions_requests=[bundles.build_add_request(missing)] if missing else [],
            asset_events=[dg.AssetMaterialization("video_files", metadata=counts)] if found.changed else [],
        )

    return new_videos
