"""How far the archive is named, what is left until the goal, and whether the promise stands: what people see of it.

Belongs here: reading kept forecasts and promises. Does not belong here: measuring (`loop.minutes.forecasts`), sentences
(`console`, `web`), the rest of the first page (`labelling.progress`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.forecasts import PaceRange, pace_range, paces
from chimp_assets.acquisition.minutes.goal import Goal
from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.draws import answered_draws, verdict_of
from chimp_assets.database.labels.promises.looks import changes_since, newest_look

NEWEST_FORECASTS = 200
SAME_ARCHIVE = 0.02
"""Forecasts of an archive whose frames differ by more are not compared: new films are no slow answers."""


@dataclass(frozen=True)
class NamedFrames:
    """Shares of the frames by who named them; nobody: the rest, of which nameless were looked at in vain."""

    by_person: float
    by_page: float
    by_machine: float
    nameless: float

    @property
    def named(self) -> float:
        """Share of the frames that carry a name."""
        return min(1.0, self.by_person + self.by_page + self.by_machine)

    @property
    def nobody(self) -> float:
        """Share of the frames without a name."""
        return max(0.0, 1 - self.named)


@dataclass(frozen=True)
class MinutesToGo:
    """Minutes of the expert until the goal is within reach: from low to high; low is None where earlier forecasts are
    too few to tell how much answers teach, so that high is an upper limit."""

    low: float | None
    high: float


@dataclass(frozen=True)
class PromiseState:
    """The newest test of the promise. state: one of PROMISE_STATES; n_draws: answers
    that it is expected to need in all;
    error_bound: largest error that the sample leaves open."""

    state: str
    look_no: int
    n_draws: int
    n_answered: int
    n_wrong: int
    error_bound: float | None
    since: datetime
    end_reason: str | None


@dataclass(frozen=True)
class ArchiveGoal:
    """The goal, where the archive stands (as of labels up to watermark_seq), and what is left.

    alone, helped: the expert's minutes without and with volunteers; None: no number of answers reaches the goal.
    """

    goal: Goal
    frames: NamedFrames
    expected_error: float
    watermark_seq: int
    at: datetime
    spent_minutes: float
    alone: MinutesToGo | None
    helped: MinutesToGo | None
    volunteer_minutes: float | None
    promise: PromiseState | None

    @property
    def reached(self) -> bool:
        """Whether nothing is left but the promise's test."""
        return self.alone is not None and self.alone.high <= 0


@dataclass(frozen=True)
class ForecastMark:
    """A kept forecast, for a drawing: minutes answered, share of the frames named, minutes expected to be left."""

    spent_minutes: float
    named: float
    expected_error: float
    to_go_minutes: float | None


def archive_goal(conn: sa.Connection) -> ArchiveGoal | None:
    """From the newest kept forecast; None where nothing was forecast yet. Reads rows only, some hundred."""
    rows = _forecasts(conn)
    if not rows:
        return None
    now = rows[-1]
    frames = NamedFrames(now.by_person, now.by_page, now.by_machine, now.nameless)
    pace = _pace(rows)
    return ArchiveGoal(
        goal=Goal(now.goal_named, now.goal_error),
        frames=frames,
        expected_error=now.expected_error,
        watermark_seq=now.watermark_seq,
        at=now.created_at,
        spent_minutes=now.spent_s / 60,
        alone=_to_go(now.to_go_s, pace),
        helped=_to_go(now.with_volunteers_s, pace),
        volunteer_minutes=None if now.volunteers_s is None else now.volunteers_s / 60,
        promise=promise_state(conn),
    )


def forecast_marks(conn: sa.Connection) -> list[ForecastMark]:
    """The newest forecasts of today's goal, oldest first."""
    return [
        ForecastMark(
            row.spent_s / 60,
            NamedFrames(row.by_person, row.by_page, row.by_machine, row.nameless).named,
            row.expected_error,
            None if row.to_go_s is None else row.to_go_s / 60,
        )
        for row in _forecasts(conn)
    ]


def promise_state(conn: sa.Connection) -> PromiseState | None:
    """The newest test of the goal that nobody withdrew; None before the first."""
    p = t.promise.c
    goal = conn.execute(
        sa.select(p.promise_id, p.error).where(p.withdrawn_at.is_(None)).order_by(p.promise_id.desc()).limit(1)
    ).first()
    look = None if goal is None else newest_look(conn, goal.promise_id)
    if goal is None or look is None:
        return None
    state, since, why, more = look.state, look.ended_at or look.decided_at or look.frozen_at, look.end_reason, 0
    if state == "kept" and (changed := changes_since(conn, look)) is not None:
        state, why, since = "ended", changed[0], changed[1] or since
    elif state == "auditing":
        more = verdict_of(answered_draws(conn, look), look, goal.error).more
    return PromiseState(
        state, look.look_no, look.n_answered + more, look.n_answered, look.n_wrong, look.error_bound, since, why
    )


def _forecasts(conn: sa.Connection) -> list[sa.Row]:
    """The newest forecasts of the goal of the newest one, oldest first."""
    f = t.archive_forecast
    rows = conn.execute(sa.select(f).order_by(f.c.forecast_id.desc()).limit(NEWEST_FORECASTS)).all()
    if not rows:
        return []
    goal = (rows[0].goal_named, rows[0].goal_error)
    return [row for row in reversed(rows) if (row.goal_named, row.goal_error) == goal]


def _pace(rows: list[sa.Row]) -> PaceRange | None:
    now = rows[-1]
    alike = [row for row in rows if abs(row.n_frames - now.n_frames) <= SAME_ARCHIVE * now.n_frames]
    spent = np.array([row.spent_s for row in alike], np.float64)
    to_go = np.array([np.inf if row.to_go_s is None else row.to_go_s for row in alike], np.float64)
    return pace_range(paces(spent, to_go))


def _to_go(seconds: float | None, pace: PaceRange | None) -> MinutesToGo | None:
    if seconds is None:
        return None
    if pace is None:
        return MinutesToGo(None, seconds / 60)
    low, high = pace.of(seconds)
    return MinutesToGo(low / 60, high / 60)
