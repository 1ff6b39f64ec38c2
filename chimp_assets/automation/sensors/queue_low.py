"""A new plan, when the queue runs low. Does not belong here: when it does (`database.work`), the plan (`loop.plan`)."""

from datetime import UTC, datetime

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.brakes import in_flight
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `queue_low`."""

    @dg.sensor(
        jobs=[jobs.replan],
        minimum_interval_seconds=seconds("QUEUE_LOW", 15),
        default_status=RUNNING,
        description="Makes a new plan when the queue runs low, unless a training or a re-scoring is about to make a "
        "better one.",
    )
    def queue_low(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.due import labels_due, queue_due, unscored_bundles

        opened = home.open()
        with opened.database.read() as conn:
            due = queue_due(conn, opened.settings)
            if not due.due:
                return dg.SkipReason(due.reason)
            training = labels_due(conn, opened.settings, datetime.now(UTC))
            unscored = unscored_bundles(conn)
        if training.due or unscored:
            return dg.SkipReason("A training or a re-scoring comes first, and makes a plan at its end.")
        coming = in_flight(context.instance, [jobs.retrain.name, jobs.rescore.name])
        if coming:
            return dg.SkipReason(f"{coming[0]} is queued or running")
        return request(context.instance, jobs.replan.name, due.reason)

    return queue_low
