"""The network in one window of time after the other, everybody at the same place.

Belongs here: handlers, reading the address. Does not belong here: windows (`insight.association.periods`), counting and
layout (`insight.association`), geometry (`charts`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.association.families.lives import DEPENDENT_YEARS
from chimp_assets.insight.association.network import strongest
from chimp_assets.insight.association.periods.presets import Period
from chimp_assets.insight.association.periods.windows import MONTHS, Step, windows
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import graph
from chimp_assets.web.pages.together import MOST_MINUTES, Dependants, days_of

router = APIRouter(prefix="/together", include_in_schema=False, dependencies=[Depends(require("viewer"))])

DRAWN = 600
ROWS = 40


@dataclass(frozen=True)
class TimeAddress:
    """The parameters of the address. at: a day of the window; empty: the newest window."""

    step: Step = "month"
    at: Annotated[str, Query(max_length=10)] = ""
    rule: Rule = "frame"
    minutes: Annotated[int, Query(ge=0, le=MOST_MINUTES)] = 10
    names: Literal["verified", "model"] = "verified"
    p: Annotated[float | None, Query(ge=0, le=1)] = None
    dependants: Dependants = "counted"

    def query(self, **more: Any) -> str:
        """The query of the permanent address."""
        parts: dict[str, Any] = {"step": self.step, "rule": self.rule}
        parts |= {"minutes": self.minutes} if self.rule == "minutes" else {}
        parts |= {"names": "model", "p": f"{self.p:g}"} if self.names == "model" and self.p is not None else {}
        parts |= {"dependants": self.dependants} if self.dependants != "counted" else {}
        return urlencode({**parts, **more})


@router.get("/over-time")
def over_time(request: Request, words: Annotated[TimeAddress, Depends()]) -> Response:
    """One window: its network, what was filmed in it, and the way to the one before and after."""
    state = request.app.state
    wanted, _ = days_of(words.at, "")
    with state.db.read() as conn:
        asked = words if words.p is not None else replace(words, p=name_threshold(conn).shown)
        known = windows(conn, asked.step)
        place = _place(known, wanted)
        said: dict[str, Any] = {"asked": asked, "windows": known, "place": place, "steps": tuple(MONTHS)}
        said |= {"dependent_years": DEPENDENT_YEARS}
        if place is not None:
            whole = Scope(asked.rule, asked.minutes, None, None, asked.p if asked.names == "model" else None)
            counts = asked.dependants == "counted"
            scope = replace(whole, since=known[place].first, until=known[place].last, dependants=counts)
            found = state.networks.network(conn, scope)
            counted = state.networks.counted(conn, scope)
            at = state.layouts.places(found, lambda: state.networks.network(conn, whole), f"{asked.rule}-{asked.names}")
            edges = strongest(found.edges, "sri")
            nodes = {node.key: node for node in found.nodes if node.days}
            drawn = graph(
                {key: at[key] for key in nodes},
                {key: node.days for key, node in nodes.items()},
                [(edge.a, edge.b, edge.sri) for edge in edges[:DRAWN] if edge.a in nodes and edge.b in nodes],
            )
            said |= {"left_out": counted.dependants}
            said |= {
                "drawn": drawn,
                "node": nodes,
                "effort": counted.effort,
                "edges": edges[:ROWS],
                "n_edges": len(edges),
            }
    return state.templates.TemplateResponse(request, "association/over_time.html", said)


def _place(known: list[Period], wanted: date | None) -> int | None:
    """The window of a day, the one before it where none holds it; the newest where none is wanted."""
    if not known:
        return None
    if wanted is None:
        return len(known) - 1
    return max((place for place, one in enumerate(known) if one.first <= wanted), default=0)
