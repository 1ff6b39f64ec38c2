"""Whether a person answers worse than before: hidden repeats and questions with a known answer.

Belongs here: outcomes of a person in their order, and falls among them. Does not belong here: the evidence
(`falls`), how often a person agrees (`database.labels.agreement`), what is done with the person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import sqlalchemy as sa

from chimp_assets.arrays import BoolArray
from chimp_assets.database import schema as t
from chimp_assets.database.labels.agreement import LOOKED_AT, repeated_answers
from chimp_assets.database.labels.events import last_seq
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import open_one
from chimp_assets.monitoring.answers.falls import PROOF, find_fall

REPEAT, GOLD = "repeat", "gold"


@dataclass(frozen=True)
class Outcomes:
    """A person's answers to one kind of question, in their order. right: bool [n]; day: [n], when it was answered."""

    annotator_id: int
    person: str
    signal: str
    right: BoolArray
    day: list[date]


def outcomes(conn: sa.Connection) -> list[Outcomes]:
    """Of each person who was asked again or asked what is known."""
    found: dict[tuple[int, str, str], list[tuple[date, bool]]] = defaultdict(list)
    for repeated in repeated_answers(conn, max(0, last_seq(conn) - LOOKED_AT)):
        found[repeated.annotator_id, repeated.annotator, REPEAT].append((repeated.at.date(), repeated.same))
    for user_id, name, day, passed in _gold(conn):
        found[user_id, name, GOLD].append((day, passed))
    return [
        Outcomes(*who, np.array([right for _, right in rows], bool), [day for day, _ in rows])
        for who, rows in sorted(found.items())
    ]


def open_annotator_alerts(home: Home, today: date) -> list[int]:
    """Opens an alert where a person's share of right answers has fallen; the keys of new alerts.

    Of k people and kinds of questions each needs k times the proof.
    """
    with home.database.read() as conn:
        every = outcomes(conn)
    opened: list[int] = []
    for one in every:
        fall = find_fall(one.right)
        if fall is None or fall.evidence < PROOF * len(every) or fall.after >= fall.before:
            continue
        alert_id = open_one(
            home.database,
            kind="annotator",
            signal=one.signal,
            camera="",
            since=one.day[fall.start],
            noticed=today,
            size=100 * (fall.after - fall.before),
            evidence=fall.evidence,
            detail={"before": round(fall.before, 4), "after": round(fall.after, 4), "person": one.person},
            annotator_id=one.annotator_id,
        )
        if alert_id is not None:
            opened.append(alert_id)
    return opened


def _gold(conn: sa.Connection) -> Iterator[tuple[int, str, date, bool]]:
    c, u = t.quality_check.c, t.app_user.c
    rows = conn.execute(
        sa.select(c.user_id, u.name, c.answered_at, c.passed)
        .join_from(t.quality_check, t.app_user, u.user_id == c.user_id)
        .where(c.passed.is_not(None), c.answered_at.is_not(None))
        .order_by(c.answered_at, c.check_id)
    )
    for row in rows:
        yield int(row.user_id), row.name, row.answered_at.date(), bool(row.passed)
