"""Slices of tracks: who the animal is, and what the picture is like.

Belongs here: what a slice needs to know of individuals, and the bounds of light and length. Does not belong here: the
audit (`audit`), what is measured by slice (`metrics`, `monitoring.groups`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.individuals.merges import merged_ids

AGE_SCHEME = "gombe"
LENGTHS = (2.0, 10.0)  # seconds: bounds between short, medium and long tracks
DAYLIGHT, TWILIGHT = (7, 18), (5, 20)  # hours on the camera's clock; by night cameras switch to infrared


@dataclass(frozen=True)
class IndividualSlices:
    """What slices need to know of individuals, by individual_id after merges.

    mother: to that of the mother; ages: (sex, name, from, until) of age classes, years.
    """

    anim_id: dict[int, str]
    sex: dict[int, str]
    born: dict[int, date]
    mother: dict[int, int]
    ages: list[tuple[str, str, float, float]]

    def of(self, individual_id: int, day: date | None) -> dict[str, str]:
        """individual (anim_id), sex, age_class and matriline on a day; "" where not known, and for nobody."""
        return {
            "individual": self.anim_id.get(individual_id, ""),
            "sex": self.sex.get(individual_id, ""),
            "age_class": self.age_class(individual_id, day),
            "matriline": self.matriline(individual_id),
        }

    def age_class(self, individual_id: int, day: date | None) -> str:
        """Age class on a day; "" if birth or day are not known."""
        born, sex = self.born.get(individual_id), self.sex.get(individual_id)
        if born is None or day is None:
            return ""
        age = (day - born).days / 365.25
        return next((name for of, name, low, high in self.ages if of == sex and low <= age < high), "")

    def matriline(self, individual_id: int) -> str:
        """Code of the first known mother of the line, as in v_matriline; "" where the line is a circle."""
        seen = set()
        while individual_id in self.mother:
            if individual_id in seen:
                return ""
            seen.add(individual_id)
            individual_id = self.mother[individual_id]
        return self.anim_id.get(individual_id, "")


def individual_slices(conn: sa.Connection) -> IndividualSlices:
    """What is known of all individuals."""
    same = merged_ids(conn)
    i = schema.individual.c
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.sex, i.birth_date, i.bd_min, i.bd_max, i.mom_id, i.same_as_id)
    ).all()
    own = [r for r in rows if r.same_as_id is None]
    born = {
        r.individual_id: r.bd_min + (r.bd_max - r.bd_min) / 2
        for r in own
        if r.bd_min is not None and r.bd_max is not None
    }
    ages = conn.execute(sa.select(schema.age_class).where(schema.age_class.c.scheme == AGE_SCHEME))
    return IndividualSlices(
        anim_id={r.individual_id: r.anim_id for r in own},
        sex={r.individual_id: r.sex for r in own if r.sex},
        born={**born, **{r.individual_id: r.birth_date for r in own if r.birth_date is not None}},
        mother={
            same.get(r.individual_id, r.individual_id): same.get(r.mom_id, r.mom_id)
            for r in rows
            if r.mom_id is not None
        },
        ages=[
            (r.sex, r.name, float(r.min_age_y), float("inf") if r.max_age_y is None else float(r.max_age_y))
            for r in ages
        ],
    )


def light_at(recorded_at: datetime | None, first_s: float, zone: ZoneInfo) -> str:
    """day, twilight or night by the hour on the camera's clock; "" if the time is not known."""
    if recorded_at is None:
        return ""
    hour = (recorded_at + timedelta(seconds=first_s)).astimezone(zone).hour
    if DAYLIGHT[0] <= hour < DAYLIGHT[1]:
        return "day"
    return "twilight" if TWILIGHT[0] <= hour < TWILIGHT[1] else "night"


def length_in_words(seconds: float) -> str:
    """Slice of a track of this length."""
    short, long = LENGTHS
    if seconds < short:
        return f"under {short:g} s"
    return f"{short:g} to {long:g} s" if seconds < long else f"{long:g} s or more"
