"""What a count of associations is of: the rule by which two are together, the days, the names and the sampling unit.

Belongs here: the scope. Does not belong here: counting by it (`together`, `network`, `estimates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.units import DAY, SamplingUnit, UnitError
from chimp_assets.insight.individuals.named_tracks import named_track

Rule = Literal["frame", "clip", "minutes"]


@dataclass(frozen=True)
class Scope:
    """What is counted: rule, days and sampling unit. since, until: first and last day, both inside. probability: least
    for names by the model; None: only names by persons. Raises UnitError for frames as units by another rule."""

    rule: Rule = "frame"
    minutes: int = 10
    since: date | None = None
    until: date | None = None
    probability: float | None = None
    unit: SamplingUnit = DAY

    def __post_init__(self) -> None:
        if self.unit.kind == "frame" and self.rule != "frame":
            raise UnitError(
                f"Frames are no units of the rule {self.rule!r}: it counts two that no frame shows together.",
                "Use the rule frame, or another unit.",
            )

    def narrowed(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        """A statement over `named_track` and `video`, narrowed to this scope."""
        n, v = named_track.c, t.video.c
        which = n.source == "person" if self.probability is None else n.probability >= self.probability
        statement = statement.where(which)
        if self.since is not None:
            statement = statement.where(v.recorded_on >= self.since)
        if self.until is not None:
            statement = statement.where(v.recorded_on <= self.until)
        return statement
