"""Copying the SQLite database while it is in use, and restoring a copy.

Belongs here: copying, verifying, replacing. Does not belong here: the store's files (shards, embeddings, checkpoints),
which any file tool copies since they never change, and servers, which have tools of their own.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database.connection import read_only
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.schema import annotation
from chimp_assets.database.texts import visible_line
from chimp_assets.database.upkeep.migrations import head_revision, known_revisions, sqlite_objects
from chimp_assets.database.upkeep.views import FORMER_VIEW_NAMES, VIEW_NAMES, in_words_of, load_view
from chimp_assets.errors import FullDiskError

PAGES_A_STEP = 4096
"""16 MB: between steps a writer may come in, who waits for less than a tenth of a second."""
_SHORT_S = 0.01
_NAMED = 5
_SERVERS = {
    "postgresql": "pg_dump --format=custom --file=chimp.dump DATABASE (back: pg_restore --clean --dbname=DATABASE)",
    "mssql": "BACKUP DATABASE on SQL Server; Azure SQL keeps point-in-time backups by itself (az sql db restore)",
}


@dataclass(frozen=True)
class BackupReport:
    """A verified copy. revision: of its schema; n_annotations: decisions of people in it; seconds: that it took."""

    file: Path
    bytes: int
    revision: str
    n_annotations: int
    seconds: float


@dataclass(frozen=True)
class RestoreReport:
    """A restored database. kept: the file that it replaced, None where there was none; people: whose rights changed, in
    sentences; tables: foreign tables of the backup that were restored too.
    """

    file: Path
    kept: Path | None
    n_annotations: int
    people: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


def back_up(db: Database, file: Path, progress: Callable[[int, int], None] | None = None) -> BackupReport:
    """A consistent copy of an SQLite database, made while others read and write, verified before it gets its name.

    progress: called with pages copied and pages in all. Raises DatabaseError for a server (with its own tool's
    command), if the file is there already, its folder is missing, or the copy is not whole; FullDiskError. A copy that
    was interrupted leaves only FILE.part, which the next one replaces.
    """
    began = time.monotonic()
    source = _sqlite_file(db)
    if file.exists():
        raise DatabaseError(f"{file} is there already.", "Choose another name, or remove it first.")
    if not file.parent.is_dir():
        raise DatabaseError(f"The folder {file.parent} does not exist.", "Make it first.")
    part = file.with_name(f"{file.name}.part")
    try:
        _remove(part)
        with closing(_opened(source)) as there, closing(sqlite3.connect(part)) as copy:
            pages = there.execute("PRAGMA page_count").fetchone()[0]
            # One transaction throughout: a copy that restarts at every write would never end.
            part.chmod(0o600)
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            _copy(there, copy, pages, progress)
            there.execute("ROLLBACK")
            # One file, whole by itself: a copy must not depend on a -wal beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
        revision, n = _verified(part)
        _flush(part)
        part.rename(file)
        _flush(file.parent)
    except (sqlite3.Error, OSError) as error:
        _remove(part)
        raise _in_words(error, f"The backup {file} could not be written") from error
    except BaseException:
        _remove(part)
        raise
    return BackupReport(file, file.stat().st_size, revision, n, round(time.monotonic() - began, 3))


def restore(db: Database, file: Path, force: bool = False) -> RestoreReport:
    """Put a backup in the place of an SQLite database. The replaced file stays beside it, named by the moment.

    Raises DatabaseError, and changes nothing, if the backup is not whole, was made by a newer version or has triggers,
    views or indexes that no database of its revision has, if a process has the database open, or, without force, if
    the database has decisions of people that the backup has not. Everybody signs in again.
    Killed at any moment it leaves the old database or the new one, under its name or the other beside it.
    """
    target = _sqlite_file(db)
    if not file.is_file():
        raise DatabaseError(f"There is no file {file}.", "Name a file that chimp db backup has made.")
    revision, _ = _verified(file)
    if revision not in known_revisions():
        raise DatabaseError(
            f"{file} was made by a newer version of Chimp Assets.", "Install that version, then restore."
        )
    tables = _require_ours(file, revision)
    part = target.with_name(f"{target.name}.restoring")
    try:
        _remove(part)
        with closing(_opened(file)) as there, closing(sqlite3.connect(part)) as copy:
            part.chmod(0o600)
            _copy(there, copy, 0, None)
            copy.execute("PRAGMA journal_mode=DELETE")
        # The copy is what is looked at from here on: the file may change meanwhile.
        again, n = _verified(part)
        tables = _require_ours(part, again, file)
        people = _changes_of_people(_people(target), _people(part))
        _make_safe(part, again)
        _flush(part)
        db.dispose()
        kept = _replace(db, target, part, force)
    except (sqlite3.Error, OSError) as error:
        raise _in_words(error, f"{target} could not be replaced") from error
    finally:
        _remove(part)
    return RestoreReport(target, kept, n, people, tables)


def _replace(db: Database, target: Path, part: Path, force: bool) -> Path | None:
    """part under the name of target. While this holds the database alone nobody can write what would be lost."""
    if not target.exists():
        part.rename(target)
        return None
    kept = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        held = sqlite3.connect(target, timeout=_SHORT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise _in_words(error, f"{target} cannot be opened") from error
    with closing(held):
        try:
            _hold_alone(held, target)
            if not force:
                _require_no_newer(held, part, target)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise
            # A damaged database is what backups are for; there is nothing to compare, and it is kept.
        for ending in ("-wal", "-shm"):
            # Only a damaged database still has them: beside the new file they would be read as its own last changes.
            with suppress(FileNotFoundError):
                target.with_name(target.name + ending).rename(kept.with_name(kept.name + ending))
        try:
            kept.hardlink_to(target)  # both names now: killed here, nothing is missing
        except OSError:  # a file system without second names
            target.rename(kept)
        _flush(target.parent)
        part.replace(target)
        _flush(target.parent)
    return kept


def _hold_alone(held: sqlite3.Connection, target: Path) -> None:
    """Keep everybody else out until `held` is closed, with all changes in the one file."""
    try:
        busy, _, _ = held.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # Leaving WAL needs the file alone: any process that only has it open refuses this.
        mode = held.execute("PRAGMA journal_mode=DELETE").fetchone()[0] if not busy else "busy"
        if busy or mode != "delete":
            raise sqlite3.OperationalError("database is locked")
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise DatabaseError(
            f"{target} is in use by another process.", "Stop chimp up and everything else that uses it, then restore."
        ) from None


def _require_no_newer(held: sqlite3.Connection, part: Path, target: Path) -> None:
    ours = _annotations(held)
    with closing(sqlite3.connect(part)) as backup:
        theirs = _annotations(backup)
    newer = ours - theirs
    if newer > 0:
        raise DatabaseError(
            f"{target} has {newer:,} decisions of people that the backup has not.",
            "Export them first (chimp labels export --all-events), then restore with --force and import them.",
        )


def _annotations(connection: sqlite3.Connection) -> int:
    # Gapless and never deleted: the largest number is how many there are.
    there = sa.select(sa.func.coalesce(sa.func.max(annotation.c.seq), 0))
    try:
        return int(connection.execute(str(there.compile(compile_kwargs={"literal_binds": True}))).fetchone()[0])
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise


def _verified(file: Path) -> tuple[str, int]:
    """(revision, decisions) of a whole copy. Raises DatabaseError if a page, an index or the history is wrong."""
    try:
        with closing(_opened(file)) as copy:
            words = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if words != "ok":
                raise DatabaseError(f"{file} is damaged: {words}.", "Use another backup.")
            orphan = copy.execute("PRAGMA foreign_key_check").fetchone()
            if orphan is not None:
                raise DatabaseError(
                    f"{file} is damaged: a row of {orphan[0]} refers to a row of {orphan[2]} that is not there.",
                    "Use another backup.",
                )
            history = copy.execute("SELECT version_num FROM alembic_version").fetchall()
            return str(history[0][0]), _annotations(copy)
    except (sqlite3.DatabaseError, IndexError) as error:
        raise DatabaseError(f"{file} is no database of Chimp Assets ({error}).", "Name another file.") from error


def _require_ours(file: Path, revision: str, named: Path | None = None) -> list[str]:
    """Raises DatabaseError unless the file holds what a database of its revision holds, and plain tables beside it.

    A trigger or a view runs with the rights of whoever uses the database later. Returns the tables that are not ours.
    """
    expected = sqlite_objects(revision)
    with closing(_opened(file)) as copy:
        rows = copy.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
    views = {*VIEW_NAMES, *FORMER_VIEW_NAMES}
    there = {
        (kind, name): (table, statement or "")
        for kind, name, table, statement in rows
        if kind != "view" or name not in views
    }
    ours = {name for kind, name in expected if kind == "table"}
    strange, tables = [], []
    for (kind, name), (table, statement) in there.items():
        if (kind, name) in expected:
            if _words_of(expected[kind, name][1]) != _words_of(statement):
                strange.append(f"the {kind} {name} is another than in revision {revision}")
        elif kind == "table" and not re.match(r"\s*CREATE\s+VIRTUAL\b", statement, re.IGNORECASE):
            tables.append(name)
        elif kind != "index" or table in ours:
            strange.append(f"the {kind} {name} is not ours")
    strange += [f"the {kind} {name} is missing" for kind, name in expected if (kind, name) not in there]
    if strange:
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        raise DatabaseError(
            f"{visible_line(str(named or file))} was not restored: {visible_line('; '.join(strange[:_NAMED]))}{more}.",
            "Use a backup that nobody has changed; drop what is yours and harmless in a copy of it with sqlite3 first.",
        )
    return sorted(tables)


def _words_of(statement: str) -> str:
    """A statement without what differs between two writers of the same: blanks and quotes of names."""
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", statement.replace('"', ""))).strip()


@dataclass(frozen=True)
class _Person:
    name: str
    role: str
    disabled: bool
    password: str | None


def _people(file: Path) -> dict[str, _Person] | None:
    """The users of a file by the keys of their names; None where it cannot say."""
    if not file.is_file():
        return None
    try:
        with closing(_opened(file)) as there:
            rows = there.execute("SELECT name, role, disabled, password_hash FROM app_user ORDER BY user_id").fetchall()
    except sqlite3.Error:
        return None
    return {str(row[0]): _Person(str(row[0]), str(row[1]), bool(row[2]), row[3]) for row in rows}


def _changes_of_people(before: dict[str, _Person] | None, after: dict[str, _Person] | None) -> list[str]:
    """Who may do more or less than before, the most powerful first."""
    if after is None:
        return []
    found = []
    order = {"admin": 0, "expert": 1, "reviewer": 2}
    for name, now in sorted(after.items(), key=lambda one: (order.get(one[1].role, 3), one[0])):
        was = (before or {}).get(name)
        if before is None:
            if now.role == "admin" and not now.disabled:
                found.append(f"{name} is {now.role}")
        elif was is None:
            found.append(f"{name} ({now.role}) is new here")
        else:
            if was.role != now.role:
                found.append(f"{name} was {was.role} and is {now.role}")
            if was.disabled != now.disabled:
                found.append(f"{name} ({now.role}) is {'disabled' if now.disabled else 'enabled again'}")
            if was.password != now.password:
                found.append(f"{name} has another password")
    found += [f"{name} ({was.role}) is gone" for name, was in sorted((before or {}).items()) if name not in after]
    return found


def _make_safe(part: Path, revision: str) -> None:
    """Our own views in the place of those that are there (an upgrade makes them where it is due); nobody signed in."""
    with closing(sqlite3.connect(part)) as copy:
        copy.execute("PRAGMA trusted_schema=OFF")
        there = {name for (name,) in copy.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
        for name in (*reversed(VIEW_NAMES), *FORMER_VIEW_NAMES):
            if name in there:
                copy.execute(f"DROP VIEW {name}")
        if revision == head_revision():
            for name in VIEW_NAMES:
                copy.execute(f"CREATE VIEW {name} AS\n{in_words_of('sqlite', load_view(name))}")
        if copy.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'user_session'").fetchone():
            now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
            copy.execute("UPDATE user_session SET revoked_at = ? WHERE revoked_at IS NULL", (now,))
        copy.commit()


def _copy(
    there: sqlite3.Connection, copy: sqlite3.Connection, pages: int, progress: Callable[[int, int], None] | None
) -> None:
    def tell(status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    there.backup(copy, pages=PAGES_A_STEP, progress=tell, sleep=_SHORT_S)


def _opened(file: Path) -> sqlite3.Connection:
    """Read only, and as a stranger's: nothing that its schema says may call a function with side effects."""
    if read_only.cannot_be_written(file):
        opened = read_only.connect(file, 30)
        opened.isolation_level = None
    else:
        opened = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)
    opened.execute("PRAGMA trusted_schema=OFF")
    opened.execute("PRAGMA cell_size_check=ON")
    return opened


def _sqlite_file(db: Database) -> Path:
    if db.file is None:
        raise DatabaseError(
            f"{db.safe_url} is a server, which has its own tool for backups.", f"Use {_SERVERS[db.dialect]}."
        )
    return db.file


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorname", "") in ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _in_words(error: Exception, what: str) -> DatabaseError | FullDiskError:
    full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(error, "errno", 0) == errno.ENOSPC
    if full:
        return FullDiskError(f"{what}: the disk is full.", "Free some space and run the same command again.")
    return DatabaseError(f"{what}: {error}.", "Check the disk, the path and its permissions.")
