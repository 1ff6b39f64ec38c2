"""The registry as people see it: which models there are, where each comes from, and who made which the champion.

Belongs here: listing, showing, promoting (by a person's word or the gate's) and rolling back, each change an
`audit_event`; how a model is made again from its row. Does not belong here: verdicts by numbers (`gate`), the rows'
life (`checkpoint`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

import chimp_assets.vision
from chimp_assets.database import schema as t
from chimp_assets.database.people.users import write_audit_event
from chimp_assets.vision.models.checkpoint import ModelError, ModelRow, champion, model_of, promote

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

PROMOTED, ROLLED_BACK = "model.promote", "model.rollback"


@dataclass(frozen=True)
class ModelLine:
    """A model at a glance. top1 with its interval and n: the newest on the audit, None where it was not measured."""

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
    """Every model, by task and version; of one task only where it is given."""
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
    """All that is known of a model: its row, training set, newest metrics, what people decided, how to make it again.

    Raises ModelError if there is none.
    """
    row = model_of(conn, model_id)
    s, metric, event = t.training_set, t.evaluation_metric.c, t.audit_event.c
    learned = conn.execute(sa.select(s).where(s.c.training_set_id == row.training_set_id)).mappings().one_or_none()
    newest = sa.select(sa.func.max(metric.watermark_seq)).where(metric.model_id == model_id).scalar_subquery()
    metrics = conn.execute(
        sa.select(
            metric.slice_kind, metric.slice_value, metric.name, metric.value, metric.ci_low, metric.ci_high, metric.n
        )
        .where(metric.model_id == model_id, metric.watermark_seq == newest)
        .order_by(metric.metric_id)
    ).all()
    decided = conn.execute(
        sa.select(event.at, t.app_user.c.name, event.action, event.detail)
        .outerjoin(t.app_user, t.app_user.c.user_id == event.user_id)
        .where(event.action.in_((PROMOTED, ROLLED_BACK)), event.subject == _subject(row.task, row.version))
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
    """In words: the commit, settings, labels and seed that make the same bytes again."""
    row = model_of(conn, model_id)
    code = row.config.get("code", "of an unknown version")
    if row.training_set_id is None:
        return f"Code {code}; it learned from no labels: its config says with which settings and seed it was made."
    watermarks = conn.execute(
        sa.select(t.training_set.c.watermark_seq, t.training_set.c.merge_watermark).where(
            t.training_set.c.training_set_id == row.training_set_id
        )
    ).one()
    settings = row.config.get("settings", {})
    told = ", ".join(f"{name}={value}" for name, value in settings.items())
    parent = f" on the vectors of model {row.parent_id}" if row.parent_id is not None else ""
    return (
        f"Code {code}, seed {row.config.get('seed')}, labels up to {watermarks.watermark_seq} with merges up to"
        f" {watermarks.merge_watermark} (training set {row.training_set_id}, whose member file is kept){parent}"
        + (f", {told}" if told else "")
        + f": python -m chimp_assets.vision.train --home HOME --task {row.task} --training-set {row.training_set_id}"
    )


def promote_by_hand(
    db: Database, store: BlobStore, settings: Settings, model_id: int, why: str | None, by: str | None, force: bool
) -> str:
    """Make a model the champion of its task; returns the reason that is kept.

    A head is judged by the gate first, and a refusal stands unless force, which needs why. Models of other tasks have
    no gate here and need force too. A head must belong to the champion embedder. Raises ModelError.
    """
    from chimp_assets.vision.evaluation.gate import judge

    if force and not (why or "").strip():
        raise ModelError("A promotion by force needs a reason.", 'Say --why "...".')
    with db.read() as conn:
        row = model_of(conn, model_id)
        now = champion(conn, row.task)
        embedder = champion(conn, "embedder")
    if now is not None and now.model_id == model_id:
        raise ModelError(f"Model {model_id} is the champion already.", "`chimp models list` shows all.")
    if row.task == "head" and (embedder is None or row.parent_id != embedder.model_id):
        raise ModelError(
            f"Head {model_id} belongs to embedder {row.parent_id}, which is not the champion embedder.",
            "Promote that embedder, or `chimp retrain` for a head on the one there is.",
        )
    said = "by hand, without a gate"
    if row.task == "head":
        verdict = judge(db, store, model_id, settings)
        said = f"the gate says: {verdict.reason}"
        if not verdict.promoted and not force:
            raise ModelError(f"The gate refuses model {model_id}: {verdict.reason}", "Or --force with --why.")
    elif not force:
        raise ModelError(
            f"Model {model_id} is a model of the task {row.task}, which only a person can promote here.",
            "Say --force and --why.",
        )
    return _decide(db, model_id, PROMOTED, why, by, said)


def roll_back(db: Database, task: str, why: str | None, by: str | None) -> tuple[int, str]:
    """Make the champion before the present one champion again; returns its model_id and the reason that is kept.

    Raises ModelError where there was none, or where it belongs to an embedder that is no longer the champion.
    """
    m = t.model.c
    with db.read() as conn:
        now, embedder = champion(conn, task), champion(conn, "embedder")
        before = conn.execute(
            sa.select(m.model_id, m.version, m.parent_id)
            .where(m.task == task, m.state == "retired")
            .order_by(m.decided_at.desc(), m.version.desc())
            .limit(1)
        ).one_or_none()
    if before is None:
        raise ModelError(f"No {task} was champion before the present one.", "`chimp models list` shows all.")
    if task == "head" and (embedder is None or before.parent_id != embedder.model_id):
        raise ModelError(
            f"The head before this one, model {before.model_id}, belongs to another embedder than the champion.",
            "Roll back the embedder first: `chimp models rollback embedder`.",
        )
    said = f"back from version {now.version}" if now is not None else "there was no champion"
    return int(before.model_id), _decide(db, int(before.model_id), ROLLED_BACK, why, by, said)


def _decide(db: Database, model_id: int, action: str, why: str | None, by: str | None, said: str) -> str:
    with db.read() as conn:
        row = model_of(conn, model_id)
        was = champion(conn, row.task)
    reason = f"{(why or '').strip() or 'No reason given'} ({said}; {by or 'by the command line'})"
    _promote(db, row, was, action, reason, {"why": why or "", "said": said}, by)
    return reason


def promote_by_gate(db: Database, model_id: int, reason: str) -> None:
    """Make a model the champion because its numbers say so: the same `audit_event` as by hand, by nobody."""
    with db.read() as conn:
        row = model_of(conn, model_id)
        was = champion(conn, row.task)
    _promote(db, row, was, PROMOTED, reason, {"why": "", "said": f"the gate says: {reason}"}, None)


def _promote(
    db: Database, row: ModelRow, was: ModelRow | None, action: str, reason: str, words: dict[str, Any], by: str | None
) -> None:
    detail = {
        "model_id": row.model_id,
        "state_before": row.state,
        "champion_before": was.model_id if was else None,
        **words,
    }
    subject = _subject(row.task, row.version)
    promote(db, row.model_id, reason, lambda conn: write_audit_event(conn, action, subject, detail, by))


def _subject(task: str, version: int) -> str:
    return f"{task} {version}"


def code_version() -> str:
    """The version of the product and a hash of every module that learns: 0.1.0+3f2a9c1d5e6b."""
    digest = hashlib.blake2b(digest_size=6)
    room = Path(chimp_assets.vision.__file__).parent
    for file in sorted(room.rglob("*.py")):
        digest.update(file.relative_to(room).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    try:
        version = importlib.metadata.version("chimp-assets")
    except importlib.metadata.PackageNotFoundError:
        version = "checkout"
    return f"{version}+{digest.hexdigest()}"
