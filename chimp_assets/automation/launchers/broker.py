"""How launcher and workers talk: one Celery application, one task that carries nothing but the id of a run.

Belongs here: the settings of Celery, and the names of what is sent. Does not belong here: what a worker does with it
(`worker`), what the launcher concludes from answers (`roll_calls`).

No results are kept: whether a run has ended is known from Dagster's own records, whether it is still worked on from
the workers themselves. So a broker that has lost its memory loses no more than the runs that waited in it.
"""

from __future__ import annotations

from datetime import timedelta

from celery import Celery

TASK = "chimp.execute_run"
"""The one task. Its only argument is the id of a run, and that is its own id as well."""
ROLL_CALL = "chimp_roll_call"
"""The command that asks every worker what it works on."""

CPU, GPU = "cpu", "gpu"

_LONGER_THAN_ANY_RUN = timedelta(days=30)


def make_app(broker: str) -> Celery:
    """The application of one broker. broker: redis://:password@host:6379/0, or rediss://. Connects to nothing."""
    app = Celery("chimp", broker=broker, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],  # whoever reaches the broker must not be able to run what he likes
        task_default_queue=CPU,
        # A run is taken from the broker when it begins: who was killed in it does not give it back, because Dagster
        # starts it again under another id, and a run of many hours would be given to a second worker.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # else a busy worker takes the next run while another one is idle
        worker_proc_alive_timeout=120.0,  # a busy machine forks slowly
        worker_max_tasks_per_child=200,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _LONGER_THAN_ANY_RUN.total_seconds(),
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app
