"""How good a head is: its answers against the audit's, which never train anything.

The audit lane asks a simple random sample of all live tracks, so a share of audit tracks estimates the same share of
the archive without bias. What counts: tracks that the audit lane asked and that a person named (`identify`,
`new_individual`); a later correction of such an answer counts instead of it.

Belongs here: the audit set, the metrics with their intervals, their rows. Does not belong here: the verdict (`gate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import scipy.stats
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.bulk import insert_rows
from chimp_assets.database.events import effective_answers, last_seq
from chimp_assets.database.merges import as_merged, merged_ids
from chimp_assets.vision.checkpoint import ModelError, ModelRow, candidates, champion, model_of
from chimp_assets.vision.datasets import audited, read_members
from chimp_assets.vision.embedding import embeddings_of_tracks
from chimp_assets.vision.head import load_head

if TYPE_CHECKING:
    from chimp_assets.archive.store import BlobStore
    from chimp_assets.database.engine import Database
    from chimp_assets.settings import Settings

DATASET = "audit"
CONFIDENCE = 0.95
RARE_TRACKS = 5  # an individual with fewer training tracks is rare
NEW = -1  # the truth of a track whose animal a person called unknown
ECE_BINS = 10
TOP = 5


@dataclass(frozen=True)
class AuditTracks:
    """Audit tracks as of a watermark, ascending. truth: i64 [n], individual_id or NEW where a person said unknown.

    sex, camera, split: str [n], of the individual ("" for NEW) and of the video.
    """

    watermark_seq: int
    track_id: np.ndarray
    truth: np.ndarray
    sex: np.ndarray
    camera: np.ndarray
    split: np.ndarray


@dataclass(frozen=True)
class Judged:
    """A head's answers to the audit tracks that it has vectors for.

    row: i64 [k], rows of AuditTracks; ranked: i64 [k, min(5, C)], classes, best first; probability: f32 [k], of the
    first; max_logit: f32 [k]; correct: bool [k], the first is the truth (never for an individual it was not taught);
    taught: bool [k], the truth is one of its classes; training_tracks: i64 [k], how many training tracks the truth had;
    commonest: individual_id with the most training tracks; without_embedding: audit tracks left out for want of a
    vector;
    trained_on: audit tracks left out because this head was trained on them (none, unless settings changed).
    """

    row: np.ndarray
    ranked: np.ndarray
    probability: np.ndarray
    max_logit: np.ndarray
    correct: np.ndarray
    taught: np.ndarray
    training_tracks: np.ndarray
    commonest: int
    without_embedding: int
    trained_on: int


@dataclass(frozen=True)
class Metric:
    """One row of `evaluation_metric`. n = 0: nothing could be measured, and the value means nothing."""

    model_id: int
    dataset: str
    watermark_seq: int
    slice_kind: str
    slice_value: str
    name: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


def heads_to_evaluate(conn: sa.Connection) -> list[int]:
    """Keys of the champion head and of the candidates, in the order in which they were made."""
    now = champion(conn, "head")
    return sorted({*candidates(conn, "head"), *([now.model_id] if now else [])})


def evaluate_head(db: Database, store: BlobStore, model_id: int, settings: Settings) -> list[Metric]:
    """Measure a head on the audit and replace its rows of the same watermark in `evaluation_metric`.

    Metrics: top1 (an individual it was not taught counts as wrong), top5 and macro accuracy (mean over individuals) of
    named tracks; unknown_auroc (max-logit; unknown: called so by a person, or an individual it was not taught);
    ece of the first answer; top1 by sex, camera, split and number of training tracks. Intervals hold 95 %: Wilson for
    shares, bootstrap for the others. Raises ModelError if the model is no head.
    """
    tracks, judged = judge_audit(db, store, model_id)
    metrics = metrics_of(model_id, tracks, judged, settings)
    now = datetime.now(UTC)
    table = schema.evaluation_metric

    def write(conn: sa.Connection) -> None:
        conn.execute(
            sa.delete(table).where(
                table.c.model_id == model_id,
                table.c.dataset == DATASET,
                table.c.watermark_seq == tracks.watermark_seq,
            )
        )
        columns = {name: [getattr(m, name) for m in metrics] for name in Metric.__dataclass_fields__}
        insert_rows(conn, table, {**columns, "created_at": [now] * len(metrics)})

    db.transact(write)
    return metrics


def audit_tracks(conn: sa.Connection) -> AuditTracks:
    """The live audit tracks as of the newest label, named by a person or called unknown."""
    watermark = last_seq(conn)
    answer = effective_answers(watermark).subquery("answer")
    track, video, individual, split = schema.track, schema.video, schema.individual, schema.split_assignment
    rows = conn.execute(
        sa.select(
            answer.c.track_id, answer.c.kind, answer.c.individual_id, individual.c.sex, video.c.camera, split.c.split
        )
        .join_from(answer, track, track.c.track_id == answer.c.track_id)
        .join(video, video.c.video_id == track.c.video_id)
        .outerjoin(individual, individual.c.individual_id == answer.c.individual_id)
        .outerjoin(split, split.c.video_id == track.c.video_id)
        .where(answer.c.kind.in_(("identify", "new_individual", "unknown")), track.c.state == "live")
        .where(audited(track.c.track_id, watermark))
        .order_by(answer.c.track_id)
    ).all()
    return AuditTracks(
        watermark_seq=watermark,
        track_id=np.array([r.track_id for r in rows], dtype=np.int64),
        truth=np.array([NEW if r.kind == "unknown" else r.individual_id for r in rows], dtype=np.int64),
        sex=np.array(["" if r.kind == "unknown" else r.sex for r in rows], dtype=object),
        camera=np.array([r.camera or "" for r in rows], dtype=object),
        split=np.array([r.split or "" for r in rows], dtype=object),
    )


def judge_audit(db: Database, store: BlobStore, model_id: int) -> tuple[AuditTracks, Judged]:
    """A head's answers to the audit. Raises ModelError if the model is no head."""
    with db.read() as conn:
        model = model_of(conn, model_id)
        tracks = audit_tracks(conn)
        same = merged_ids(conn)
    if model.task != "head" or model.parent_id is None:
        raise ModelError(f"Model {model_id} is no head.", "Evaluate a head.")
    return tracks, _judge(db, store, model, model.parent_id, tracks, same)


def _judge(
    db: Database, store: BlobStore, model: ModelRow, embedder_id: int, tracks: AuditTracks, same: dict[int, int]
) -> Judged:
    head = load_head(store, model)
    # A head that learned two names of what is now one individual is right with either.
    head_classes, member_class = as_merged(head.classes, same), as_merged(head.member_class, same)
    known_members = (
        np.zeros(0, dtype=np.int64)
        if model.training_set_id is None
        else read_members(db, store, model.training_set_id).track_id
    )
    found, embedding = embeddings_of_tracks(db, store, embedder_id, tracks.track_id)
    fair = ~np.isin(tracks.track_id[found], known_members)
    row, embedding = found[fair], embedding[fair]
    logits = head.logits(embedding)
    probabilities = head.probabilities(logits)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    classes, count = np.unique(member_class, return_counts=True)
    truth = tracks.truth[row]
    place = np.minimum(np.searchsorted(classes, truth), len(classes) - 1)
    taught = classes[place] == truth
    return Judged(
        row=row,
        ranked=head_classes[order],
        probability=probabilities[np.arange(len(row)), order[:, 0]],
        max_logit=logits.max(1) if len(row) else np.zeros(0, dtype=np.float32),
        correct=head_classes[order[:, 0]] == truth,
        taught=taught,
        training_tracks=np.where(taught, count[place], 0),
        commonest=int(classes[count.argmax()]),
        without_embedding=len(tracks.track_id) - len(found),
        trained_on=int((~fair).sum()),
    )


def metrics_of(model_id: int, tracks: AuditTracks, judged: Judged, settings: Settings) -> list[Metric]:
    """All metrics of a head's answers; nothing is written."""
    truth = tracks.truth[judged.row]
    named = truth != NEW
    rng = np.random.default_rng(settings.seed)
    draws = settings.gate.bootstrap

    def metric(name: str, value: float, ci: tuple[float, float], n: int, kind: str = "all", which: str = "") -> Metric:
        return Metric(
            model_id, DATASET, tracks.watermark_seq, kind, which, name, float(value), float(ci[0]), float(ci[1]), n
        )

    def share(name: str, hits: np.ndarray, kind: str = "all", which: str = "") -> Metric:
        value = float(hits.mean()) if len(hits) else 0.0
        return metric(name, value, wilson(int(hits.sum()), len(hits)), len(hits), kind, which)

    correct = judged.correct[named]
    in_top = (judged.ranked[named] == truth[named, None]).any(1)
    metrics = [share("top1", correct), share("top5", in_top)]
    if named.any():
        _, row = np.unique(truth[named], return_inverse=True)
        metrics.append(
            metric(
                "macro",
                _mean_over(row, correct),
                _bootstrap(lambda pick: _mean_over(row[pick], correct[pick]), len(row), draws, rng),
                len(row),
            )
        )
        first = judged.probability[named]
        metrics.append(
            metric(
                "ece",
                _ece(first, correct),
                _bootstrap(lambda pick: _ece(first[pick], correct[pick]), len(first), draws, rng),
                len(first),
            )
        )
    if judged.taught.any() and not judged.taught.all():
        known, logit = judged.taught, judged.max_logit
        metrics.append(
            metric(
                "unknown_auroc",
                _auroc(known, logit),
                _bootstrap(lambda pick: _auroc(known[pick], logit[pick]), len(known), draws, rng),
                len(known),
            )
        )
    for kind, values in slices_of(tracks, judged).items():
        values = values[named]
        metrics += [share("top1", correct[values == value], kind, str(value)) for value in sorted(set(values))]
    return metrics


def slices_of(tracks: AuditTracks, judged: Judged) -> dict[str, np.ndarray]:
    """The slice of each judged track, by kind of slice. Values: str [k]."""
    rare = judged.training_tracks < RARE_TRACKS
    return {
        "sex": tracks.sex[judged.row],
        "camera": tracks.camera[judged.row],
        "split": tracks.split[judged.row],
        "training_tracks": np.where(rare, f"under {RARE_TRACKS}", f"{RARE_TRACKS} or more").astype(object),
    }


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a share (Wilson 1927); (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    z = float(scipy.stats.norm.ppf(0.5 + confidence / 2))
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile interval of a statistic of rows i64 [n]; draws in which it has no value are left out."""
    values = np.array([statistic(rng.integers(0, n, n)) for _ in range(draws)])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _mean_over(group: np.ndarray, hits: np.ndarray) -> float:
    count = np.bincount(group)
    right = np.bincount(group, weights=hits.astype(np.float64))
    return float((right[count > 0] / count[count > 0]).mean())


def _ece(probability: np.ndarray, correct: np.ndarray) -> float:
    """Expected calibration error with bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gap = np.bincount(bins, weights=probability.astype(np.float64) - correct, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(probability))


def _auroc(known: np.ndarray, max_logit: np.ndarray) -> float:
    """Chance that a known animal has the larger logit than an unknown one (ties count half); nan without both."""
    n_known, n_unknown = int(known.sum()), int((~known).sum())
    if not n_known or not n_unknown:
        return float("nan")
    ranks = scipy.stats.rankdata(max_logit)
    return float((ranks[known].sum() - n_known * (n_known + 1) / 2) / (n_known * n_unknown))
