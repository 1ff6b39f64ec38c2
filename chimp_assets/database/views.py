"""The researcher's contract: views and the queries of the cookbook, read from `sql/`.

Belongs here: making the views and loading a query. Does not belong here: the SQL itself (`sql/views`, `sql/queries`).
"""

from __future__ import annotations

import re

import sqlalchemy as sa

from chimp_assets.database.engine import DatabaseError
from chimp_assets.settings import shipped_file

# In the order in which they can be made: each uses only tables and those before it.
VIEW_NAMES = (
    "v_effective_answer",
    "v_named_track",
    "v_track_identity",
    "v_frame_identity",
    "v_sighting",
    "v_together",
    "v_label_audit",
)


def load_view(name: str) -> str:
    """The SELECT of a view, as its file has it. Raises DatabaseError if there is none of this name."""
    return _load("views", name)


def load_query(name: str) -> str:
    """A query of the cookbook with `:name` parameters, for `sqlalchemy.text`. Raises DatabaseError if there is none."""
    return _load("queries", name)


def create_views(conn: sa.Connection) -> None:
    """Make every view. conn: inside a write transaction. Fails where one is already there: drop them first."""
    for name in VIEW_NAMES:
        # No database binds parameters in DDL; the name is one of ours and the text is a file of ours.
        conn.exec_driver_sql(f"CREATE VIEW {name} AS\n{load_view(name)}")


def drop_views(conn: sa.Connection) -> None:
    """Drop the views that are there. conn: inside a write transaction."""
    there = set(sa.inspect(conn).get_view_names())
    for name in reversed(VIEW_NAMES):
        if name in there:
            conn.exec_driver_sql(f"DROP VIEW {name}")


def _load(folder: str, name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise DatabaseError(f"{name!r} is not the name of a query.", f"See sql/{folder} for the names.")
    file = shipped_file("sql") / folder / f"{name}.sql"
    if not file.is_file():
        raise DatabaseError(f"There is no query {name}.", f"See sql/{folder} for the names.")
    return file.read_text(encoding="utf-8").strip().rstrip(";")
