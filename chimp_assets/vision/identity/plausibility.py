"""Which names are plausible on a day at a place: born, not long departed, of a community that is seen there.

Tolerant, because dates are uncertain and camera clocks wrong: outside the dates of an animal the weight of its name
fades over months and never reaches zero, so that very clear pictures still win and `v_plausibility` can show them.

Belongs here: weights of names from biographies, as arrays. Does not belong here: how they are used (`assignment`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import merged_ids

LEAST = 1e-3  # weight of a name whose dates contradict the video
LEFT_LEAST = 0.1  # least weight of an animal that left alive: it may visit
FADE_DAYS = 30.0  # days outside its dates in which a name loses two thirds of its weight
ELSEWHERE = 0.05  # weight of an animal whose community is not seen at this site
SEEN_SHARE = 0.05  # names of a community, relative to the commonest one, with which it counts as seen at a site
GRACE_DAYS = 365  # memberships begin and end gradually
RECENT_LABELS = 5_000  # newest names given by people that tell which communities are seen at a site
ENOUGH_LABELS = 20
DAY_YEARS = 365.25


@dataclass(frozen=True)
class NamePlausibility:
    """Dates and communities of C classes. born_first, departed: f64 [C], ordinals of `date`, nan if unknown (the error
    of the departure is added); died: bool [C]; members: (row of the class, community, first day, last day) of each
    membership; seen: by site and community, how many names people recently gave."""

    born_first: np.ndarray
    departed: np.ndarray
    died: np.ndarray
    members: list[tuple[int, int, float, float]]
    seen: dict[str, dict[int, int]]

    def possible(self, days: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """f32 [n, C] in (0, 1]: weight of each name on each day at each site. days: f64 [n], nan if unknown; sites: str
        [n], empty if unknown."""
        if not len(days):
            return np.ones((0, len(self.died)), dtype=np.float32)
        day, of_day = np.unique(days, return_inverse=True)  # nan is one of them
        site, of_site = np.unique(np.asarray(sites, dtype=str), return_inverse=True)
        pairs, which = np.unique(of_day * len(site) + of_site, return_inverse=True)
        weights = [self._of_day(float(day[pair // len(site)]), str(site[pair % len(site)])) for pair in pairs]
        return np.stack(weights)[which]

    def _of_day(self, day: float, site: str) -> np.ndarray:
        weight = np.ones(len(self.died), dtype=np.float32)
        if np.isnan(day):
            return weight
        early = np.nan_to_num(np.maximum(self.born_first - day, 0))
        late = np.nan_to_num(np.maximum(day - self.departed, 0))
        weight *= np.maximum(np.exp(-early / FADE_DAYS), LEAST).astype(np.float32)
        weight *= np.maximum(np.exp(-late / FADE_DAYS), np.where(self.died, LEAST, LEFT_LEAST)).astype(np.float32)
        here = self.seen.get(site, {})
        if sum(here.values()) >= ENOUGH_LABELS:
            most = max(here.values())
            belongs, fits = np.zeros(len(weight), dtype=bool), np.zeros(len(weight), dtype=bool)
            for row, community, first, last in self.members:
                if first - GRACE_DAYS <= day <= last + GRACE_DAYS:
                    belongs[row] = True
                    fits[row] |= here.get(community, 0) >= SEEN_SHARE * most
            weight[belongs & ~fits] *= ELSEWHERE
        return weight


def read_plausibility(conn: sa.Connection, classes: np.ndarray) -> NamePlausibility:
    """Dates and communities of the individuals with these keys (i64 [C]), as merged. Takes some milliseconds."""
    same = merged_ids(conn)
    of = {int(c): row for row, c in enumerate(classes)}
    stands_for: dict[int, list[int]] = {}
    for key, row in of.items():
        stands_for.setdefault(same.get(key, key), []).append(row)
    born, departed = np.full(len(classes), np.nan), np.full(len(classes), np.nan)
    died = np.zeros(len(classes), dtype=bool)
    c = t.individual.c
    for r in conn.execute(
        sa.select(c.individual_id, c.birth_date, c.bd_min, c.depart_date, c.depart_date_error, c.depart_type)
    ):
        for row in stands_for.get(r.individual_id, []):
            born[row] = _day(r.bd_min or r.birth_date)
            departed[row] = _day(r.depart_date) + (r.depart_date_error or 0) * DAY_YEARS
            died[row] = r.depart_type == "D"
    m = t.community_membership.c
    members = [
        (row, int(r.community_id), _day(r.start_date), _day(r.end_date) if r.end_date else np.inf)
        for r in conn.execute(sa.select(m.individual_id, m.community_id, m.start_date, m.end_date))
        for row in stands_for.get(same.get(r.individual_id, r.individual_id), [])
    ]
    return NamePlausibility(born, departed, died, members, _seen(conn) if members else {})


def _seen(conn: sa.Connection) -> dict[str, dict[int, int]]:
    """Names that people recently gave, by site and by the community of that day."""
    a, m = t.annotation, t.community_membership
    newest = (
        sa.select(a.c.track_id, a.c.individual_id)
        .where(a.c.kind == "identify")
        .order_by(a.c.seq.desc())
        .limit(RECENT_LABELS)
        .subquery()
    )
    rows = conn.execute(
        sa.select(t.video.c.site, m.c.community_id, sa.func.count())
        .join_from(newest, t.track, t.track.c.track_id == newest.c.track_id)
        .join(t.video, t.video.c.video_id == t.track.c.video_id)
        .join(
            m,
            sa.and_(
                m.c.individual_id == newest.c.individual_id,
                m.c.start_date <= t.video.c.recorded_on,
                sa.or_(m.c.end_date.is_(None), m.c.end_date >= t.video.c.recorded_on),
            ),
        )
        .where(t.video.c.site.is_not(None))
        .group_by(t.video.c.site, m.c.community_id)
    )
    seen: dict[str, dict[int, int]] = {}
    for site, community, n in rows:
        seen.setdefault(site, {})[int(community)] = int(n)
    return seen


def _day(day: date | None) -> float:
    return float("nan") if day is None else float(day.toordinal())
