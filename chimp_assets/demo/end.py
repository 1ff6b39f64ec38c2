"""The end of the demo: people go on answering until the promise about names is kept, or have answered enough.

Belongs here: who answers what after the wanted trainings, and when it is enough. Does not belong here: planning,
testing and deciding, which the daemon does as in `chimp up`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.work import due
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.volunteers import SimulatedVolunteers
from chimp_assets.home import Home
from chimp_assets.insight.goal import ArchiveGoal, archive_goal

MOST_ANSWERS = 60
"""Of the expert after the wanted trainings."""
MOST_SECONDS = 75.0
"""Of this part on the clock: the demo has eight minutes."""
QUIET_ROUNDS = 25
"""Of about a second each, without anything to answer, after which nothing more is expected."""
SETTLED = ("kept",)


def keep_promise(
    home: Home,
    expert: SimulatedExpert,
    volunteers: SimulatedVolunteers | None,
    tell: Callable[[str], None],
    tend: Callable[[], None],
    settled: Callable[[sa.Connection], bool],
) -> ArchiveGoal | None:
    """Answers until the promise is kept or enough was answered; returns where the archive stands.

    tend: called once a second; settled: whether models and plans agree with the answers so far.
    """
    began = time.monotonic()
    answered = quiet = 0
    while True:
        tend()
        with home.database.read() as conn:
            goal = archive_goal(conn)
            ready = settled(conn)
            names, tests = _waiting(conn)
            trainable = due.labels_due(conn, home.settings, datetime.now(UTC)).due
        promise = goal.promise if goal is not None else None
        if promise is not None and promise.state in SETTLED:
            tell(f"the promise is kept: {promise.n_answered} audits, {promise.n_wrong} wrong")
            return goal
        if answered >= MOST_ANSWERS or time.monotonic() - began > MOST_SECONDS or quiet > QUIET_ROUNDS:
            tell(f"the demo has answered enough: {answered} more")
            return goal
        quiet += 1
        tested = promise is not None and promise.state == "auditing"
        if tested and tests:
            # Only what the test waits for: other names would teach a new head, which ends the test.
            answered += sum(expert.answer_queue(min(tests, MOST_ANSWERS - answered), (t.PROMISE,)).values())
            quiet = 0
        elif not tested and ready and not trainable:
            if volunteers is not None and (theirs := volunteers.answer_queue()):
                tell(f'volunteers answered "is this …?" {theirs} times')
                quiet = 0
            elif names:
                answered += sum(expert.answer_queue(min(names, MOST_ANSWERS - answered)).values())
                quiet = 0
        elif not ready or trainable:
            quiet = 0
        time.sleep(1.0)


def _waiting(conn: sa.Connection) -> tuple[int, int]:
    """Items that ask for names, and those of the promise's test among them."""
    q = t.acquisition_queue.c
    rows = conn.execute(
        sa.select(q.lane, sa.func.count()).where(q.state == "pending", q.lane.not_in(t.SIDE_LANES)).group_by(q.lane)
    )
    by_lane: dict[str, int] = {lane: n for lane, n in rows}
    return sum(by_lane.values()), by_lane.get(t.PROMISE, 0)
