"""A re-scoring, while bundles lack what the champions say. Does not belong here: which bundles (`database.work`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `champion_changed`."""

    @dg.sensor(
        jobs=[jobs.rescore],
        minimum_interval_seconds=seconds("CHAMPION_CHANGED", 15),
        default_status=RUNNING,
        description="Re-scores bundles that lack embeddings or predictions of the champions: one run at a time, each "
        "within its budget, until none is left.",
    )
    def champion_changed(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
        from chimp_assets.database.work.due import unscored_bundles
        from chimp_assets.database.work.job_size import worth_scoring

        opened = home.open()
        with opened.database.read() as conn:
            waiting = unscored_bundles(conn)
            worth_it = worth_scoring(conn, opened.settings, waiting)
        if not waiting:
            return dg.SkipReason("Every bundle is scored by the champions.")
        if not worth_it:
            return dg.SkipReason(f"{len(waiting)} bundles wait for more: others are still being decoded or tracked.")
        reason = f"{len(waiting)} bundles lack embeddings or predictions of the champions"
        return request(context.instance, jobs.rescore.name, reason, wait_for=[jobs.fit_embedder.name])

    return champion_changed
