"""What differs between a report and an earlier one.

Belongs here: differences of kept numbers. Does not belong here: reading what was kept (`kept`), tests of a change: two
reports share most of their days, so that a difference of them proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chimp_assets.insight.report.numbers import ReportNumbers

TIES_SHOWN = 12
LEAST_CHANGE = 0.005
"""Change of an index that is not shown as 0.00."""


@dataclass(frozen=True)
class FigureChange:
    """A number before and now; None: not known."""

    name: str
    before: float | None
    now: float | None

    @property
    def difference(self) -> float | None:
        """Now less before; None where one is not known."""
        return None if self.before is None or self.now is None else self.now - self.before


@dataclass(frozen=True)
class TieChange:
    """A tie that differs. before: (x, n, index), None: there were too few days together, or none; now: likewise."""

    a: str
    b: str
    before: tuple[int, int, float] | None
    now: tuple[int, int, float] | None

    @property
    def difference(self) -> float:
        """Of the index; a tie that was not there counts from 0."""
        return (self.now[2] if self.now else 0.0) - (self.before[2] if self.before else 0.0)


@dataclass(frozen=True)
class Changes:
    """What differs since the report of a day. newly_seen: codes that had no sighting then; again: codes that were
    missing for long and were seen since; newly_missing: codes that became so; ties: those that differ most, None where
    the two reports counted them differently."""

    since: str
    figures: list[FigureChange]
    newly_seen: list[str]
    again: list[str]
    newly_missing: list[str]
    ties: list[TieChange] | None


def changes_since(now: ReportNumbers, before: Mapping[str, Any]) -> Changes:
    """What differs from an earlier report. before: what was kept of it (`ReportNumbers.kept`)."""
    figures = now.figures()
    kept = now.kept()
    then = before["figures"]
    seen_then, missing_then = before["seen"], set(before["missing"])
    missing = set(kept["missing"])
    comparable = bool(before["corrected"]) == kept["corrected"]
    return Changes(
        since=before["day"],
        figures=[FigureChange(name, then.get(name), value) for name, value in figures.items()],
        newly_seen=[code for code in kept["seen"] if code not in seen_then],
        again=[code for code, day in kept["seen"].items() if code in missing_then and day > seen_then.get(code, "")],
        newly_missing=sorted(missing - missing_then),
        ties=_ties(before["ties"], kept["ties"]) if comparable else None,
    )


def _ties(before: list[list[Any]], now: list[list[Any]]) -> list[TieChange]:
    was, there = _by_pair(before), _by_pair(now)
    found = [TieChange(*pair, was.get(pair), there.get(pair)) for pair in sorted(was.keys() | there.keys())]
    told = [one for one in found if abs(one.difference) >= LEAST_CHANGE]
    return sorted(told, key=lambda one: (-abs(one.difference), one.a, one.b))[:TIES_SHOWN]


def _by_pair(ties: list[list[Any]]) -> dict[tuple[str, str], tuple[int, int, float]]:
    # By code, in one order: keys of a merged database need not be those of before.
    return {(min(a, b), max(a, b)): (x, n, index) for a, b, x, n, index in ties}
