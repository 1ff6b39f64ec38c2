"""A fine-tuning of the embedder, when names have grown enough. Does not belong here: how much (`database.work`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `better_embedder`."""

    @dg.sensor(
        jobs=[jobs.fine_tune_embedder],
        minimum_interval_seconds=seconds("BETTER_EMBEDDER", 120),
        default_status=RUNNING,
        description="Fine-tunes the embedder when enough tracks are named, and again when their number has grown by a "
        "factor. Resumes an interrupted training.",
    )
    def better_embedder(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.due import fine_tuning_due

        opened = home.open()
        with opened.database.read() as conn:
            due = fine_tuning_due(conn, opened.settings)
        if not due.due:
            return dg.SkipReason(due.reason)
        busy = [jobs.fit_embedder.name, jobs.rescore.name]
        return request(context.instance, jobs.fine_tune_embedder.name, due.reason, wait_for=busy)

    return better_embedder
