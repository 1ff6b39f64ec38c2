"""Tracks that measure the model, as pages show them: without what a model or volunteers say.

Belongs here: which they are, and the condition on what is said of a track. Does not belong here: the draw
(`database.tracks.families`), the statement that selects (`selection`).

The draw is no SQL, so its tracks stand in the statement as one parameter, a JSON list.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from chimp_assets.database import schema as t
from chimp_assets.database.tracks.families import reserved_mask


class is_listed(FunctionElement[int]):
    """1 where a number is in a JSON list of numbers, else 0."""

    type = sa.Integer()
    name = "is_listed"
    inherit_cache = True


@compiles(is_listed)
def _on_sqlite(element: is_listed, compiler: Any, **kw: Any) -> str:
    return _case(element, compiler, "SELECT value FROM json_each({0})", kw)


@compiles(is_listed, "postgresql")
def _on_postgresql(element: is_listed, compiler: Any, **kw: Any) -> str:
    listed = "SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST({0} AS JSON))"
    return _case(element, compiler, listed, kw)


@compiles(is_listed, "mssql")
def _on_sql_server(element: is_listed, compiler: Any, **kw: Any) -> str:
    return _case(element, compiler, "SELECT CAST(value AS BIGINT) FROM OPENJSON({0})", kw)


def _case(element: is_listed, compiler: Any, listed: str, kw: dict[str, Any]) -> str:
    key, numbers = (compiler.process(one, **kw) for one in element.clauses)
    return f"CASE WHEN {key} IN ({listed.format(numbers)}) THEN 1 ELSE 0 END"


def reserve(conn: sa.Connection, seed: int, share: float) -> str:
    """The live tracks of the audit reserve as a JSON list."""
    k = t.track.c
    tracks = np.array(list(conn.scalars(sa.select(k.track_id).where(k.state == "live"))), np.int64)
    return json.dumps(tracks[reserved_mask(conn, tracks, seed, share)].tolist() if len(tracks) else [])


def may_be_shown(ti: Any, reserved: str) -> sa.ColumnElement[bool]:
    """Of rows of v_named_track or v_track_identity: whether a page may show what is said of the track. reserved: JSON
    list of the audit reserve."""
    a = t.split_assignment.c
    measures = sa.or_(
        is_listed(ti.track_id, sa.literal(reserved, sa.UnicodeText())) == 1,
        ti.video_id.in_(sa.select(a.video_id).where(a.split == "test")),
    )
    return sa.or_(sa.func.coalesce(ti.source, "person") == "person", sa.not_(measures))
