"""The registry as people see it: which models there are, where each comes from, and how one is made again from its row.

Belongs here: listing, showing. Does not belong here: deciding (`evaluation.promotion`), the rows' life (`checkpoint`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.vision.models.checkpoint import model_of

PROMOTED, ROLLED_BACK = "model.promote", "model.rollback"
"""Actions of the `audit_event` of a decision."""


@dataclass(frozen=True)
class ModelLine:
    """A model at a glance. top1 with its interval and n: the newest on the audit, None if never measured."""

    model_id: int
    task: str
    version: int
    state: str
    name: str
    parent_id: int | None
    training_set_id: int | None
    created_at: datetime
    top1: float | None
    ci_low: float | None
    ci_high: float | None
    n_audit: int
    reason: str | None


def list_models(conn: sa.Connection, task: str | None = None) -> list[ModelLine]:
    """All models, or those of one task, by task and version."""
    metric, m = t.evaluation_metric, t.model
    newest = (
        sa.select(metric.c.model_id, sa.func.max(metric.c.metric_id).label("metric_id"))
        .where(metric.c.dataset == "audit", metric.c.slice_kind == "all", metric.c.name == "top1")
        .group_by(metric.c.model_id)
        .subquery()
    )
    statement = (
        sa.select(m, metric.c.value, metric.c.ci_low, metric.c.ci_high, metric.c.n)
        .outerjoin(newest, newest.c.model_id == m.c.model_id)
        .outerjoin(metric, metric.c.metric_id == newest.c.metric_id)
        .order_by(m.c.task, m.c.version)
    )
    if task is not None:
        statement = statement.where(m.c.task == task)
    return [
        ModelLine(
            r.model_id, r.task, r.version, r.state, r.name, r.parent_id, r.training_set_id, r.created_at,
            r.value, r.ci_low, r.ci_high, r.n or 0, r.reason,
        )
        for r in conn.execute(statement)
    ]  # fmt: skip


def show_model(conn: sa.Connection, model_id: int) -> dict[str, Any]:
    """A model with its row, training set, newest metrics, decisions, and the command that reproduces it.

    Raises ModelError if there is no such model.
    """
    row = model_of(conn, model_id)
    s, metric, event = t.training_set, t.evaluation_metric.c, t.audit_event.c
    learned = conn.execute(sa.select(s).where(s.c.training_set_id == row.training_set_id)).mappings().one_or_none()
    newest = sa.select(sa.func.max(metric.watermark_seq)).where(metric.model_id == model_id).scalar_subquery()
    metrics = conn.execute(
        sa.select(
            metric.slice_kind,
            metric.slice_value,
            metric.name,
            metric.value,
            metric.ci_low,
            metric.ci_high,
            metric.n,
            metric.about,
            metric.blocks,
        )
        .where(metric.model_id == model_id, metric.watermark_seq == newest)
        .order_by(metric.metric_id)
    ).all()
    decided = conn.execute(
        sa.select(event.at, t.app_user.c.name, event.action, event.detail)
        .outerjoin(t.app_user, t.app_user.c.user_id == event.user_id)
        .where(event.action.in_((PROMOTED, ROLLED_BACK)), event.subject == subject_of(row.task, row.version))
        .order_by(event.at)
    ).all()
    return {
        **asdict(row),
        "training_set": None if learned is None else dict(learned),
        "metrics": [dict(r._mapping) for r in metrics],
        "decisions": [{"at": r.at, "by": r.name, "action": r.action, **json.loads(r.detail or "{}")} for r in decided],
        "made_again_by": how_to_make(conn, model_id),
    }


def how_to_make(conn: sa.Connection, model_id: int) -> str:
    """A sentence with the code, settings, labels and seed that reproduce the same bytes."""
    row = model_of(conn, model_id)
    code = row.config.get("code", "of unknown version")
    if row.training_set_id is None:
        return f"Code {code}; learned without labels, with the settings and seed in its config."
    watermarks = conn.execute(
        sa.select(t.training_set.c.watermark_seq, t.training_set.c.merge_watermark).where(
            t.training_set.c.training_set_id == row.training_set_id
        )
    ).one()
    settings = row.config.get("settings", {})
    listed = ", ".join(f"{name}={value}" for name, value in settings.items())
    parent = f" on the vectors of model {row.parent_id}" if row.parent_id is not None else ""
    return (
        f"Code {code}, seed {row.config.get('seed')}, labels up to {watermarks.watermark_seq} with merges up to"
        f" {watermarks.merge_watermark} (training set {row.training_set_id}, whose member file is stored){parent}"
        + (f", {listed}" if listed else "")
        + f": python -m chimp_assets.vision.train --home HOME --task {row.task} --training-set {row.training_set_id}"
    )


def subject_of(task: str, version: int) -> str:
    """What the `audit_event` of a decision names: the task and the version of its model."""
    return f"{task} {version}"
