"""The return of labels: accuracy by labels and minutes, the labels that random asking would have needed, and the gain
of the next hour. From SQL and the store to `acquisition.returns`, and back as metrics.

Rows of `evaluation_metric` of the champion head, dataset "returns", read by `v_label_savings`, `v_learning_curve` and
`v_stopping_advice`. Belongs here: reading answers, vectors and heads; writing. Does not belong here: the estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.returns.savings import Savings, savings, sizes
from chimp_assets.acquisition.returns.stopping import LaneAdvice, NextHour, is_stable, kappa, next_hour, useful
from chimp_assets.acquisition.ridge import name_by_ridge
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.individuals.merges import last_merge
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.database.work.seconds import is_answered_alone, seconds_spent
from chimp_assets.loop.minutes.forecasts import keep_forecast
from chimp_assets.vision.datasets.training_set import training_members
from chimp_assets.vision.embedding.bundle import embeddings_of_tracks
from chimp_assets.vision.evaluation.audit import audit_tracks
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.models.checkpoint import ModelRow, champion, model_of

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

DATASET = "returns"
ARCHIVE = t.ABOUT[0]
NEVER = 1e9
"""Written where random asking would never have reached the accuracy; the views show null."""
STOP_SET = 2_000
HEADS_COMPARED = 4
ANSWERS_LOOKED_AT = 500
"""Of each lane, newest first: older ones have no weight."""


@dataclass(frozen=True)
class Returns:
    """model_id: the champion head; minutes: of all timed answers; seconds: median of an answer, None where none was
    timed; kappas: of successive heads, oldest first; the others as in `acquisition`, None where too little is known."""

    model_id: int
    watermark_seq: int
    n_audit: int
    minutes: float
    seconds: float | None
    savings: Savings | None
    lanes: list[LaneAdvice]
    kappas: list[float]
    hour: NextHour | None

    @property
    def stable(self) -> bool:
        """Whether the newest heads give nearly the same names to tracks that nobody has answered."""
        return is_stable(self.kappas)


def measure_returns(db: Database, store: BlobStore, settings: Settings) -> Returns | None:
    """Measure and write; replaces the rows of the same head and watermark. None where there is no champion head.

    Also keeps the forecast of the minutes that are left (`archive_forecast`).
    """
    with db.read() as conn:
        head = champion(conn, "head")
        if head is None or head.parent_id is None:
            return None
        watermark = last_seq(conn)
        members = training_members(conn, watermark, last_merge(conn), settings)
        given_at = _seq_of(conn, watermark)
        audit = audit_tracks(conn, settings.archive.timezone)
        minutes, seconds = _time_spent(conn, watermark)
        lanes = _lanes(conn, watermark)
        unanswered = _stop_set(conn, settings)
        heads = _last_heads(conn, head)
    order = np.argsort([given_at[i] for i in members.annotation_id], kind="stable")
    found, taught = embeddings_of_tracks(db, store, head.parent_id, members.track_id[order])
    names = members.class_id[order][found]
    audit_found, audit_emb = embeddings_of_tracks(db, store, head.parent_id, audit.track_id)
    truth = audit.truth[audit_found]
    saved = savings(taught, names, audit_emb, truth, name_by_ridge, settings.seed)
    hour = None
    if saved is not None and seconds is not None:
        counts = sizes(len(names))
        hits = np.stack([name_by_ridge(taught[:k], names[:k], audit_emb) == truth for k in counts]).astype(float)
        # Labels of the lanes that teach; of an hour of answers some are audit ones.
        hour = next_hour(counts, hits, seconds / max(1e-9, len(names) / max(1, len(names) + len(truth))), settings.seed)
    found_stop, stop_emb = embeddings_of_tracks(db, store, head.parent_id, unanswered)
    measured = Returns(
        model_id=head.model_id,
        watermark_seq=watermark,
        n_audit=len(truth),
        minutes=minutes,
        seconds=seconds,
        savings=saved,
        lanes=lanes,
        kappas=_kappas(store, heads, stop_emb),
        hour=hour,
    )
    _write(db, measured, len(found_stop))
    keep_forecast(db, settings)
    return measured


def _seq_of(conn: sa.Connection, watermark: int) -> dict[str, int]:
    a = t.annotation.c
    rows = conn.execute(sa.select(a.annotation_id, a.seq).where(a.kind.in_(NAMING_KINDS), a.seq <= watermark))
    return {row.annotation_id: row.seq for row in rows}


def _time_spent(conn: sa.Connection, watermark: int) -> tuple[float, float | None]:
    a = t.annotation.c
    # Pairs and "is it X?" are answered by others, and faster: they do not show what names cost.
    mine = (a.other_track_id.is_(None), a.lane != t.IS_IT)
    total = seconds_spent(conn, *mine, watermark_seq=watermark)
    alone = (*mine, a.seq <= watermark, a.seconds > 0, is_answered_alone(a))
    newest = conn.scalars(sa.select(a.seconds).where(*alone).order_by(a.seq.desc()).limit(ANSWERS_LOOKED_AT)).all()
    return total / 60, float(np.median(newest)) if newest else None


def _lanes(conn: sa.Connection, watermark: int) -> list[LaneAdvice]:
    """For each lane: did its answers differ from what the head of the plan predicted? Without a head all do."""
    answer, item, plan, predicted = t.annotation.c, t.acquisition_queue, t.acquisition_round, t.prediction
    named = t.individual.alias("named")
    answers: dict[str, list[bool]] = {}
    rows = conn.execute(
        sa.select(
            answer.lane, plan.c.head_model_id, named.c.individual_id, named.c.same_as_id,
            predicted.c.individual_id.label("predicted_id"),
        )
        .join_from(t.annotation, item, item.c.item_id == answer.item_id)
        .join(plan, plan.c.round_id == item.c.round_id)
        .outerjoin(named, named.c.individual_id == answer.individual_id)
        .outerjoin(
            predicted,
            sa.and_(
                predicted.c.model_id == plan.c.head_model_id,
                predicted.c.track_id == answer.track_id,
                predicted.c.rank == t.FIRST_RANK,
            ),
        )
        .where(answer.kind.in_((*NAMING_KINDS, "unknown")), answer.seq <= watermark)
        .order_by(answer.seq.desc())
    )  # fmt: skip
    for row in rows:
        lane = answers.setdefault(row.lane, [])
        if len(lane) < ANSWERS_LOOKED_AT and (row.predicted_id is not None or row.head_model_id is None):
            lane.append(row.predicted_id is None or row.predicted_id not in (row.individual_id, row.same_as_id))
    return [useful(np.array(lane[::-1], bool), name) for name, lane in sorted(answers.items()) if lane]


def _stop_set(conn: sa.Connection, settings: Settings) -> np.ndarray:
    """Tracks of the audit reserve that nobody has answered, evenly through the archive. i64 [<= STOP_SET]."""
    answered = sa.exists().where(t.annotation.c.track_id == t.track.c.track_id)
    ids = np.array(
        conn.scalars(
            sa.select(t.track.c.track_id).where(t.track.c.state == "live", ~answered).order_by(t.track.c.track_id)
        ).all(),
        np.int64,
    )
    reserve = ids[reserved_mask(conn, ids, settings.seed, settings.acquisition.audit_reserve)]
    if len(reserve) <= STOP_SET:
        return reserve
    return reserve[np.linspace(0, len(reserve) - 1, STOP_SET).astype(np.int64)]


def _last_heads(conn: sa.Connection, head: ModelRow) -> list[ModelRow]:
    """The champion and those that were champion before it on the same embedder, oldest first."""
    m = t.model.c
    newest = conn.scalars(
        sa.select(m.model_id)
        .where(m.task == "head", m.parent_id == head.parent_id, m.state.in_(("champion", "retired")))
        .order_by(m.model_id.desc())
        .limit(HEADS_COMPARED)
    ).all()
    return [model_of(conn, model_id) for model_id in reversed(newest)]


def _kappas(store: BlobStore, heads: list[ModelRow], emb: np.ndarray) -> list[float]:
    if not len(emb):
        return []
    named = []
    for row in heads:
        head = load_head(store, row)
        named.append(head.classes[head.logits(emb).argmax(axis=1)])
    return [kappa(one, other) for one, other in pairwise(named)]


def _ever(labels: float) -> float:
    return min(labels, NEVER)


def _write(db: Database, r: Returns, n_stop: int) -> None:
    rows: list[tuple[str, str, str, float, float | None, float | None, int]] = [
        ("all", "", "minutes", r.minutes, None, None, r.watermark_seq)
    ]
    if r.seconds is not None:
        rows.append(("all", "", "seconds_per_label", r.seconds, None, None, r.watermark_seq))
    if (s := r.savings) is not None:
        rows += [
            ("all", "", "accuracy", s.accuracy, s.accuracy_low, s.accuracy_high, r.n_audit),
            ("all", "", "labels", s.n_labels, None, None, s.n_labels),
            ("all", "", "random_labels", _ever(s.n_random), _ever(s.n_random_low), _ever(s.n_random_high), r.n_audit),
        ]
        for policy, curve in (("real", s.real), ("random", s.random)):
            rows += [(f"{policy}_curve", str(p.n), "accuracy", p.accuracy, p.low, p.high, p.n) for p in curve]
    rows += [("lane", lane.lane, "p_useful", lane.p_useful, None, None, lane.n_answers) for lane in r.lanes]
    if r.kappas:
        rows.append(("all", "", "kappa", r.kappas[-1], None, None, n_stop))
        rows.append(("all", "", "is_stable", float(r.stable), None, None, len(r.kappas)))
    if (h := r.hour) is not None:
        rows.append(("all", "", "next_hour", h.gain, h.low, h.high, round(h.answers)))
    metric = t.evaluation_metric
    now = datetime.now(UTC)

    def work(conn: sa.Connection) -> None:
        conn.execute(
            sa.delete(metric).where(
                metric.c.model_id == r.model_id,
                metric.c.dataset == DATASET,
                metric.c.watermark_seq == r.watermark_seq,
            )
        )
        kind, value, name, number, low, high, n = zip(*rows, strict=True)
        insert_rows(
            conn,
            metric,
            {
                "model_id": [r.model_id] * len(rows),
                "dataset": [DATASET] * len(rows),
                "watermark_seq": [r.watermark_seq] * len(rows),
                "slice_kind": kind,
                "slice_value": value,
                "name": name,
                "value": number,
                "ci_low": low,
                "ci_high": high,
                "n": n,
                "created_at": [now] * len(rows),
                # The audit draws tracks one by one: what random asking would have cost in this archive.
                "about": [None if one is None else ARCHIVE for one in low],
            },
        )

    db.transact(work)
