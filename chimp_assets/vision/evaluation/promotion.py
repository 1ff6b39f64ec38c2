"""Decisions on models: candidates promoted or refused, by the gate or by a person, and champions rolled back.

Belongs here: acting on a verdict; every promotion and rollback is an `audit_event` in the same transaction.
Does not belong here: verdicts by numbers (`gate`), showing models (`registry`), the rows' life (`checkpoint`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.people.users import write_audit_event
from chimp_assets.vision.models.checkpoint import ModelError, ModelRow, champion, model_of, promote, refuse
from chimp_assets.vision.models.registry import PROMOTED, ROLLED_BACK, subject_of

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings
    from chimp_assets.vision.evaluation.audit import AuditJudge
    from chimp_assets.vision.evaluation.gate import GateVerdict

MIN_JUDGING_TRACKS = 20
"""Of held-out days, below which an embedder is not judged."""


def decide(
    db: Database, store: BlobStore, candidate_id: int, settings: Settings, audit: AuditJudge | None = None
) -> GateVerdict:
    """Judge a candidate against the champion on the same audit tracks, and promote or refuse it.

    Without a champion it must beat always naming the individual with the most training tracks. A refused model may be
    judged again when there are more audit answers. A promotion is an `audit_event`. audit: what was evaluated, where it
    is at hand. Raises ModelError if the model is unknown or no head.
    """
    from chimp_assets.vision.evaluation.gate import GateVerdict, judge  # scipy: the web server starts without it

    with db.read() as conn:
        candidate = model_of(conn, candidate_id)
    if candidate.state == "champion":
        return GateVerdict(True, candidate.reason or "It is the champion.")
    verdict = judge(db, store, candidate_id, settings, audit)
    if verdict.promoted:
        promote_by_gate(db, candidate_id, verdict.reason)
    else:
        refuse(db, candidate_id, verdict.reason)
    return verdict


def decide_embedder(db: Database, candidate_id: int) -> tuple[bool, str]:
    """Promote a candidate embedder or refuse it: (promoted, why).

    By the minutes that it saves; by the tracks that it finds again where no minutes were forecast. One that was
    measured against an earlier champion is refused, because that measurement says nothing about today's. Raises
    ModelError if there is no such model.
    """
    with db.read() as conn:
        candidate, now = model_of(conn, candidate_id), champion(conn, "embedder")
    if candidate.state == "champion":
        return True, candidate.reason or "It is the champion."
    if now is None or candidate.parent_id != now.model_id:
        why = f"It was measured against embedder {candidate.parent_id}, which is not the champion."
        refuse(db, candidate_id, why)
        return False, why
    seen = candidate.config["held_out"]
    says = (
        f"finds {seen['candidate']:.1%} of {seen['tracks']} tracks of {seen['days']} days that it never saw, champion"
        f" {now.version} {seen['champion']:.1%} (gain {seen['gain_low']:+.1%} to {seen['gain_high']:+.1%})"
    )
    if seen["tracks"] < MIN_JUDGING_TRACKS:
        why = f"Too few tracks to judge, {MIN_JUDGING_TRACKS} are needed: it {says}."
        refuse(db, candidate_id, why)
        return False, why
    if seen.get("saved_low") is not None and seen["champion_minutes"] > 0:
        return _decide_by_minutes(db, candidate_id, seen, says)
    if seen["gain_low"] > 0:
        why = f"Better beyond noise: it {says}."
        promote_by_gate(db, candidate_id, why)
        return True, why
    why = f"Not better beyond noise, and a new embedder means embedding the archive again: it {says}."
    refuse(db, candidate_id, why)
    return False, why


def _decide_by_minutes(db: Database, candidate_id: int, seen: dict[str, Any], says: str) -> tuple[bool, str]:
    """By the expert's minutes until the goal; never one that finds fewer animals beyond noise."""
    left = (
        f"{seen['candidate_minutes']:.0f} minutes to go instead of {seen['champion_minutes']:.0f} (saves"
        f" {seen['saved_low']:+.0f} to {seen['saved_high']:+.0f})"
    )
    if seen["gain_high"] < 0:
        why = f"It finds fewer animals beyond noise, whatever its minutes: {left}; it {says}."
    elif seen["saved_low"] > 0:
        why = f"Saves minutes beyond noise: {left}; it {says}."
        promote_by_gate(db, candidate_id, why)
        return True, why
    else:
        why = f"Saves no minutes beyond noise, and a new embedder means embedding the archive again: {left}; it {says}."
    refuse(db, candidate_id, why)
    return False, why


def promote_by_hand(
    db: Database, store: BlobStore, settings: Settings, model_id: int, why: str | None, by: str | None, force: bool
) -> str:
    """Make a model the champion of its task; returns the reason that is stored.

    The gate judges a head first; only force, which needs why, overrules a refusal. Models of other tasks have no gate
    here and need force too. A head must belong to the champion embedder. Raises ModelError.
    """
    from chimp_assets.vision.evaluation.gate import judge

    if force and not (why or "").strip():
        raise ModelError("A forced promotion needs a reason.", 'Add --why "...".')
    with db.read() as conn:
        row = model_of(conn, model_id)
        now = champion(conn, row.task)
        embedder = champion(conn, "embedder")
    if now is not None and now.model_id == model_id:
        raise ModelError(f"Model {model_id} is already the champion.", "`chimp models list` shows all models.")
    if row.task == "head" and (embedder is None or row.parent_id != embedder.model_id):
        raise ModelError(
            f"Head {model_id} belongs to embedder {row.parent_id}, which is not the champion embedder.",
            "Promote that embedder, or fit a head on the champion embedder with `chimp retrain`.",
        )
    said = "by hand, without a gate"
    if row.task == "head":
        verdict = judge(db, store, model_id, settings)
        said = f"the gate says: {verdict.reason}"
        if not verdict.promoted and not force:
            raise ModelError(
                f"The gate refuses model {model_id}: {verdict.reason}", "Overrule it with --force and --why."
            )
    elif not force:
        raise ModelError(
            f"Model {model_id} belongs to the task {row.task}, which has no gate, so only a person can promote it.",
            "Add --force and --why.",
        )
    return _decide(db, model_id, PROMOTED, why, by, said)


def roll_back(db: Database, task: str, why: str | None, by: str | None) -> tuple[int, str]:
    """Make the previous champion the champion again; returns its model_id and the reason that is stored.

    Raises ModelError if there was none, or if it belongs to an embedder that is no longer the champion.
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
        raise ModelError(f"No {task} was champion before the current one.", "`chimp models list` shows all models.")
    if task == "head" and (embedder is None or before.parent_id != embedder.model_id):
        raise ModelError(
            f"The previous head, model {before.model_id}, does not belong to the champion embedder.",
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
    """Make a model the champion by the gate's verdict, with the same `audit_event` as by hand, but without a user."""
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
    subject = subject_of(row.task, row.version)
    promote(db, row.model_id, reason, lambda conn: write_audit_event(conn, action, subject, detail, by))
