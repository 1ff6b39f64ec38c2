"""What volunteers did with "is this X?": answers, the names that two agreed on, how often they err at hidden checks.

Belongs here: these counts. Does not belong here: agreement between people who name (`labelling.people`), a person's day
(`labelling.progress`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.kinds import EVIDENCE_KINDS
from chimp_assets.database.people.carefulness import Carefulness, carefulness
from chimp_assets.database.work.queue import in_lanes


@dataclass(frozen=True)
class VolunteerWork:
    """tracks, frames: that carry the name on which people agreed, and nobody's answer besides; denied: names of which
    people say that they are wrong; answers, people, minutes: to "is this X?", taken back ones and skips left out;
    queue: items by state."""

    tracks: int
    frames: int
    denied: int
    answers: int
    people: int
    minutes: float
    queue: dict[str, int]


def volunteer_work(conn: sa.Connection) -> VolunteerWork | None:
    """What came of "is this X?" so far; None where nobody was ever asked."""
    q = t.acquisition_queue.c
    queue = conn.execute(sa.select(q.state, sa.func.count()).where(in_lanes((t.IS_IT,))).group_by(q.state)).all()
    if not queue:
        return None
    named = sa.table("v_named_track", sa.column("track_id"), sa.column("source"))
    tracks, frames = conn.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(t.track.c.n_detections), 0))
        .select_from(named)
        .join(t.track, t.track.c.track_id == named.c.track_id)
        .where(named.c.source == "volunteers")
    ).one()
    e = t.track_evidence.c
    denied = conn.scalar(sa.select(sa.func.count()).select_from(t.track_evidence).where(e.state == "denied"))
    answers, people, seconds = conn.execute(_answers()).one()
    return VolunteerWork(
        int(tracks), int(frames), int(denied or 0), int(answers), int(people), float(seconds or 0) / 60,
        {state: int(n) for state, n in sorted((row[0], row[1]) for row in queue)},
    )  # fmt: skip


def _answers() -> sa.Select[int, int, Any]:
    a, back = t.annotation.c, t.annotation.alias("back").c
    taken_back = sa.exists().where(back.supersedes == a.annotation_id, back.kind == "retract")
    return sa.select(sa.func.count(), sa.func.count(sa.distinct(a.annotator_id)), sa.func.sum(a.seconds)).where(
        a.lane == t.IS_IT, a.kind.in_((*EVIDENCE_KINDS, "cannot_tell")), ~taken_back
    )


def checked_people(conn: sa.Connection) -> dict[str, Carefulness]:
    """Hidden checks of each person who had some, by name."""
    found = carefulness(conn)
    u = t.app_user.c
    names = {row.user_id: row.name for row in conn.execute(sa.select(u.user_id, u.name))}
    return {names[user_id]: one for user_id, one in sorted(found.items())}
