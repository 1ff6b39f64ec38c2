"""A run whose process is gone, together with everything that could have told, does not count as running for ever."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_run_id
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from chimp_assets.automation.launchers.local import LocalRunLauncher
from chimp_assets.home import Home, shipped_file
from chimp_assets.operations.supervisor import launcher_advice

SOCKET = '{"host": "localhost", "socket": "/tmp/gone"}'


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as a home has it."""
    (tmp_path / "dagster.yaml").write_text(shipped_file("dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as made:
        yield made


def sleeper(**environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, **environment})


def run_of(instance: dg.DagsterInstance, pid: int | None, where: str = SOCKET) -> str:
    """A run that is under way, by a process that said so."""
    run = dg.DagsterRun(
        job_name="retrain", run_id=make_new_run_id(), status=dg.DagsterRunStatus.STARTED, tags={GRPC_INFO_TAG: where}
    )
    instance.add_run(run)
    if pid is not None:
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))
    return run.run_id


def watched(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    """What run monitoring makes of a run."""
    record = instance.get_run_record_by_id(run_id)
    assert record is not None
    workspace: Any = None  # looked at only to resume runs, which this launcher does not
    monitor_started_run(instance, workspace, record, logging.getLogger(__name__))
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_is_gone_is_failed_and_a_living_one_is_left_alone(instance: dg.DagsterInstance) -> None:
    """After a power cut in a training no other training began for a day."""
    process = sleeper()
    run_id = run_of(instance, process.pid)
    try:
        assert watched(instance, run_id) is dg.DagsterRunStatus.STARTED
    finally:
        process.kill()
    # Dead, but nobody has asked for its exit status yet.
    assert watched(instance, run_id) is dg.DagsterRunStatus.FAILURE
    process.wait()
    assert watched(instance, run_of(instance, process.pid)) is dg.DagsterRunStatus.FAILURE


def test_a_number_that_another_process_has_now_is_not_taken_for_the_run(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """After a restart numbers begin anew."""
    process = sleeper(DAGSTER_HOME=str(tmp_path / "another"))
    try:
        assert watched(instance, run_of(instance, process.pid)) is dg.DagsterRunStatus.FAILURE
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("pid", "where"), [(None, SOCKET), (2**22 + 1, '{"host": "code-server", "port": 4000}')])
def test_in_doubt_a_run_is_left_alone(instance: dg.DagsterInstance, pid: int | None, where: str) -> None:
    """A run that is marked as failed while it works is done twice at once."""
    assert watched(instance, run_of(instance, pid, where)) is dg.DagsterRunStatus.STARTED


def test_homes_use_this_launcher() -> None:
    """The launcher helps nobody whom dagster.yaml gives another one."""
    said = yaml.safe_load(shipped_file("dagster.yaml").read_text())
    assert said["run_launcher"] == {"module": "chimp_assets.automation.launchers.local", "class": "LocalRunLauncher"}
    assert said["run_monitoring"]["enabled"]


def test_homes_that_name_the_launcher_by_its_old_place_still_find_it(tmp_path: Path) -> None:
    """It was moved; dagster.yaml is not."""
    text = shipped_file("dagster.yaml").read_text().replace("automation.launchers.local", "automation.launcher")
    (tmp_path / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        assert type(made.run_launcher) is LocalRunLauncher


def test_a_home_of_an_older_version_is_told_what_to_change(home: Home) -> None:
    """Homes keep the dagster.yaml that they were made with."""
    assert launcher_advice(home) is None
    file = home.settings.dagster_home / "dagster.yaml"
    new = file.read_text()
    file.write_text(
        new.replace("module: chimp_assets.automation.launchers.local", "module: dagster").replace(
            "LocalRun", "DefaultRun"
        )
    )
    assert "class: LocalRunLauncher" in (launcher_advice(home) or "")
