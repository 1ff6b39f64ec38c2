"""Which schema a database has, and bringing it to ours.

Belongs here: running the one Alembic history (`sql/migrations`) and judging what is found. Does not belong here: tables
(`schema`) and what a migration does (its own file).
"""

from __future__ import annotations

import csv
import logging
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from chimp_assets.database.connection import faults
from chimp_assets.database.connection.engine import Database, DatabaseError
from chimp_assets.database.schema import metadata
from chimp_assets.database.upkeep.server_settings import mend_settings
from chimp_assets.database.upkeep.views import create_views, drop_views
from chimp_assets.settings import shipped_file

_log = logging.getLogger(__name__)

SQL_SERVER_OPTIONS = ("compression", "columnstore", "roles")
"""Files of `sql/azure` that an upgrade tries on SQL Server: good to have, and not every edition or user may."""

State = Literal["empty", "behind", "head", "newer"]

# sp_getapplock: not in time, cancelled, victim of a deadlock.
_NOT_OUR_TURN = (-1, -2, -3)
# Any number: two upgrades of one PostgreSQL database take turns on it.
_UPGRADE_LOCK = 6_081_960


def upgrade(db: Database) -> list[str]:
    """Bring the database to this version's schema; returns the revisions applied, [] if there was nothing to do.

    One transaction: a fault leaves the schema as it was. The views are recreated with every revision. Creates an SQLite
    file, never its folder. Raises DatabaseError when the folder is missing, the database is newer than this version or
    holds tables of the same names that are not ours.
    """
    if db.file is not None:
        if not db.file.parent.is_dir():
            raise DatabaseError(f"The folder {db.file.parent} does not exist.", "Make it first, or run chimp init.")
        try:
            db.file.touch(mode=0o600)
        except OSError as error:
            raise DatabaseError(f"{db.file} cannot be made: {error.strerror}.", "Check its permissions.") from None
    config = _config()
    script = _scripts()
    with db.migrate() as conn:
        _take_turn(conn)
        state, current = _state(conn, script, db)
        if state == "newer":
            raise _newer(db)
        if state != "head":
            drop_views(conn)
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
            create_views(conn)
            if conn.dialect.name == "sqlite":
                _tell_planner(conn)
    mend_settings(db)
    if state == "head":
        return []
    if db.dialect == "mssql":
        try_options(db)
    between = script.iterate_revisions("head", current or "base")
    return [revision.revision for revision in reversed(list(between))]


def try_options(db: Database) -> list[str]:
    """Apply what only SQL Server has, statement by statement; returns the refused ones, each also a warning.

    What is there already is refused as well, so they may be tried at every upgrade.
    """
    refused = []
    for name in SQL_SERVER_OPTIONS:
        text = (shipped_file("sql") / "azure" / f"{name}.sql").read_text(encoding="utf-8")
        for statement in re.split(r"^GO$", text, flags=re.MULTILINE):
            try:
                with db.write() as conn:
                    conn.exec_driver_sql(statement)
            except (sa.exc.DBAPIError, DatabaseError) as error:
                if not _is_there_already(error):
                    what = next(line for line in statement.splitlines() if line and not line.startswith("--"))
                    refused.append(what)
                    _log.warning("sql/azure/%s.sql: %s was refused and left out (%s).", name, what, error)
    return refused


def state_of(db: Database) -> State:
    """empty: nothing of ours there (or no SQLite file yet); behind, head, newer: against this version's schema.

    Raises DatabaseError when there are tables of our names without a migration history.
    """
    if db.file is not None and not db.file.is_file():
        return "empty"
    with db.read() as conn:
        return _state(conn, _scripts(), db)[0]


def known_revisions() -> set[str]:
    """Every revision of the schema that this version has."""
    return {revision.revision for revision in _scripts().walk_revisions()}


def head_revision() -> str:
    """The revision of this version."""
    return str(_scripts().get_current_head())


@cache
def sqlite_objects(revision: str) -> dict[tuple[str, str], tuple[str, str]]:
    """What an SQLite database of a revision holds: (type, name) to the table it belongs to and its statement.

    Views are not among them: every upgrade recreates them. An empty database is brought to the revision.
    """
    config = _config()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        file.touch()
        db = Database(f"sqlite:///{file}")
        with db.migrate() as conn:
            config.attributes["connection"] = conn
            command.upgrade(config, revision)
            rows = conn.exec_driver_sql(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
            ).all()
        db.dispose()
    return {(kind, name): (table, statement or "") for kind, name, table, statement in rows}


def require_head(db: Database) -> None:
    """Raises DatabaseError, with the remedy, unless the database has exactly this version's schema."""
    state = state_of(db)
    if state == "empty":
        raise DatabaseError(f"The database {db.safe_url} is empty.", "Run chimp db upgrade.")
    if state == "behind":
        raise DatabaseError(
            f"The database {db.safe_url} was made by an older version of Chimp Assets.", "Run chimp db upgrade."
        )
    if state == "newer":
        raise _newer(db)


def _newer(db: Database) -> DatabaseError:
    return DatabaseError(
        f"The database {db.safe_url} was made by a newer version of Chimp Assets.", "Install a newer chimp-assets."
    )


def _scripts() -> ScriptDirectory:
    return _scripts_in(shipped_file("sql") / "migrations")


@cache
def _scripts_in(folder: Path) -> ScriptDirectory:
    """Read once by a process: the files of all revisions take longer than the question about a database."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    folder = str(shipped_file("sql") / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


def _state(conn: sa.Connection, script: ScriptDirectory, db: Database) -> tuple[State, str | None]:
    heads = MigrationContext.configure(conn).get_current_heads()
    if not heads:
        ours = sorted(set(sa.inspect(conn).get_table_names()) & set(metadata.tables))
        if ours:
            raise DatabaseError(
                f"The database {db.safe_url} holds tables named {', '.join(ours[:3])} that have no migration history.",
                "Use an empty database, or restore a backup of the whole one.",
            )
        return "empty", None
    known = {revision.revision for revision in script.walk_revisions()}
    if len(heads) > 1 or heads[0] not in known:
        return "newer", heads[0]
    return ("head" if heads[0] == script.get_current_head() else "behind"), heads[0]


def _tell_planner(conn: sa.Connection) -> None:
    """Give SQLite the shape of a typical archive, so that its plans are good without anybody running ANALYZE.

    Other databases look at their tables by themselves. Unlooked at, SQLite joins the views from the wrong end: the
    cookbook took 12 s instead of 0.06 s on 600,000 boxes. sqlite.org/optoverview.html, "Manual Control Of Query Plans".
    """
    conn.exec_driver_sql("PRAGMA analysis_limit=100")
    conn.exec_driver_sql("ANALYZE")  # makes the table
    statistics = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("idx"), sa.column("stat"))
    with (shipped_file("sql") / "sqlite" / "planner_statistics.csv").open(encoding="utf-8", newline="") as text:
        rows = [{"tbl": row["table"], "idx": row["index"], "stat": row["statistics"]} for row in csv.DictReader(text)]
    conn.execute(sa.delete(statistics))
    conn.execute(sa.insert(statistics), rows)
    conn.exec_driver_sql("ANALYZE sqlite_schema")  # reads them


def _take_turn(conn: sa.Connection) -> None:
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    elif conn.dialect.name == "mssql":
        # The lock belongs to a transaction, and EXEC begins none where they begin by themselves: a table is read first
        # (learn.microsoft.com, "SET IMPLICIT_TRANSACTIONS").
        conn.execute(sa.select(sa.func.count()).select_from(sa.table("objects", schema="sys"))).all()
        try:
            answer = conn.exec_driver_sql(
                (shipped_file("sql") / "azure" / "lock_upgrade.sql").read_text(encoding="utf-8")
            )
            code = answer.scalar() if answer.returns_rows else None
        except sa.exc.DBAPIError as error:
            # Without it two upgrades at once collide, and the second one fails whole: no reason not to upgrade.
            _log.warning("The database has no application locks (%s): run one upgrade at a time.", error.orig)
            return
        if code in _NOT_OUR_TURN:
            raise DatabaseError(
                f"Another upgrade of the database is running (sp_getapplock: {code}).", "Wait for it, then try again."
            )
        if code is None or code < 0:
            _log.warning("The lock of an upgrade was not taken (sp_getapplock: %s): run one upgrade at a time.", code)


def _is_there_already(error: Exception) -> bool:
    return isinstance(error, sa.exc.DBAPIError) and faults.is_there_already(error.orig)
