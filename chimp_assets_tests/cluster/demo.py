"""`make cluster-demo`: the loop of `make demo` on five hosts, one of which dies in the middle.

Belongs here: which host does what, the death of one, and the table of where each run ran. Does not belong here: the
loop itself, whose story is told by `chimp_assets.demo.run`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from rich.table import Table

from chimp_assets.automation.brakes import BUNDLE_TAG, IN_FLIGHT
from chimp_assets.automation.launchers.worker import WORKER_TAG
from chimp_assets.console import output
from chimp_assets.demo.archive import make_archive
from chimp_assets.demo.lives import record_lives
from chimp_assets.demo.report import build_report, show_report
from chimp_assets.demo.run import CLIPS, DEMO_TOML, Story, play
from chimp_assets.demo.truth import ArchiveTruth
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home
from chimp_assets.web.auth.accounts import set_password
from chimp_assets_tests.cluster.http_expert import HttpExpert
from chimp_assets_tests.support.cluster.cluster import CHIMP, Cluster, cluster_of, environ, why_no_cluster

PAGE_PORT = 3001
PASSWORD = "a chimpanzee in the fig tree"
HOSTS = ("desk", "page", "a", "b")
PATIENCE_S = 1200.0
"""Until a death is noticed, slots are free and the work is done again nothing changes for minutes."""


def main() -> int:
    """Exit code 1 if something is missing here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="trainings to wait for")
    parser.add_argument("--clips", type=int, default=CLIPS, help="good files of the archive")
    parser.add_argument("--films", type=Path, help="folder for the archive, kept and used again")
    chosen = parser.parse_args()
    if missing := why_no_cluster():
        output.err.print(missing)
        return 1
    with tempfile.TemporaryDirectory(prefix="chimp-films-", dir="/var/tmp") as temporary:
        folder = chosen.films or Path(temporary)
        story = Story()
        truth = folder / "truth.json"
        if not truth.exists():
            story.tell("making an archive of real H.264 video")
            make_archive(folder / "archive", truth, clips=chosen.clips)
        story.tell("starting PostgreSQL, Redis and Azurite, and hosts that share nothing but a network with them")
        try:
            with cluster_of(folder / "archive", HOSTS, _settings()) as cluster, environ(cluster.told):
                _run(cluster, truth, chosen.rounds, story)
        except ChimpError as error:
            output.say_error(error)
            return 1
    return 0


def _run(cluster: Cluster, truth_file: Path, rounds: int, story: Story) -> None:
    page = cluster.hosts["page"]
    url = f"http://{page.address}:{PAGE_PORT}"
    home = Home.open(cluster.hosts["desk"].home)
    truth = ArchiveTruth.load(truth_file)
    expert = HttpExpert(home.database, truth, seed=home.settings.seed)
    expert.introduce()
    record_lives(home.database, truth)
    set_password(home.database, expert.name, PASSWORD)
    for name in ("a", "b"):
        cluster.start_worker(name)
    cluster.start_daemon()
    page.start("page", *CHIMP, "web", CHIMP_WEB__HOST="0.0.0.0", CHIMP_WEB__PUBLIC_URL=url)
    cluster.wait(lambda: _signed_in(expert, url), "the page lets the expert in")
    story.tell("the daemon is on desk, the page on page, workers on a and b; the expert answers over HTTP")
    death = _Death(cluster, story)
    look = f"The logs of all hosts lie in {cluster.folder}. `make cluster-demo` begins anew."
    play(home, expert, rounds, story, death.look, look, PATIENCE_S)
    cluster.wait(lambda: not cluster.runs(*IN_FLIGHT), "all runs have ended", 600)
    end = death.end()
    show_report(build_report(home.database, home.store, home.settings, truth_file, None))
    output.say("")
    output.out.print(_where(cluster))
    output.say(end)
    home.database.dispose()


class _Death:
    """Takes the power from a worker's host as soon as it has a run and half of the work is to do."""

    def __init__(self, cluster: Cluster, story: Story) -> None:
        self._cluster, self._story = cluster, story
        self._run: str | None = None

    def look(self) -> None:
        """Once a second."""
        if self._run is not None or not self._cluster.runs(dg.DagsterRunStatus.SUCCESS):
            return
        for run in self._cluster.runs(dg.DagsterRunStatus.STARTED):
            worker = run.tags.get(WORKER_TAG, "")
            if worker.endswith("@b"):
                self._cluster.hosts["b"].kill()
                self._run = run.run_id
                self._story.tell(f"host b has lost its power in the middle of {run.job_name}")
                return

    def end(self) -> str:
        """What became of the run that the host had, as a sentence. Fails unless it is known as failed and was done
        again elsewhere."""
        assert self._run is not None, "no host died: the archive is too small"
        runs = {run.run_id: run for run in self._cluster.runs()}
        lost = runs[self._run]
        assert lost.status is dg.DagsterRunStatus.FAILURE, lost.status
        again = [
            run
            for run in runs.values()
            if run.status is dg.DagsterRunStatus.SUCCESS
            and run.job_name == lost.job_name
            and run.tags.get(BUNDLE_TAG) == lost.tags.get(BUNDLE_TAG)
            and _host(run) != "b"
        ]
        assert again, f"nobody did {lost.job_name} of {lost.tags.get(BUNDLE_TAG)} again"
        return (
            f"Host b died with the run {lost.run_id[:8]}; host {_host(again[0])} did its work in {again[0].run_id[:8]}."
        )


def _signed_in(expert: HttpExpert, url: str) -> bool:
    try:
        expert.sign_in(url, PASSWORD)
    except OSError:
        time.sleep(1)
        return False
    return True


def _host(run: dg.DagsterRun) -> str:
    return run.tags.get(WORKER_TAG, "@-").split("@")[1]


def _where(cluster: Cluster) -> Table:
    table = Table(title="Where each run ran", title_justify="left")
    for column in ("run", "job", "bundle", "host", "s", "end"):
        table.add_column(column, overflow="fold")
    with cluster.instance() as seen:
        for record in reversed(seen.get_run_records()):
            run = record.dagster_run
            seconds = (record.end_time or 0) - (record.start_time or record.end_time or 0)
            bundle = run.tags.get(BUNDLE_TAG, "")
            table.add_row(run.run_id[:8], run.job_name, bundle, _host(run), f"{seconds:.0f}", run.status.value.lower())
    return table


def _settings() -> dict[str, str]:
    """The demo's settings as variables."""
    said = tomllib.loads(DEMO_TOML.format(archive="-"))
    del said["archive_url"]
    said["archive"]["bundle_videos"] = 4  # several runs for each host
    return dict(_variables(said, "CHIMP_")) | {"CHIMP_WEB__INSECURE_HTTP": "true"}


def _variables(said: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in said.items():
        key = f"{prefix}{name.upper()}"
        if isinstance(value, dict) and not all(isinstance(one, float) for one in value.values()):
            yield from _variables(value, f"{key}__")
        else:
            yield key, value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    raise SystemExit(main())
