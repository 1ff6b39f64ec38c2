"""From labels to a verdict: training set, head, evaluation, gate. Assets and `chimp retrain` are made of these steps.

Belongs here: which heads are evaluated and judged. Does not belong here: the training process (`training`), measuring
and the rules of the gate (`vision.evaluation`), what follows a promotion (`rescore`, `plan`).

A retraining measures the champion, every candidate and the heads of its training set on the same audit answers, whoever
asks for it, and then judges all but the champion. So a candidate that a killed training has left behind gets its
verdict, and a head that was refused, fitted again on the same labels, is judged by the audit answers there are now.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.loop.progress import Progress, silent
from chimp_assets.loop.training import train_in_own_process
from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
from chimp_assets.vision.datasets.training_set import build_training_set
from chimp_assets.vision.evaluation.audit import AuditJudge, heads_to_evaluate
from chimp_assets.vision.evaluation.gate import GateVerdict
from chimp_assets.vision.evaluation.metrics import Metric, evaluate_head
from chimp_assets.vision.evaluation.plots import draw_evaluation
from chimp_assets.vision.evaluation.promotion import decide
from chimp_assets.vision.models.checkpoint import candidates


@dataclass(frozen=True)
class HeadEvaluation:
    """What was measured: heads in the order in which they were made, and the newest one's pictures (PNG) by title."""

    model_ids: list[int]
    metrics: list[Metric]
    pictures: dict[str, bytes]


@dataclass(frozen=True)
class RetrainReport:
    """What one retraining led to: the head that it fitted, whether that was promoted, and why or why not."""

    training_set_id: int
    model_id: int
    promoted: bool
    reason: str


def make_training_set(home: Home) -> int:
    """The labels that a head may learn from, as of now; returns the training_set_id."""
    return build_training_set(home.database, home.store, home.settings)


def audit_judge(home: Home) -> AuditJudge:
    """The audit answers of this moment: what is evaluated with it and judged with it are the same answers."""
    return AuditJudge(home.database, home.store, home.settings)


def evaluate_heads(home: Home, training_set_id: int | None, audit: AuditJudge) -> HeadEvaluation:
    """Measures the champion head, the candidates and the heads of a training set on the audit, and draws the newest.

    training_set_id: None where no head has been fitted yet.
    """
    database, store, settings = home.database, home.store, home.settings
    with database.read() as conn:
        model_ids = sorted({*heads_to_evaluate(conn), *_heads_of(conn, training_set_id)})
    metrics: list[Metric] = []
    for model_id in model_ids:
        metrics += evaluate_head(database, store, model_id, settings, audit.answers(model_id))
    pictures: dict[str, bytes] = {}
    if model_ids:
        newest = model_ids[-1]
        pictures = draw_evaluation(database, store, newest, settings, audit.answers(newest))
    return HeadEvaluation(model_ids, metrics, pictures)


def judge_heads(home: Home, training_set_id: int | None, audit: AuditJudge) -> dict[int, GateVerdict]:
    """Promotes or refuses each candidate and each head of a training set, oldest first; verdicts by model_id."""
    with home.database.read() as conn:
        model_ids = sorted({*candidates(conn, "head"), *_heads_of(conn, training_set_id)})
    verdicts = {model_id: decide(home.database, home.store, model_id, home.settings, audit) for model_id in model_ids}
    keep_cards_after_promotion(home)
    return verdicts


def _heads_of(conn: sa.Connection, training_set_id: int | None) -> list[int]:
    """Heads that a training set has taught on the champion embedder: one, unless settings have changed meanwhile."""
    model = t.model.c
    embedder = sa.select(model.model_id).where(model.task == "embedder", model.state == "champion")
    return list(
        conn.scalars(
            sa.select(model.model_id).where(
                model.task == "head",
                model.training_set_id == training_set_id,
                model.parent_id == embedder.scalar_subquery(),
            )
        )
    )


def retrain(home: Home, progress: Progress | None = None) -> RetrainReport:
    """Training set, head, evaluation, verdict. Raises TrainingError if the training process fails."""
    progress = progress or silent
    progress("training set", 0, 4)
    training_set_id = make_training_set(home)
    progress("training", 1, 4)
    model_id = train_in_own_process(home, training_set_id)
    audit = audit_judge(home)
    progress("evaluation", 2, 4)
    evaluate_heads(home, training_set_id, audit)
    progress("gate", 3, 4)
    verdict = judge_heads(home, training_set_id, audit)[model_id]
    progress("gate", 4, 4)
    return RetrainReport(training_set_id, model_id, verdict.promoted, verdict.reason)
