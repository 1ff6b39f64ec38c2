"""What a database server must be set to: readers do not wait for writers, and what was stored outlives a power cut.

Belongs here: looking, and setting what we may. Does not belong here: settings of a connection (`engine`, `sql_server`).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import shipped_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrongSetting:
    """A setting of a server that should be another. remedy: a statement, or who knows one."""

    name: str
    found: str
    consequence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} is {self.found}: {self.consequence}"


_databases = sa.table(
    "databases",
    sa.column("database_id"),
    sa.column("is_read_committed_snapshot_on"),
    sa.column("snapshot_isolation_state"),
    sa.column("delayed_durability"),
    schema="sys",
)
_DURABILITY = {1: "ALLOWED", 2: "FORCED"}
_NOT_DURABLE = "what people were told is saved may be lost in a power cut"


def wrong_settings(db: Database) -> list[WrongSetting]:
    """Settings of the server that should be others; [] on SQLite. Raises DatabaseError."""
    if db.dialect == "sqlite":
        return []
    return db.fetch(_of_postgresql if db.dialect == "postgresql" else _of_sql_server)


def mend_settings(db: Database) -> list[WrongSetting]:
    """Set what we may; returns what is still wrong, each also a warning. Other connections may keep one from it."""
    wrong = wrong_settings(db)
    if wrong and db.dialect == "mssql":
        statements = _statements()
        db.dispose()  # READ_COMMITTED_SNAPSHOT is set by whoever is alone in the database
        with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
            for setting in wrong:
                try:
                    conn.exec_driver_sql(statements[setting.name])
                except sa.exc.DBAPIError as error:
                    _log.debug("%s was refused: %s", setting.name, error.orig)
        db.dispose()
        wrong = wrong_settings(db)
    for setting in wrong:
        _log.warning("%s. %s", setting, setting.remedy)
    return wrong


def _of_sql_server(conn: sa.Connection) -> list[WrongSetting]:
    c = _databases.c
    row = conn.execute(
        sa.select(c.is_read_committed_snapshot_on, c.snapshot_isolation_state, c.delayed_durability).where(
            c.database_id == sa.func.db_id()
        )
    ).one_or_none()
    if row is None or len(row) < 3:
        return []
    found = []
    if not row[0]:
        found.append(("READ_COMMITTED_SNAPSHOT", "OFF", "readers wait for writers and become victims of deadlocks"))
    if row[1] != 1:
        found.append(("ALLOW_SNAPSHOT_ISOLATION", "OFF", "pages and plans that read twice see two moments"))
    if row[2]:
        found.append(("DELAYED_DURABILITY", _DURABILITY.get(row[2], str(row[2])), _NOT_DURABLE))
    statements = _statements()
    alone = "Close every other connection to the database, then run chimp db upgrade, or have its owner run"
    return [WrongSetting(name, is_now, why, f"{alone}: {statements[name]};") for name, is_now, why in found]


def _of_postgresql(conn: sa.Connection) -> list[WrongSetting]:
    found = []
    for name in ("synchronous_commit", "fsync"):
        is_now = conn.scalar(sa.select(sa.func.current_setting(name)))
        if is_now == "off":
            remedy = f"Set {name} = on in postgresql.conf"
            if name == "synchronous_commit":
                remedy += ", or: ALTER DATABASE ... SET synchronous_commit = on"
            found.append(WrongSetting(name, "off", _NOT_DURABLE, f"{remedy}."))
    return found


def _statements() -> dict[str, str]:
    """Statement by the name of its setting."""
    text = (shipped_file("sql") / "sql_server" / "settings.sql").read_text(encoding="utf-8")
    parts = (re.sub(r"^--.*$", "", part, flags=re.MULTILINE).strip() for part in re.split(r"^GO$", text, flags=re.M))
    return {found[1]: part.rstrip(";") for part in parts if (found := re.search(r" SET (\w+)", part))}
