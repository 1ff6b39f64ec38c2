"""How fairly a head names: the metrics of all groups, written beside its evaluation.

Belongs here: which metrics there are, and writing them. Does not belong here: the comparisons (`groups`), pages and
reports (`insight.fairness`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.monitoring.groups.answers import JudgedTracks, judged_tracks
from chimp_assets.monitoring.groups.association import association_bias
from chimp_assets.monitoring.groups.comparison import GroupMetric, MetricRows, compare
from chimp_assets.monitoring.groups.individuals import compare_individuals
from chimp_assets.vision.evaluation.audit import AuditJudge

if TYPE_CHECKING:
    from chimp_assets.home import Home

SHARE, GAP = (0.0, 1.0), (-1.0, 1.0)
SECONDS = (1.0, 600.0)
"""Answers beyond count as these: somebody looked up a book, or went for a coffee."""


def write_fairness(home: Home, model_id: int, audit: AuditJudge | None = None) -> int:
    """Compute how a head treats groups and replace its rows of the same watermark; returns how many there are.

    audit: its answers, where they are at hand. Nothing is written before there are answers of the audit. Raises
    ModelError if the model is no head.
    """
    db, store, settings = home.database, home.store, home.settings
    audit = audit or AuditJudge(db, store, settings)
    judged = judged_tracks(db, audit, AuditJudge(db, store, settings, lane="groups"), model_id)
    told = fairness_of(judged, settings.monitoring.least_group, np.random.default_rng(settings.seed))
    table, now = t.fairness_metric, datetime.now(UTC)
    fields = list(GroupMetric.__dataclass_fields__)
    columns = {name: [_finite(getattr(one, name)) for one in told] for name in fields}
    same = {"model_id": model_id, "watermark_seq": judged.watermark_seq, "created_at": now}

    def write(conn: sa.Connection) -> None:
        conn.execute(
            sa.delete(table).where(table.c.model_id == model_id, table.c.watermark_seq == judged.watermark_seq)
        )
        if told:
            insert_rows(conn, table, {**columns, **{name: [value] * len(told) for name, value in same.items()}})

    db.transact(write)
    return len(told)


def fairness_of(judged: JudgedTracks, least: int, rng: np.random.Generator) -> list[GroupMetric]:
    """All metrics of all groups, of individuals, and what they do to association indices. least: answers of a group."""
    if not len(judged):
        return []
    metrics = metric_rows(judged)
    slices = {
        metric.name: {
            kind: labels
            for kind, labels in (judged.by if metric.name == "precision" else judged.of).items()
            if kind != "individual"
        }
        for metric in metrics
    }
    told = compare(metrics, slices, judged.block, judged.weight, least, rng)
    told = [_in_seconds(one) if one.name == "seconds" else one for one in told]
    told += association_bias(judged, told, least, rng)
    # The lane `groups` chose by proposed names: of one individual it would have asked what the head gets right.
    asked = judged.known & judged.plain
    right = (judged.right & judged.named)[asked]
    return told + compare_individuals(right, judged.of["individual"][asked], judged.block[asked], least)


def metric_rows(judged: JudgedTracks) -> list[MetricRows]:
    """recall: share of the animals that are named rightly; precision: share of the names that are right;
    said_minus_right: mean probability less share right; unknown_rate: share of the animals that it knows and calls
    unknown; seconds: of a person's answer (their binary logarithm, here)."""
    right = judged.right & judged.named
    known, named = np.flatnonzero(judged.known), np.flatnonzero(judged.named)
    taught = np.flatnonzero(judged.known & judged.taught)
    timed = np.flatnonzero(judged.known & np.isfinite(judged.seconds))
    low, high = (math.log2(limit) for limit in SECONDS)
    said = judged.probability - judged.right
    rows = [
        MetricRows("recall", known, right[known].astype(np.float64), SHARE, higher_is_better=True),
        MetricRows("precision", named, right[named].astype(np.float64), SHARE, higher_is_better=True),
        MetricRows("said_minus_right", known, said[known], GAP, higher_is_better=False),
        MetricRows("unknown_rate", taught, (~judged.named[taught]).astype(np.float64), SHARE, higher_is_better=False),
        # Half as long again is a gap.
        MetricRows(
            "seconds", timed, np.clip(np.log2(judged.seconds[timed]), low, high), (low, high), False, math.log2(1.5)
        ),
    ]
    return [one for one in rows if len(one.row)]


def _in_seconds(one: GroupMetric) -> GroupMetric:
    """From logarithms to seconds: the geometric mean."""
    return replace(one, value=2**one.value, low=2**one.low, high=2**one.high)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
