"""How often a mother has her infant with her, by its age: alone with her, among others, or not there.

Belongs here: the mother's sampling units by age of the infant, effort, shares with intervals. Does not belong here:
what a unit is (`units`, `presence`), who is together (`meetings`), seconds of each month (`v_mother_offspring`).

Names count as they are: names that err, and infants that nobody named, make every share smaller. Who has no name is
nobody: "alone with her" means that no other named individual was with her.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.families.lives import born_on, lives
from chimp_assets.insight.association.filmed_tracks import FilmedTracks, NamedTracks, filmed_tracks, named_tracks
from chimp_assets.insight.association.meetings import meetings
from chimp_assets.insight.association.presence import Presence, presence
from chimp_assets.insight.association.scope import Scope
from chimp_assets.statistics.association.columns import BLOCK_DAYS, Meetings
from chimp_assets.statistics.blocks import Interval, block_interval

EDGES = (0, 3, 6, 12, 18, 24, 36, 48, 60, 84, 120)
"""Months of age at which classes begin, half open; the last one ends the last class."""
MONTH_DAYS = 30.4375
COLUMNS = (
    "mother", "mother_name", "infant", "infant_name", "born", "born_earliest", "born_latest", "from_months",
    "before_months", "units", "with_infant", "share", "low", "high", "alone", "share_alone", "low_alone", "high_alone",
    "with_others", "share_with_others", "low_with_others", "high_with_others", "blocks", "days_mother_seen",
    "days_filmed", "hours_filmed",
)  # fmt: skip


@dataclass(frozen=True)
class Mother:
    """A mother of infants that were younger than ten years on filmed days. infants: their names, the oldest first."""

    key: int
    anim_id: str
    name: str | None
    infants: tuple[str, ...]

    @property
    def label(self) -> str:
        """What people call her."""
        return self.name or self.anim_id


@dataclass(frozen=True)
class AgeClass:
    """An infant from one age to before another, in months. units: of its mother; present, alone, others: sum of those
    with it, with it and nobody else, with it and others; of_present, of_alone, of_others: their shares with 95 %
    intervals over blocks of days; mother_days: on which she was seen; days, hours: filmed by any camera."""

    first: int
    before: int
    units: int
    present: int
    alone: int
    others: int
    of_present: Interval
    of_alone: Interval
    of_others: Interval
    mother_days: int
    days: int
    hours: float


@dataclass(frozen=True)
class Infant:
    """An infant by classes of age in which something was filmed. born: the day, or the middle of earliest to latest;
    named: whether any track has its name."""

    key: int
    anim_id: str
    name: str | None
    born: date
    earliest: date | None
    latest: date | None
    named: bool
    ages: list[AgeClass]

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.anim_id


@dataclass(frozen=True)
class Family:
    """A mother with her infants, the oldest first. untimed: tracks left out since the unit needs a time of day; heads:
    models that gave names."""

    mother: Mother
    infants: list[Infant]
    untimed: int
    heads: list[int]


def mothers(conn: sa.Connection) -> list[Mother]:
    """Every mother of whom something can be said, by code."""
    days, _ = _hours(conn)
    found: dict[int, tuple[Any, list[str]]] = {}
    for row in _births(conn):
        born = born_on(row.birth_date, row.bd_min, row.bd_max)
        if (
            born is not None
            and (_classes(days, born.toordinal(), (row.depart_date or date.max).toordinal()) >= 0).any()
        ):
            found.setdefault(row.mother, (row, []))[1].append(row.name or row.anim_id)
    told = [Mother(key, row.mother_id, row.mother_name, tuple(names)) for key, (row, names) in found.items()]
    return sorted(told, key=lambda one: one.anim_id)


def family(conn: sa.Connection, mother: Mother, scope: Scope, filmed: FilmedTracks | None = None) -> Family:
    """Her infants by age. scope: rule, unit and names; its days do not matter. filmed: read if None."""
    filmed = filmed or filmed_tracks(conn)
    keys, seen, heads = named_tracks(conn, scope, filmed)
    where = presence(scope.unit, seen, filmed)
    units = _units_of(conn, mother.key, keys, seen, where, meetings(seen, scope, where))
    day, hours = _hours(conn)
    infants = [
        _infant(row, born, units, keys, day, hours)
        for row in _births(conn)
        if row.mother == mother.key and (born := born_on(row.birth_date, row.bd_min, row.bd_max)) is not None
    ]
    return Family(mother, [one for one in infants if one.ages], where.untimed, heads)


def rows(found: Family) -> Iterator[tuple[Any, ...]]:
    """A row of COLUMNS for each infant and class of age."""
    for one in found.infants:
        about = found.mother.anim_id, found.mother.name, one.anim_id, one.name, one.born, one.earliest, one.latest
        for age in one.ages:
            shares = ((age.present, age.of_present), (age.alone, age.of_alone), (age.others, age.of_others))
            told = [
                value
                for n, share in shares
                for value in (n, *(_known(limit, age) for limit in (share.value, share.low, share.high)))
            ]
            yield (
                *about,
                age.first,
                age.before,
                age.units,
                *told,
                age.of_present.blocks,
                age.mother_days,
                age.days,
                round(age.hours, 4),
            )


@dataclass(frozen=True)
class _Units:
    """Units in which the mother was seen: day, weight of each; company: who (key) was with her in which unit (place),
    as two columns; alive: first and last day of everybody."""

    day: np.ndarray
    weight: np.ndarray
    who: np.ndarray
    at: np.ndarray
    alive: dict[int, tuple[int, int]]


def _units_of(
    conn: sa.Connection, mother: int, keys: list[int], seen: NamedTracks, where: Presence, met: Meetings
) -> _Units:
    alive = lives(conn, keys)
    nothing = np.zeros(0, np.int64)
    of = {key: (int(row[0]), int(row[1])) for key, row in zip(keys, alive, strict=True)}
    if mother not in keys:
        return _Units(nothing, nothing.astype(float), nothing, nothing, of)
    her = keys.index(mother)

    def lived(who: np.ndarray, day: np.ndarray) -> np.ndarray:
        return np.asarray((alive[who, 0] <= day) & (day <= alive[who, 1]))

    who, day = seen.who[where.row], seen.day[where.row]
    hers = np.flatnonzero((who == her) & lived(who, day))
    unit, first = np.unique(where.unit[hers], return_index=True)
    first = hers[first]
    both = (met.who == her).sum(0) == 1
    other = np.where(met.who[0] == her, met.who[1], met.who[0])
    kept = both & lived(other, met.day) & lived(np.full(len(other), her), met.day) & np.isin(met.unit, unit)
    keys_of = np.array(keys, np.int64)
    return _Units(day[first], where.weight[first], keys_of[other[kept]], np.searchsorted(unit, met.unit[kept]), of)


def _infant(row: Any, born: date, units: _Units, keys: Sequence[int], filmed: np.ndarray, hours: np.ndarray) -> Infant:
    begin = born.toordinal()
    until = (row.depart_date or date.max).toordinal()
    age_of = _classes(units.day, begin, until)
    of_filmed = _classes(filmed, begin, until)
    there, company = np.zeros((2, len(units.day)), bool)
    there[units.at[units.who == row.individual_id]] = True
    company[units.at[units.who != row.individual_id]] = True
    block = units.day // BLOCK_DAYS
    ages = []
    for place, (first, before) in enumerate(pairwise(EDGES)):
        mine, days = age_of == place, of_filmed == place
        if not days.any():
            continue
        told = [there[mine], (there & ~company)[mine], (there & company)[mine]]
        weight = units.weight[mine]
        sums = [round(float((one * weight).sum())) for one in told]
        shares = [
            block_interval(one.astype(float), block[mine], np.random.default_rng(0), weight=weight) for one in told
        ]
        ages.append(
            AgeClass(
                first,
                before,
                round(float(weight.sum())),
                sums[0],
                sums[1],
                sums[2],
                shares[0],
                shares[1],
                shares[2],
                len(np.unique(units.day[mine])),
                int(days.sum()),
                float(hours[days].sum()),
            )
        )
    return Infant(
        row.individual_id, row.anim_id, row.name, born, row.bd_min, row.bd_max, row.individual_id in keys, ages
    )


def _classes(day: np.ndarray, born: int, until: int) -> np.ndarray:
    """Class of age on each day, -1 before birth, after the last class and after the end of its life."""
    found = np.searchsorted(np.array(EDGES), (day - born) / MONTH_DAYS, side="right") - 1
    return np.where((day < born) | (day > until) | (found >= len(EDGES) - 1), -1, found)


def _known(value: float, age: AgeClass) -> float | None:
    return round(value, 6) if age.units else None


def _births(conn: sa.Connection) -> Sequence[Any]:
    """Everybody with a mother, the oldest first."""
    i, her, root = t.individual.c, t.individual.alias("her"), t.individual.alias("root")
    return conn.execute(
        sa.select(
            i.individual_id, i.anim_id, i.name, i.birth_date, i.bd_min, i.bd_max, i.depart_date,
            root.c.individual_id.label("mother"), root.c.anim_id.label("mother_id"), root.c.name.label("mother_name"),
        )
        .join_from(t.individual, her, her.c.individual_id == i.mom_id)
        .join(root, root.c.individual_id == sa.func.coalesce(her.c.same_as_id, her.c.individual_id))
        .where(i.same_as_id.is_(None))
        .order_by(sa.func.coalesce(i.birth_date, i.bd_min), i.anim_id)
    ).all()  # fmt: skip


def _hours(conn: sa.Connection) -> tuple[np.ndarray, np.ndarray]:
    """Filmed days as ordinals, and the hours of video of each."""
    v = t.video.c
    found = conn.execute(
        sa.select(v.recorded_on, sa.func.sum(sa.func.coalesce(v.duration_s, 0.0)))
        .where(v.recorded_on.is_not(None), v.state != "retired")
        .group_by(v.recorded_on)
        .order_by(v.recorded_on)
    ).all()
    days = np.array([row[0].toordinal() for row in found], np.int64)
    return days, np.array([float(row[1]) / 3600 for row in found], np.float64)
