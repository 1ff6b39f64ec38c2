"""Alerts with what became of them: what was asked because of each, which heads have learned since, whom it was told.

Belongs here: these facts, and the course of a signal over days. Does not belong here: the sentences and the decisions
(`monitoring`), drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import in_parts
from chimp_assets.database.footage.cameras import place_of_video
from chimp_assets.monitoring.alerts import Alert
from chimp_assets.monitoring.messages.telling import AlertMessage, messages_of
from chimp_assets.monitoring.words import sentence

AROUND = timedelta(days=90)
"""Days of a signal that are shown before a change and after it was noticed."""


@dataclass(frozen=True)
class AlertEffect:
    """What an alert led to. asked: items of the lane `drift` of its slice since it opened, those that were withdrawn
    before anybody saw them left out; answered: of these; heads: trained since; champion: the newest of them that was
    promoted, by its version."""

    asked: int = 0
    answered: int = 0
    heads: int = 0
    champion: int | None = None


@dataclass(frozen=True)
class AlertStory:
    """An alert, its effect, and who decided about it; by: None where it closed by itself."""

    alert: Alert
    effect: AlertEffect
    by: str | None = None
    messages: list[AlertMessage] = field(default_factory=list)

    def as_dict(self, lang: str = "en") -> dict[str, Any]:
        """For the machine-readable line."""
        return {
            **asdict(self.alert),
            "sentence": sentence(self.alert, lang),
            "effect": asdict(self.effect),
            "decided_by": self.by,
            "messages": [{**asdict(one), "state": one.state, "next_at": one.next_at} for one in self.messages],
        }


@dataclass(frozen=True)
class SignalDay:
    """A signal on one day. value: its mean, or the detector's evidence where the signal has none (vectors)."""

    day: date
    value: float
    spread: float
    n: int


@dataclass(frozen=True)
class SignalCourse:
    """A signal over days. is_evidence: the values are the detector's evidence."""

    days: list[SignalDay]
    is_evidence: bool


def stories(conn: sa.Connection, found: Sequence[Alert]) -> list[AlertStory]:
    """These alerts with what became of them, in the same order, without their messages."""
    effects = _effects(conn, found)
    names = _names(conn, {one.decided_by for one in found if one.decided_by is not None})
    return [
        AlertStory(one, effect, None if one.decided_by is None else names.get(one.decided_by))
        for one, effect in zip(found, effects, strict=True)
    ]


def story(conn: sa.Connection, one: Alert) -> AlertStory:
    """One alert with everything."""
    told = messages_of(conn, one.alert_id)
    (brief,) = stories(conn, [one])
    return AlertStory(one, brief.effect, brief.by, told)


def places_of(conn: sa.Connection, one: Alert) -> list[tuple[str, str]]:
    """(site, camera) of the videos of an alert; empty where it is about all cameras."""
    v = t.video.c
    if not one.camera:
        return []
    rows = conn.execute(sa.select(v.site, v.camera).where(place_of_video() == one.camera).distinct().order_by(v.site))
    return [(row.site or "", row.camera) for row in rows]


def course_of(conn: sa.Connection, one: Alert) -> SignalCourse:
    """The signal of an alert from AROUND before it began to AROUND after it was noticed; no days for facts."""
    b = t.drift_block.c
    which = [
        b.signal == one.signal,
        b.model_id == (one.model_id or 0),
        b.day >= one.since - AROUND,
        b.day <= max(one.noticed, one.until or one.noticed) + AROUND,
    ]
    if one.camera:
        which.append(b.camera == one.camera)
    weight = sa.func.sum(b.n)
    rows = conn.execute(
        sa.select(
            b.day,
            (sa.func.sum(b.value * b.n) / sa.func.nullif(weight, 0)).label("value"),
            (sa.func.sum(b.spread * b.n) / sa.func.nullif(weight, 0)).label("spread"),
            sa.func.max(b.evidence).label("evidence"),
            weight.label("n"),
        )
        .where(*which)
        .group_by(b.day)
        .order_by(b.day)
    ).all()
    plain = [SignalDay(r.day, float(r.value), float(r.spread or 0), int(r.n)) for r in rows if r.value is not None]
    if plain:
        return SignalCourse(plain, False)
    return SignalCourse(
        [SignalDay(r.day, float(r.evidence), 0.0, int(r.n)) for r in rows if r.evidence is not None], True
    )


def _names(conn: sa.Connection, user_ids: set[int]) -> dict[int, str]:
    u = t.app_user.c
    parts = in_parts(sorted(user_ids))
    return {
        row.user_id: row.name
        for part in parts
        for row in conn.execute(sa.select(u.user_id, u.name).where(u.user_id.in_(part)))
    }


def _effects(conn: sa.Connection, found: Sequence[Alert]) -> list[AlertEffect]:
    if not found:
        return []
    q, v, r, m = t.acquisition_queue.c, t.video.c, t.acquisition_round.c, t.model.c
    first = min(one.opened_at for one in found)
    items = conn.execute(
        sa.select(place_of_video().label("camera"), v.recorded_on, r.created_at, q.state, sa.func.count().label("n"))
        .join_from(t.acquisition_queue, t.acquisition_round, r.round_id == q.round_id)
        .join(t.track, t.track.c.track_id == q.track_id)
        .join(t.video, v.video_id == t.track.c.video_id)
        .where(q.lane == "drift", q.state != "withdrawn", r.created_at >= first)
        .group_by(v.site, v.camera, v.recorded_on, r.created_at, q.state)
    ).all()
    heads = conn.execute(
        sa.select(m.version, m.state, m.created_at).where(m.task == "head", m.created_at >= first).order_by(m.version)
    ).all()
    return [_effect(one, items, heads) for one in found]


def _effect(one: Alert, items: Sequence[Any], heads: Sequence[Any]) -> AlertEffect:
    until = one.decided_at or datetime.now(UTC)
    ours = [
        row
        for row in items
        if row.created_at >= one.opened_at
        and (not one.camera or row.camera == one.camera)
        and row.recorded_on is not None
        and one.since <= row.recorded_on
        and (one.until is None or row.recorded_on < one.until)
    ]
    made = [row for row in heads if one.opened_at <= row.created_at <= until]
    promoted = [row.version for row in made if row.state in ("champion", "retired")]
    return AlertEffect(
        asked=sum(row.n for row in ours),
        answered=sum(row.n for row in ours if row.state == "answered"),
        heads=len(made),
        champion=promoted[-1] if promoted else None,
    )
