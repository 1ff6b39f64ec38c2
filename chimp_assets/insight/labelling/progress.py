"""Progress of the labelling: a person's day, waiting work, what the labels achieved, individuals with few labels.

Belongs here: the numbers of the first page. Does not belong here: the state of the whole home (`insight.status`),
drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.agreement import SelfAgreement, recent_self_agreement
from chimp_assets.database.labels.is_it.ballots import may_be_given
from chimp_assets.database.labels.kinds import ANSWER_KINDS, NAMING_KINDS, PAIR_ANSWER_KINDS
from chimp_assets.database.work.queue import in_lanes
from chimp_assets.database.work.seconds import is_answered_alone
from chimp_assets.insight.individuals.named_tracks import verified_tracks
from chimp_assets.insight.status import HeadStatus, LabelReturns, bought_of, head_history

ENOUGH = 10
"""Verified tracks that an individual should have."""
PACE_OF = 200
"""Newest timed answers of a person for the median."""


@dataclass(frozen=True)
class MedianTime:
    """Median seconds of a person's newest n timed answers; None without timed answers."""

    seconds: float | None
    n: int


@dataclass(frozen=True)
class WaitingWork:
    """Items of one kind that a person could do now, and the person's median time for them."""

    kind: str
    ready: int
    pace: MedianTime

    @property
    def seconds_left(self) -> float | None:
        """Items times the person's median; None without a median."""
        return None if self.pace.seconds is None else self.ready * self.pace.seconds


@dataclass(frozen=True)
class DaySummary:
    """A person's answers since a moment. named: tracks, without names taken back; answers: including those
    taken back.
    """

    since: datetime
    named: int
    answers: int
    pace: MedianTime
    agreement: SelfAgreement | None


@dataclass(frozen=True)
class UndersampledIndividual:
    """An individual with too few verified tracks: those with a standing name that a person gave."""

    anim_id: str
    name: str | None
    provisional: bool
    verified: int


@dataclass(frozen=True)
class AccuracyMark:
    """Accuracy on the audit tracks by number of labels, with 95 % limits. policy: real or random."""

    policy: str
    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningProgress:
    """What the labels achieved, for the champion head, measured with labels up to decision `watermark`."""

    head: HeadStatus | None
    bought: LabelReturns | None
    watermark: int | None
    curve: list[AccuracyMark]


def day_of(conn: sa.Connection, user_id: int, name: str, since: datetime) -> DaySummary:
    """A person's answers since a moment, and recent self-agreement."""
    a = t.annotation.c
    back = t.annotation.alias("taken_back")
    undone = sa.exists().where(back.c.kind == "retract", back.c.supersedes == a.annotation_id)
    mine = (a.annotator_id == user_id, a.server_time >= since, a.lane != "import")
    answers = conn.scalar(sa.select(sa.func.count()).select_from(t.annotation).where(*mine, a.kind.in_(ANSWER_KINDS)))
    named = conn.scalar(
        sa.select(sa.func.count(sa.distinct(a.track_id))).where(*mine, a.kind.in_(NAMING_KINDS), ~undone)
    )
    own = next((row for row in recent_self_agreement(conn) if row.annotator == name), None)
    return DaySummary(since, int(named or 0), int(answers or 0), pace_of(conn, user_id, ANSWER_KINDS, since), own)


def pace_of(conn: sa.Connection, user_id: int, kinds: tuple[str, ...], since: datetime | None = None) -> MedianTime:
    """Median time of a person's newest answers of these kinds."""
    a = t.annotation.c
    asked = sa.select(a.seconds).where(
        a.annotator_id == user_id, a.kind.in_(kinds), a.seconds.is_not(None), a.lane != "import", is_answered_alone(a)
    )
    if since is not None:
        asked = asked.where(a.server_time >= since)
    seconds = list(conn.scalars(asked.order_by(a.seq.desc()).limit(PACE_OF)))
    return MedianTime(float(median(seconds)) if seconds else None, len(seconds))


def work_for(conn: sa.Connection, user_id: int, may_name: bool, may_correct: bool) -> list[WaitingWork]:
    """Work for a person: items that are free or leased by this person."""
    found = []
    if may_name:
        found.append(WaitingWork("names", _ready(conn, user_id, in_lanes(None)), pace_of(conn, user_id, ANSWER_KINDS)))
    pairs = pace_of(conn, user_id, PAIR_ANSWER_KINDS[:2])
    found.append(WaitingWork("pairs", _ready(conn, user_id, in_lanes((t.PAIRS,))), pairs))
    if may_correct:
        found.append(WaitingWork("disputed", _ready(conn, user_id, in_lanes((t.DISPUTED,))), pairs))
    # Only where there is something to do: not every archive is asked such questions.
    pages = _pages_ready(conn, user_id) if may_name else 0
    if pages:
        found.append(WaitingWork("pages", pages, _pace_of_pages(conn, user_id)))
    questions = _ready(conn, user_id, sa.and_(in_lanes((t.IS_IT,)), may_be_given(user_id)))
    if questions:
        found.append(WaitingWork("is_it", questions, pace_of(conn, user_id, ("is_individual", "not_individual"))))
    return found


def _ready(conn: sa.Connection, user_id: int, lanes: sa.ColumnElement[bool]) -> int:
    q = t.acquisition_queue.c
    free = sa.or_(
        q.state == "pending",
        sa.and_(q.state == "leased", sa.or_(q.leased_until < datetime.now(UTC), q.leased_by == user_id)),
    )
    return int(conn.scalar(sa.select(sa.func.count()).select_from(t.acquisition_queue).where(free, lanes)) or 0)


def _pages_ready(conn: sa.Connection, user_id: int) -> int:
    page = t.grid_page.c
    mine = sa.or_(page.leased_until < datetime.now(UTC), page.leased_by == user_id)
    free = sa.or_(page.state == "pending", sa.and_(page.state == "leased", mine))
    return int(conn.scalar(sa.select(sa.func.count()).select_from(t.grid_page).where(free)) or 0)


def _pace_of_pages(conn: sa.Connection, user_id: int) -> MedianTime:
    page = t.grid_page.c
    seconds = list(
        conn.scalars(
            sa.select(page.seconds)
            .where(page.state == "answered", page.leased_by == user_id, page.seconds.is_not(None))
            .order_by(page.page_id.desc())
            .limit(PACE_OF)
        )
    )
    return MedianTime(float(median(seconds)) if seconds else None, len(seconds))


def undersampled(conn: sa.Connection, enough: int = ENOUGH) -> list[UndersampledIndividual]:
    """Individuals with fewer verified tracks than `enough`, fewest first; merged individuals count as one."""
    counts = verified_tracks(conn)
    i = t.individual.c
    people = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.provisional).where(i.same_as_id.is_(None)).order_by(i.anim_id)
    )
    few = [
        UndersampledIndividual(r.anim_id, r.name, bool(r.provisional), counts.get(r.individual_id, 0)) for r in people
    ]
    return sorted((row for row in few if row.verified < enough), key=lambda row: row.verified)


def learning_progress(conn: sa.Connection) -> LearningProgress:
    """What the labels achieved, from the newest measurement of the champion head."""
    head = next((head for head in head_history(conn) if head.state == "champion"), None)
    if head is None:
        return LearningProgress(None, None, None, [])
    c = sa.table(
        "v_learning_curve",
        *map(sa.column, ("model_id", "policy", "n_labels", "accuracy", "accuracy_low", "accuracy_high")),
        sa.column("watermark_seq"),
    ).c
    rows = conn.execute(
        sa.select(c.policy, c.n_labels, c.accuracy, c.accuracy_low, c.accuracy_high, c.watermark_seq)
        .where(c.model_id == head.model_id)
        .order_by(c.policy, c.n_labels)
    ).all()
    curve = [
        AccuracyMark(r.policy, int(r.n_labels), r.accuracy, r.accuracy_low, r.accuracy_high)
        for r in rows
        if None not in (r.accuracy, r.accuracy_low, r.accuracy_high)
    ]
    return LearningProgress(head, bought_of(conn), rows[0].watermark_seq if rows else None, curve)
