"""How good a head is: its answers compared with the audit's, which train nothing.

The audit lane asks a simple random sample of all live tracks, so a share of audit tracks estimates the same share of
the archive without bias. Counted are tracks that the audit lane asked and that a person named (`identify`,
`new_individual`); a later correction replaces such an answer.

Belongs here: the audit set, the metrics with their intervals, their rows. Does not belong here: the verdict (`gate`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.individuals.merges import as_merged, merged_ids
from chimp_assets.database.labels.events import effective_answers, last_seq
from chimp_assets.intervals import CONFIDENCE, wilson
from chimp_assets.vision.datasets.training_set import audited, read_members
from chimp_assets.vision.embedding.bundle import are_tracks_grey
from chimp_assets.vision.identity.head import load_head
from chimp_assets.vision.identity.predict import named_in_company
from chimp_assets.vision.models.checkpoint import ModelError, ModelRow, candidates, champion, model_of

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings

DATASET = "audit"
RARE_TRACKS = 5  # an individual with fewer training tracks is rare
AGE_SCHEME = "gombe"
LENGTHS = (2.0, 10.0)  # seconds: bounds between short, medium and long tracks
DAYLIGHT, TWILIGHT = (7, 18), (5, 20)  # hours on the camera's clock; by night cameras switch to infrared
NEW = -1  # the truth of a track whose animal a person called unknown
ECE_BINS = 10
FALSE_ALARMS = (0.01, 0.05)  # false-alarm rates on known animals at which the true-positive rate is reported
TOP = 5


@dataclass(frozen=True)
class AuditTracks:
    """Audit tracks as of a watermark, ascending. truth: i64 [n], individual_id or NEW where a person said unknown.

    slices: by kind, str [n], "" where not known: individual (anim_id), sex and age_class of the individual on that day,
    camera, light and split of the video, length of the track. mother: individual_id to that of its mother.
    """

    watermark_seq: int
    track_id: np.ndarray
    truth: np.ndarray
    slices: dict[str, np.ndarray]
    mother: dict[int, int]


@dataclass(frozen=True)
class AuditAnswers:
    """A head's answers to the audit tracks that have an embedding.

    row: i64 [k], rows of AuditTracks; ranked: i64 [k, min(5, C)], classes, best first; probability: f32 [k], of the
    first; familiarity: f32 [k]; correct: bool [k], the first is the truth (never for an individual it was not taught);
    taught: bool [k], the truth is one of its classes; training_tracks: i64 [k], how many training tracks the truth had;
    flagged: bool [k], the head calls the animal unknown; commonest: individual_id with the most training tracks;
    without_embedding: audit tracks skipped: no embedding;
    trained_on: audit tracks skipped: this head was trained on them (none, unless settings changed); infrared: bool
    [k], the pictures have no colour; None: unknown.
    """

    row: np.ndarray
    ranked: np.ndarray
    probability: np.ndarray
    familiarity: np.ndarray
    correct: np.ndarray
    taught: np.ndarray
    training_tracks: np.ndarray
    flagged: np.ndarray
    commonest: int
    without_embedding: int
    trained_on: int
    infrared: np.ndarray | None = None


TracksAndAnswers = tuple[AuditTracks, AuditAnswers]


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
    """Keys of the champion head and of the candidates, oldest first."""
    now = champion(conn, "head")
    return sorted({*candidates(conn, "head"), *([now.model_id] if now else [])})


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
    are named correctly and not called unknown). Intervals are 95 %: Wilson for shares, bootstrap for the others.
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


def audit_tracks(conn: sa.Connection, timezone: str = "UTC") -> AuditTracks:
    """The live audit tracks as of the newest label, named by a person or called unknown. timezone: of the cameras."""
    watermark = last_seq(conn)
    answer = effective_answers(watermark).subquery("answer")
    track, video, individual, split = schema.track, schema.video, schema.individual, schema.split_assignment
    who = individual.c
    rows = conn.execute(
        sa.select(
            answer.c.track_id, answer.c.kind, answer.c.individual_id, who.anim_id, who.sex, who.birth_date, who.bd_min,
            who.bd_max, video.c.camera, video.c.recorded_at, video.c.recorded_on, split.c.split, track.c.first_s,
            track.c.last_s,
        )
        .join_from(answer, track, track.c.track_id == answer.c.track_id)
        .join(video, video.c.video_id == track.c.video_id)
        .outerjoin(individual, individual.c.individual_id == answer.c.individual_id)
        .outerjoin(split, split.c.video_id == track.c.video_id)
        .where(answer.c.kind.in_(("identify", "new_individual", "unknown")), track.c.state == "live")
        .where(audited(track.c.track_id, watermark))
        .order_by(answer.c.track_id)
    ).all()  # fmt: skip
    ages = [
        (r.sex, r.name, float(r.min_age_y), float("inf") if r.max_age_y is None else float(r.max_age_y))
        for r in conn.execute(sa.select(schema.age_class).where(schema.age_class.c.scheme == AGE_SCHEME))
    ]
    same = merged_ids(conn)
    mother = {
        same.get(r.individual_id, r.individual_id): same.get(r.mom_id, r.mom_id)
        for r in conn.execute(sa.select(who.individual_id, who.mom_id).where(who.mom_id.is_not(None)))
    }
    zone = ZoneInfo(timezone)
    named = [r.kind != "unknown" for r in rows]

    def texts(values: list[str | None]) -> np.ndarray:
        return np.array([value or "" for value in values], dtype=object)

    return AuditTracks(
        watermark_seq=watermark,
        track_id=np.array([r.track_id for r in rows], dtype=np.int64),
        truth=np.array([r.individual_id if yes else NEW for r, yes in zip(rows, named, strict=True)], dtype=np.int64),
        slices={
            "individual": texts([r.anim_id if yes else "" for r, yes in zip(rows, named, strict=True)]),
            "sex": texts([r.sex if yes else "" for r, yes in zip(rows, named, strict=True)]),
            "age_class": texts([_age_class(r, ages) if yes else "" for r, yes in zip(rows, named, strict=True)]),
            "camera": texts([r.camera for r in rows]),
            "light": texts([_light(r.recorded_at, r.first_s, zone) for r in rows]),
            "length": texts([_length(r.last_s - r.first_s) for r in rows]),
            "split": texts([r.split for r in rows]),
        },
        mother=mother,
    )


def _age_class(row: Any, ages: list[tuple[str, str, float, float]]) -> str:
    """Age class of an individual on the day of the video; "" if birth or day are not known."""
    born = row.birth_date
    if born is None and row.bd_min is not None and row.bd_max is not None:
        born = row.bd_min + (row.bd_max - row.bd_min) / 2
    if born is None or row.recorded_on is None:
        return ""
    age = (row.recorded_on - born).days / 365.25
    return next((name for sex, name, low, high in ages if sex == row.sex and low <= age < high), "")


def _light(recorded_at: datetime | None, first_s: float, zone: ZoneInfo) -> str:
    """day, twilight or night by the hour on the camera's clock; "" if the time is not known."""
    if recorded_at is None:
        return ""
    hour = (recorded_at + timedelta(seconds=first_s)).astimezone(zone).hour
    if DAYLIGHT[0] <= hour < DAYLIGHT[1]:
        return "day"
    return "twilight" if TWILIGHT[0] <= hour < TWILIGHT[1] else "night"


def _length(seconds: float) -> str:
    short, long = LENGTHS
    if seconds < short:
        return f"under {short:g} s"
    return f"{short:g} to {long:g} s" if seconds < long else f"{long:g} s or more"


class AuditJudge:
    """Heads' answers to the audit as of one moment, that of the first question; each head is judged once.

    So the evaluation and the gate use the same answers to the same tracks. Short-lived: newer answers need another
    judge. settings: for the cameras' time zone.
    """

    def __init__(self, db: Database, store: BlobStore, settings: Settings | None = None) -> None:
        self._db, self._store = db, store
        self._timezone = settings.archive.timezone if settings else "UTC"
        self._judged: dict[int, AuditAnswers] = {}

    def answers(self, model_id: int) -> TracksAndAnswers:
        """The answers as people see them: each track is named jointly with the others of its video.

        Raises ModelError if the model is not a head.
        """
        if model_id not in self._judged:
            with self._db.read() as conn:
                model = model_of(conn, model_id)
            if model.task != "head" or model.parent_id is None:
                raise ModelError(
                    f"Model {model_id} is not a head.", "Choose a head; `chimp models list --task head` shows them."
                )
            tracks, same = self._asked
            self._judged[model_id] = _judge(self._db, self._store, model, model.parent_id, tracks, same)
        return self._asked[0], self._judged[model_id]

    @cached_property
    def _asked(self) -> tuple[AuditTracks, dict[int, int]]:
        """The audit tracks, and the merged individuals."""
        with self._db.read() as conn:
            return audit_tracks(conn, self._timezone), merged_ids(conn)


def judge_audit(db: Database, store: BlobStore, model_id: int, settings: Settings | None = None) -> TracksAndAnswers:
    """`AuditJudge.answers` of one head now."""
    return AuditJudge(db, store, settings).answers(model_id)


def _judge(
    db: Database, store: BlobStore, model: ModelRow, embedder_id: int, tracks: AuditTracks, same: dict[int, int]
) -> AuditAnswers:
    head = load_head(store, model)
    # A head that learned two names of what is now one individual is right with either.
    head_classes = as_merged(head.classes, same)
    known_members = (
        np.zeros(0, dtype=np.int64)
        if model.training_set_id is None
        else read_members(db, store, model.training_set_id).track_id
    )
    found, named = named_in_company(db, store, head, embedder_id, tracks.track_id)
    fair = ~np.isin(tracks.track_id[found], known_members)
    row, probabilities, flagged = found[fair], named.probability[fair], named.is_unknown[fair]
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    classes, of_class = np.unique(head_classes, return_inverse=True)
    count = np.bincount(of_class, weights=head.class_count).astype(np.int64)
    truth = tracks.truth[row]
    place = np.minimum(np.searchsorted(classes, truth), len(classes) - 1)
    taught = classes[place] == truth
    return AuditAnswers(
        row=row,
        ranked=head_classes[order],
        probability=probabilities[np.arange(len(row)), order[:, 0]],
        familiarity=named.familiarity[fair],
        correct=head_classes[order[:, 0]] == truth,
        taught=taught,
        training_tracks=np.where(taught, count[place], 0),
        flagged=flagged,
        commonest=int(classes[count.argmax()]),
        without_embedding=len(tracks.track_id) - len(found),
        trained_on=int((~fair).sum()),
        infrared=are_tracks_grey(db, store, embedder_id, tracks.track_id[row]),
    )


def metrics_of(model_id: int, tracks: AuditTracks, judged: AuditAnswers, settings: Settings) -> list[Metric]:
    """All metrics of a head's answers, without writing them."""
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
        metrics += [share("top1", correct[values == value], kind, str(value)) for value in sorted(set(values) - {""})]
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


def slices_of(tracks: AuditTracks, judged: AuditAnswers) -> dict[str, np.ndarray]:
    """The slice of each judged track, by kind of slice. Values: str [k]; "" is no slice."""
    n = judged.training_tracks
    some = np.select(
        [n == 0, n == 1, n < RARE_TRACKS, n < 20],
        ["0", "1", f"2 to {RARE_TRACKS - 1}", f"{RARE_TRACKS} to 19"],
        "20 or more",
    )
    slices = {kind: values[judged.row] for kind, values in tracks.slices.items()}
    if judged.infrared is not None and "light" in slices:
        slices["light"] = np.where(judged.infrared, "infrared", slices["light"])
    return {
        **slices,
        "training_tracks": np.where(n < RARE_TRACKS, f"under {RARE_TRACKS}", f"{RARE_TRACKS} or more").astype(object),
        "labels": some.astype(object),
    }


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
