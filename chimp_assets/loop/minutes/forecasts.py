"""Where the archive stands on its way to the goal, and what is left: measured once, kept as a row, read by pages.

Belongs here: the forecast of now, its row. Does not belong here: its arithmetic (`acquisition.minutes`), the names of
the archive (`names`), what pages and commands make of the rows (`insight.goal`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chimp_assets.acquisition.minutes.goal import (
    BY_A_PERSON,
    NAMELESS,
    ON_A_PAGE,
    Goal,
    Reach,
    ToGo,
    reach,
    to_go,
)
from chimp_assets.arrays import F64Array, I8Array
from chimp_assets.database import schema as t
from chimp_assets.database.labels.promises.goals import current_goal
from chimp_assets.loop.minutes.names import TrackNaming, read_archive_names

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database
    from chimp_assets.settings import Settings


@dataclass(frozen=True)
class ArchiveForecast:
    """One row of `archive_forecast`. by_person, by_page, nameless: shares of the frames; threshold: the head's
    probability from which its names count, None where none does; spent_s: seconds of answers so far; alone, helped:
    what is left without and with volunteers."""

    watermark_seq: int
    head_model_id: int
    goal: Goal
    n_tracks: int
    n_frames: int
    by_person: float
    by_page: float
    nameless: float
    reach: Reach
    threshold: float | None
    spent_s: float
    alone: ToGo
    helped: ToGo


def keep_forecast(db: Database, settings: Settings, naming: TrackNaming | None = None) -> ArchiveForecast | None:
    """Measures where the archive stands and keeps it; replaces the row of the same labels, head and goal.

    naming: what the caller has read already. None where there is no champion head.
    """
    with db.read() as conn:
        naming = naming or read_archive_names(conn, settings)
        if naming is None:
            return None
        wanted = current_goal(conn, settings)
        goal = Goal(wanted.named, wanted.error)
        spent = spent_seconds(conn, naming.watermark_seq)
    found = forecast_of(naming, goal, spent)
    _write(db, found)
    return found


def forecast_of(naming: TrackNaming, goal: Goal, spent_s: float) -> ArchiveForecast:
    """The forecast of these names, if answers taught nothing from here on."""
    names = naming.names
    stands = reach(names, goal)
    threshold = naming.threshold_probability(stands)
    return ArchiveForecast(
        watermark_seq=naming.watermark_seq,
        head_model_id=naming.head_model_id,
        goal=goal,
        n_tracks=len(naming.track_id),
        n_frames=round(float(names.frames.sum())),
        by_person=_share(names.frames, names.asked, BY_A_PERSON),
        by_page=_share(names.frames, names.asked, ON_A_PAGE),
        nameless=_share(names.frames, names.asked, NAMELESS),
        reach=stands,
        threshold=threshold if threshold <= 1 else None,
        spent_s=spent_s,
        alone=to_go(names, goal, naming.prices),
        helped=to_go(names, goal, naming.prices, volunteers=True),
    )


def spent_seconds(conn: sa.Connection, watermark_seq: int) -> float:
    """Seconds that people had answered for names up to a watermark of labels; questions of volunteers do not count."""
    a = t.annotation.c
    return float(
        conn.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(a.seconds), 0.0)).where(
                a.seq <= watermark_seq, a.seconds > 0, a.lane.not_in(t.SIDE_LANES)
            )
        )
        or 0.0
    )


def _share(frames: F64Array, asked: I8Array, how: int) -> float:
    total = float(frames.sum())
    return float(frames[asked == how].sum()) / total if total > 0 else 0.0


def _write(db: Database, found: ArchiveForecast) -> None:
    f = t.archive_forecast
    known = math.isfinite(found.alone.seconds)
    row = {
        "watermark_seq": found.watermark_seq,
        "head_model_id": found.head_model_id,
        "goal_named": found.goal.named,
        "goal_error": found.goal.error,
        "n_tracks": found.n_tracks,
        "n_frames": found.n_frames,
        "by_person": found.by_person,
        "by_page": found.by_page,
        "by_machine": max(0.0, found.reach.named - found.by_person - found.by_page),
        "nameless": found.nameless,
        "expected_error": found.reach.error,
        "threshold": found.threshold,
        "spent_s": found.spent_s,
        "answers_to_go": found.alone.answers if known else None,
        "to_go_s": found.alone.seconds if known else None,
        "with_volunteers_s": found.helped.seconds if known else None,
        "volunteers_s": found.helped.volunteer_seconds if known else None,
        "created_at": datetime.now(UTC),
    }

    def work(conn: sa.Connection) -> None:
        same = (
            f.c.watermark_seq == found.watermark_seq,
            f.c.head_model_id == found.head_model_id,
            f.c.goal_named == found.goal.named,
            f.c.goal_error == found.goal.error,
        )
        conn.execute(sa.delete(f).where(*same))
        conn.execute(sa.insert(f).values(**row))

    db.transact(work)
