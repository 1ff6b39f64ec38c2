"""A deployment: servers, a host for the daemon, hosts with workers, and what can be seen of it from outside.

Belongs here: what is started where, and waiting for it. Does not belong here: what a test expects.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import shipped_file
from chimp_assets_tests.azure.azurite import Azurite, why_not
from chimp_assets_tests.support.cluster.hosts import Host, has_namespaces, hosts
from chimp_assets_tests.support.cluster.network import Network
from chimp_assets_tests.support.cluster.servers import PostgreSQL, Redis, why_no_servers

SENSORS = {
    f"CHIMP_SENSOR_{name}_S": "2"
    for name in ("NEW_VIDEOS", "UNFINISHED_BUNDLES", "FIRST_EMBEDDER", "NEW_LABELS", "CHAMPION_CHANGED", "QUEUE_LOW")
} | {"CHIMP_SENSOR_MISSING_PICTURES_S": "600"}


def why_no_cluster() -> str:
    """What is missing here; empty if nothing."""
    return why_no_servers() or why_not()


class Cluster:
    """Servers, the host `desk` for the daemon, and hosts for workers. Use `cluster_of`."""

    def __init__(self, folder: Path, postgresql: PostgreSQL, redis: Redis, azurite: Azurite) -> None:
        self.folder = folder
        self.postgresql = postgresql
        self.redis = redis
        self.azurite = azurite
        self.hosts: dict[str, Host] = {}
        self.told: dict[str, str] = {}
        self._observers: list[Database] = []

    @property
    def environment(self) -> dict[str, str]:
        """What every host is told, and nothing else."""
        return {
            "CHIMP_DATABASE_URL": self.postgresql.url("psycopg", "chimp"),
            "CHIMP_DAGSTER_POSTGRES_URL": self.postgresql.url("psycopg2", "dagster"),
            "CHIMP_STORE_URL": "az://store/chimp",
            "CHIMP_ARCHIVE_URL": "az://archive/films",
            "CHIMP_BROKER_URL": self.redis.url,
            **self.azurite.environment(),
        }

    def init(self) -> None:
        """What an operator does once: the home, with Dagster's records and the limits of pools."""
        self.hosts["desk"].run(*CHIMP, "init", "--engine", "celery")

    def start_daemon(self, host: str = "desk") -> None:
        """Sensors, queue and monitoring."""
        daemon = str(Path(sys.executable).parent / "dagster-daemon")
        self.hosts[host].start("daemon", daemon, "run", "-w", str(shipped_file("workspace.yaml")))

    def start_worker(self, host: str, slots: int = 1, queue: str = "cpu") -> None:
        """`chimp worker` on a host."""
        self.hosts[host].start("worker", *CHIMP, "worker", "--slots", str(slots), "--queue", queue)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's records, as the desk has them."""
        folder = self.hosts["desk"].home / "dagster"
        with environ(self.environment), dg.DagsterInstance.from_config(str(folder)) as seen:
            yield seen

    def database(self) -> Database:
        """The product's tables."""
        if not self._observers:
            self._observers.append(Database(self.environment["CHIMP_DATABASE_URL"]))
        return self._observers[0]

    def states(self) -> Counter[str]:
        """Videos by their state."""
        with self.database().read() as conn:
            return Counter(conn.scalars(sa.select(t.video.c.state)))

    def runs(self, *statuses: dg.DagsterRunStatus, job: str | None = None) -> list[dg.DagsterRun]:
        """Runs in these states, all if none is named."""
        with self.instance() as seen:
            return list(seen.get_runs(dg.RunsFilter(statuses=list(statuses) or None, job_name=job)))

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 600) -> Any:
        """Until the condition gives something true, which is returned. In the end says what the hosts printed."""
        ends_at = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < ends_at, f"in {seconds:.0f} s it was not so that {what}\n{self.tails()}"
            time.sleep(0.3)
        return found

    def tails(self) -> str:
        """The last lines of every log."""
        logs = [log for host in self.hosts.values() for log in sorted(host.folder.glob("*.log"))]
        return "\n".join(f"== {log.parent.name}/{log.name}\n{_tail(log)}" for log in logs)

    def close(self) -> None:
        for observer in self._observers:
            observer.dispose()


CHIMP = (sys.executable, "-m", "chimp_assets.cli")


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def cluster_of(
    films: Path, names: tuple[str, ...] = ("desk", "a", "b"), settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A cluster whose archive holds these films, with a home and without a running process.

    settings: CHIMP_... of every host. The folder is kept if the block fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="chimp-cluster-", dir="/var/tmp"))
    folder.chmod(0o755)  # the PostgreSQL server is another user's
    with ExitStack() as stack:
        network = stack.enter_context(Network(has_namespaces()))
        azurite = Azurite(folder / "azurite", network.address)
        redis = Redis(folder / "redis", network.address)
        for server in (azurite, redis):
            server.launch()  # both get ready while PostgreSQL makes its files
            stack.push(server)
        postgresql = PostgreSQL(folder / "postgresql", network.address)
        for server in (postgresql, redis, azurite):
            stack.enter_context(server)
        cluster = Cluster(folder, postgresql, redis, azurite)
        stack.callback(cluster.close)
        for name in ("chimp", "dagster"):
            postgresql.make_database(name)
        for name in ("archive", "store"):
            azurite.make_container(name)
        azurite.upload(films, "archive", "films/")
        cluster.told = {**cluster.environment, **SENSORS, **(settings or {})}
        made = stack.enter_context(hosts(names, folder, network, cluster.told))
        cluster.hosts = {host.name: host for host in made}
        cluster.init()
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def environ(values: Mapping[str, str]) -> Iterator[None]:
    """These variables in this process, while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
