"""What volunteers are asked in a plan: "is this X?" of names that are likely and not carried yet.

Belongs here: who volunteers, what was said about tracks, which tracks may be asked. Does not belong here: the choice
(`acquisition.minutes.is_it`), when two have agreed (`database.labels.is_it.ballots`).

Where at least two people have answered such questions within ACTIVE_DAYS, these tracks are left to them and the
expert's plan passes them over: the expert's minutes are the scarce ones. Elsewhere they are asked about what the plan
leaves.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.minutes.goal import NOBODY_ASKED, Goal, reach
from chimp_assets.acquisition.minutes.is_it import NO_QUESTIONS, FirstNames, IsItQuestions, how_many, is_it_questions
from chimp_assets.acquisition.minutes.worth import NO_NAMES
from chimp_assets.acquisition.pool import TrackPool
from chimp_assets.arrays import I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.database.labels.is_it.ballots import TO_AGREE, Ballot, ballots, undecided_people
from chimp_assets.loop.minutes.names import TrackNaming

if TYPE_CHECKING:
    from chimp_assets.settings import AcquisitionSettings

ACTIVE_DAYS = 14


@dataclass(frozen=True)
class VolunteerTime:
    """Who answers "is this X?". volunteers: user_id of those with this role; active: of all who answered lately;
    answers, plans: of the same days."""

    volunteers: set[int]
    active: set[int]
    answers: int
    plans: int

    @property
    def goes_first(self) -> bool:
        """Whether likely names are left to them: enough people to agree are there."""
        return len(self.active) >= TO_AGREE

    def items(self, wanted: int | None) -> int:
        """Items of a plan. wanted: what the settings say; None: as many as they answer."""
        return how_many(self.answers, self.plans, bool(self.volunteers)) if wanted is None else wanted


def volunteer_time(conn: sa.Connection, now: datetime | None = None) -> VolunteerTime:
    """Who volunteers, and how much they did within ACTIVE_DAYS."""
    a, u, r = t.annotation.c, t.app_user.c, t.acquisition_round.c
    since = (now or datetime.now(UTC)) - timedelta(days=ACTIVE_DAYS)
    # Gold has no item but this lane: it is work like any other.
    rows = conn.execute(
        sa.select(a.annotator_id, u.role, sa.func.count().label("n"))
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(
            a.lane == t.IS_IT, a.kind.not_in(("retract", "skip")), a.server_time >= since, u.disabled.is_(sa.false())
        )
        .group_by(a.annotator_id, u.role)
    ).all()
    return VolunteerTime(
        volunteers=set(conn.scalars(sa.select(u.user_id).where(u.role == "volunteer", u.disabled.is_(sa.false())))),
        active={row.annotator_id for row in rows},
        answers=sum(row.n for row in rows),
        plans=conn.scalar(sa.select(sa.func.count()).select_from(t.acquisition_round).where(r.created_at >= since))
        or 0,
    )


@dataclass(frozen=True)
class IsItOffer:
    """What a plan knows about names that volunteers may confirm. threshold: chance from which names of the machine are
    carried; needed: i64 [n], people who must still answer about each track of the naming; 0: enough have, or nobody is
    left who could; items: how many are asked."""

    naming: TrackNaming
    threshold: float
    needed: I64Array
    items: int
    goes_first: bool


def read_is_it(
    conn: sa.Connection, wanted: AcquisitionSettings, naming: TrackNaming | None, goal: Goal | None = None
) -> IsItOffer | None:
    """What a plan needs to ask volunteers, in its snapshot; None where no head names anything, or nobody is asked."""
    time = volunteer_time(conn)
    items = time.items(wanted.is_it_per_round)
    if naming is None or items == 0:
        return None
    by_people = wanted.named_by == "people"
    threshold = NO_NAMES if by_people else reach(naming.names, goal or Goal()).threshold
    return IsItOffer(naming, threshold, _needed(conn, naming, time), items, time.goes_first)


def is_it_to_ask(
    offer: IsItOffer | None, pool: TrackPool, wanted: AcquisitionSettings, taken: I64Array | None = None
) -> IsItQuestions:
    """What volunteers are asked. taken: i64, rows of the pool that the plan asks already; None: before it asks
    anything, where they ask for nothing but what is left to them.

    Never a track that the pool may not train on: of the reserve or a test day, answered, or on a screen now.
    """
    if offer is None or (taken is None and not offer.goes_first):
        return NO_QUESTIONS
    naming, free = offer.naming, pool.may_train()
    if taken is not None:
        free[taken] = False
    here, row = located(pool.track, naming.track_id)
    may = here & (naming.individual_id >= 0) & (naming.names.asked == NOBODY_ASKED)
    may[may] = free[row[may]]
    names = FirstNames(
        naming.track_id[may],
        naming.individual_id[may],
        naming.names.frames[may],
        naming.names.chance[may],
        offer.needed[may],
        np.flatnonzero(may) if pool.video is None else pool.video[row[may]].astype(np.int64),
    )
    return is_it_questions(
        names, offer.threshold, offer.items, naming.prices, wanted.video_cap, wanted.identity_cap
    )  # fmt: skip


def _needed(conn: sa.Connection, naming: TrackNaming, time: VolunteerTime) -> I64Array:
    needed = np.full(len(naming.track_id), TO_AGREE, np.int64)
    asked = _asked_people(conn)
    tracks = np.array(sorted(asked), np.int64)
    here, row = located(naming.track_id, tracks)
    said, undecided = ballots(conn, tracks[here].tolist()), undecided_people(conn, tracks[here].tolist())
    people = time.volunteers | time.active
    for track_id, i in zip(tracks[here].tolist(), row[here].tolist(), strict=True):
        nobody = Ballot(cannot_tell=len(undecided.get(track_id, ())))
        more = said.get((track_id, int(naming.individual_id[i])), nobody).needed
        needed[i] = more if more <= len(people - asked[track_id]) else 0
    return needed


def _asked_people(conn: sa.Connection) -> dict[int, set[int]]:
    """user_id of those who were asked about a track, by track: nobody is asked twice."""
    a = t.annotation.c
    said = sa.select(a.track_id, a.annotator_id).where(
        sa.or_(a.lane == t.IS_IT, a.kind.in_(("is_individual", "not_individual"))), a.track_id.is_not(None)
    )
    found: dict[int, set[int]] = defaultdict(set)
    for row in conn.execute(said):
        found[row.track_id].add(row.annotator_id)
    return found
