"""Several hosts of one database: homes of the environment alone, settings that all share, what a job is handed."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.clock import ClockError, clock_skew, require_right_clock
from chimp_assets.database.people.users import add_user
from chimp_assets.database.upkeep.shared_settings import DifferentSettingsError
from chimp_assets.errors import SettingsError
from chimp_assets.home import Home, has_home, init_home, remember_archive
from chimp_assets.operations.doctor import examine
from chimp_assets.settings import load_settings, shared_values
from chimp_assets_tests.archive.clips import make_clip
from chimp_assets_tests.cli.test_cli import chimp  # noqa: F401  a fixture


@pytest.fixture
def told(monkeypatch, tmp_path, sqlite_db):
    """The environment of a container: it names a database and a store, and there is no home."""
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("CHIMP_DATABASE_URL", sqlite_db.url)
    monkeypatch.setenv("CHIMP_STORE_URL", store.as_uri())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def entries(*folders: Path) -> set[str]:
    return {str(path.relative_to(folder)) for folder in folders for path in folder.rglob("*")}


def test_the_environment_alone_is_a_home_and_nothing_is_made_where_one_stands(told):
    assert has_home()
    home = Home.open()
    home.store.put("a/b", b"bytes")
    with home.database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.video)) == 0
    assert entries(told / "here") == set()
    assert home.settings.home.parent == told / "tmp"
    assert home.settings.home.stat().st_mode & 0o777 == 0o700
    assert list(home.settings.home.iterdir()) == []
    assert Home.open().settings.home == home.settings.home


def test_commands_work_in_a_home_of_the_environment(told, chimp, monkeypatch):  # noqa: F811
    monkeypatch.delenv("CHIMP_HOME")
    monkeypatch.setenv("CHIMP_DECODE__WORKERS", "0")
    make_clip(told / "videos" / "site" / "cam" / "1.mp4", 20)
    for command in (("init",), ("status",), ("individuals", "list"), ("doctor", "--sweep"), ("times", "list")):
        code, said, complained = chimp(*command, "--json")
        assert (command, code, complained) == (command, 0, "")
    assert "chimp.toml" not in chimp("init")[1]
    code, said, _ = chimp("ingest", str(told / "videos"), "--json")
    assert (code, json.loads(said)["bundles"]) == (0, 1)
    # The next host finds the archive without being told.
    assert Home.open().archive_url == str(told / "videos")
    assert chimp("ingest")[0] == 0
    assert entries(told / "here") == set()
    assert not list(told.rglob("chimp.toml"))


def test_a_temporary_folder_of_somebody_else_is_refused(told):
    Home.open().settings.home.chmod(0o777)
    with pytest.raises(SettingsError, match=r"not this user's own.*TMPDIR"):
        Home.open()


def test_dagster_loads_the_product_from_the_environment_alone(told):
    (told / "dagster").mkdir()
    loads = (
        "import dagster as dg; from chimp_assets.definitions import defs;"
        "from chimp_assets.resources import HomeResource;"
        "print(HomeResource().open().settings.dagster_home, len(defs.resolve_all_asset_keys()) > 3)"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(told / "dagster"), "TMPDIR": str(told / "tmp")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", loads], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(told / "dagster"), "True"], done.stderr
    assert entries(told / "here") == set()


# What a job is handed ------------------------------------------------------------------------------------------------


def test_a_job_gets_every_setting_that_differs_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("CHIMP_OIDC_CLIENT_SECRET", "hush")
    monkeypatch.setenv("MY_TOKEN", "hush")
    (tmp_path / "chimp.toml").write_text(
        """
        archive_url = "az://videos/2024"
        store_url = "az://store"
        database_url = "mssql+pyodbc://server.database.windows.net/chimp?entra=managed_identity&client_id=1-2"
        seed = 7
        decode = {fps = 2.5, policy = "keyframe"}
        archive = {suffixes = [".mp4", ".mts"]}
        embed = {fine_tune_batch = 16, weights = "store:weights/a.safetensors"}
        web = {insecure_http = true, proxies = ["10.0.0.0/8"], oidc = {metadata_url = "https://a.b", client_id = "c"}}
        acquisition = {cold_shares = {typical = 0.5, audit = 0.5}}
        compute = {kind = "azureml", minutes = 90, azureml = {gpu_compute = "gpus"}, k8s = {node_selector = {a = "b"}}}
        words = {en = "a bonobo"}
        """
    )
    home = Home.open(tmp_path)
    found = home.job_environment()
    assert found["CHIMP_DECODE__FPS"] == "2.5"
    assert found["CHIMP_COMPUTE__AZUREML__GPU_COMPUTE"] == "gpus"
    assert "hush" not in str(found)
    assert {name for name in found if not name.startswith("CHIMP_")} == set()
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    there = load_settings(tmp_path / "elsewhere")
    here = home.settings
    assert there.model_dump(exclude={"home"}) == here.model_dump(exclude={"home"})


SECRETS = (
    ("database_url", "postgresql+psycopg://chimp:hush@db/chimp"),
    ("database_url", "mssql+pyodbc://a:hush@server/chimp?driver=x"),
    ("archive_url", "az://videos/2024?sv=1&sig=hush"),
    ("store_url", "https://a.blob.core.windows.net/c?sig=hush"),
)


@pytest.mark.parametrize(("name", "url"), SECRETS)
def test_a_job_is_refused_a_secret_in_an_address_and_the_remedy_names_an_identity(home, name, url):
    opened = Home.open(home.settings.home, **{name: url})
    with pytest.raises(SettingsError, match="managed identity") as refused:
        opened.job_environment()
    assert f"CHIMP_{name.upper()}" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_child_of_this_machine_gets_what_it_needs_and_no_secrets_of_others(monkeypatch, home):
    for name in ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGP_KEY", "SSH_AUTH_SOCK", "ARM_CLIENT_SECRET"):
        monkeypatch.setenv(name, "hush")
    needed = ("http_proxy", "AZURE_CLIENT_ID", "PGPASSWORD", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TMPDIR")
    for name in (*needed, "CHIMP_OIDC_CLIENT_SECRET", "MINE"):
        monkeypatch.setenv(name, "kept")
    monkeypatch.setenv("CHIMP_KEEP_ENVIRONMENT", "MINE, OTHER")
    found = home.environment()
    assert "hush" not in found.values()
    assert {name for name, value in found.items() if value == "kept"} >= {*needed, "CHIMP_OIDC_CLIENT_SECRET", "MINE"}
    assert {"PATH", "HOME"} <= set(found)
    assert found["CHIMP_HOME"] == str(home.settings.home)


# What all hosts share -------------------------------------------------------------------------------------------------


@pytest.fixture
def host(monkeypatch, tmp_path, postgresql_db):
    """A host by its settings; all of them have one PostgreSQL."""
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("CHIMP_DATABASE_URL", postgresql_db.url)
    monkeypatch.setenv("CHIMP_STORE_URL", (tmp_path / "store").as_uri())
    monkeypatch.setenv("CHIMP_HOME", str(tmp_path / "home"))
    return Home.open


def test_a_host_whose_rows_would_disagree_is_refused_until_all_adopt(host, chimp, monkeypatch):  # noqa: F811
    first = host()
    add_user(first.database, "jane", "admin")
    host(decode={"workers": 7}, head={"min_labels": 30})  # of no consequence for rows
    other = host(decode={"fps": 2.0}, seed=3)
    with pytest.raises(DifferentSettingsError) as refused:
        _ = other.database
    for part in ("decode.fps is 2.0 here and 5.0 for all hosts", "seed is 3 here and 20", "chimp settings adopt"):
        assert part in str(refused.value)
    findings = {one.part: one for one in examine(other)}
    assert (findings["database"].verdict, findings["hosts"].verdict) == ("well", "ill")
    assert "decode.fps" in findings["hosts"].says
    assert [one.part for one in findings.values() if one.verdict == "ill"] == ["hosts"]

    monkeypatch.setenv("CHIMP_DECODE__FPS", "2.0")
    monkeypatch.setenv("CHIMP_SEED", "3")
    assert chimp("status")[0] == 2
    assert "decode.fps" in chimp("settings", "adopt", "--dry-run")[1]
    assert chimp("status")[0] == 2
    code, said, _ = chimp("settings", "adopt", "--by", "jane", "--why", "less disk")
    assert code == 0
    assert "decode.fps" in said
    assert chimp("status")[0] == 0
    with pytest.raises(DifferentSettingsError, match="set by jane"):
        _ = host(decode={"fps": 5.0}, seed=20).database
    shown = json.loads(chimp("settings", "list", "--json")[1])["settings"]
    assert {"name": "decode.fps", "value": "2.0", "user": "jane"}.items() <= next(
        one for one in shown if one["name"] == "decode.fps"
    ).items()
    with first.unchecked_database.read() as conn:
        details = conn.scalars(
            sa.select(t.audit_event.c.detail).where(t.audit_event.c.action == "settings.adopt")
        ).all()
    assert {(json.loads(one)["before"], json.loads(one)["after"]) for one in details} == {("5.0", "2.0"), ("20", "3")}


def test_two_hosts_that_come_first_at_once_agree(host):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as threads:
        homes = list(threads.map(lambda _: host(), range(4)))
        list(threads.map(lambda home: home.database, homes))
    with homes[0].database.read() as conn:
        names = set(conn.scalars(sa.select(t.shared_setting.c.name)))
    assert names == set(shared_values(homes[0].settings))


def test_weights_in_another_folder_are_the_same_weights(host):
    _ = host(detect={"detector": "torchvision", "weights": "/a/w.safetensors"}).database
    _ = host(detect={"detector": "torchvision", "weights": "/b/w.safetensors"}).database
    with pytest.raises(DifferentSettingsError, match=r"detect.weights"):
        _ = host(detect={"detector": "torchvision", "weights": "/b/v.safetensors"}).database


def test_a_home_of_one_machine_records_a_changed_setting_and_refuses_nothing(home):
    """Whoever edits chimp.toml at home must not be asked to adopt anything."""
    home.note_settings()
    toml = home.settings.home / "chimp.toml"
    toml.write_text(toml.read_text() + "\n[decode]\nfps = 2.0\n")
    changed = init_home(home.settings.home)
    with changed.database.read() as conn:
        row = conn.execute(sa.select(t.audit_event).where(t.audit_event.c.action == "settings.adopt")).one()
        assert row.subject == "decode.fps"
        assert conn.scalar(sa.select(t.shared_setting.c.value).where(t.shared_setting.c.name == "decode.fps")) == "2.0"
    assert {one.part: one.verdict for one in examine(changed)}["hosts"] == "well"


def test_an_archive_that_one_host_is_told_is_known_to_the_others(host, tmp_path, monkeypatch):
    for name in ("a", "b"):
        make_clip(tmp_path / name / "site" / "cam" / "1.mp4", 20)
    remember_archive(host(), str(tmp_path / "a"))
    other = host(tmp_path / "other")
    assert other.archive_url == str(tmp_path / "a")
    assert other.archive.local_path("x") == tmp_path / "a" / "x"
    assert other.job_environment()["CHIMP_ARCHIVE_URL"] == str(tmp_path / "a")
    monkeypatch.setenv("CHIMP_ARCHIVE_URL", str(tmp_path / "b"))
    own = host()
    assert own.archive_url == str(tmp_path / "b")
    found = next(one for one in examine(own) if one.part == "archive")
    assert found.verdict == "warning"
    assert str(tmp_path / "a") in found.says
    assert "settings adopt" in found.remedy


# Clocks ----------------------------------------------------------------------------------------------------------------


def late(seconds: float):
    return lambda: datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(("seconds", "words"), [(30, "ahead of"), (-30, "behind")])
def test_a_clock_that_is_wrong_is_refused(host, monkeypatch, seconds, words):
    db = host().unchecked_database
    assert abs(clock_skew(db, late(seconds)).seconds + seconds) < 5
    require_right_clock(db)
    with pytest.raises(ClockError, match=rf"{words} that of the database.*time server"):
        require_right_clock(db, late(seconds))


def test_a_slow_line_is_no_wrong_clock(host):
    """Half a minute to the database and back says nothing about clocks: only what is certain is refused."""
    ticks = iter([0, 20] * 3)
    start = datetime.now(UTC)
    require_right_clock(host().unchecked_database, lambda: start + timedelta(seconds=next(ticks)))


def test_a_file_has_no_clock_but_ours(home):
    assert clock_skew(home.database, late(99)).seconds == 0
