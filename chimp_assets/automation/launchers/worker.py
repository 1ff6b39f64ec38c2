"""A worker: the process of a machine that takes runs from the broker, and its children that do them.

Belongs here: preparing the machine for it, doing one run, answering a roll call, giving runs up when the machine is
stopped. Does not belong here: what the launcher concludes from it (`celery`, `roll_calls`).

The main process only waits, answers and forks. So it loads neither torch nor a database: what is loaded before a fork
would be shared by runs, and threads do not survive it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_shutting_down
from celery.worker import state as worker_state
from celery.worker.control import inspect_command

from chimp_assets import private_files
from chimp_assets.automation.launchers.broker import ROLL_CALL, TASK, make_app

GRACE_S = 30.0
"""An interrupted run has this long to write that it was interrupted."""
WORKER_TAG = "chimp/worker"
"""The tag of a run that says which worker did it."""
_TAKEN = "chimp-taken-"
_REMEMBERED_S = 86400
_CLAIM_S = 3.0
_PREFIX = "chimp-worker-"
_LOCK = "lock"


def run_worker(broker: str, queues: Sequence[str], slots: int) -> None:
    """Takes runs until SIGTERM or Ctrl-C; then interrupts those in flight, which are done again elsewhere, and returns.

    queues: their names; slots: runs at once. DAGSTER_HOME names the instance, CHIMP_... the home.
    """
    app = make_app(broker)
    _add_task(app)
    name = f"{'-'.join(queues)}-{os.getpid()}@{socket.gethostname()}"
    with _scratch():
        worker_shutting_down.connect(_give_up, weak=False)
        app.worker_main(
            [
                "--quiet",
                "worker",
                f"--hostname={name}",
                f"--queues={','.join(queues)}",
                f"--concurrency={slots}",
                "--pool=prefork",
                "--without-gossip",
                "--without-mingle",
                "--loglevel=INFO",
            ]
        )


def _add_task(app: Celery) -> None:
    @app.task(name=TASK, bind=True)
    def execute_run(task: Any, run_id: str) -> None:
        if _is_first(task.app, run_id, str(task.request.hostname)):
            _execute(run_id, task.request.hostname)


def _is_first(app: Celery, run_id: str, worker: str) -> bool:
    """Whether no worker has taken this run before. A sender whose answer was lost sends the same run once more.

    Dagster itself ignores a run that has started; but two workers may both be loading it. Kept in the broker, since
    both had their message from there. In doubt it is done: a run that nobody does is missed for three minutes.
    """
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=_CLAIM_S)
            return bool(connection.default_channel.client.set(_TAKEN + run_id, worker, nx=True, ex=_REMEMBERED_S))
    except Exception:  # whatever a transport raises: the broker is away
        return True


def _execute(run_id: str, worker: str) -> None:
    """Does one run, in a child process. What goes wrong stands in Dagster's records, not here."""
    import dagster as dg
    from dagster._cli.api import _execute_run_command_body
    from dagster._utils.interrupts import capture_interrupts

    private_files.keep_private()
    # SIGTERM ends a child at once until a run listens to it; then it interrupts the run, which says so.
    try:
        with capture_interrupts(), dg.DagsterInstance.get() as instance:
            instance.add_run_tags(run_id, {WORKER_TAG: worker})
            _execute_run_command_body(run_id, instance, lambda event: None, set_exit_code_on_failure=False)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # else it would be ignored, as SIGINT is in a child


@inspect_command(name=ROLL_CALL)
def roll_call(state: Any, **_: Any) -> dict[str, Any]:
    """What this worker answers: its queues, its slots, the runs that it has."""
    consumer = state.consumer
    # Reserved ones as well: what has been taken from the broker is no longer there for anybody else.
    runs = {request.id for request in (*worker_state.active_requests, *worker_state.reserved_requests)}
    return {
        "queues": sorted(queue.name for queue in consumer.task_consumer.queues) if consumer.task_consumer else [],
        "slots": 0 if worker_state.should_stop not in (None, False) else consumer.pool.num_processes,
        "runs": sorted(runs),
        "now": time.time(),
    }


def _give_up(sig: str, how: str, **_: Any) -> None:
    """Interrupts the runs in flight and, where that does not help in time, kills them.

    Celery itself would wait until they end, for hours. A run that was interrupted is marked as failed by itself, one
    that was killed by the launcher, and both are tried again.
    """
    if how != "Warm":
        return
    children = [request.worker_pid for request in worker_state.active_requests if request.worker_pid]
    _signal_all(children, signal.SIGTERM)
    late = threading.Timer(GRACE_S, _signal_all, (children, signal.SIGKILL))
    late.daemon = True
    late.start()


def _signal_all(processes: Sequence[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder of this worker's own as TMPDIR, taken away at the end. Removes those of workers that were killed.

    The lock says whether a worker lives; its number would say nothing where several containers share a TMPDIR.
    """
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None  # it remembers the old one
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
