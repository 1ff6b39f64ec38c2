"""`chimp init --engine`: the instance of an engine, and what one machine alone cannot share."""

from __future__ import annotations

import dagster as dg
import pytest
import yaml

from chimp_assets.errors import SettingsError
from chimp_assets.operations.engines import Engine, broker_url, template, write_instance
from chimp_assets.settings import load_settings

SERVERS = {
    "CHIMP_DATABASE_URL": "postgresql+psycopg://host/chimp",
    "CHIMP_STORE_URL": "az://store/chimp",
    "CHIMP_DAGSTER_POSTGRES_URL": "postgresql+psycopg2://host/dagster",
    "CHIMP_BROKER_URL": "redis://host:6379/0",
}


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", SERVERS)
def test_what_lies_on_one_machine_is_refused_and_nothing_is_written(name, shared, tmp_path, monkeypatch):
    """Hosts would each have their own rows, and nobody would see it."""
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as refused:
        write_instance(load_settings(tmp_path / "home"), Engine.CELERY)
    assert name in f"{refused.value}"
    assert list(tmp_path.iterdir()) == []


def test_each_engine_has_its_own_instance_and_one_may_follow_another(shared, tmp_path):
    settings = load_settings(tmp_path / "home")
    for engine in (Engine.LOCAL, Engine.CELERY, Engine.CELERY, Engine.K8S, Engine.LOCAL):
        write_instance(settings, engine)
        assert (settings.dagster_home / "dagster.yaml").read_text() == template(engine)


def test_a_file_that_was_changed_by_hand_stays(shared, tmp_path):
    settings = load_settings(tmp_path / "home")
    write_instance(settings, Engine.LOCAL)
    file = settings.dagster_home / "dagster.yaml"
    file.write_text(file.read_text().replace("max_concurrent_runs: 2", "max_concurrent_runs: 8"))
    with pytest.raises(SettingsError, match="changed by hand"):
        write_instance(settings, Engine.CELERY)
    assert "max_concurrent_runs: 8" in file.read_text()


@pytest.mark.parametrize("engine", Engine)
def test_every_instance_frees_slots_notices_dead_runs_and_limits_trainings(engine):
    said = yaml.safe_load(template(engine))
    assert said["run_monitoring"]["enabled"]
    assert said["run_monitoring"]["free_slots_after_run_end_seconds"] <= 60
    assert said["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    places = [said.get("concurrency", {}).get("runs", {}), said["run_coordinator"].get("config", {})]
    assert [{"key": "chimp/models", "limit": 1}] in [place.get("tag_concurrency_limits") for place in places]


def test_dagster_accepts_the_instance_of_celery(shared, tmp_path, monkeypatch):
    """A misspelt key would be found when the daemon starts."""
    from chimp_assets.automation.launchers.celery import CeleryLauncher, CeleryRunCoordinator

    said = yaml.safe_load(template(Engine.CELERY))
    del said["storage"]  # the server is not there
    said["run_launcher"]["config"]["gpu_jobs"] = ["fit_embedder"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(said))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        launcher = made.run_launcher
        assert isinstance(launcher, CeleryLauncher)
        assert isinstance(made.run_coordinator, CeleryRunCoordinator)
        assert launcher.queue_of(dg.DagsterRun(job_name="fit_embedder")) == "gpu"
        assert launcher.queue_of(dg.DagsterRun(job_name="retrain")) == "cpu"
        monkeypatch.setattr(launcher.roll_calls, "newest", lambda: None)
        queue = made.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 0, "nobody is there"
        limits = [limit for limit in queue.tag_concurrency_limits if limit["key"] == "dagster-celery/queue"]
        assert {limit["value"]: limit["limit"] for limit in limits} == {"cpu": 0, "gpu": 0}
        assert made.run_monitoring_enabled


@pytest.mark.parametrize("url", ["", "amqp://guest@host//", "http://host"])
def test_a_broker_that_is_none_of_redis_is_refused(url, monkeypatch):
    monkeypatch.setenv("CHIMP_BROKER_URL", url)
    with pytest.raises(SettingsError, match="redis://"):
        broker_url()
