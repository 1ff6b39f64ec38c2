"""Pictures for tracks that are asked without any. Does not belong here: making them (`vision.pictures`)."""

import hashlib
import json

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.sensors.requests import RUNNING, request, seconds
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `missing_pictures`."""

    @dg.sensor(
        jobs=[jobs.make_pictures],
        minimum_interval_seconds=seconds("MISSING_PICTURES", 60),
        default_status=RUNNING,
        description="Makes pictures for queued tracks that have none. Pictures that could not be made are tried once "
        "more, and again when other tracks need pictures too.",
    )
    def missing_pictures(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        from chimp_assets.database.work.due import tracks_without_pictures

        with home.open().database.read() as conn:
            lacking = tracks_without_pictures(conn)
        if not lacking:
            return dg.SkipReason("Every queued track has its pictures.")
        which = hashlib.sha256(json.dumps(lacking).encode()).hexdigest()
        if context.cursor == which:
            return dg.SkipReason(f"The pictures of {len(lacking)} tracks could not be made: see the last run.")
        answer = request(context.instance, jobs.make_pictures.name, f"{len(lacking)} queued tracks have no pictures")
        return answer if isinstance(answer, dg.SkipReason) else dg.SensorResult(run_requests=[answer], cursor=which)

    return missing_pictures
