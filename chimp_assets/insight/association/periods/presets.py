"""Two periods around something that happened: a birth, a death or departure; two seasons; or any two.

Belongs here: which days. Does not belong here: counting and comparing them (`comparison`).

Periods are half open: the day of a birth belongs to the days after it, and the last day of a life to those before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.errors import ChimpError

DAYS = 365
MOST_DAYS = 3_660


class PeriodError(ChimpError):
    """Two periods that cannot be compared, or that nothing is known of."""


@dataclass(frozen=True)
class Period:
    """Days from first to before, half open: [first, before). months: only days of these months; none: of all."""

    first: date
    before: date
    months: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.before <= self.first:
            raise PeriodError(
                f"A period from {self.first} to {self.before} holds no day.", "Let it end after it begins."
            )

    @property
    def last(self) -> date:
        """Its last day."""
        return self.before - timedelta(days=1)


@dataclass(frozen=True)
class Periods:
    """Two periods, the earlier one first, or the dry season and the wet one. what: birth, departure, season, or days;
    about: key of whom it happened to; who: key of whose company is asked about (the mother of an infant); on: when it
    happened. All None for plain days and seasons."""

    before: Period
    after: Period
    what: str = "days"
    about: int | None = None
    who: int | None = None
    on: date | None = None


@dataclass(frozen=True)
class LifeEvent:
    """A birth, death or departure within the filmed days. mother: key and name of the mother of a birth."""

    what: str
    key: int
    anim_id: str
    name: str | None
    on: date
    mother: tuple[int, str] | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.anim_id


def around(on: date, days: int) -> tuple[Period, Period]:
    """So many days before a day, and as many from it on. Raises PeriodError for a number that cannot be."""
    if not 1 <= days <= MOST_DAYS:
        raise PeriodError(f"{days} days cannot be compared.", f"Say 1 to {MOST_DAYS}.")
    try:
        return Period(on - timedelta(days=days), on), Period(on, on + timedelta(days=days))
    except OverflowError:
        raise PeriodError(f"There are no {days} days around {on}.", "Say fewer.") from None


def around_birth(conn: sa.Connection, key: int, days: int = DAYS) -> Periods:
    """Around the birth of an individual, with the company of its mother. Raises PeriodError where its day of birth or
    its mother is not known."""
    row = _life(conn, key)
    if row.birth_date is None:
        raise PeriodError(f"No day of birth of {row.anim_id} is known.", "Import it: chimp individuals import FILE.")
    if row.mom_id is None:
        raise PeriodError(f"The mother of {row.anim_id} is not known.", "Import her: chimp individuals import FILE.")
    before, after = around(row.birth_date, days)
    return Periods(before, after, "birth", key, _root(conn, row.mom_id), row.birth_date)


def around_departure(conn: sa.Connection, key: int, days: int = DAYS) -> Periods:
    """Around the last day of an individual under study. Raises PeriodError where none is known."""
    row = _life(conn, key)
    if row.depart_date is None:
        raise PeriodError(f"{row.anim_id} is not known to have died or left.", "Choose somebody else.")
    before, after = around(row.depart_date + timedelta(days=1), days)
    return Periods(before, after, "departure", key, None, row.depart_date)


def from_to(first: date, last: date) -> Period:
    """A period by its first and its last day, both inside. Raises PeriodError where it holds no day."""
    if last < first or last == date.max:
        raise PeriodError(f"A period from {first} to {last} holds no day.", "Let it end after it begins.")
    return Period(first, last + timedelta(days=1))


def of_days(one: Period, other: Period) -> Periods:
    """Any two periods. Raises PeriodError where they overlap."""
    if one.first < other.before and other.first < one.before:
        raise PeriodError("The two periods overlap.", "Let one end before the other begins.")
    earlier, later = sorted((one, other), key=lambda period: period.first)
    return Periods(earlier, later)


def seasons(conn: sa.Connection, wet: Sequence[int]) -> Periods:
    """The dry season of all filmed years and the wet one. wet: months of the wet season, 1 to 12; the others are dry.
    Raises PeriodError where one season has no month, for a month that is none, and before anything was filmed."""
    months = tuple(sorted(set(wet)))
    wrong = next((month for month in months if not 1 <= month <= 12), None)
    if wrong is not None:
        raise PeriodError(f"{wrong} is no month.", "Say months as numbers from 1 to 12.")
    if not 1 <= len(months) <= 11:
        raise PeriodError(
            f"A wet season of {len(months)} months leaves nothing to compare.",
            "Say 1 to 11 months, or set wet_months in [project] of chimp.toml.",
        )
    first, last = _filmed(conn)
    if first is None or last is None:
        raise PeriodError("No day was filmed yet.", "Add videos with a recording day to the archive.")
    dry = tuple(month for month in range(1, 13) if month not in months)
    before = last + timedelta(days=1)
    return Periods(Period(first, before, dry), Period(first, before, months), "season")


def life_events(conn: sa.Connection) -> list[LifeEvent]:
    """Births of known mothers' infants, deaths and departures within the filmed days, the latest first."""
    i = t.individual.c
    first, last = _filmed(conn)
    if first is None or last is None:
        return []
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.birth_date, i.depart_date, i.mom_id).where(
            i.same_as_id.is_(None),
            sa.or_(i.birth_date.between(first, last), i.depart_date.between(first, last)),
        )
    ).all()
    names = {row.individual_id: row.name or row.anim_id for row in conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name)
    )}  # fmt: skip
    found = []
    for row in rows:
        if row.birth_date is not None and first < row.birth_date <= last and row.mom_id is not None:
            mother = _root(conn, row.mom_id)
            found.append(
                LifeEvent("birth", row.individual_id, row.anim_id, row.name, row.birth_date, (mother, names[mother]))
            )
        if row.depart_date is not None and first <= row.depart_date < last:
            found.append(LifeEvent("departure", row.individual_id, row.anim_id, row.name, row.depart_date))
    return sorted(found, key=lambda one: (one.on, one.anim_id), reverse=True)


def _filmed(conn: sa.Connection) -> tuple[date | None, date | None]:
    v = t.video.c
    row = conn.execute(
        sa.select(sa.func.min(v.recorded_on), sa.func.max(v.recorded_on)).where(v.state != "retired")
    ).one()
    return row[0], row[1]


def _life(conn: sa.Connection, key: int) -> Any:
    i = t.individual.c
    row = conn.execute(
        sa.select(i.anim_id, i.birth_date, i.depart_date, i.mom_id).where(i.individual_id == key)
    ).first()
    if row is None:
        raise PeriodError(f"There is no individual {key}.", "Choose one of the list.")
    return row


def _root(conn: sa.Connection, key: int) -> int:
    i = t.individual.c
    return int(
        conn.scalar(sa.select(sa.func.coalesce(i.same_as_id, i.individual_id)).where(i.individual_id == key)) or key
    )
