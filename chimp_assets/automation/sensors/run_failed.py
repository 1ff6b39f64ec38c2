"""Failed runs, written where people see them. Does not belong here: stopping what keeps failing (`brakes`)."""

import dagster as dg

from chimp_assets.automation import jobs
from chimp_assets.automation.brakes import BUNDLE_TAG
from chimp_assets.automation.sensors.requests import RUNNING
from chimp_assets.resources import HomeResource


def build() -> dg.SensorDefinition:
    """The sensor `run_failed`."""

    @dg.run_failure_sensor(
        default_status=RUNNING,
        monitored_jobs=[*jobs.JOBS],
        description="Writes each failed run into `audit_event`, where `chimp status` and the progress page show it.",
    )
    def run_failed(context: dg.RunFailureSensorContext, home: HomeResource) -> None:
        from chimp_assets.database.people.users import record_audit_event

        run = context.dagster_run
        record_audit_event(
            home.open().database,
            action="run_failed",
            subject=f"{run.job_name} {run.tags.get(BUNDLE_TAG, '')}".strip(),
            detail={"run_id": run.run_id, "message": context.failure_event.message or ""},
        )

    return run_failed
