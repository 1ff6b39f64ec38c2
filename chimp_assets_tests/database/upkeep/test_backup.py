"""Backups while people label, and putting them back: nothing half-written, nothing newer lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from chimp_assets.database import schema as s
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.upkeep import backup
from chimp_assets.database.upkeep.backup import back_up, restore
from chimp_assets.database.upkeep.migrations import _config, state_of, upgrade
from chimp_assets.errors import FullDiskError
from chimp_assets_tests.database.world import event, make_world, track


def _annotations(file: Path) -> list[int]:
    db = Database(f"sqlite:///{file}")
    with db.read() as conn:
        found = list(conn.scalars(sa.select(s.annotation.c.seq).order_by(s.annotation.c.seq)))
    db.dispose()
    return found


def _label(db: Database, n: int = 1) -> None:
    for _ in range(n):
        assert record_events(db, [event("identify", track(1), "FF")])[0].status == "stored"


def _grow(db: Database, rows: int = 100_000) -> None:
    """Some megabytes that mean nothing."""
    with db.write() as conn:
        names = [f"{'x' * 30}{i}" for i in range(rows)]
        insert_rows(conn, s.counter, {"name": names, "value": range(rows)})


def test_a_backup_made_while_people_label_is_one_moment(sqlite_db: Database, tmp_path: Path) -> None:
    """A copy of the file alone lacks what is in the -wal, or has half a transaction; and nobody stops for a backup."""
    make_world(sqlite_db, videos=1)
    _grow(sqlite_db)
    stop = threading.Event()
    waits: list[float] = []

    def label() -> None:
        other = Database(sqlite_db.url)
        while not stop.is_set():
            began = time.monotonic()
            _label(other)
            waits.append(time.monotonic() - began)
        other.dispose()

    people = [threading.Thread(target=label) for _ in range(2)]
    for person in people:
        person.start()
    told: list[tuple[int, int]] = []
    copied = []
    for number in range(3):
        copied.append(back_up(sqlite_db, tmp_path / f"{number}.db", lambda *done: told.append(done)))
    stop.set()
    for person in people:
        person.join()
    assert told[-1][0] == told[-1][1]
    assert max(waits) < 5
    for one in copied:
        seqs = _annotations(one.file)
        assert seqs == list(range(1, one.n_annotations + 1))
        assert one.revision
    assert copied[0].n_annotations <= copied[2].n_annotations <= len(_annotations(Path(str(sqlite_db.file))))
    assert sorted(file.name for file in tmp_path.glob("*.db*") if file.name[0].isdigit()) == ["0.db", "1.db", "2.db"]


def _back_up_and_die(url: str, file: Path, after: int) -> None:
    steps = 0

    def tell(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps == after:
            os.kill(os.getpid(), signal.SIGKILL)

    backup.PAGES_A_STEP = 50
    back_up(Database(url), file, tell)


def test_a_killed_backup_never_looks_like_one(sqlite_db: Database, tmp_path: Path) -> None:
    """Half a copy under the name of a backup is found out on the day it is needed."""
    _grow(sqlite_db)
    sqlite_db.dispose()
    file = tmp_path / "backup.db"
    for after in (1, 10):
        child = multiprocessing.get_context("fork").Process(target=_back_up_and_die, args=(sqlite_db.url, file, after))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        assert not file.exists()
    assert back_up(sqlite_db, file).bytes > 1_000_000
    assert not file.with_name("backup.db.part").exists()


def test_what_a_backup_cannot_do_is_said_in_words(sqlite_db: Database, tmp_path: Path, monkeypatch: Any) -> None:
    """A backup that fails in silence is none."""
    there = tmp_path / "there.db"
    there.write_bytes(b"")
    for file, words in ((there, "is there already"), (tmp_path / "nowhere" / "x.db", "does not exist")):
        with pytest.raises(DatabaseError, match=words):
            back_up(sqlite_db, file)
    for url, tool in (("postgresql+psycopg://x/y", "pg_dump"), ("mssql+pyodbc://x/y", "BACKUP DATABASE")):
        with pytest.raises(DatabaseError) as caught:
            back_up(Database(url), tmp_path / "x.db")
        assert tool in caught.value.remedy

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy", full)
    with pytest.raises(FullDiskError):
        back_up(sqlite_db, tmp_path / "x.db")
    assert not list(tmp_path.glob("x.db*"))


@pytest.fixture
def older(sqlite_db: Database, tmp_path: Path) -> Path:
    """A backup with two decisions, of a database that has three since."""
    make_world(sqlite_db, videos=1)
    _label(sqlite_db, 2)
    back_up(sqlite_db, tmp_path / "older.db")
    _label(sqlite_db)
    sqlite_db.dispose()
    return tmp_path / "older.db"


def test_newer_decisions_are_not_overwritten_unless_asked(sqlite_db: Database, older: Path) -> None:
    """An expert's morning, gone because somebody restored yesterday's file."""
    file = Path(str(sqlite_db.file))
    with pytest.raises(DatabaseError, match="1 decisions of people") as caught:
        restore(sqlite_db, older)
    assert "--force" in caught.value.remedy
    assert _annotations(file) == [1, 2, 3]
    done = restore(sqlite_db, older, force=True)
    assert _annotations(file) == [1, 2]
    assert done.kept is not None
    assert _annotations(done.kept) == [1, 2, 3], "the replaced file is whole, with what was in its -wal"
    assert done.n_annotations == 2
    assert not [name.name for name in file.parent.iterdir() if "restoring" in name.name]
    assert _annotations(older) == [1, 2], "the backup stays"


def test_a_database_in_use_is_not_replaced(sqlite_db: Database, older: Path) -> None:
    """A process that has the old file open would go on writing into it, unseen."""
    for use in ("reading", "writing", "idle"):
        other = Database(sqlite_db.url)
        context = other.write() if use == "writing" else other.read()
        with context:
            if use != "idle":
                with pytest.raises(DatabaseError, match="in use by another process"):
                    restore(sqlite_db, older, force=True)
        if use == "idle":
            with pytest.raises(DatabaseError, match="in use by another process"):
                restore(sqlite_db, older, force=True)
        other.dispose()
    assert _annotations(Path(str(sqlite_db.file))) == [1, 2, 3]
    restore(sqlite_db, older, force=True)


def test_a_damaged_database_is_replaced_and_kept(sqlite_db: Database, older: Path) -> None:
    """It is the day for which backups are made; and the damaged file may be all that has the last hour."""
    file = Path(str(sqlite_db.file))
    with file.open("r+b") as handle:
        handle.write(b"\0" * 4096)
    file.with_name("chimp.db-wal").write_bytes(b"the last hour")
    done = restore(sqlite_db, older)
    assert _annotations(file) == [1, 2]
    assert done.kept is not None
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"the last hour"


def test_only_whole_backups_of_ours_are_put_back(sqlite_db: Database, older: Path, tmp_path: Path) -> None:
    """A typing error must not cost a database."""
    cut = tmp_path / "cut.db"
    cut.write_bytes(older.read_bytes()[: older.stat().st_size // 2 // 4096 * 4096])
    stranger = tmp_path / "stranger.db"
    sqlite3.connect(stranger).execute("CREATE TABLE t (a)").connection.close()
    newer = Path(shutil.copy(older, tmp_path / "newer.db"))
    with sqlite3.connect(newer) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    conn.close()
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all" * 500)
    for file, words in (
        (cut, "damaged|no database"),
        (stranger, "no database of Chimp Assets"),
        (newer, "newer version"),
        (text, "no database of Chimp Assets"),
        (tmp_path / "missing.db", "no file"),
    ):
        with pytest.raises(DatabaseError, match=words):
            restore(sqlite_db, file, force=True)
    assert _annotations(Path(str(sqlite_db.file))) == [1, 2, 3]


def _restore_and_die(url: str, file: Path, step: int) -> None:
    flushed = 0
    flush = backup._flush

    def die(path: Path) -> None:
        nonlocal flushed
        flushed += 1
        if flushed == step:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    backup._flush = die
    restore(Database(url), file, force=True)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_killed_restore_leaves_the_old_database_or_the_new(sqlite_db: Database, older: Path, step: int) -> None:
    """And the old one in any case, under one name or the other."""
    child = multiprocessing.get_context("fork").Process(target=_restore_and_die, args=(sqlite_db.url, older, step))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    file = Path(str(sqlite_db.file))
    assert _annotations(file) == ([1, 2] if step == 3 else [1, 2, 3])
    kept = list(file.parent.glob("chimp.db.before-*"))
    if step == 3:
        assert _annotations(kept[0]) == [1, 2, 3]
    restore(sqlite_db, older, force=True)
    assert _annotations(file) == [1, 2]


def test_a_backup_comes_back_where_nothing_is(sqlite_db: Database, older: Path, tmp_path: Path) -> None:
    """The disk was lost: there is a backup and an empty folder."""
    (tmp_path / "new").mkdir()
    db = Database(f"sqlite:///{tmp_path / 'new' / 'chimp.db'}")
    assert restore(db, older).kept is None
    assert _annotations(tmp_path / "new" / "chimp.db") == [1, 2]


STRANGE = {
    "CREATE TRIGGER takes_over AFTER INSERT ON annotation BEGIN UPDATE app_user SET role = 'admin'; END": (
        "trigger takes_over"
    ),
    'CREATE TRIGGER "a\x1b[2Jb" BEFORE DELETE ON video BEGIN SELECT 1; END': r"trigger a\x1b[2Jb",
    "CREATE VIEW v_mine AS SELECT 1 AS one": "view v_mine",
    "CREATE UNIQUE INDEX one_label ON annotation (track_id)": "index one_label",
    "CREATE VIRTUAL TABLE words USING fts5(word)": "table words",
    "DROP INDEX ix_annotation_individual": "index ix_annotation_individual is missing",
    "DROP TABLE sampling_gap": "table sampling_gap is missing",
    "ALTER TABLE app_user ADD COLUMN more TEXT DEFAULT 'x'": "table app_user is another",
}


@pytest.mark.parametrize("statement", STRANGE)
def test_a_backup_whose_schema_somebody_changed_is_refused_by_name(
    sqlite_db: Database, tmp_path: Path, statement: str
) -> None:
    """A trigger in a restored file made everybody an administrator at the next label."""
    make_world(sqlite_db, videos=1)
    file = tmp_path / "backup.db"
    back_up(sqlite_db, file)
    changed = sqlite3.connect(file)
    changed.execute(statement)
    changed.commit()
    changed.close()
    sqlite_db.dispose()
    before = Path(str(sqlite_db.file)).read_bytes()
    with pytest.raises(DatabaseError) as caught:
        restore(sqlite_db, file, force=True)
    assert STRANGE[statement] in caught.value.sentence
    assert Path(str(sqlite_db.file)).read_bytes() == before
    assert list(tmp_path.glob("*.restoring*")) == []


def test_a_view_of_ours_that_somebody_changed_is_made_anew_and_a_table_of_ones_own_comes_along(
    sqlite_db: Database, tmp_path: Path
) -> None:
    """Views run with the rights of whoever reads them; a researcher's own table runs nothing."""
    make_world(sqlite_db, videos=1)
    file = tmp_path / "backup.db"
    back_up(sqlite_db, file)
    changed = sqlite3.connect(file)
    changed.executescript(
        "DROP VIEW v_unknown_animal; CREATE VIEW v_unknown_animal AS SELECT 1 AS one; CREATE TABLE mine (a, b);"
        "CREATE INDEX mine_by_a ON mine (a);"
    )
    changed.close()
    done = restore(sqlite_db, file)
    assert done.tables == ["mine"]
    with sqlite_db.read() as conn:
        assert "cluster_no" in {column["name"] for column in sa.inspect(conn).get_columns("v_unknown_animal")}


def test_people_with_other_rights_are_named_and_nobody_stays_signed_in(sqlite_db: Database, tmp_path: Path) -> None:
    """A restored file may make anybody anything: the operator reads who."""
    make_world(sqlite_db, videos=1)
    file = tmp_path / "backup.db"
    back_up(sqlite_db, file)
    changed = sqlite3.connect(file)
    changed.executescript(
        "UPDATE app_user SET role = 'admin' WHERE name = 'vera';"
        "UPDATE app_user SET password_hash = 'x' WHERE name = 'anna';"
        "INSERT INTO app_user (name, role, disabled, created_at) VALUES ('mallory', 'admin', 0, '2026-01-01');"
        "DELETE FROM app_user WHERE name = 'vito';"
        "INSERT INTO user_session (session_id, user_id, created_at, expires_at)"
        " SELECT 'a', user_id, '2026-01-01', '2099-01-01' FROM app_user WHERE name = 'mallory';"
    )
    changed.close()
    people = restore(sqlite_db, file).people
    assert people[:2] == ["mallory (admin) is new here", "vera was volunteer and is admin"]
    assert set(people[2:]) == {"anna has another password", "vito (volunteer) is gone"}
    with sqlite_db.read() as conn:
        assert conn.scalar(sa.select(s.user_session.c.revoked_at)) is not None


def test_a_backup_of_an_older_version_is_restored(sqlite_db: Database, tmp_path: Path) -> None:
    """Its schema is compared with that of its own revision."""
    file = tmp_path / "older.db"
    file.touch()
    older = Database(f"sqlite:///{file}")
    config = _config()
    with older.migrate() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0007")
        conn.exec_driver_sql("CREATE VIEW v_alive_month AS SELECT 1 AS one")
    older.dispose()
    restore(sqlite_db, file)
    assert state_of(sqlite_db) == "behind"
    assert "0008" in upgrade(sqlite_db)


def test_a_backup_with_rows_that_refer_to_nothing_is_refused(sqlite_db: Database, tmp_path: Path) -> None:
    """Whoever takes rows out of a file by hand leaves others behind."""
    make_world(sqlite_db, videos=1)
    file = tmp_path / "backup.db"
    back_up(sqlite_db, file)
    changed = sqlite3.connect(file)
    changed.execute("DELETE FROM bundle")
    changed.commit()
    changed.close()
    with pytest.raises(DatabaseError, match="refers to a row of bundle"):
        restore(sqlite_db, file, force=True)
