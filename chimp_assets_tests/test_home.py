"""Homes: their owner's alone, readable where nothing can be written, whole whatever they are called, made aloud."""

import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets import cli, private_files
from chimp_assets.database import schema as t
from chimp_assets.database.footage.archive_state import archive_problem, listing_is_noted
from chimp_assets.database.people.users import add_user, list_users
from chimp_assets.errors import ChimpError
from chimp_assets.home import Home, init_home, remember_archive
from chimp_assets.operations.doctor import examine
from chimp_assets.operations.home_lock import only_one
from chimp_assets.settings import TOML_NAME
from chimp_assets_tests.cli.test_cli import chimp  # noqa: F401  a fixture


@pytest.fixture
def umask():
    """That of most machines, under which everybody may read what is made."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _modes(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root.parent)): oct(stat.S_IMODE(path.stat().st_mode)) for path in [root, *root.rglob("*")]
    }


def _open_up(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_what_is_made_in_a_home_is_its_owners_alone_whatever_the_umask(umask, tmp_path):
    home = init_home(tmp_path / "deep" / "home")
    add_user(home.database, "jane", "expert")  # -wal, -shm and what short transactions lock
    home.store.put("shards/a/b.tar", b"pictures")
    with only_one(home, "chimp up"):
        modes = _modes(home.settings.home)
    assert {"home/chimp.db", "home/chimp.db-wal", "home/chimp.db-shm", "home/up.lock", "home/chimp.toml"} <= set(modes)
    assert {"home/dagster/dagster.yaml", "home/store/shards/a/b.tar"} <= set(modes)
    assert {name: mode for name, mode in modes.items() if mode not in ("0o700", "0o600")} == {}
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def test_a_backup_is_its_owners_alone(umask, home, tmp_path):
    from chimp_assets.database.upkeep.backup import back_up, restore

    copy = tmp_path / "copy.db"
    back_up(home.database, copy)
    restored = restore(home.database, copy)
    assert [stat.S_IMODE(file.stat().st_mode) for file in (copy, restored.file, restored.kept)] == [0o600] * 3


def test_an_older_home_is_closed_by_init_which_says_so_and_the_archive_in_it_is_left_alone(umask, chimp, tmp_path):  # noqa: F811
    root = tmp_path / "home"
    archive = root / "archive"
    init_home(root, archive_url=str(archive))
    archive.mkdir()
    (archive / "a.mp4").write_bytes(b"film")
    _open_up(root)
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("not of the home")
    (tmp_path / "elsewhere").chmod(0o644)

    finding = examine(Home.open(root))[0]
    assert (finding.part, finding.verdict) == ("home", "warning")
    assert "can be opened by other users" in finding.says
    code, said, _ = chimp("init")
    assert code == 0
    assert "was open to other users of this machine" in said
    modes = _modes(root)
    assert modes.pop("home/archive") == "0o755"
    assert modes.pop("home/archive/a.mp4") == "0o644"
    assert modes.pop("home/out") == "0o644"
    assert set(modes.values()) == {"0o700", "0o600"}
    assert "open to other users" not in chimp("init")[1]
    assert examine(Home.open(root))[0].verdict == "well"
    assert private_files.readable_by_others(root, archive) == []


NAMES = ("what?home", "100%25 sure", "a#b", "[bold]x[red] 'é' \"q\"", "semi;colon&and=is")


@pytest.mark.parametrize("name", NAMES)
def test_a_home_lies_where_its_name_says_with_an_archive_of_any_name(monkeypatch, tmp_path, capsys, name):
    """`/x/what?home` made the database `/x/what`, outside the home."""
    root, archive = tmp_path / "homes" / name, tmp_path / "archives" / name
    archive.mkdir(parents=True)
    monkeypatch.setenv("CHIMP_HOME", str(root))
    home = init_home(archive_url=str(archive))
    home.store.put("a/b", b"bytes")
    assert [entry.name for entry in (tmp_path / "homes").iterdir()] == [name]
    assert {"chimp.db", "store", "dagster", TOML_NAME} <= {entry.name for entry in root.iterdir()}
    assert (root / "store" / "a" / "b").read_bytes() == b"bytes"
    again = Home.open()
    assert Path(again.settings.archive_url) == archive
    assert again.archive.local_path("x") == archive / "x"
    other = tmp_path / "archives" / f"{name} 2"
    other.mkdir()
    remember_archive(again, str(other))
    assert Home.open().settings.archive_url == str(other)
    remember_archive(Home.open(), other.as_uri())
    assert Home.open().archive.local_path("x") == other / "x"
    again.database.dispose()
    shutil.copytree(root, tmp_path / "copied")
    assert [user.name for user in list_users(Home.open(tmp_path / "copied").database)] == ["expert"]
    monkeypatch.setattr(sys, "argv", ["chimp", "init"])
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        cli.main()
    assert str(root) in capsys.readouterr().out


def _without_rights() -> None:
    """root reads and writes everything: these are the two rights by which it does."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability)


_READS = """
import sys
from chimp_assets import cli
for words in (["status"], ["query", "last_seen"], ["doctor"], ["db", "check"], ["models", "list"], ["user", "list"],
              ["individuals", "list"], ["user", "add", "joe"], ["init"], ["up", "--port", "0"], ["ingest"], ["web"]):
    sys.argv = ["chimp", *words]
    try:
        cli.main()
    except SystemExit as left:
        print("==", *words, left.code, flush=True)
        print("==", *words, left.code, file=sys.stderr, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="rights are dropped as Linux does it")
@pytest.mark.parametrize("left", ["closed", "died"])
def test_a_home_that_cannot_be_written_is_read_and_what_must_write_says_so(tmp_path, left):
    """`unable to open database file ... restore a backup`, from a mounted snapshot that was well."""
    made = init_home(tmp_path / "made")
    add_user(made.database, "jane", "expert")
    root = tmp_path / "home"
    if left == "died":  # its last changes are in the -wal alone
        shutil.copytree(made.settings.home, root)
        (root / "chimp.db-shm").unlink()
        assert (root / "chimp.db-wal").stat().st_size > 0
    made.database.dispose()
    if left == "closed":
        shutil.copytree(made.settings.home, root)
        assert not (root / "chimp.db-wal").exists()
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _READS], capture_output=True, text=True, preexec_fn=_without_rights,
            env={**os.environ, "CHIMP_HOME": str(root), "COLUMNS": "300"},
        )  # fmt: skip
    finally:
        root.chmod(0o755)
    codes = dict(line.removeprefix("== ").rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("=="))
    if codes.get("user add joe") == "0":
        pytest.skip("these rights cannot be dropped here")
    read = ("status", "query last_seen", "doctor", "db check", "models list", "user list", "individuals list")
    assert {name: code for name, code in codes.items() if name in read} == dict.fromkeys(read, "0"), done.stderr
    assert "jane: expert" in done.stdout
    assert "but not write it" in done.stdout
    assert {code for name, code in codes.items() if name not in read} == {"2"}
    assert "Traceback" not in done.stderr
    complaints = done.stderr.split("== individuals list 0\n")[1]
    for words in complaints.split("==")[:-1]:
        assert "not written" in words or "cannot be written" in words, complaints
    assert (
        sorted(entry.name for entry in root.iterdir())
        == sorted(
            ["chimp.db", "chimp.db-turn", TOML_NAME, "dagster", "store", *(["chimp.db-wal"] if left == "died" else [])]
        )
        or not (root / "chimp.db-turn").exists()
    )


def test_an_ingest_in_the_wrong_place_makes_no_home(chimp, tmp_path, monkeypatch):  # noqa: F811
    """A typing error left `chimp_home` behind, unsaid, and the next command worked on an empty home."""
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").write_text("no film")
    (tmp_path / "nothing").mkdir()
    for words, said in (
        ([], "no archive is named"),
        ([str(tmp_path / "gone")], "does not exist"),
        ([str(tmp_path / "nothing")], "holds no video (0 other files)"),
        ([str(tmp_path / "papers")], "holds no video (1 other files)"),
    ):
        code, _, complained = chimp("ingest", *words)
        assert code == 2
        assert said in " ".join(complained.split())
        assert not (tmp_path / "home").exists()


def test_the_first_ingest_says_where_it_made_a_home(chimp, tmp_path):  # noqa: F811
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.mp4").write_bytes(b"no video")
    os.utime(archive / "a.mp4", (1_577_836_800, 1_577_836_800))
    code, said, complained = chimp("ingest", str(archive))
    assert code == 0, complained
    assert f"Made a home at {tmp_path / 'home'}" in said
    assert "Made a home" not in chimp("ingest")[1]
    assert "made_home" not in json.loads(chimp("ingest", "--json")[1])


def test_an_archive_that_is_away_is_said_by_status_and_doctor_and_again_when_it_is_back(chimp, tmp_path):  # noqa: F811
    """Under `chimp up` only daemon.log knew that the disk was not mounted."""
    archive = tmp_path / "disk"
    archive.mkdir()
    home = init_home(tmp_path / "home", archive_url=str(archive))
    assert json.loads(chimp("status", "--json")[1])["archive_problem"] is None
    archive.rmdir()
    assert "The archive cannot be read" in chimp("status")[1]
    assert "does not exist" in json.loads(chimp("status", "--json")[1])["archive_problem"]
    code, said, _ = chimp("doctor")
    assert (code, "does not exist" in said) == (2, True)
    archive.mkdir()  # the mount point without its disk: only a listing knows
    (archive / "not mounted").touch()
    for _ in range(3):
        with pytest.raises(ChimpError), listing_is_noted(home.database, str(archive)):
            raise ChimpError(f"{archive} holds no video (1 other files).", "Check that its disk is mounted.")
    assert "holds no video" in chimp("status")[1]
    assert "holds no video" in chimp("doctor")[1]
    with home.database.read() as conn:
        assert (
            str(archive_problem(conn)) == f"{archive} holds no video (1 other files). Check that its disk is mounted."
        )
        assert conn.scalar(sa.select(sa.func.count()).where(t.audit_event.c.action == "archive_unreadable")) == 1
    for _ in range(2):
        with listing_is_noted(home.database, str(archive)):
            pass
    assert "cannot be read" not in chimp("status")[1]
    with home.database.read() as conn:
        assert archive_problem(conn) is None
        assert conn.scalar(sa.select(sa.func.count()).where(t.audit_event.c.action == "archive_readable")) == 1


def test_up_refuses_a_second_one_and_a_taken_port_before_it_shows_the_first_password(chimp, tmp_path):  # noqa: F811
    """The password is shown once: shown before a start that fails, it would be gone."""
    import socket

    home = init_home(tmp_path / "home")
    with only_one(home, "chimp up") as lock:
        lock.note({"page": "http://127.0.0.1:3001"})
        code, said, complained = chimp("up")
        assert (code, said) == (2, "")
        assert "http://127.0.0.1:3001" in complained
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words in (("up", "--port", port), ("up", "--port", "0", "--page-port", port), ("web", "--port", port)):
            code, said, complained = chimp(*words)
            assert (code, said) == (2, ""), words
            assert f"Port {port} is taken by" in complained
            assert f"process {os.getpid()}" in complained


ADDRESS = "postgresql+psycopg://jane:s3cret@127.0.0.1:1/none?sslpassword=s3cret"


def test_no_command_shows_a_secret_of_an_address(chimp, monkeypatch):  # noqa: F811
    """`?password=`, `?sig=` were shown by doctor and status."""
    chimp("init")
    for name, value in (
        ("CHIMP_DATABASE_URL", ADDRESS),
        ("CHIMP_STORE_URL", "https://acc.blob.core.windows.net/store?sp=rw&sig=s3cret"),
        ("CHIMP_ARCHIVE_URL", "ftp://jane:s3cret@host/films?password=s3cret"),
    ):
        monkeypatch.setenv(name, value)
        for words in (["doctor"], ["doctor", "--json"], ["status"], ["ingest"], ["init", "--json"], ["db", "check"]):
            _, said, complained = chimp(*words)
            assert "s3cret" not in said + complained, words
        monkeypatch.delenv(name)
