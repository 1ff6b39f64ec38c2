"""What the same number of answers achieves on tracks drawn at random: the baseline of the demo.

Belongs here: heads fitted on random tracks of the training pool, and every head judged on the same audit answers.
Does not belong here: anything that is stored: nothing here writes to the database or the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.demo.expert import SimulatedExpert

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.settings import HeadSettings, Settings


@dataclass(frozen=True)
class AuditScore:
    """Right answers on the audit tracks. low, high: 95 % Wilson interval."""

    right: int
    n: int

    @property
    def accuracy(self) -> float:
        """0 to 1; NaN without audit tracks."""
        return self.right / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 1927 at 95 %; (0, 1) without audit tracks."""
        if not self.n:
            return 0.0, 1.0
        z2, p = 1.96**2, self.accuracy
        middle = (p + z2 / (2 * self.n)) / (1 + z2 / self.n)
        half = 1.96 / (1 + z2 / self.n) * float(np.sqrt(p * (1 - p) / self.n + z2 / (4 * self.n**2)))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class RandomBaseline:
    """Audit accuracy of heads fitted on n_labels random answers: mean over draws, and the 95 % of draws around it."""

    n_labels: int
    mean: float
    low: float
    high: float
    draws: int
    n_audit: int


@dataclass(frozen=True)
class Benchmark:
    """The tracks that all heads are fitted on and judged by. Arrays of one prefix share their rows.

    pool: live tracks with embeddings that a training lane may ask: outside the audit reserve and the test days.
    audit: tracks of the reserve that the audit lane asked and a person named.
    """

    embedder_id: int
    pool_track: np.ndarray
    pool_emb: np.ndarray
    pool_day: np.ndarray
    audit_emb: np.ndarray
    audit_name: np.ndarray


def read_benchmark(db: Database, store: BlobStore, settings: Settings, embedder_id: int) -> Benchmark:
    """The pool and the audit of today's database. Embeddings f32 [n, d]; tracks i64 [n]; names str [n]."""
    from chimp_assets.vision.embedding.bundle import read_embeddings

    tracks, vectors = [np.empty(0, np.int64)], []
    for _, track_ids, embedding in read_embeddings(db, store, embedder_id):
        tracks.append(np.asarray(track_ids, np.int64))
        vectors.append(np.asarray(embedding, np.float32))
    track = np.concatenate(tracks)
    emb = np.concatenate(vectors) if vectors else np.empty((0, 1), np.float32)
    row_of = {int(track_id): row for row, track_id in enumerate(track)}

    answer = effective_answers().subquery("answer")
    with db.read() as conn:
        live = conn.execute(
            sa.select(t.track.c.track_id, t.split_assignment.c.split, t.split_assignment.c.day_key)
            .join(t.split_assignment, t.split_assignment.c.video_id == t.track.c.video_id)
            .where(t.track.c.state == "live")
            .order_by(t.track.c.track_id)
        ).all()
        audited = conn.execute(
            sa.select(answer.c.track_id, t.individual.c.anim_id)
            .join(t.individual, t.individual.c.individual_id == answer.c.individual_id)
            .where(answer.c.lane == "audit", answer.c.kind.in_(NAMING_KINDS))
            .order_by(answer.c.track_id)
        ).all()
    live = [row for row in live if row.track_id in row_of]
    ids = np.array([row.track_id for row in live], np.int64)
    reserve = audit_reserve_mask(ids, settings.seed, settings.acquisition.audit_reserve)
    in_pool = ~reserve & np.array([row.split != "test" for row in live], bool)
    days = {day: number for number, day in enumerate(sorted({row.day_key for row in live}))}
    audited = [row for row in audited if row.track_id in row_of]
    return Benchmark(
        embedder_id=embedder_id,
        pool_track=ids[in_pool],
        pool_emb=emb[[row_of[i] for i in ids[in_pool].tolist()]],
        pool_day=np.array([days[row.day_key] for row in live], np.int64)[in_pool],
        audit_emb=emb[[row_of[row.track_id] for row in audited]],
        audit_name=np.array([row.anim_id for row in audited], dtype=object),
    )


def judge(benchmark: Benchmark, weight: np.ndarray, bias: np.ndarray, names: Sequence[str]) -> AuditScore:
    """A head's first choices against the audit answers; a name that the head does not know counts as wrong.

    weight: f32 [C, d]; bias: f32 [C]; names: the anim_id of each class.
    """
    if not len(names) or not len(benchmark.audit_name):
        return AuditScore(0, len(benchmark.audit_name))
    chosen = np.array(list(names), dtype=object)[np.argmax(benchmark.audit_emb @ weight.T + bias, axis=1)]
    return AuditScore(int((chosen == benchmark.audit_name).sum()), len(benchmark.audit_name))


def random_labels_baseline(
    benchmark: Benchmark, expert: SimulatedExpert, settings: HeadSettings, n_labels: int, seeds: Sequence[int]
) -> RandomBaseline:
    """Heads fitted on n_labels tracks drawn at random from the pool and answered by the expert, one for each seed.

    A draw costs one question even if the track shows no animal or gets no name, as in the product. A pool smaller than
    n_labels is asked as a whole.
    """
    scores = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 601])
        rows = rng.permutation(len(benchmark.pool_track))[:n_labels]
        scores.append(_fit_and_judge(benchmark, expert, settings, np.sort(rows), seed).accuracy)
    low, high = np.quantile(scores, [0.025, 0.975])
    return RandomBaseline(
        n_labels, float(np.mean(scores)), float(low), float(high), len(scores), len(benchmark.audit_name)
    )


def _fit_and_judge(
    benchmark: Benchmark, expert: SimulatedExpert, settings: HeadSettings, rows: np.ndarray, seed: int
) -> AuditScore:
    from chimp_assets.vision.identity.fitting import fit_head

    answers = expert.answers(benchmark.pool_track[rows].tolist())
    answered = [answers[int(track_id)].anim_id for track_id in benchmark.pool_track[rows]]
    rows = rows[[name is not None for name in answered]]
    names = sorted({name for name in answered if name is not None})
    if len(names) < 2:
        return judge(
            benchmark, np.zeros((len(names), benchmark.audit_emb.shape[1]), np.float32), np.zeros(len(names)), names
        )
    y = np.array([names.index(name) for name in answered if name is not None], np.int64)
    head = fit_head(benchmark.pool_emb[rows], y, benchmark.pool_day[rows], settings, seed).head
    return judge(benchmark, head.W, head.b, [names[c] for c in head.classes])
