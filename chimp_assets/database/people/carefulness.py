"""How often a person errs at "is this X?", by the hidden questions whose answer is known.

Belongs here: counting them, and from when on a person's answers no longer count towards an agreement. Does not belong
here: drawing and judging such questions (`web.labelling.gold`), whether somebody has become worse (`monitoring`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database.schema import IS_IT, acquisition_queue, quality_check

PRIOR_ERROR, PRIOR_WEIGHT = 0.04, 25
"""Before a person was checked: of the people asked in trials 4 % of the answers were wrong; worth so many checks."""
MOST_ERROR = 0.15
"""Two people who err as often as this agree on a wrong name in 3 of 100 cases where the head is right in half: no
better than what one expert does alone. Four wrong answers of the first five reach it, six of the first twenty."""
NEWEST = 200
"""Checks that count: who was careless in spring may be careful in autumn."""


@dataclass(frozen=True)
class Carefulness:
    """What a person did at the newest questions with a known answer. n: answered with yes or no; wrong: of these."""

    n: int = 0
    wrong: int = 0

    @property
    def error(self) -> float:
        """Chance that an answer is wrong, with the prior."""
        return (PRIOR_ERROR * PRIOR_WEIGHT + self.wrong) / (PRIOR_WEIGHT + self.n)

    @property
    def counts(self) -> bool:
        """Whether this person's answers count towards an agreement."""
        return self.error <= MOST_ERROR


def carefulness(conn: sa.Connection, user_ids: Collection[int] | None = None) -> dict[int, Carefulness]:
    """Of each person who was checked. user_ids: only these, at most a few hundred; None: all."""
    c, q = quality_check.c, acquisition_queue.c
    checks = (
        sa.select(c.user_id, c.passed)
        .join_from(quality_check, acquisition_queue, q.item_id == c.item_id)
        .where(c.kind == "gold", c.passed.is_not(None), q.lane == IS_IT)
        .order_by(c.answered_at.desc(), c.check_id.desc())
    )
    if user_ids is not None:
        checks = checks.where(c.user_id.in_(sorted(user_ids)))
    passed: dict[int, list[bool]] = {}
    for row in conn.execute(checks):
        one = passed.setdefault(row.user_id, [])
        if len(one) < NEWEST:
            one.append(bool(row.passed))
    return {user_id: Carefulness(len(one), one.count(False)) for user_id, one in passed.items()}


def careless_people(conn: sa.Connection) -> set[int]:
    """user_id of those whose answers to "is this X?" count towards no agreement; what they say is kept all the same."""
    return {user_id for user_id, one in carefulness(conn).items() if not one.counts}
