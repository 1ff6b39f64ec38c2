"""A run for each bundle with unfinished videos. Does not belong here: which bundles those are (`database.work`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.brakes import BUNDLE_TAG, bundles_in_flight
from chimp_assets.automation.sensors.requests import RUNNING, seconds
from chimp_assets.resources import HomeResource

RUNS_PER_TICK = 10
"""Runs requested at once: the queue stays short enough for new labels to be seen between bundles."""


def build() -> dg.SensorDefinition:
    """The sensor `unfinished_bundles`."""

    @dg.sensor(
        jobs=[jobs.ingest_bundle],
        minimum_interval_seconds=seconds("UNFINISHED_BUNDLES", 30),
        default_status=RUNNING,
        description="Requests one run for each bundle that holds unfinished videos and has no run yet: oldest first, a "
        "few at a time.",
    )
    def unfinished_bundles(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.database.work import due
        from chimp_assets.database.work.waiting_tracks import bundles_for_own_runs

        opened = home.open()
        with opened.database.read() as conn:
            waiting = bundles_for_own_runs(conn, opened.settings)
            exhausted = due.exhausted_bundles(conn) if not waiting else []
        running = bundles_in_flight(context.instance, jobs.ingest_bundle.name)
        free = max(RUNS_PER_TICK - len(running), 0)
        known = set(context.instance.get_dynamic_partitions("bundle")) if waiting and free else set()
        ready = [key for key in waiting if key not in running and key in known][:free]
        if not ready:
            given_up = f" {len(exhausted)} bundles failed too often: {', '.join(exhausted[:5])}." if exhausted else ""
            return dg.SkipReason(f"{len(waiting)} unfinished bundles, {len(running)} runs queued or running.{given_up}")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(job_name=jobs.ingest_bundle.name, partition_key=key, tags={BUNDLE_TAG: key})
                for key in ready
            ]
        )

    return unfinished_bundles
