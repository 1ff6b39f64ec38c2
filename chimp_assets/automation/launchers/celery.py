"""Runs as tasks of Celery's workers on other machines, and how it is known that a worker died with its run.

Belongs here: the launcher and the run queue that `deploy/dagster.celery.yaml` names. Does not belong here: what a
worker does (`worker`), how workers are asked (`roll_calls`).

Dagster's own launcher for Celery never notices a dead worker, and its queue does not know how many runs the workers
take: what waits in the broker counts as starting, is failed after three minutes and may still run later. Here the
workers are asked: a run that none of them names is failed and tried again, and no more runs are sent than there are
free slots. So a machine that comes or goes needs no setting.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from celery import Celery
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator, RunQueueConfig
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG

from chimp_assets.automation.launchers.broker import CPU, GPU, TASK, make_app
from chimp_assets.automation.launchers.roll_calls import RollCalls, slots_of, why_gone

QUEUE_TAG = DAGSTER_CELERY_QUEUE_TAG
_SENDING = {"max_retries": 20, "interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
"""A broker that restarts is back within half a minute."""
_MANY_RUNS, _LONGEST_RUN_S = 1000, 86400.0
"""What a launcher remembers of runs is forgotten after the longest that dagster.yaml lets one take."""


class CeleryLauncher(CeleryRunLauncher):
    """dagster-celery's launcher, which asks the workers what they work on.

    broker: a redis:// address; gpu_jobs: names of jobs whose runs go to workers of the queue `gpu`.
    """

    def __init__(
        self, broker: str, gpu_jobs: list[str] | None = None, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._broker = broker
        self.gpu_jobs = frozenset(gpu_jobs or ())
        super().__init__(default_queue=CPU, broker=broker, inst_data=inst_data)
        self.celery: Celery = make_app(broker)
        self.roll_calls = RollCalls(self.celery)
        self._known_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What dagster.yaml may say."""
        return {
            "broker": dg.Field(dg.StringSource, description="redis://:password@host:6379/0"),
            "gpu_jobs": dg.Field([str], is_required=False, description="jobs whose runs need a worker with a GPU"),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> CeleryLauncher:
        """As dagster.yaml says it."""
        return cls(inst_data=inst_data, **config_value)

    def queue_of(self, run: dg.DagsterRun) -> str:
        """Where a run goes: as its tag says, else by its job."""
        return run.tags.get(QUEUE_TAG) or (GPU if run.job_name in self.gpu_jobs else CPU)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Sends the id of the run. Raises if the broker stays away for half a minute."""
        run = context.dagster_run
        queue = self.queue_of(run)
        with self.celery.connection_for_write() as connection:
            self.celery.send_task(
                TASK,
                args=(run.run_id,),
                task_id=run.run_id,
                queue=queue,
                connection=connection,
                retry=True,
                retry_policy=_SENDING,
            )
        self._instance.report_engine_event(f"Sent to the workers of the queue {queue}.", run, cls=self.__class__)

    @property
    def supports_resume_run(self) -> bool:
        """False: a run that was interrupted is done again, as a run of its own."""
        return False

    def terminate(self, run_id: str) -> bool:
        """Asks the worker to interrupt a run, and takes it from the broker if it waits there."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        self._revoke(run_id)
        return True

    def _revoke(self, run_id: str) -> None:
        with self.celery.connection_for_write() as connection:
            self.celery.control.revoke(run_id, terminate=True, signal="SIGTERM", connection=connection)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING, unless the workers answer and none of them has the run: FAILED (`roll_calls.why_gone`)."""
        now = time.monotonic()
        if len(self._known_since) > _MANY_RUNS:
            self._known_since = {known: at for known, at in self._known_since.items() if now - at < _LONGEST_RUN_S}
        since = self._known_since.setdefault(run.run_id, now)
        reason = why_gone(self.roll_calls.all(), run.run_id, since, time.monotonic())
        if reason is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "a worker has it, or nothing else is known")
        del self._known_since[run.run_id]
        self._revoke(run.run_id)  # should its worker live and only not be heard, it must not go on
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its worker is gone: {reason}")

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Who answers now, for the log of a run that failed."""
        call = self.roll_calls.newest()
        if call is None or call.workers is None:
            return "The broker cannot be reached."
        names = ", ".join(f"{worker.name} ({worker.slots} slots)" for worker in call.workers)
        return f"Workers that answer: {names or 'none'}."


class CeleryRunCoordinator(QueuedRunCoordinator):
    """Dagster's run queue, which lets as many runs go as the living workers take, queue by queue."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Marks a run with its queue, so that the queue's slots limit it."""
        run = context.dagster_run
        if QUEUE_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {QUEUE_TAG: self._launcher.queue_of(run)})
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """The settings of dagster.yaml, with the slots of now. No worker or no broker: nothing goes."""
        said = super().get_run_queue_config()
        slots = slots_of(self._launcher.roll_calls.newest(), time.monotonic())
        limits = [{"key": QUEUE_TAG, "value": queue, "limit": slots.get(queue, 0)} for queue in {CPU, GPU, *slots}]
        return said._replace(
            max_concurrent_runs=sum(slots.values()),
            tag_concurrency_limits=[*(said.tag_concurrency_limits or []), *limits],
        )

    @property
    def _launcher(self) -> CeleryLauncher:
        launcher = self._instance.run_launcher
        assert isinstance(launcher, CeleryLauncher), "dagster.yaml names another launcher beside this queue"
        return launcher
