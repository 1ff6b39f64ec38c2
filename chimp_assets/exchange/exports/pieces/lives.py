"""When each individual was alive and under study, and what programs of networks take as its covariates.

Belongs here: v_individual_day for exports. Does not belong here: biographies (`database.individuals`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.exchange.exports.pieces.times import JULIAN_1970, day_of

YEAR = 365.25
"""Days of a year, as the views count ages."""
_COLUMNS = ("individual_id", "anim_id", "name", "sex", "mom_id", "from_day_no", "until_day_no", "born_day_no")


@dataclass(frozen=True, slots=True)
class StudyLife:
    """An individual that was merged into no other. from_day_no, until_day_no: the first and the last day on which it
    was alive and under study; born_day_no: when it was born as far as known, None where nobody knows."""

    individual_id: int
    anim_id: str
    name: str | None
    sex: str
    mom_id: int | None
    from_day_no: int
    until_day_no: int
    born_day_no: float | None

    @property
    def enter_s(self) -> int | None:
        """Seconds from 1970 to the beginning of its first day in UTC; None where it is not known."""
        return _seconds(self.from_day_no, 0)

    @property
    def leave_s(self) -> int | None:
        """Seconds from 1970 to the end of its last day in UTC; None where it is not known."""
        return _seconds(self.until_day_no, 1)

    def there(self, day_no: int) -> bool:
        """Whether it was alive and under study on a day."""
        return self.from_day_no <= day_no <= self.until_day_no

    def age_y(self, day_no: int) -> float | None:
        """Its age on a day in years; None where its birth is not known."""
        return None if self.born_day_no is None else (day_no - self.born_day_no) / YEAR


def lives_of(conn: sa.Connection) -> list[StudyLife]:
    """Everybody by individual_id."""
    view = sa.table("v_individual_day", *map(sa.column, _COLUMNS))
    rows = conn.execute(sa.select(*view.c).order_by(view.c.individual_id)).all()
    return [StudyLife(*row) for row in rows]


def relation(a: StudyLife, b: StudyLife) -> str:
    """Kinship by the mother: `mother_offspring`, `maternal_siblings` or `other`, as in v_dyad_event."""
    if a.mom_id == b.individual_id or b.mom_id == a.individual_id:
        return "mother_offspring"
    return "maternal_siblings" if a.mom_id is not None and a.mom_id == b.mom_id else "other"


def _seconds(day_no: int, more_days: int) -> int | None:
    return None if day_of(day_no) is None else (int(day_no) + more_days - JULIAN_1970) * 86_400
