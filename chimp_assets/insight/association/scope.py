"""What a count of associations is of: the rule by which two are together, the days, the names and the sampling unit.

Belongs here: the scope. Does not belong here: counting by it (`together`, `network`, `estimates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, cast, get_args

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.errors import ChimpError
from chimp_assets.insight.association.units import DAY, SamplingUnit, UnitError
from chimp_assets.insight.individuals.named_tracks import named_track

Rule = Literal["frame", "clip", "minutes"]
_EPOCH = date(1970, 1, 1).toordinal()


class ScopeError(ChimpError):
    """Days that no year has, or a rule that nobody knows."""


def rule_of(word: str) -> Rule:
    """The rule that a word says. Raises ScopeError for any other word."""
    if word not in get_args(Rule):
        raise ScopeError(f"The rule {word[:40]!r} is not known.", "Use frame, clip or minutes.")
    return cast("Rule", word)


@dataclass(frozen=True)
class Scope:
    """What is counted: rule, days and sampling unit. since, until: first and last day, both inside. probability: least
    for names by the model; None: only names by persons. months: 1 to 12, those whose days count, ascending; none: all.
    dependants: whether tracks count of individuals that depended on their mother that day (`families.lives`; `together`
    counts them always). Raises UnitError for frames as units by another rule, ScopeError for a month that is none."""

    rule: Rule = "frame"
    minutes: int = 10
    since: date | None = None
    until: date | None = None
    probability: float | None = None
    unit: SamplingUnit = DAY
    months: tuple[int, ...] = ()
    dependants: bool = True

    def __post_init__(self) -> None:
        if self.unit.kind == "frame" and self.rule != "frame":
            raise UnitError(
                f"Frames are no units of the rule {self.rule!r}: it counts two that no frame shows together.",
                "Use the rule frame, or another unit.",
            )
        for month in self.months:
            if not 1 <= month <= 12:
                raise ScopeError(f"{month} is no month.", "Say months as numbers from 1 to 12.")
        object.__setattr__(self, "months", tuple(sorted(set(self.months))))

    def holds(self, day: np.ndarray) -> np.ndarray:
        """Which days, as ordinals i64 [n], are inside: bool [n]."""
        since, until = (self.since or date.min).toordinal(), (self.until or date.max).toordinal()
        inside = (since <= day) & (day <= until)
        if self.months:
            months = (day - _EPOCH).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
            inside &= np.isin(months, self.months)
        return np.asarray(inside)

    def narrowed(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        """A statement over `named_track` and `video`, narrowed to this scope."""
        n, v = named_track.c, t.video.c
        which = n.source == "person" if self.probability is None else n.probability >= self.probability
        statement = statement.where(which)
        if self.since is not None:
            statement = statement.where(v.recorded_on >= self.since)
        if self.until is not None:
            statement = statement.where(v.recorded_on <= self.until)
        if self.months:
            statement = statement.where(sa.extract("month", v.recorded_on).in_(self.months))
        return statement
