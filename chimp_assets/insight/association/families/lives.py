"""From when until when each individual counts: alive, under study, and if asked for no longer dependent on its mother.

Belongs here: days of lives, and who depends on its mother on which day. Does not belong here: counting (`estimates`),
mothers with their infants (`mothers`).

A dependant goes where its mother goes, so its ties are hers: left out, it counts from its fifth birthday on, or from
the day after its mother died or disappeared. The day of birth is the best one that is known, else the middle of its
range, as in `v_individual_day`; who has none, counts always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t

DEPENDENT_YEARS = 5
DEPENDENT_DAYS = round(DEPENDENT_YEARS * 365.25)


@dataclass(frozen=True)
class LeftOutDependants:
    """What leaving out dependants left out: tracks, and how many of them may be of individuals that were older, by the
    range of their birth; individuals."""

    tracks: int
    may_be_older: int
    individuals: int


def born_on(birth: date | None, earliest: date | None, latest: date | None) -> date | None:
    """The day of birth, else the middle of its range; None where nothing is known."""
    if birth is not None:
        return birth
    return earliest + (latest - earliest) / 2 if earliest is not None and latest is not None else None


def lives(conn: sa.Connection, keys: Sequence[int], dependants: bool = True) -> np.ndarray:
    """First and last day (ordinals) on which each was alive and under study: i64 [n, 2]. dependants: whether the days
    count on which it depended on its mother; where not, a life may end before it begins."""
    place = {key: n for n, key in enumerate(keys)}
    alive = np.zeros((len(keys), 2), np.int64)
    for row in _rows(conn):
        if row.individual_id in place:
            begin = (row.entry_date or row.bd_min or row.birth_date or date.min).toordinal()
            if not dependants:
                begin = max(begin, _independent(row, born_on(row.birth_date, row.bd_min, row.bd_max)))
            alive[place[row.individual_id]] = begin, (row.depart_date or date.max).toordinal()
    return alive


def left_out(conn: sa.Connection, keys: Sequence[int], who: np.ndarray, day: np.ndarray) -> LeftOutDependants:
    """What of tracks (who: i64 [m], places in keys; day: i64 [m], ordinals) `lives` leaves out with dependants."""
    place = {key: n for n, key in enumerate(keys)}
    until, surely = np.zeros((2, len(keys)), np.int64)
    for row in _rows(conn):
        if row.individual_id in place:
            until[place[row.individual_id]] = _independent(row, born_on(row.birth_date, row.bd_min, row.bd_max))
            surely[place[row.individual_id]] = _independent(row, row.bd_min or row.birth_date)
    lived = lives(conn, keys)
    out = (lived[who, 0] <= day) & (day <= lived[who, 1]) & (day < until[who])
    return LeftOutDependants(int(out.sum()), int((out & (day >= surely[who])).sum()), len(np.unique(who[out])))


def _independent(row: Any, born: date | None) -> int:
    """The first day on which it no longer depends on its mother, as an ordinal; 0 where its birth is not known."""
    if born is None:
        return 0
    fifth = born.toordinal() + DEPENDENT_DAYS
    if row.lost_on is None:
        return fifth
    return min(fifth, (row.lost_on + timedelta(days=1)).toordinal())


def _rows(conn: sa.Connection) -> Sequence[Any]:
    """Everybody with the dates that matter; lost_on: when its mother died or disappeared."""
    i, her, root = t.individual.c, t.individual.alias("her"), t.individual.alias("root")
    lost = sa.case((root.c.depart_type.in_(("D", "P")), root.c.depart_date))
    return conn.execute(
        sa.select(i.individual_id, i.entry_date, i.bd_min, i.bd_max, i.birth_date, i.depart_date, lost.label("lost_on"))
        .outerjoin_from(t.individual, her, her.c.individual_id == i.mom_id)
        .outerjoin(root, root.c.individual_id == sa.func.coalesce(her.c.same_as_id, her.c.individual_id))
        .where(i.same_as_id.is_(None))
    ).all()
