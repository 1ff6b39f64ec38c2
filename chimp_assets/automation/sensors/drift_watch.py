"""A look at what changed, soon after there is something new. Does not belong here: when there is (`database.work`)."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource

WATCHED = dg.AssetKey("drift")


def build() -> dg.SensorDefinition:
    """The sensor `drift_watch`."""
    pause = timedelta(seconds=seconds("DRIFT_WATCH_PAUSE", 1800))

    @dg.sensor(
        jobs=[jobs.watch],
        minimum_interval_seconds=seconds("DRIFT_WATCH", 60),
        default_status=RUNNING,
        description="Looks for what changed once new videos were tracked or a champion was promoted, at most every "
        "half hour and not beside other work.",
    )
    def drift_watch(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.watching import watch_due

        seen = context.instance.get_latest_materialization_event(WATCHED)
        last = None if seen is None else datetime.fromtimestamp(seen.timestamp, UTC)
        if last is not None and datetime.now(UTC) - last < pause:
            return dg.SkipReason("The last look was a moment ago.")
        with home.open().database.read() as conn:
            due = watch_due(conn, last)
        if not due.due:
            return dg.SkipReason(due.reason)
        busy = [
            job.name for job in (jobs.ingest_bundle, jobs.track_waiting, jobs.retrain, jobs.rescore, jobs.nightly)
        ]  # fmt: skip
        return request(context.instance, jobs.watch.name, due.reason, wait_for=busy)

    return drift_watch
