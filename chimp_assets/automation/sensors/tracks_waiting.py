"""A tracking of many bundles, while frames wait for it. Does not belong here: which bundles (`database.work`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `tracks_waiting`."""

    @dg.sensor(
        jobs=[jobs.track_waiting],
        minimum_interval_seconds=seconds("TRACKS_WAITING", 30),
        default_status=RUNNING,
        description="Where heavy steps run on another machine and a network finds the boxes: tracks the bundles whose "
        "frames are there, one run at a time, each within its budget, until none is left.",
    )
    def tracks_waiting(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.job_size import worth_tracking
        from chimp_assets.database.work.waiting_tracks import bundles_to_track, tracked_by_jobs

        opened = home.open()
        with opened.database.read() as conn:
            if not tracked_by_jobs(conn, opened.settings):
                return dg.SkipReason("Each run tracks its own bundle.")
            waiting = bundles_to_track(conn)
            worth_it = worth_tracking(conn, opened.settings, waiting)
        if not waiting:
            return dg.SkipReason("No bundle waits to be tracked.")
        if not worth_it:
            return dg.SkipReason(f"{len(waiting)} bundles wait for more: others are still being decoded.")
        return request(context.instance, jobs.track_waiting.name, f"{len(waiting)} bundles wait to be tracked")

    return tracks_waiting
