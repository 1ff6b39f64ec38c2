"""Users: when they were last seen, how fast they answer, how well they agree; and the audit log.

Belongs here: these facts, and reading the log. Does not belong here: changing anything (`database.people`), drawing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.agreement import SelfAgreement, self_agreement
from chimp_assets.database.labels.events import last_seq
from chimp_assets.database.labels.kinds import ANSWER_KINDS, EVIDENCE_KINDS, NAMING_KINDS, PAIR_ANSWER_KINDS, is_answer
from chimp_assets.database.work.seconds import is_answered_alone
from chimp_assets.statistics.shares import wilson

LOOKED_AT = 10_000
"""Newest events for pace."""
COMPARED = 3_000
"""Newest events for agreement, which needs every answer to their tracks."""
LOGGED = 50
HOURS_SHOWN = 48


@dataclass(frozen=True)
class Share:
    """hits of n, with the 95 % interval. days: (hits, n) of each camera-day, whose tracks depend on each other; none:
    the n were drawn one by one."""

    hits: int
    n: int
    days: tuple[tuple[int, int], ...] = ()

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval: by camera-days, or Wilson's."""
        if not self.days:
            return wilson(self.hits, self.n)
        import numpy as np  # the web server starts without it

        from chimp_assets.statistics.blocks import block_interval

        n = [m for _, m in self.days]
        right = np.concatenate([np.repeat([1.0, 0.0], [k, m - k]) for k, m in self.days])
        found = block_interval(right, np.repeat(np.arange(len(n)), n), np.random.default_rng(0))
        return found.low, found.high


@dataclass(frozen=True)
class UserSummary:
    """One user. last_seen: in the newest session; sessions: number of open ones; has_password: may sign in with a
    password; outside: comes from the identity provider."""

    user_id: int
    name: str
    role: str
    disabled: bool
    created_at: datetime
    last_seen: datetime | None
    sessions: int
    has_password: bool
    must_change: bool
    outside: bool


@dataclass(frozen=True)
class AnsweringPace:
    """Answers of one person among the newest events. hours: clock hours with an answer; per_hour: median over these;
    seconds: median time, None without timed answers."""

    name: str
    answers: int
    hours: int
    per_hour: float
    seconds: float | None


@dataclass(frozen=True)
class HourlyAnswers:
    """Answers of each person in one clock hour (UTC)."""

    at: datetime
    answers: Mapping[str, int]


@dataclass(frozen=True)
class AnsweringSummary:
    """Pace and agreement. looked_at, compared: number of events read for each; alike: agreement with others about the
    same tracks; gold: correct answers to checks; own: self-agreement in hidden repeats.
    """

    looked_at: int
    compared: int
    since: datetime | None
    paces: list[AnsweringPace]
    hours: list[HourlyAnswers]
    alike: dict[str, Share]
    gold: dict[str, Share]
    own: dict[str, SelfAgreement]


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the audit log. detail: names and values, as stored."""

    audit_event_id: int
    at: datetime
    by: str | None
    action: str
    subject: str
    detail: list[tuple[str, str]]


def members(conn: sa.Connection, now: datetime) -> list[UserSummary]:
    """All users by name, disabled users last."""
    u, s, o = t.app_user.c, t.user_session.c, t.oidc_identity.c
    seen: dict[int, datetime] = {}
    open_sessions: dict[int, int] = defaultdict(int)
    for row in conn.execute(
        sa.select(s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.idle_s, s.revoked_at).order_by(s.created_at)
    ):
        last = row.last_seen_at or row.created_at
        seen[row.user_id] = max(last, seen.get(row.user_id, last))
        alive = row.revoked_at is None and now < row.expires_at and now < last + timedelta(seconds=row.idle_s)
        open_sessions[row.user_id] += alive
    outside = set(conn.scalars(sa.select(o.user_id)))
    rows = conn.execute(
        sa.select(
            u.user_id, u.name, u.role, u.disabled, u.created_at, u.must_change,
            sa.case((u.password_hash.is_(None), 0), else_=1).label("has_password"),
        ).order_by(u.disabled, u.name)
    )  # fmt: skip
    return [
        UserSummary(
            row.user_id, row.name, row.role, bool(row.disabled), row.created_at, seen.get(row.user_id),
            open_sessions[row.user_id], bool(row.has_password), bool(row.must_change), row.user_id in outside,
        )
        for row in rows
    ]  # fmt: skip


def answering_summary(conn: sa.Connection) -> AnsweringSummary:
    """Pace and agreement of people in the newest events, without imported labels."""
    a, u = t.annotation.c, t.app_user.c
    high = last_seq(conn)
    low = max(0, high - LOOKED_AT)
    kinds = (*ANSWER_KINDS, *PAIR_ANSWER_KINDS, *EVIDENCE_KINDS)
    rows = conn.execute(
        sa.select(u.name, a.server_time, sa.case((is_answered_alone(a), a.seconds)).label("seconds"))
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.seq > low, a.kind.in_(kinds), a.lane != "import")
        .order_by(a.seq)
    ).all()
    by_hour: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    timed: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        hour = row.server_time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        by_hour[hour][row.name] += 1
        if row.seconds is not None:
            timed[row.name].append(row.seconds)
    paces = []
    for name in sorted({row.name for row in rows}):
        counted = [found[name] for found in by_hour.values() if name in found]
        seconds = timed.get(name)
        paces.append(
            AnsweringPace(
                name, sum(counted), len(counted), float(median(counted)), float(median(seconds)) if seconds else None
            )
        )
    hours = [HourlyAnswers(at, dict(by_hour[at])) for at in sorted(by_hour, reverse=True)[:HOURS_SHOWN]]
    near = max(0, high - COMPARED)
    own = {one.annotator: one for one in self_agreement(conn, near)}
    since = rows[0].server_time if rows else None
    return AnsweringSummary(high - low, high - near, since, paces, hours, _alike(conn, near), _gold(conn), own)


def _alike(conn: sa.Connection, low: int) -> dict[str, Share]:
    """Agreement with others, in the newest answers to tracks that somebody else answered too, by camera-day."""
    mine, theirs = t.annotation.alias("mine"), t.annotation.alias("theirs")
    one, other = t.individual.alias("one"), t.individual.alias("other")
    back = t.annotation.alias("taken_back")

    def stands(event: Any) -> sa.ColumnElement[bool]:
        return ~sa.exists().where(back.c.kind == "retract", back.c.supersedes == event.c.annotation_id)

    same_name = sa.and_(
        mine.c.kind.in_(NAMING_KINDS),
        theirs.c.kind.in_(NAMING_KINDS),
        sa.func.coalesce(one.c.same_as_id, mine.c.individual_id)
        == sa.func.coalesce(other.c.same_as_id, theirs.c.individual_id),
    )
    same = sa.or_(same_name, sa.and_(mine.c.kind.not_in(NAMING_KINDS), mine.c.kind == theirs.c.kind))
    rows = conn.execute(
        sa.select(
            mine.c.annotator_id, t.video.c.camera, t.video.c.recorded_on,
            sa.case((t.video.c.recorded_on.is_(None), t.video.c.video_id), else_=None).label("video_id"),
            sa.func.sum(sa.case((same, 1), else_=0)).label("hits"), sa.func.count().label("n"),
        )
        .join_from(mine, theirs, sa.and_(theirs.c.track_id == mine.c.track_id))
        .join(t.track, t.track.c.track_id == mine.c.track_id)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .outerjoin(one, one.c.individual_id == mine.c.individual_id)
        .outerjoin(other, other.c.individual_id == theirs.c.individual_id)
        .where(
            mine.c.seq > low, is_answer(mine), mine.c.other_track_id.is_(None),
            is_answer(theirs), theirs.c.other_track_id.is_(None),
            theirs.c.annotator_id != mine.c.annotator_id, stands(mine), stands(theirs),
        )
        .group_by(
            mine.c.annotator_id, t.video.c.camera, t.video.c.recorded_on,
            sa.case((t.video.c.recorded_on.is_(None), t.video.c.video_id), else_=None),
        )
    ).all()  # fmt: skip
    days: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        days[row.annotator_id].append((int(row.hits), int(row.n)))
    # Names are joined here: in the statement, SQLite would scan the events once for each user.
    names = {row.user_id: row.name for row in conn.execute(sa.select(t.app_user.c.user_id, t.app_user.c.name))}
    return {names[who]: Share(sum(k for k, _ in one), sum(n for _, n in one), tuple(one)) for who, one in days.items()}


def _gold(conn: sa.Connection) -> dict[str, Share]:
    c, u = t.quality_check.c, t.app_user.c
    rows = conn.execute(
        sa.select(u.name, sa.func.sum(sa.case((c.passed == sa.true(), 1), else_=0)).label("hits"), sa.func.count())
        .join_from(t.quality_check, t.app_user, u.user_id == c.user_id)
        .where(c.passed.is_not(None))
        .group_by(u.name)
        .order_by(u.name)
    )
    return {name: Share(int(hits), int(n)) for name, hits, n in rows}


def audit_log(
    conn: sa.Connection, before: int | None = None, action: str | None = None, limit: int = LOGGED
) -> list[AuditEntry]:
    """Entries of the audit log, newest first. before: only older ones; action: only this kind."""
    e, u = t.audit_event.c, t.app_user.c
    asked = sa.select(e.audit_event_id, e.at, u.name, e.action, e.subject, e.detail).outerjoin_from(
        t.audit_event, t.app_user, u.user_id == e.user_id
    )
    if before is not None:
        asked = asked.where(e.audit_event_id < before)
    if action:
        asked = asked.where(e.action == action)
    found = []
    for row in conn.execute(asked.order_by(e.audit_event_id.desc()).limit(limit)):
        try:
            detail = json.loads(row.detail or "{}")
        except ValueError:
            detail = {"": row.detail}
        pairs = [(str(k), str(v)) for k, v in detail.items() if v != ""] if isinstance(detail, dict) else []
        found.append(AuditEntry(row.audit_event_id, row.at, row.name, row.action, row.subject, pairs))
    return found


def actions(conn: sa.Connection) -> list[str]:
    """Kinds of entries in the audit log."""
    return list(conn.scalars(sa.select(t.audit_event.c.action).distinct().order_by(t.audit_event.c.action)))
