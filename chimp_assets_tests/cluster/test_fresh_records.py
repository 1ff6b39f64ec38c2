"""Workers that begin at the same moment on records that nobody has used: no run of theirs may fail of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chimp_assets.settings import shipped_file
from chimp_assets_tests.support.cluster.cluster import environ
from chimp_assets_tests.support.cluster.servers import PostgreSQL, why_no_servers

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_no_servers()), reason=why_no_servers() or "runs"),
]

# Waits until both are ready, then runs a step of each pool.
_RUN = """
import sys
import dagster as dg
from chimp_assets.dagster_home import POOLS

def step_of(name):
    @dg.op(name=f"step_{name}", pool=name)
    def step() -> None: ...
    return step

@dg.job(executor_def=dg.in_process_executor)
def first_job():
    for name in POOLS:
        step_of(name)()

with dg.DagsterInstance.get() as instance:
    print("ready", flush=True)
    sys.stdin.readline()
    done = first_job.execute_in_process(instance=instance, raise_on_error=False)
    sys.exit(not done.success)
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with PostgreSQL(Path(folder) / "postgresql", "127.0.0.1") as server:
            yield server


@pytest.mark.parametrize("time", range(5))
def test_two_workers_that_begin_together_fail_no_run(postgresql: PostgreSQL, tmp_path: Path, time: int) -> None:
    """Both made the row of a pool's limit, and one of them died of it (dagster#33552)."""
    import dagster as dg

    from chimp_assets.dagster_home import set_pool_limits

    name = f"fresh_{time}"
    postgresql.make_database(name)
    (tmp_path / "dagster.yaml").write_text(shipped_file("deploy/dagster.celery.yaml").read_text())
    told = {
        "CHIMP_DAGSTER_POSTGRES_URL": postgresql.url("psycopg2", name),
        "CHIMP_BROKER_URL": "redis://127.0.0.1:1/0",
        "DAGSTER_HOME": str(tmp_path),
    }
    with environ(told):
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            set_pool_limits(instance)  # `chimp init`
        workers = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _RUN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", worker.communicate()[1]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    ends = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ends
