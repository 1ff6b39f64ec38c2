"""Models: measurements of each, accuracy by number of labels, and who promoted what.

Belongs here: these facts. Does not belong here: promoting (`vision.evaluation`), measuring (`vision.evaluation.audit`),
drawing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts

AUDIT = "audit"
TASKS = ("head", "embedder", "detector")
DECISIONS = 30


@dataclass(frozen=True)
class ModelSummary:
    """A model at a glance. top1, ci_low, ci_high, n_audit: newest audit measurement; n_labels: of its training set."""

    model_id: int
    task: str
    version: int
    state: str
    name: str
    reason: str | None
    created_at: datetime
    decided_at: datetime | None
    parent_id: int | None
    n_labels: int | None
    watermark_seq: int | None
    top1: float | None
    ci_low: float | None
    ci_high: float | None
    n_audit: int


@dataclass(frozen=True)
class MetricValue:
    """A measured value with its interval, from n tracks. about: this archive or days to come, None if not known;
    blocks: camera-days that the interval counts as independent, None: tracks."""

    name: str
    slice_kind: str
    slice_value: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int
    about: str | None
    blocks: int | None


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of calibration: mean predicted probability (said), share correct (right) with limits, number of
    tracks.
    """

    said: float
    right: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Measurement:
    """The newest measurement of a model. dataset: audit, or that of its task; watermark: last decision used."""

    dataset: str
    watermark: int
    at: datetime
    whole: list[MetricValue]
    slices: dict[str, list[MetricValue]]
    reliability: list[CalibrationBin]


@dataclass(frozen=True)
class PromotionDecision:
    """A promotion or rollback: who made which model the champion, and why. by: None for the gate."""

    at: datetime
    by: str | None
    action: str
    subject: str
    why: str
    said: str


def model_summaries(conn: sa.Connection) -> list[ModelSummary]:
    """Every model, by task, newest first, with its newest audit accuracy."""
    metric, m, s = t.evaluation_metric, t.model.c, t.training_set.c
    newest = (
        sa.select(metric.c.model_id, sa.func.max(metric.c.metric_id).label("metric_id"))
        .where(metric.c.dataset == AUDIT, metric.c.slice_kind == "all", metric.c.name == "top1")
        .group_by(metric.c.model_id)
        .subquery()
    )
    rows = conn.execute(
        sa.select(
            m.model_id, m.task, m.version, m.state, m.name, m.reason, m.created_at, m.decided_at, m.parent_id,
            s.n_tracks, s.watermark_seq, metric.c.value, metric.c.ci_low, metric.c.ci_high, metric.c.n,
        )
        .outerjoin_from(t.model, t.training_set, s.training_set_id == m.training_set_id)
        .outerjoin(newest, newest.c.model_id == m.model_id)
        .outerjoin(metric, metric.c.metric_id == newest.c.metric_id)
        .order_by(m.task, m.version.desc())
    )  # fmt: skip
    return [
        ModelSummary(
            r.model_id, r.task, r.version, r.state, r.name, r.reason, r.created_at, r.decided_at, r.parent_id,
            r.n_tracks, r.watermark_seq, r.value, r.ci_low, r.ci_high, r.n or 0,
        )
        for r in rows
    ]  # fmt: skip


def measurement(conn: sa.Connection, model_id: int) -> Measurement | None:
    """The newest measurement of a model, except that of label returns; None without one."""
    e = t.evaluation_metric.c
    last = conn.execute(
        sa.select(e.dataset, e.watermark_seq)
        .where(e.model_id == model_id, e.dataset != "returns")
        .order_by(e.metric_id.desc())
        .limit(1)
    ).first()
    if last is None:
        return None
    rows = conn.execute(
        sa.select(
            e.name, e.slice_kind, e.slice_value, e.value, e.ci_low, e.ci_high, e.n, e.about, e.blocks, e.created_at
        )
        .where(e.model_id == model_id, e.dataset == last.dataset, e.watermark_seq == last.watermark_seq, e.n > 0)
        .order_by(e.metric_id)
    ).all()
    whole, slices, bins = [], dict[str, list[MetricValue]](), dict[str, dict[str, Any]]()
    for row in rows:
        one = MetricValue(
            row.name, row.slice_kind, row.slice_value, row.value, row.ci_low, row.ci_high, row.n, row.about, row.blocks
        )
        if row.slice_kind == "all":
            whole.append(one)
        elif row.slice_kind == t.RELIABILITY:
            bins.setdefault(row.slice_value, {})[row.name] = one
        else:
            slices.setdefault(row.slice_kind, []).append(one)
    kept = [
        CalibrationBin(
            pair["said"].value,
            pair["top1"].value,
            pair["top1"].ci_low or 0.0,
            pair["top1"].ci_high or 1.0,
            pair["top1"].n,
        )
        for _, pair in sorted(bins.items())
        if {"said", "top1"} <= pair.keys()
    ]
    at = max((row.created_at for row in rows), default=None)
    return None if at is None else Measurement(last.dataset, last.watermark_seq, at, whole, slices, kept)


def learning(found: list[ModelSummary]) -> list[tuple[float, float, float, float]]:
    """(labels, share correct, low, high) of each measured head, by number of labels."""
    return sorted(
        (float(one.n_labels), one.top1, one.ci_low or 0.0, one.ci_high or 1.0)
        for one in found
        if one.task == "head" and one.n_labels and one.top1 is not None
    )


def decisions(conn: sa.Connection, limit: int = DECISIONS) -> list[PromotionDecision]:
    """Promotions and rollbacks, newest first."""
    e, u = t.audit_event.c, t.app_user.c
    rows = conn.execute(
        sa.select(e.at, u.name, e.action, e.subject, e.detail)
        .outerjoin_from(t.audit_event, t.app_user, u.user_id == e.user_id)
        .where(e.action.in_(("model.promote", "model.rollback")))
        .order_by(e.audit_event_id.desc())
        .limit(limit)
    )
    found = []
    for row in rows:
        detail = json.loads(row.detail or "{}")
        found.append(
            PromotionDecision(row.at, row.name, row.action, row.subject, detail.get("why", ""), detail.get("said", ""))
        )
    return found


def names_of(conn: sa.Connection, codes: list[str]) -> dict[str, str | None]:
    """Names of individuals by code, because slices are stored by code."""
    i = t.individual.c
    return {
        row.anim_id: row.name
        for part in in_parts(codes)
        for row in conn.execute(sa.select(i.anim_id, i.name).where(i.anim_id.in_(part)))
    }
