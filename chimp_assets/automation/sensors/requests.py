"""What the sensors share: how often they look, and how one asks for a run.

Does not belong here: a question, a sensor.
"""

import os
from collections.abc import Collection

import dagster as dg

from chimp_assets.automation.brakes import held

RUNNING = dg.DefaultSensorStatus.RUNNING
"""Every sensor starts switched on: nobody presses a button."""


def seconds(name: str, default: int) -> int:
    """Least time between two ticks. The demo shortens it; nothing else should need to."""
    return int(os.environ.get(f"CHIMP_SENSOR_{name}_S", default))


def request(
    instance: dg.DagsterInstance, job_name: str, reason: str, wait_for: Collection[str] = ()
) -> dg.RunRequest | dg.SkipReason:
    """Asks for one run of a job, unless one is queued or running, one of wait_for is, or the job keeps failing."""
    why_not = held(instance, job_name, wait_for)
    if why_not:
        return dg.SkipReason(why_not)
    return dg.RunRequest(job_name=job_name, tags={"chimp/reason": reason[:200]})
