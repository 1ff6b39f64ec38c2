"""What changed between two periods: every pair, and what can be said of it.

Belongs here: comparing two scopes, whose company is asked about, what becomes of a newborn. Does not belong here:
presets of days (`presets`), the method (`estimates`, `statistics.association`), pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.insight.association.errors import NameErrors, name_errors
from chimp_assets.insight.association.estimates import (
    AuditDraws,
    Counted,
    EdgeChange,
    Effort,
    TwoPeriods,
    compare,
    two_periods,
)
from chimp_assets.insight.association.network import Network, Node
from chimp_assets.insight.association.periods.presets import Periods
from chimp_assets.insight.association.scope import Scope
from chimp_assets.statistics.association.intervals import audit_draws

COLUMNS = (
    "a", "name_a", "b", "name_b", "x_before", "n_before", "index_before", "x_after", "n_after", "index_after",
    "difference", "low", "high", "changed", "power_of_a_halved_tie", "too_few", "newborn",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Two periods compared. changes: pairs that were together in one of them, those of one individual where it was
    asked for, what changed first, then by size of the difference; both: the indices of every pair; effort_before,
    effort_after: what was filmed; errors: what names were corrected by."""

    changes: list[EdgeChange]
    both: TwoPeriods
    errors: NameErrors
    effort_before: Effort
    effort_after: Effort


@dataclass(frozen=True)
class Company:
    """The part of a comparison that is about one individual, or all of it (key None). newborn: the infant's key, whose
    pairs say nothing of change; told: pairs of which enough was sampled."""

    changed: list[EdgeChange]
    unchanged: list[EdgeChange]
    too_few: list[EdgeChange]
    newborn: list[EdgeChange]

    @property
    def power(self) -> float | None:
        """Median chance that a halved tie among those without a change would have been found; None without any."""
        strong = [one.power for one in self.unchanged if one.before > 0]
        return float(np.median(strong)) if strong else None


def scopes(periods: Periods, scope: Scope) -> tuple[Scope, Scope]:
    """The scope of each period. scope: whose days do not matter."""
    return (
        replace(scope, since=periods.before.first, until=periods.before.last),
        replace(scope, since=periods.after.first, until=periods.after.last),
    )


def comparison(
    conn: sa.Connection, before: Counted, after: Counted, who: int | None = None, draws: AuditDraws = audit_draws
) -> Comparison:
    """Pairs of two counted periods: of one individual, or every one. What is said of a pair is the same in both. draws:
    makes or remembers inverses of errors."""
    heads = after.heads or before.heads
    errors = name_errors(conn, heads[-1] if heads else None, before.scope.probability or 0.0)
    both = two_periods(before, after, errors, draws)
    found = compare(both, both.of(who))
    found.sort(key=lambda one: (not one.changed, one.too_few, -abs(one.difference), one.a, one.b))
    return Comparison(found, both, errors, before.effort, after.effort)


def company(found: Comparison, who: int | None, infant: int | None = None) -> Company:
    """What is said of one individual's company, or of everybody's."""
    mine = [one for one in found.changes if who is None or who in (one.a, one.b)]
    newborn = [one for one in mine if infant in (one.a, one.b)]
    others = [one for one in mine if infant not in (one.a, one.b)]
    return Company(
        [one for one in others if one.changed],
        [one for one in others if not one.changed and not one.too_few],
        [one for one in others if one.too_few],
        newborn,
    )


def rows(found: Comparison, nodes: dict[int, Node], who: int | None, infant: int | None) -> Iterator[tuple[Any, ...]]:
    """A row of COLUMNS for each pair."""
    for one in found.changes:
        if who is not None and who not in (one.a, one.b):
            continue
        a, b = nodes[one.a], nodes[one.b]
        yield (
            a.anim_id, a.name, b.anim_id, b.name, one.x_before, one.n_before, round(one.before, 6), one.x_after,
            one.n_after, round(one.after, 6), round(one.difference, 6), round(one.low, 6), round(one.high, 6),
            int(one.changed), round(one.power, 4), int(one.too_few), int(infant in (one.a, one.b)),
        )  # fmt: skip


def nodes_of(*networks: Network) -> dict[int, Node]:
    """Everybody in any of them; what is counted of a node is of the last."""
    return {node.key: node for one in networks for node in one.nodes}
