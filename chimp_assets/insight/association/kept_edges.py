"""Fills the table `association_edge`: indices of every pair by rule, for each year and for all years.

Belongs here: which scopes are kept, writing them. Does not belong here: counting (`estimates`), the view
(`sql/views/v_association.sql`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.connection.engine import Database
from chimp_assets.insight.association.estimates import EdgeEstimate, counted
from chimp_assets.insight.association.filmed_tracks import filmed_tracks
from chimp_assets.insight.association.network_estimates import network_estimates
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.living.names import name_columns

RULES: dict[str, Rule] = {"moment": "frame", "video": "clip"}
"""Rules of the views, and what pages call them. The unit is a day and every name counts, as in `v_dyad`."""


@dataclass(frozen=True)
class KeptEdges:
    """What was written. rows: pairs, of all rules and periods; real: of these, with an interval above 0; model_id: the
    head whose names were counted; answers: of its audit."""

    rows: int
    real: int
    model_id: int | None
    answers: int
    seconds: float


def keep_edges(database: Database) -> KeptEdges:
    """Counts everything anew and replaces the table in one transaction. Killed before, it leaves the old rows."""
    began = time.perf_counter()
    found: list[tuple[str, str, str, EdgeEstimate]] = []
    head, answers = None, 0
    with database.read() as conn:
        seq = int(conn.scalar(sa.select(sa.func.coalesce(sa.func.max(t.annotation.c.seq), 0))) or 0)
        filmed, names = filmed_tracks(conn), name_columns(conn)
        years = sorted({date.fromordinal(int(day)).year for day in np.unique(filmed.day)})
        for rule, ours in RULES.items():
            for year in (None, *years):
                since, until = (None, None) if year is None else (date(year, 1, 1), date(year, 12, 31))
                scope = Scope(ours, since=since, until=until, probability=0.0)
                made = network_estimates(conn, counted(conn, scope, filmed, names))
                kind, period = ("all", "all") if year is None else ("year", str(year))
                found += [(rule, kind, period, edge) for edge in made.tell().values()]
                if made.errors.model_id is not None:
                    head, answers = made.errors.model_id, made.errors.n_answers
    with database.write() as conn:
        conn.execute(sa.delete(t.association_edge))
        if found:
            insert_rows(conn, t.association_edge, _columns(found, head, seq))
    real = sum(bool(edge.is_real) for *_, edge in found)
    return KeptEdges(len(found), real, head, answers, time.perf_counter() - began)


def _columns(found: list[tuple[str, str, str, EdgeEstimate]], head: int | None, seq: int) -> dict[str, list[Any]]:
    edges = [edge for *_, edge in found]
    n, now = len(found), datetime.now(UTC)
    return {
        "group_rule": [row[0] for row in found],
        "period_kind": [row[1] for row in found],
        "period": [row[2] for row in found],
        "individual_a": [edge.a for edge in edges],
        "individual_b": [edge.b for edge in edges],
        "x": [edge.x for edge in edges],
        "n": [edge.n for edge in edges],
        "sri": [edge.sri for edge in edges],
        "corrected_sri": [edge.corrected for edge in edges],
        "low": [edge.low for edge in edges],
        "high": [edge.high for edge in edges],
        "is_real": [edge.is_real for edge in edges],
        "head_model_id": [head] * n,
        "watermark_seq": [seq] * n,
        "counted_at": [now] * n,
    }
