"""The researcher's contract: views and the queries of the cookbook, read from `sql/`.

Belongs here: making the views and loading a query. Does not belong here: the SQL itself (`sql/views`, `sql/queries`).
"""

from __future__ import annotations

import re

import sqlalchemy as sa

from chimp_assets.database.connection.engine import DatabaseError
from chimp_assets.settings import shipped_file

# In the order in which they can be made: each uses only tables and those before it.
VIEW_NAMES = (
    # who is where
    "v_effective_answer",
    "v_named_track",
    "v_track_identity",
    "v_frame_identity",
    "v_together",
    "v_label_audit",
    # days and lives
    "v_video_day",
    "v_individual_day",
    "v_membership_day",
    "v_matriline",
    "v_biography",
    "v_biography_log",
    # what is promised about names
    "v_promise",
    "v_name_threshold",
    # sightings and effort
    "v_sighting",
    "v_age_at_sighting",
    "v_attendance",
    "v_digit",
    "v_deployment_day",
    "v_calendar",
    "v_effort",
    "v_sampling_day",
    "v_dispersal_last_seen",
    # groups and associations
    "v_video_party",
    "v_gone_answer",
    "v_group",
    "v_party_member",
    "v_gbi",
    "v_dyad_video",
    "v_seen_day",
    "v_dyad_day",
    "v_dyad_event",
    "v_dyad",
    "v_mother_offspring",
    "v_association",
    # how far to trust it
    "v_audit_answer",
    "v_id_quality",
    "v_confusion_kin",
    "v_fairness",
    "v_plausibility",
    "v_unknown_animal",
    # what the labels bought
    "v_learning_curve",
    "v_label_savings",
    "v_stopping_advice",
)

# Views of earlier versions that are no more, by the one that read them: dropped after it, before what they read.
_FORMER_NAMES = {"v_dyad": ("v_dyad_month", "v_alive_month")}
FORMER_VIEW_NAMES = tuple(name for names in _FORMER_NAMES.values() for name in names)

# What SQL Server spells in another way, and why no spelling of all three exists.
_SQL_SERVER = (
    (re.compile(r"\bWITH RECURSIVE\b"), "WITH"),  # it has no such word; the others need it
    (re.compile(r"\bAS MATERIALIZED\b"), "AS"),  # it decides by itself; SQLite would join by way of the view
    # Today in UTC, as SQLite says it; its own words are the day where the server stands.
    (re.compile(r"\bCURRENT_DATE\b"), "CAST(SYSUTCDATETIME() AS DATE)"),
    (re.compile(r"\bVARCHAR\b"), "NVARCHAR"),  # the others' VARCHAR is Unicode
    # Codes and other texts in one column: the collation must be given (`schema`).
    (re.compile(r"/\* by code points \*/"), "COLLATE Latin1_General_100_BIN2"),
)
_POSTGRESQL = ((re.compile(r"\bCURRENT_DATE\b"), "CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS DATE)"),)
_WORDS = {"mssql": _SQL_SERVER, "postgresql": _POSTGRESQL}


def load_view(name: str) -> str:
    """The SELECT of a view, as its file has it. Raises DatabaseError if there is none of this name."""
    return _load("views", name)


def in_words_of(dialect: str, statement: str) -> str:
    """A statement of `sql/` in the words of a database: sqlite, postgresql or mssql."""
    for ours, theirs in _WORDS.get(dialect, ()):
        statement = ours.sub(theirs, statement)
    return statement


def load_query(name: str) -> str:
    """A query of the cookbook with `:name` parameters, for `sqlalchemy.text`. Raises DatabaseError if there is none."""
    return _load("queries", name)


def query_names() -> list[str]:
    """The queries of the cookbook, by name."""
    return sorted(file.stem for file in (shipped_file("sql") / "queries").glob("*.sql"))


def create_views(conn: sa.Connection) -> None:
    """Make every view. conn: inside a write transaction. Fails where one is already there: drop them first."""
    for name in VIEW_NAMES:
        # No database binds parameters in DDL; the name is one of ours and the text is a file of ours.
        conn.exec_driver_sql(f"CREATE VIEW {name} AS\n{in_words_of(conn.dialect.name, load_view(name))}")


def drop_views(conn: sa.Connection) -> None:
    """Drop the views that are there. conn: inside a write transaction."""
    there = set(sa.inspect(conn).get_view_names())
    for reader in reversed(VIEW_NAMES):
        for name in (reader, *_FORMER_NAMES.get(reader, ())):
            if name in there:
                conn.exec_driver_sql(f"DROP VIEW {name}")


def _load(folder: str, name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise DatabaseError(f"{name!r} is not the name of a query.", f"See sql/{folder} for the names.")
    file = shipped_file("sql") / folder / f"{name}.sql"
    if not file.is_file():
        raise DatabaseError(f"There is no query {name}.", f"See sql/{folder} for the names.")
    return file.read_text(encoding="utf-8").strip().rstrip(";")
