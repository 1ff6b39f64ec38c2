"""How good a head is: metrics of its answers to the audit, with their intervals, and their rows.

Belongs here: the metrics, writing them. Does not belong here: the answers (`audit`), the verdict (`gate`), figures
(`plots`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.statistics.anytime import block_means, mean_bounds
from chimp_assets.statistics.blocks import block_interval
from chimp_assets.statistics.shares import CONFIDENCE, wilson
from chimp_assets.vision.evaluation.audit import (
    NEW,
    AuditAnswers,
    AuditTracks,
    TracksAndAnswers,
    judge_audit,
    slices_of,
)

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

DATASET = "audit"
ARCHIVE, DAYS = schema.ABOUT
KINDS_OF_DAYS = ("camera", "light", "split")
"""Slices into which whole camera-days fall. What is said of them is said of their days to come."""
ECE_BINS = 10
FALSE_ALARMS = (0.01, 0.05)  # false-alarm rates on known animals at which the true-positive rate is reported


@dataclass(frozen=True)
class Metric:
    """One row of `evaluation_metric`. n = 0: nothing could be measured, and the value means nothing. about: what the
    interval is about (`schema.ABOUT`); blocks: camera-days that it counts as independent, None: tracks."""

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
    about: str | None = None
    blocks: int | None = None


def evaluate_head(
    db: Database, store: BlobStore, model_id: int, settings: Settings, answers: TracksAndAnswers | None = None
) -> list[Metric]:
    """Measure a head on the audit and replace its rows of the same watermark in `evaluation_metric`.

    Metrics: top1 (an individual it was not taught counts as wrong), top5 and macro accuracy (mean over individuals) of
    named tracks; ece of the first answer; kin_confusion (share of the wrong names that are those of maternal kin); top1
    by individual, sex, age class, camera, light, length, split, number of training tracks and probability of the first
    name (for these bins also `said`, the mean probability: whether probabilities are calibrated). For unknown animals
    (called unknown by a person, or an individual that the head was not taught), by their familiarity (`head`):
    unknown_auroc, unknown_tpr_at_1 and _5 (true-positive rate at a false-alarm rate of 1 % and 5 %), unknown_found and
    false_alarm at the head's own threshold, balanced_open (mean of unknown_found and the share of known animals that
    are named correctly and not called unknown). Intervals are 95 % and about this archive, whose tracks the audit drew
    one by one: Wilson for shares, bootstrap for the others. About days to come, by camera-days, are top1_days, top1 by
    KINDS_OF_DAYS, and top1_ever, the mean camera-day, whose bound holds at every evaluation of a head together.
    answers: of `judge_audit`, if already computed. Raises ModelError if the model is not a head.
    """
    tracks, judged = answers or judge_audit(db, store, model_id, settings)
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


def metrics_of(model_id: int, tracks: AuditTracks, judged: AuditAnswers, settings: Settings) -> list[Metric]:
    """All metrics of a head's answers, without writing them."""
    truth = tracks.truth[judged.row]
    named = truth != NEW
    rng = np.random.default_rng(settings.seed)
    draws = settings.gate.bootstrap

    def metric(
        name: str,
        value: float,
        ci: tuple[float, float],
        n: int,
        kind: str = "all",
        which: str = "",
        blocks: int | None = None,
    ) -> Metric:
        about = ARCHIVE if blocks is None else DAYS
        low, high = float(ci[0]), float(ci[1])
        return Metric(
            model_id, DATASET, tracks.watermark_seq, kind, which, name, float(value), low, high, n, about, blocks
        )

    def share(name: str, hits: np.ndarray, kind: str = "all", which: str = "") -> Metric:
        value = float(hits.mean()) if len(hits) else 0.0
        return metric(name, value, wilson(int(hits.sum()), len(hits)), len(hits), kind, which)

    def of_days(name: str, hits: np.ndarray, block: np.ndarray, kind: str = "all", which: str = "") -> Metric:
        found = block_interval(hits.astype(np.float64), block, rng)
        return metric(name, found.value, (found.low, found.high), found.n, kind, which, found.blocks)

    correct, block = judged.correct[named], tracks.block[judged.row][named]
    in_top = (judged.ranked[named] == truth[named, None]).any(1)
    metrics = [share("top1", correct), share("top5", in_top)]
    if named.any():
        days = block_means(correct, block)
        metrics += [
            of_days("top1_days", correct, block),
            metric("top1_ever", days.mean(), mean_bounds(days), len(correct), blocks=len(days)),
        ]
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
        for mean, right, low, high, n in reliability(first, correct):
            lowest = min(int(mean * ECE_BINS), ECE_BINS - 1) / ECE_BINS
            which = f"{lowest:.1f} to {lowest + 1 / ECE_BINS:.1f}"
            metrics.append(metric("top1", right, (low, high), n, schema.RELIABILITY, which))
            metrics.append(metric("said", mean, (mean, mean), n, schema.RELIABILITY, which))
        wrong = named & ~judged.correct
        if wrong.any():
            pairs = zip(truth[wrong].tolist(), judged.ranked[wrong, 0].tolist(), strict=True)
            metrics.append(share("kin_confusion", np.array([are_maternal_kin(a, b, tracks.mother) for a, b in pairs])))
    metrics += _of_the_unknown(judged, metric, share, draws, rng)
    for kind, values in slices_of(tracks, judged).items():
        values = values[named]
        for value in sorted(set(values) - {""}):
            inside = values == value
            metrics.append(
                of_days("top1", correct[inside], block[inside], kind, str(value))
                if kind in KINDS_OF_DAYS
                else share("top1", correct[inside], kind, str(value))
            )
    return metrics


def _of_the_unknown(
    judged: AuditAnswers,
    metric: Callable[..., Metric],
    share: Callable[..., Metric],
    draws: int,
    rng: np.random.Generator,
) -> list[Metric]:
    known, familiar = judged.taught, judged.familiarity
    metrics = []
    if known.any():
        metrics.append(share("false_alarm", judged.flagged[known]))
    if not known.any() or known.all():
        return metrics
    right = judged.correct & ~judged.flagged

    def found_at_rate(rate: float) -> Callable[[np.ndarray], float]:
        return lambda pick: found_at(known[pick], familiar[pick], rate)

    found: dict[str, Callable[[np.ndarray], float]] = {
        "unknown_auroc": lambda pick: auroc(known[pick], familiar[pick]),
        "balanced_open": lambda pick: _balanced_open(known[pick], right[pick], judged.flagged[pick]),
        **{f"unknown_tpr_at_{rate * 100:g}": found_at_rate(rate) for rate in FALSE_ALARMS},
    }
    everything = np.arange(len(known))
    for name, statistic in found.items():
        metrics.append(metric(name, statistic(everything), _bootstrap(statistic, len(known), draws, rng), len(known)))
    return [*metrics, share("unknown_found", judged.flagged[~known])]


def are_maternal_kin(one: int, other: int, mother: dict[int, int]) -> bool:
    """Whether two individuals are mother and offspring, or have the same mother: such animals look alike."""
    of_one, of_other = mother.get(one), mother.get(other)
    return of_one == other or of_other == one or (of_one is not None and of_one == of_other)


def confusions(tracks: AuditTracks, judged: AuditAnswers) -> list[tuple[int, int, int, bool]]:
    """(true individual, predicted one, count, are they maternal kin) of each confusion, the commonest first."""
    truth = tracks.truth[judged.row]
    wrong = (truth != NEW) & ~judged.correct
    pairs = Counter(zip(truth[wrong].tolist(), judged.ranked[wrong, 0].tolist(), strict=True))
    return [
        (a, b, n, are_maternal_kin(a, b, tracks.mother))
        for (a, b), n in sorted(pairs.items(), key=lambda p: (-p[1], p[0]))
    ]


def reliability(probability: np.ndarray, correct: np.ndarray) -> list[tuple[float, float, float, float, int]]:
    """(mean probability, share correct, its Wilson interval low and high, rows) of each non-empty bin."""
    bins = _bins(probability)
    return [
        (
            float(probability[bins == b].mean()),
            float(correct[bins == b].mean()),
            *wilson(int(correct[bins == b].sum()), int((bins == b).sum())),
            int((bins == b).sum()),
        )
        for b in np.unique(bins)
    ]


def _bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile interval of a statistic of rows i64 [n]; draws without a value are skipped."""
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
    bins = _bins(probability)
    gap = np.bincount(bins, weights=probability.astype(np.float64) - correct, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(probability))


def _bins(probability: np.ndarray) -> np.ndarray:
    return np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def _balanced_open(known: np.ndarray, right: np.ndarray, flagged: np.ndarray) -> float:
    """Mean of the share of known animals named correctly and the share of unknown animals called unknown."""
    if known.all() or not known.any():
        return float("nan")
    return float((right[known].mean() + flagged[~known].mean()) / 2)


def found_at(known: np.ndarray, score: np.ndarray, false_alarm: float) -> float:
    """True-positive rate for unknown animals at this false-alarm rate on known animals; nan without both."""
    if known.all() or not known.any():
        return float("nan")
    return float((score[~known] < np.quantile(score[known], false_alarm, method="lower")).mean())


def auroc(known: np.ndarray, score: np.ndarray) -> float:
    """Chance that a known animal has a larger score than an unknown one (ties count half); nan without both."""
    n_known, n_unknown = int(known.sum()), int((~known).sum())
    if not n_known or not n_unknown:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # equal scores share the mean of their ranks
    return float((ranks[known].sum() - n_known * (n_known + 1) / 2) / (n_known * n_unknown))
