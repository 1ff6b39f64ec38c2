"""All numbers of a report at one moment, and the few that are kept to be compared with the next.

Does not belong here: the sections (`sections`), the comparison (`changes`), words (`page`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.labels.events import last_seq
from chimp_assets.insight.report.sections.effort import Effort, effort_of
from chimp_assets.insight.report.sections.honesty import Honesty, honesty_of
from chimp_assets.insight.report.sections.individuals import Individuals, individuals_of
from chimp_assets.insight.report.sections.ties import Ties, ties_of

FORMAT = 1
TIES_KEPT = 2_000
"""Ties with enough days that are kept for the next comparison, the strongest."""


@dataclass(frozen=True)
class ReportNumbers:
    """A report in numbers. label_seq: number of the last decision that was read."""

    made_at: datetime
    label_seq: int
    effort: Effort
    individuals: Individuals
    ties: Ties
    honesty: Honesty

    @property
    def day(self) -> date:
        """The day of the report, in UTC: its name."""
        return self.made_at.date()

    def figures(self) -> dict[str, int | float | None]:
        """Single numbers by name, in the order in which they are shown; None: not known."""
        head, goal = self.honesty.head, self.honesty.goal
        return {
            "videos": self.effort.videos,
            "hours": self.effort.hours,
            "days": self.effort.days,
            "cameras": len(self.effort.cameras),
            "seen": len(self.individuals.seen),
            "missing": len(self.individuals.missing),
            "unknown": len(self.individuals.unknown),
            "named_by_person": self.individuals.named.get("person", 0),
            "named_by_volunteers": self.individuals.named.get("volunteers", 0),
            "named_by_model": self.individuals.named.get("model", 0),
            "ties": len(self.ties.meaningful),
            "accuracy": None if head is None else head.top1,
            "named_frames": None if goal is None else goal.frames.named,
            "alerts": len(self.honesty.alerts),
            "minutes": self.honesty.minutes,
        }

    def kept(self) -> dict[str, Any]:
        """What is kept of it as JSON beside the page, for the next report and for other programs."""
        return {
            "format": FORMAT,
            "day": self.day.isoformat(),
            "made_at": self.made_at.isoformat(),
            "label_seq": self.label_seq,
            "figures": self.figures(),
            "seen": {one.anim_id: one.last_seen for one in self.individuals.seen},
            "missing": [one.anim_id for one in self.individuals.missing],
            "corrected": self.ties.is_corrected,
            "ties": [[one.a, one.b, one.x, one.n, one.index] for one in self.ties.meaningful[:TIES_KEPT]],
        }


def numbers_of(conn: sa.Connection, at: datetime) -> ReportNumbers:
    """Every number, in the transaction of the connection, so that all are of one moment. at: of the report, UTC."""
    return ReportNumbers(at, last_seq(conn), effort_of(conn), individuals_of(conn), ties_of(conn), honesty_of(conn))
