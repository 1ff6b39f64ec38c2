"""What keeps a level-triggered sensor from asking twice or for ever: runs in flight, and runs that keep failing.

A level that stays true asks at every tick. One run at a time answers it; three failures within an hour stop the asking
until the hour is over, so that a broken database cannot start thousands of runs.
Does not belong here: whether there is something to do (`database.work`).
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import dagster as dg

BUNDLE_TAG = "chimp/bundle"
IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
MAX_FAILURES = 3
FAILURE_WINDOW = timedelta(hours=1)


def in_flight(instance: dg.DagsterInstance, job_names: Collection[str]) -> list[str]:
    """Names of these jobs that have a run queued or running."""
    return [
        run.job_name
        for name in job_names
        for run in instance.get_runs(filters=dg.RunsFilter(job_name=name, statuses=IN_FLIGHT), limit=1)
    ]


def bundles_in_flight(instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Bundle keys of the runs of a job that are queued or running."""
    runs = instance.get_runs(filters=dg.RunsFilter(job_name=job_name, statuses=IN_FLIGHT))
    return {run.tags[BUNDLE_TAG] for run in runs if BUNDLE_TAG in run.tags}


def keeps_failing(instance: dg.DagsterInstance, job_name: str, now: datetime | None = None) -> bool:
    """Whether a job's newest runs of the last hour are MAX_FAILURES failures in a row."""
    since = (now or datetime.now(UTC)) - FAILURE_WINDOW
    runs = instance.get_runs(
        filters=dg.RunsFilter(
            job_name=job_name,
            created_after=since,
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS],
        ),
        limit=MAX_FAILURES,
    )
    return len(runs) == MAX_FAILURES and all(run.status == dg.DagsterRunStatus.FAILURE for run in runs)


def held(instance: dg.DagsterInstance, job_name: str, also_wait_for: Collection[str] = ()) -> str | None:
    """Why a job must not be asked for now, or None."""
    running = in_flight(instance, [job_name, *also_wait_for])
    if running:
        return f"{running[0]} is queued or running"
    if keeps_failing(instance, job_name):
        return (
            f"the last {MAX_FAILURES} runs of {job_name} failed within an hour: see their logs, then launch it by hand"
        )
    return None
