"""One comparison in full, as the page, the CSV and `chimp compare` tell it.

Belongs here: whose company it is about, its rows beside the days they are of. Does not belong here: which days
(`presets`), what changed (`comparison`, `whole`), words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.insight.association.network import Network, Node
from chimp_assets.insight.association.periods.comparison import (
    COLUMNS,
    STRENGTH_COLUMNS,
    Comparison,
    nodes_of,
    rows,
    scopes,
    strength_rows,
)
from chimp_assets.insight.association.periods.presets import Periods
from chimp_assets.insight.association.scope import Scope

_DAYS = ("before_from", "before_until_excluded", "after_from", "after_until_excluded")
_MORE = ("before_months", "after_months", "dependants")
PAIR_COLUMNS = (*_DAYS, *COLUMNS, *_MORE)
INDIVIDUAL_COLUMNS = (*_DAYS, *STRENGTH_COLUMNS, *_MORE)


class Networks(Protocol):
    """Where networks are counted (`NetworkCache`)."""

    def network(self, conn: sa.Connection, asked: Scope) -> Network: ...

    def comparison(self, conn: sa.Connection, before: Scope, after: Scope, who: int | None = None) -> Comparison: ...


@dataclass(frozen=True)
class Change:
    """What changed between two periods. nodes: everybody seen in one of them; who: key of whose company is asked about;
    infant: key of who was born in between; scopes: what was counted of each period."""

    periods: Periods
    compared: Comparison
    nodes: dict[int, Node]
    who: int | None
    infant: int | None
    who_label: str | None
    infant_label: str | None
    scopes: tuple[Scope, Scope]

    def pairs(self) -> Iterator[tuple[Any, ...]]:
        """A row of PAIR_COLUMNS for each pair of the company that is asked about."""
        return self._framed(rows(self.compared, self.nodes, self.who, self.infant))

    def individuals(self) -> Iterator[tuple[Any, ...]]:
        """A row of INDIVIDUAL_COLUMNS for each individual that was seen in both periods."""
        return self._framed(strength_rows(self.compared, self.nodes))

    def _framed(self, of: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        before, after = self.periods.before, self.periods.after
        days = before.first, before.before, after.first, after.before
        months = [" ".join(map(str, one.months)) or None for one in (before, after)]
        more = (*months, "counted" if self.compared.dependants is None else "left_out")
        return ((*days, *row, *more) for row in of)


def change_of(
    conn: sa.Connection, networks: Networks, periods: Periods, scope: Scope, who: int | None = None
) -> Change:
    """What changed. who: whose company is asked about, else that of the mother of a birth, else everybody's."""
    who = who or periods.who
    before, after = scopes(periods, scope)
    compared = networks.comparison(conn, before, after, who)
    nodes = nodes_of(networks.network(conn, before), networks.network(conn, after))
    infant = periods.about if periods.what == "birth" else None
    return Change(periods, compared, nodes, who, infant, _label(conn, who), _label(conn, infant), (before, after))


def _label(conn: sa.Connection, key: int | None) -> str | None:
    i = t.individual.c
    row = conn.execute(sa.select(i.name, i.anim_id).where(i.individual_id == key)).first() if key else None
    return None if row is None else row.name or row.anim_id
