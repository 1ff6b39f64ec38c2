"""Runs as processes of this machine, and how it is known that such a process is gone.

Belongs here: the launcher that dagster.yaml names. Does not belong here: what a run does, which runs are asked for.

Dagster's own launcher learns of a dead process from the code server that started it. When both are gone (kill -9 of
everything, a power cut), nobody reports it: the run counts as running for a day, and no training begins beside it. Here
run monitoring looks at the process itself.
"""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

_HERE = {"localhost", "127.0.0.1", "::1", None}


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, which also answers whether the process of a run is still there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring asks, and marks a run as failed whose process is gone; then it is tried again."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING, unless the process of the run was on this machine and is gone: FAILED.

        In doubt a run is left alone: marked as failed while it works, it would be done twice at once.
        """
        where: dict[str, Any] = json.loads(run.tags.get(GRPC_INFO_TAG) or "{}")
        if not where.get("socket") and where.get("host") not in _HERE:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "started by a code server of another machine")
        pid = self._pid_of(run.run_id)
        if pid is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process has not reported its number")
        if _is_of(pid, os.environ.get("DAGSTER_HOME")):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"process {pid}", run_worker_id=str(pid))
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} is gone", run_worker_id=str(pid))

    def _pid_of(self, run_id: str) -> int | None:
        """The process that reported last that it works for a run."""
        pid = None
        for entry in self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            if event is not None and "pid" in event.engine_event_data.metadata:
                reported = str(event.engine_event_data.metadata["pid"].value)
                pid = int(reported) if reported.isdigit() else pid
        return pid


def _is_of(pid: int, dagster_home: str | None) -> bool:
    """Whether a process lives and works for this instance: after a restart another one may have its number."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        its_home = process.environ().get("DAGSTER_HOME")
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return dagster_home is None or (its_home is not None and Path(its_home).resolve() == Path(dagster_home).resolve())
