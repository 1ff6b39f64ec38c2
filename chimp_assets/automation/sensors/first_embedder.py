"""The first embedder, when there are enough tracks. Does not belong here: how many that is (`database.work`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `first_embedder`."""

    @dg.sensor(
        jobs=[jobs.fit_embedder],
        minimum_interval_seconds=seconds("FIRST_EMBEDDER", 30),
        default_status=RUNNING,
        description="Fits the first embedder once all bundles are tracked, or earlier if there are enough tracks.",
    )
    def first_embedder(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.due import embedder_due

        opened = home.open()
        with opened.database.read() as conn:
            due = embedder_due(conn, opened.settings)
        if not due.due:
            return dg.SkipReason(due.reason)
        return request(context.instance, jobs.fit_embedder.name, due.reason, wait_for=[jobs.ingest_bundle.name])

    return first_embedder
