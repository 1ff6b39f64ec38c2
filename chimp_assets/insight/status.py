"""The state of a home in a few queries.

Belongs here: the numbers of `chimp status`. Does not belong here: printing (`cli`), work that is due (`database.work`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.footage.passed_over import (
    PassedOverFiles,
    StrandedLabels,
    labels_left_behind,
    passed_over_files,
)
from chimp_assets.database.footage.pictures import PictureCounts, picture_counts
from chimp_assets.database.footage.times import Times, times_of
from chimp_assets.database.labels.agreement import SelfAgreement, recent_self_agreement
from chimp_assets.database.upkeep.invariants import failed_videos
from chimp_assets.database.work.due import exhausted_bundles
from chimp_assets.database.work.pace import DecodingPace, pace_of
from chimp_assets.database.work.queue import in_lanes
from chimp_assets.insight.goal import ArchiveGoal, archive_goal
from chimp_assets.insight.volunteers import VolunteerWork, volunteer_work
from chimp_assets.loop.evidence import NamedMergeProposal, contradictions_in_words, merge_proposals
from chimp_assets.monitoring.alerts import OPEN, alerts
from chimp_assets.monitoring.words import sentence

FAILED_SHOWN = 20
"""Files named at a glance; `Failures` names all."""


@dataclass(frozen=True)
class HeadStatus:
    """One head: its verdict and its audit accuracy with the 95 % interval, where it was measured."""

    model_id: int
    version: int
    state: str
    reason: str | None
    n_labels: int
    audit_top1: float | None
    ci_low: float | None
    ci_high: float | None
    n_audit: int


@dataclass(frozen=True)
class LabelsToReview:
    """Labels that the champion head's cross-validation finds doubtful (confident learning), and how many it judged."""

    model_id: int
    n_likely_errors: int
    n_judged: int


@dataclass(frozen=True)
class LabelReturns:
    """What the labels achieved, from the champion head's newest measurement; None: not known yet.

    random_labels: labels that asking at random would have needed, with 95 % limits (None: never reached). next_hour:
    accuracy that one more hour of answers is expected to add, with limits. lanes: chance that the next answer of a lane
    is informative. says_stop: lanes that bring hardly anything new, possibly "all".
    """

    accuracy: float | None
    labels: int | None
    minutes: float | None
    random_labels: float | None
    random_low: float | None
    random_high: float | None
    next_hour: float | None
    next_hour_low: float | None
    next_hour_high: float | None
    lanes: dict[str, float]
    says_stop: list[str]


@dataclass(frozen=True)
class Status:
    """A home at a glance. videos: by state; the next three count those that failed, lost something, are copies.

    queue: items that ask for names, by state; pairs, disputed: items of these lanes. contradictions: answers that
    cannot all be true, in words; proposals: merges that a person should decide about. times: sources and certainty of
    recording times. passed_over: files of the archive that are not read; left_behind: replaced files whose labels
    stayed on the old version. given_up: bundles whose runs kept dying. failed: the first FAILED_SHOWN that failed or
    lost something. agreement: self-agreement of each person who was asked again; to_review: None for heads saved before
    this field existed. open_alerts: what changed, a sentence each. pictures: their files; a burst is one of videos.
    goal: how far the archive is named, and what is left; None: not forecast yet. volunteers: what came of "is this X?";
    None: nobody was asked.
    """

    videos: dict[str, int]
    n_failed: int
    n_lost_something: int
    n_duplicates: int
    given_up: list[str]
    pace: DecodingPace
    hours: float
    frames: int
    shard_bytes: int
    tracks: dict[str, int]
    individuals: int
    labels: dict[str, int]
    queue: dict[str, int]
    heads: list[HeadStatus]
    failed: list[tuple[str, str]]
    failed_runs: list[tuple[datetime, str, str]] = field(default_factory=list)
    bought: LabelReturns | None = None
    agreement: list[SelfAgreement] = field(default_factory=list)
    to_review: LabelsToReview | None = None
    pairs: dict[str, int] = field(default_factory=dict)
    disputed: dict[str, int] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    proposals: list[NamedMergeProposal] = field(default_factory=list)
    times: Times | None = None
    passed_over: PassedOverFiles = field(default_factory=PassedOverFiles)
    left_behind: list[StrandedLabels] = field(default_factory=list)
    open_alerts: list[str] = field(default_factory=list)
    pictures: PictureCounts = field(default_factory=PictureCounts)
    goal: ArchiveGoal | None = None
    volunteers: VolunteerWork | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line."""
        return asdict(self) | {"passed_over": self.passed_over.as_dict()}


def _counts(conn: sa.Connection, column: sa.Column[Any], *only: sa.ColumnElement[bool]) -> dict[str, int]:
    counted = sa.select(column, sa.func.count()).where(*only).group_by(column).order_by(column)
    return {key: n for key, n in conn.execute(counted)}


def head_history(conn: sa.Connection) -> list[HeadStatus]:
    """Every head in order, with its newest audit accuracy."""
    metric = t.evaluation_metric
    newest = (
        sa.select(metric.c.model_id, sa.func.max(metric.c.metric_id).label("metric_id"))
        .where(metric.c.dataset == "audit", metric.c.slice_kind == "all", metric.c.name == "top1")
        .group_by(metric.c.model_id)
        .subquery()
    )
    rows = conn.execute(
        sa.select(
            t.model.c.model_id,
            t.model.c.version,
            t.model.c.state,
            t.model.c.reason,
            t.training_set.c.n_tracks,
            metric.c.value,
            metric.c.ci_low,
            metric.c.ci_high,
            metric.c.n,
        )
        .outerjoin(t.training_set, t.training_set.c.training_set_id == t.model.c.training_set_id)
        .outerjoin(newest, newest.c.model_id == t.model.c.model_id)
        .outerjoin(metric, metric.c.metric_id == newest.c.metric_id)
        .where(t.model.c.task == "head")
        .order_by(t.model.c.version)
    )
    return [
        HeadStatus(r.model_id, r.version, r.state, r.reason, r.n_tracks or 0, r.value, r.ci_low, r.ci_high, r.n or 0)
        for r in rows
    ]


@dataclass(frozen=True)
class Failures:
    """What a person should look at. failed, lost_something: (uri, reason and remedy); duplicates: (uri, same bytes as).

    given_up: keys of bundles whose runs kept dying.
    """

    failed: list[tuple[str, str]]
    lost_something: list[tuple[str, str]]
    duplicates: list[tuple[str, str]]
    given_up: list[str]
    passed_over: PassedOverFiles = field(default_factory=PassedOverFiles)
    left_behind: list[StrandedLabels] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the machine-readable line. Files beside the videos appear only if there are any."""
        beside: dict[str, Any] = {}
        if self.passed_over.counts:
            beside["passed_over"] = self.passed_over.as_dict()
        if self.left_behind:
            beside["left_behind"] = [asdict(one) for one in self.left_behind]
        return {
            **beside,
            "failed": [{"uri": uri, "error": error} for uri, error in self.failed],
            "lost_something": [{"uri": uri, "error": error} for uri, error in self.lost_something],
            "duplicates": [{"uri": uri, "same_bytes_as": other} for uri, other in self.duplicates],
            "given_up": self.given_up,
        }


def failures_of(conn: sa.Connection) -> Failures:
    """Everything that `chimp status --failed` shows, in order of the uris."""
    video, original = t.video.c, t.video.alias("original")
    rows = conn.execute(
        sa.select(video.uri, video.state, video.error)
        .where(video.state != "retired", sa.or_(video.state == "failed", video.error.is_not(None)))
        .order_by(video.uri)
    ).all()
    copies = conn.execute(
        sa.select(video.uri, original.c.uri.label("same_as"))
        .join_from(t.video, original, original.c.video_id == video.duplicate_of_video_id)
        .where(video.uri != original.c.uri)  # a file with new bytes but the same pictures refers to itself
        .order_by(video.uri)
    )
    return Failures(
        failed=[(r.uri, r.error or "") for r in rows if r.state == "failed"],
        lost_something=[(r.uri, r.error) for r in rows if r.state != "failed"],
        duplicates=[(r.uri, r.same_as) for r in copies],
        given_up=exhausted_bundles(conn),
        passed_over=passed_over_files(conn),
        left_behind=labels_left_behind(conn),
    )


def bought_of(conn: sa.Connection) -> LabelReturns | None:
    """From `v_label_savings` and `v_stopping_advice`; None if nothing was measured."""
    advice = conn.execute(
        sa.text(
            "SELECT lane, p_useful, says_stop, next_hour, next_hour_low, next_hour_high FROM v_stopping_advice"
            " ORDER BY lane"
        )
    ).all()
    if not advice:
        return None
    whole = next((row for row in advice if row.lane == "all"), None)
    saved = conn.execute(
        sa.text(
            "SELECT s.accuracy, s.n_labels, s.expert_minutes, s.random_labels, s.random_labels_low,"
            " s.random_labels_high FROM v_label_savings AS s INNER JOIN model AS m ON m.model_id = s.model_id"
            " WHERE m.state = 'champion'"
        )
    ).first()
    return LabelReturns(
        accuracy=saved.accuracy if saved else None,
        labels=int(saved.n_labels) if saved else None,
        minutes=saved.expert_minutes if saved else None,
        random_labels=saved.random_labels if saved else None,
        random_low=saved.random_labels_low if saved else None,
        random_high=saved.random_labels_high if saved else None,
        next_hour=whole.next_hour if whole else None,
        next_hour_low=whole.next_hour_low if whole else None,
        next_hour_high=whole.next_hour_high if whole else None,
        lanes={row.lane: row.p_useful for row in advice if row.lane != "all" and row.p_useful is not None},
        says_stop=[row.lane for row in advice if row.says_stop],
    )


def status_of(conn: sa.Connection, workers: int = 1) -> Status:
    """Everything that `chimp status` shows. workers: decoding processes, for the speed."""
    usable = t.video.c.state.in_(("decoded", "tracked"))
    seconds, frames = conn.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(t.video.c.duration_s), 0.0),
            sa.func.coalesce(sa.func.sum(t.video.c.n_frames), 0),
        ).where(usable)
    ).one()
    count = sa.select(sa.func.count()).select_from(t.video)
    videos = _counts(conn, t.video.c.state, t.video.c.burst_video_id.is_(None))
    return Status(
        videos=videos,
        n_failed=videos.get("failed", 0),
        n_lost_something=conn.scalar(count.where(usable, t.video.c.error.is_not(None))) or 0,
        n_duplicates=_duplicates(conn),
        given_up=exhausted_bundles(conn),
        pace=pace_of(conn, workers),
        hours=float(seconds) / 3600,
        frames=int(frames),
        shard_bytes=int(conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(t.frame_shard.c.bytes), 0))) or 0),
        tracks=_counts(conn, t.track.c.state),
        individuals=conn.scalar(sa.select(sa.func.count()).select_from(t.individual)) or 0,
        labels=_counts(conn, t.annotation.c.lane),
        queue=_counts(conn, t.acquisition_queue.c.state, in_lanes(None)),
        pairs=_counts(conn, t.acquisition_queue.c.state, in_lanes((t.PAIRS,))),
        disputed=_counts(conn, t.acquisition_queue.c.state, in_lanes((t.DISPUTED,))),
        contradictions=contradictions_in_words(conn),
        proposals=merge_proposals(conn),
        times=times_of(conn),
        heads=head_history(conn),
        bought=bought_of(conn),
        failed=failed_videos(conn, limit=FAILED_SHOWN),
        failed_runs=[
            (row.at, row.subject, row.detail or "")
            for row in conn.execute(
                sa.select(t.audit_event.c.at, t.audit_event.c.subject, t.audit_event.c.detail)
                .where(t.audit_event.c.action == "run_failed")
                .order_by(t.audit_event.c.audit_event_id.desc())
                .limit(5)
            )
        ],
        agreement=recent_self_agreement(conn),
        to_review=labels_to_review(conn),
        passed_over=passed_over_files(conn, FAILED_SHOWN),
        left_behind=labels_left_behind(conn),
        open_alerts=[sentence(one) for one in alerts(conn, (OPEN,))],
        pictures=picture_counts(conn),
        goal=archive_goal(conn),
        volunteers=volunteer_work(conn),
    )


def _duplicates(conn: sa.Connection) -> int:
    original = t.video.alias("original")
    pairs = (
        sa.select(sa.func.count())
        .select_from(t.video)
        .join(original, original.c.video_id == t.video.c.duplicate_of_video_id)
        .where(t.video.c.uri != original.c.uri)
    )
    return conn.scalar(pairs) or 0


def labels_to_review(conn: sa.Connection) -> LabelsToReview | None:
    """Doubtful labels found when the champion head was fitted; None without a champion or this measurement."""
    row = conn.execute(
        sa.select(t.model.c.model_id, t.model.c.config).where(t.model.c.task == "head", t.model.c.state == "champion")
    ).one_or_none()
    seen = {} if row is None else json.loads(row.config).get("out_of_fold", {})
    if row is None or "likely_errors" not in seen:
        return None
    return LabelsToReview(row.model_id, int(seen["likely_errors"]), int(seen["n"]))
