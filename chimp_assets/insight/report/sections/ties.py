"""Who was with whom: association indices with what they are made of.

Belongs here: reading the table `association_edge` where it was counted, else counting as the network page does. Does
not belong here: counting (`insight.association`), what changed between two reports (`insight.report.changes`).

Together is in one video, the unit a day on which at least one of the two was seen, as `v_dyad` with group_rule 'video'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.network import network
from chimp_assets.insight.association.together import TOO_FEW, Scope

RULE = "video"
EVERY_NAME = 0.0
"""Least probability: every name counts as it is, as in `v_dyad`."""


@dataclass(frozen=True)
class Tie:
    """Two individuals together on x of n days. corrected, low, high: with the errors of names taken out, None where
    that was not counted."""

    a: str
    b: str
    x: int
    n: int
    corrected: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def sri(self) -> float:
        """Simple ratio index."""
        return self.x / self.n

    @property
    def index(self) -> float:
        """The corrected index where there is one, else the simple ratio index."""
        return self.sri if self.corrected is None else self.corrected

    @property
    def too_few(self) -> bool:
        """Whether there are too few days together for a meaningful index."""
        return self.x < TOO_FEW


@dataclass(frozen=True)
class Ties:
    """Every pair that was together, the strongest first. is_corrected: errors of names were taken out."""

    ties: list[Tie]
    is_corrected: bool

    @property
    def meaningful(self) -> list[Tie]:
        """Those with enough days together."""
        return [one for one in self.ties if not one.too_few]


def ties_of(conn: sa.Connection) -> Ties:
    """All ties of all days: from `association_edge` where it has any, else counted now."""
    e, a, b = t.association_edge.c, t.individual.alias("a"), t.individual.alias("b")
    rows = conn.execute(
        sa.select(
            a.c.anim_id.label("code_a"), b.c.anim_id.label("code_b"), e.x, e.n, e.corrected_sri, e.low, e.high
        )
        .join_from(t.association_edge, a, a.c.individual_id == e.individual_a)
        .join(b, b.c.individual_id == e.individual_b)
        .where(e.group_rule == RULE, e.period_kind == "all", e.x > 0)
    ).all()  # fmt: skip
    if rows:
        return Ties(strongest(Tie(*row) for row in rows), any(row.corrected_sri is not None for row in rows))
    found = network(conn, Scope("clip", probability=EVERY_NAME))
    code = {node.key: node.anim_id for node in found.nodes}
    return Ties(strongest(Tie(code[edge.a], code[edge.b], edge.x, edge.days) for edge in found.edges), False)


def strongest(ties: Iterable[Tie]) -> list[Tie]:
    """Sorted: ties with enough days first, by index, then by days together."""
    return sorted(ties, key=lambda one: (one.too_few, -one.index, -one.x, one.a, one.b))
