"""Conditions of a selection beyond who, where and when: those of a search.

Belongs here: how they are said in SQL and in words. Does not belong here: reading what people write (`conditions`), the
statement that selects (`selection`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.footage.light import light_of_video
from chimp_assets.insight.individuals.decisions import flagged_tracks
from chimp_assets.insight.individuals.named_tracks import named_track as NAMED
from chimp_assets.insight.search.columns import SLACK
from chimp_assets.insight.search.reading import AGE_SCHEME

_BORN = sa.table("v_individual_day", *map(sa.column, ("individual_id", "sex", "born_day_no")))
_DAY = sa.table("v_video_day", *map(sa.column, ("video_id", "day_no")))
Range = tuple[float, float]


@dataclass(frozen=True)
class Further:
    """without: (individual_id, code) that a track must not show; beside: one of whom is in the same video by a name
    that counts; sexes; ages: classes of the scheme gombe on the day of the video; lights: of the video; flagged: a
    reviewer is asked to look at the track; p: of a name, from and to; quality: of a track, from and to; hours: first
    and last, UTC; video_ids: rows that hold the frames."""

    without: tuple[tuple[int, str], ...] = ()
    beside: tuple[tuple[int, str], ...] = ()
    sexes: tuple[str, ...] = ()
    ages: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    flagged: bool = False
    p: Range | None = None
    quality: Range | None = None
    hours: tuple[int, int] | None = None
    video_ids: tuple[int, ...] = ()

    @property
    def is_of_named(self) -> bool:
        """Whether only tracks with a name that counts can fit."""
        return bool(self.sexes or self.ages or self.p)

    @property
    def is_of_tracks(self) -> bool:
        """Whether some tracks of a video may fit and others not."""
        return bool(self.is_of_named or self.without or self.flagged or self.quality)

    def of_tracks(self, ti: Any, counts: sa.ColumnElement[bool] | None) -> list[sa.ColumnElement[bool]]:
        """Conditions on rows of v_named_track or v_track_identity. counts: whether what is known of one does; None:
        always."""
        found = self.of_nameless(ti.track_id)
        if self.without:
            others = ti.individual_id.not_in([key for key, _ in self.without])
            uncounted = [] if counts is None else [sa.not_(counts)]
            found.append(sa.or_(ti.individual_id.is_(None), others, *uncounted))
        if self.sexes:
            i = t.individual.c
            found.append(ti.individual_id.in_(sa.select(i.individual_id).where(i.sex.in_(self.sexes))))
        if self.ages:
            found.append(self._is_of_age(ti))
        if self.p is not None:
            found.append(_between(ti.probability, self.p))
        return found

    def of_nameless(self, track_id: sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
        """Those of them that need no name."""
        found: list[sa.ColumnElement[bool]] = []
        if self.flagged:
            found.append(track_id.in_(flagged_tracks()))
        if self.quality is not None:
            one = t.track.alias("of_quality")
            good = _between(one.c.quality, self.quality)
            found.append(sa.exists().where(one.c.track_id == track_id, good))
        return found

    def of_videos(self, v: Any, counts: Callable[[Any], sa.ColumnElement[bool] | None]) -> list[sa.ColumnElement[bool]]:
        """Conditions on rows of `video`. counts: of columns of v_named_track, whether a row does; None: always."""
        found: list[sa.ColumnElement[bool]] = []
        if self.video_ids:
            found.append(v.video_id.in_(self.video_ids))
        if self.beside:
            n = NAMED.alias("beside").c  # the statement around may be about named tracks itself
            films = sa.select(n.video_id).where(n.individual_id.in_([key for key, _ in self.beside]))
            told = counts(n)
            found.append(v.video_id.in_(films if told is None else films.where(told)))
        if self.lights:
            s, light = t.video_signal, light_of_video()
            known = sa.select(s.c.video_id).where(light.in_([one for one in self.lights if one != "not_known"]))
            either = [v.video_id.in_(known)]
            if "not_known" in self.lights:
                either.append(v.video_id.not_in(sa.select(s.c.video_id)))
            found.append(sa.or_(*either))
        if self.hours is not None:
            hour = sa.extract("hour", v.recorded_at)
            found.append(sa.and_(hour >= self.hours[0], hour <= self.hours[1]))
        return found

    def _is_of_age(self, ti: Any) -> sa.ColumnElement[bool]:
        """As v_age_at_sighting has it, for tracks."""
        b, d, a = _BORN.c, _DAY.c, t.age_class.c
        years = (d.day_no - b.born_day_no) / sa.cast(365.25, sa.Double())
        return (
            sa.exists()
            .where(b.individual_id == ti.individual_id, d.video_id == ti.video_id, a.scheme == AGE_SCHEME)
            .where(a.sex == b.sex, a.name.in_(self.ages), years >= a.min_age_y)
            .where(sa.or_(a.max_age_y.is_(None), years < a.max_age_y))
        )

    @property
    def words(self) -> list[str]:
        """Parts of the sentence that says the selection."""
        found = []
        if self.without:
            found.append(f"not of {either([code for _, code in self.without])}")
        if self.beside:
            found.append(f"in one video with {either([code for _, code in self.beside])}")
        if self.sexes:
            found.append(f"of individuals of sex {either(self.sexes)}")
        if self.ages:
            found.append(f"of age class {either(self.ages)} on that day")
        if self.lights:
            found.append(f"filmed in light that is {either(self.lights)}")
        if self.flagged:
            found.append("that a reviewer is asked to look at")
        if self.p is not None:
            found.append(f"named with a probability from {self.p[0]:g} to {self.p[1]:g}")
        if self.quality is not None:
            found.append(f"of a quality from {self.quality[0]:g} to {self.quality[1]:g}")
        if self.hours is not None:
            found.append(f"recorded in the hours from {self.hours[0]} to {self.hours[1]} UTC")
        if self.video_ids:
            found.append(f"of video {either([str(one) for one in self.video_ids])}")
        return found


def either(words: Sequence[str]) -> str:
    """Words as alternatives: a, b or c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _between(value: sa.ColumnElement[Any], bounds: Range) -> sa.ColumnElement[bool]:
    return sa.and_(value >= bounds[0] - SLACK, value <= bounds[1] + SLACK)
