"""The schedules: what should happen even when nothing has changed."""

import dagster as dg

from chimp_assets.automation import jobs

nightly = dg.ScheduleDefinition(
    name="nightly",
    job=jobs.nightly,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 02:30 UTC: evaluates the champion on all audit answers, and runs every check that spans bundles.",
)

SCHEDULES = [nightly]
