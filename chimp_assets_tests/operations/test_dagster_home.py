"""Dagster's records in a home: slots of dead runs come back, PostgreSQL works as dagster.yaml says, odd paths too."""

import logging
import re
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from alembic.util.exc import CommandError
from dagster._core.storage.sqlite import LAST_KNOWN_STAMPED_SQLITE_ALEMBIC_REVISION
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.monitoring import concurrency
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._time import get_current_datetime

from chimp_assets import dagster_home
from chimp_assets.definitions import build_definitions
from chimp_assets.errors import SettingsError
from chimp_assets.home import init_home
from chimp_assets.settings import shipped_file

POSTGRES = re.compile(r"^# (storage:\n)# (  postgres:\n)# (    postgres_url:\n)# (      env: \w+)", re.MULTILINE)


def _free(instance: dg.DagsterInstance) -> None:
    context = SimpleNamespace(instance=instance)
    list(concurrency.execute_concurrency_slots_iteration(context, logging.getLogger(__name__)))


def test_the_slots_of_a_killed_run_come_back(home, monkeypatch):
    """Two runs of the daemon that were killed blocked decoding for good."""
    monkeypatch.setenv("DAGSTER_HOME", str(home.settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        dagster_home.set_pool_limits(instance)
        for number in range(2):
            run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
            assert storage.claim_concurrency_slot("decode", run.run_id, f"frames{number}").is_claimed
            instance.report_run_failed(run)  # what run monitoring does with a run whose process is gone
        waiting = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        assert not storage.claim_concurrency_slot("decode", waiting.run_id, "frames").is_claimed
        _free(instance)
        assert storage.get_concurrency_info("decode").active_slot_count == 2, "it may still be at its last lines"
        # Noticed, freed and looked at again within the 90 s that an operator waits.
        monitoring = yaml.safe_load(shipped_file("dagster.yaml").read_text())["run_monitoring"]
        late = monitoring[dagster_home.FREE_SLOTS] + 2 * monitoring["poll_interval_seconds"]
        assert late <= 90
        soon = get_current_datetime() + timedelta(seconds=monitoring[dagster_home.FREE_SLOTS] + 1)
        monkeypatch.setattr(concurrency, "get_current_datetime", lambda: soon)
        _free(instance)
        assert storage.claim_concurrency_slot("decode", waiting.run_id, "frames").is_claimed


def _revisions(home):
    found = {}
    for name in dagster_home._RECORDS:
        with closing(sqlite3.connect(home.settings.dagster_home / name)) as conn:
            found[name] = conn.execute("SELECT version_num FROM alembic_version").fetchall()
    return found


def test_records_are_made_before_several_processes_open_them(home, monkeypatch):
    """Daemon and web UI that made them at once on a new home left records that none could open any more."""
    dagster_home.make_records(home.settings)
    made = _revisions(home)
    assert [len(rows) for rows in made.values()] == [1, 1, 1]
    monkeypatch.setattr(dagster_home.subprocess, "run", None)
    dagster_home.make_records(home.settings)  # nothing to do, so nothing is started
    with dg.DagsterInstance.from_config(str(home.settings.dagster_home)) as instance:
        assert instance.get_runs() == []


def test_records_that_two_processes_have_made_are_mended(home):
    dagster_home.make_records(home.settings)
    whole = _revisions(home)
    for name in dagster_home._RECORDS:
        with closing(sqlite3.connect(home.settings.dagster_home / name)) as conn, conn:
            conn.execute("INSERT INTO alembic_version VALUES (?)", (LAST_KNOWN_STAMPED_SQLITE_ALEMBIC_REVISION,))
    with pytest.raises(CommandError, match="more than one head"):
        dg.DagsterInstance.from_config(str(home.settings.dagster_home))
    dagster_home.make_records(home.settings)
    assert _revisions(home) == whole
    with dg.DagsterInstance.from_config(str(home.settings.dagster_home)) as instance:
        assert instance.get_runs() == []


def test_records_that_cannot_be_made_are_a_sentence(home):
    (home.settings.dagster_home / "schedules").write_text("a file where a folder belongs")
    with pytest.raises(SettingsError, match="Dagster cannot make its records"):
        dagster_home.make_records(home.settings)


def test_every_pool_has_its_limit_before_two_runs_ask_for_it():
    pools: set[str] = set()
    for asset in build_definitions().resolve_asset_graph().assets_defs:
        if asset.is_executable:
            pools |= set(asset.op.pools)
    assert pools == set(dagster_home.POOLS)


OLD = shipped_file("dagster.yaml").read_text().replace(
    "  free_slots_after_run_end_seconds: 30 # of its pools; a run that was killed cannot give them back itself\n", ""
)  # fmt: skip
LAYOUTS = {
    "as it was shipped": OLD,
    "with a comment below its name": "run_monitoring:\n  # ours\n\n  enabled: true\n",
    "deeply indented": "run_monitoring:   # watched\n        enabled: true\nnux:\n  enabled: false\n",
    "without the section": "nux:\n  enabled: false\n",
    "empty": "",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_an_older_home_gets_what_its_dagster_yaml_lacks_and_keeps_the_rest(home, text):
    file = home.settings.dagster_home / "dagster.yaml"
    before = yaml.safe_load(text) or {}
    file.write_text(text)
    assert str(file) in (dagster_home.complete(home.settings) or "")
    now = yaml.safe_load(file.read_text())
    assert now.pop("run_monitoring") == {
        **before.pop("run_monitoring", {"enabled": True}),
        dagster_home.FREE_SLOTS: dagster_home.FREE_SLOTS_S,
    }
    assert now == before
    assert all(line in file.read_text() for line in text.splitlines() if "#" in line)
    assert dagster_home.complete(home.settings) is None, "once is enough"


@pytest.mark.parametrize("text", ["run_monitoring: {enabled: true}\n", "run_monitoring: {enabled: true, x: [1]} # {\n"])
def test_a_dagster_yaml_that_is_laid_out_otherwise_is_not_touched_but_spoken_of(home, text):
    file = home.settings.dagster_home / "dagster.yaml"
    file.write_text(text)
    said = dagster_home.complete(home.settings)
    assert said is not None
    assert said.startswith("Add free_slots_after_run_end_seconds: 30 to run_monitoring")
    assert file.read_text() == text


def test_what_an_operator_has_chosen_stays(home):
    file = home.settings.dagster_home / "dagster.yaml"
    file.write_text("run_monitoring:\n  enabled: true\n  free_slots_after_run_end_seconds: 600\n")
    assert dagster_home.complete(home.settings) is None
    assert "600" in file.read_text()


@pytest.mark.parametrize("name", ["what?home", "100%25 [home]"])
def test_dagsters_records_lie_in_the_home_whatever_its_name(tmp_path, monkeypatch, name):
    """Dagster puts the path into an address as it is: `/x/what?home/...` became a file `/x/what`."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    home = init_home(tmp_path / "homes" / name)
    folder = home.environment()["DAGSTER_HOME"]
    assert Path(folder).resolve() == home.settings.dagster_home
    with dg.DagsterInstance.from_config(folder) as instance:
        create_run_for_test(instance)
    assert (home.settings.dagster_home / "history" / "runs.db").is_file()
    assert [entry.name for entry in (tmp_path / "homes").iterdir()] == [name]


_JOB = """
import dagster as dg

@dg.op(pool="decode")
def look():
    return 1

@dg.job
def short():
    look()

defs = dg.Definitions(jobs=[short])
"""


def test_with_postgresql_as_dagster_yaml_describes_it_a_queued_run_comes_to_its_end(
    home, tmp_path, monkeypatch, request
):
    """With the address of the other driver NOTIFY failed, and every run stayed where it was."""
    server = request.getfixturevalue("postgresql")
    database = server.create()
    address = server.url.set(drivername="postgresql+psycopg2", database=server_database(database))
    file = home.settings.dagster_home / "dagster.yaml"
    file.write_text(POSTGRES.sub(r"\1\2\3\4", file.read_text()))
    assert "postgres" in yaml.safe_load(file.read_text())["storage"]
    monkeypatch.setenv("CHIMP_DAGSTER_POSTGRES_URL", address.render_as_string(hide_password=False))
    monkeypatch.setenv("DAGSTER_HOME", str(home.settings.dagster_home))
    assert dagster_home.prepare(home.settings) is None
    (tmp_path / "job.py").write_text(_JOB)
    target = PythonFileTarget(str(tmp_path / "job.py"), None, str(tmp_path), "it")
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage).__module__.startswith("dagster_postgres")
        limits = {one.name: (one.limit, one.from_default) for one in instance.event_log_storage.get_pool_limits()}
        assert limits == {pool: (2, True) for pool in dagster_home.POOLS}
        with WorkspaceProcessContext(instance, target) as context:
            location = context.create_request_context().get_code_location("it")
            remote = next(iter(location.get_repositories().values())).get_full_job("short")
            run = create_run_for_test(
                instance,
                job_name="short",
                remote_job_origin=remote.get_remote_origin(),
                job_code_origin=remote.get_python_origin(),
            )
            instance.submit_run(run.run_id, context.create_request_context())
            assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.QUEUED
            list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(context))
            deadline = time.monotonic() + 120
            while (status := instance.get_run_by_id(run.run_id).status).value not in ("SUCCESS", "FAILURE"):
                assert time.monotonic() < deadline, status
                time.sleep(0.1)
        assert status is dg.DagsterRunStatus.SUCCESS, [e.message for e in instance.all_logs(run.run_id)]
        assert instance.event_log_storage.get_concurrency_info("decode").active_slot_count == 0


def server_database(database) -> str:
    return str(database.url).rpartition("/")[2].split("?")[0]


def test_a_storage_that_cannot_be_reached_is_a_sentence_without_its_password(home, monkeypatch):
    file = home.settings.dagster_home / "dagster.yaml"
    file.write_text(POSTGRES.sub(r"\1\2\3\4", file.read_text()))
    monkeypatch.setenv("CHIMP_DAGSTER_POSTGRES_URL", "postgresql+psycopg2://jane:s3cret@127.0.0.1:1/none")
    with pytest.raises(dagster_home.SettingsError) as caught:
        dagster_home.prepare(home.settings)
    assert "s3cret" not in str(caught.value)
    assert "postgresql+psycopg2" in caught.value.remedy
