"""Associations of all individuals: as a network, a matrix, a table, CSV and GraphML.

Belongs here: handlers, reading the address. Does not belong here: counting and layout (`insight.association`), geometry
of the drawing (`charts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.labels.promises.threshold import USUAL, name_threshold
from chimp_assets.insight.association.network import Edge, Network, Node, strongest
from chimp_assets.insight.association.network_estimates import NetworkEstimates
from chimp_assets.insight.association.network_export import EDGE_COLUMNS, edge_rows, graphml
from chimp_assets.insight.association.scope import Rule, Scope
from chimp_assets.insight.association.together import RESAMPLES, TOO_FEW, index_of_counts
from chimp_assets.insight.association.units import BURST_GAP, SamplingUnit, UnitError
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import graph
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.together import MOST_MINUTES, days_of, export_query
from chimp_assets.web.tables import csv_download, safe_name

router = APIRouter(prefix="/together", include_in_schema=False, dependencies=[Depends(require("viewer"))])

DRAWN = 1_500
"""Lines of a drawing, the strongest; more would be a grey cloud."""
A_NODE = 3
"""Lines for each individual that a drawing shows at first."""
MATRIX = 80
PAGE = 100
Index = Literal["sri", "hwi"]
UNITS = ("day", "burst", "minutes:60", "minutes:10", "clip", "frame")
_ASKED_COLUMNS = ("unit", "rule", "minutes", "since", "until", "community", "names", "models", "label_seq")


@dataclass(frozen=True)
class NetworkAddress:
    """The parameters of the address. least: index from which lines are shown; None: the strongest few."""

    rule: Rule = "frame"
    minutes: Annotated[int, Query(ge=0, le=MOST_MINUTES)] = 10
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""
    names: Literal["verified", "model"] = "verified"
    p: Annotated[float | None, Query(ge=0, le=1)] = None
    index: Index = "sri"
    least: Annotated[float | None, Query(ge=0, le=1)] = None
    few: bool = False
    community: Annotated[str, Query(max_length=200)] = ""
    unit: Annotated[str, Query(max_length=12)] = "day"

    @property
    def least_probability(self) -> float:
        """From which names of the model count."""
        return USUAL if self.p is None else self.p

    @property
    def days(self) -> tuple[date | None, date | None]:
        """First and last day. Raises WebError for a word that is no day."""
        return days_of(self.since, self.until)

    @property
    def scope(self) -> Scope:
        """The scope of `insight`."""
        probability = self.least_probability if self.names == "model" else None
        try:
            return Scope(self.rule, self.minutes, *self.days, probability, SamplingUnit.of(self.unit))
        except UnitError as error:
            raise WebError(422, "malformed", f"unit: {error.sentence}", error.remedy) from None

    def query(self, **more: Any) -> str:
        """The query of the permanent address, without defaults."""
        return urlencode({**self._of_both(), **self._own(), **more})

    def pair_query(self, a: str, b: str) -> str:
        """The query of the page about two individuals, with the same parameters."""
        return urlencode({"with": f"{a},{b}", **self._of_both()}, safe=",")

    def export_query(self) -> str:
        """The query of the page of exports for these days, the network chosen."""
        return export_query([], *self.days, self.names, self.least_probability, format="association_network")

    def fields(self) -> list[tuple[str, Any]]:
        """The parameters as hidden fields of the form with the slider."""
        return [(key, value) for key, value in {**self._of_both(), **self._own()}.items() if key != "least"]

    def _of_both(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"rule": self.rule}
        if self.rule == "minutes":
            parts["minutes"] = self.minutes
        parts |= {key: day.isoformat() for key, day in zip(("since", "until"), self.days, strict=True) if day}
        if self.names == "model":
            parts |= {"names": "model", "p": f"{self.least_probability:g}"}
        return parts

    def _own(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"index": self.index} if self.index != "sri" else {}
        if self.least is not None:
            parts["least"] = f"{self.least:g}"
        if self.few:
            parts["few"] = "1"
        if self.community:
            parts["community"] = self.community
        if self.unit != "day":
            parts["unit"] = self.unit
        return parts


def _asked(request: Request, words: Annotated[NetworkAddress, Depends()]) -> NetworkAddress:
    """The parameters, with the threshold that holds where none is given."""
    with request.app.state.db.read() as conn:
        usual = name_threshold(conn)
    request.state.promised_on = usual.promised_on if words.p in (None, usual.shown) else None
    return words if words.p is not None else replace(words, p=usual.shown)


Asked = Annotated[NetworkAddress, Depends(_asked)]


@dataclass(frozen=True)
class NetworkSelection:
    """A network and its part for a community. edges: of this part, strongest first; left_out: number of pairs with too
    few days together."""

    network: Network
    nodes: dict[int, Node]
    edges: list[Edge]
    left_out: int
    communities: list[str]
    estimates: NetworkEstimates


@router.get("/network")
def drawing(request: Request, asked: Asked) -> Response:
    """The network as a drawing. Places are stored, so that individuals stay in place between visits."""
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
        usual = f"{asked.rule}-{asked.names}"
        at = request.app.state.layouts.places(
            found.network,
            lambda: request.app.state.networks.network(conn, replace(asked.scope, since=None, until=None)),
            usual,
        )
    shown = found.edges[:DRAWN]
    found.estimates.tell((edge.a, edge.b) for edge in shown)
    paired = {key for edge in shown for key in (edge.a, edge.b)}
    values = [getattr(edge, asked.index) for edge in shown]
    least = asked.least
    if least is None:
        least = values[min(len(values), A_NODE * len(paired)) - 1] if values else 0.0
    drawn = graph(
        {key: at[key] for key in paired},
        {key: node.days for key, node in found.nodes.items() if key in paired},
        [(edge.a, edge.b, value) for edge, value in zip(shown, values, strict=True)],
    )
    groups = {name: n for n, name in enumerate(found.communities)}
    return _page(
        request, "association/network.html", "network", asked, found,
        drawn=drawn, lines=list(zip(drawn.lines, shown, strict=True)), least=round(least, 3), most=DRAWN,
        groups=groups, alone=len(found.nodes) - len(paired),
    )  # fmt: skip


@router.get("/matrix")
def matrix(request: Request, asked: Asked) -> Response:
    """The network as a matrix, for as many individuals as stay readable."""
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    seen_most = sorted(found.nodes.values(), key=lambda node: (-node.days, node.anim_id))[:MATRIX]
    rows = sorted(seen_most, key=lambda node: (node.community or "", node.label))
    least, there = asked.least or 0.0, {node.key for node in rows}
    cells = {}
    for edge in found.edges:
        if edge.a in there and edge.b in there and getattr(edge, asked.index) >= least:
            cells[edge.a, edge.b] = cells[edge.b, edge.a] = edge
    found.estimates.tell({(edge.a, edge.b) for edge in cells.values()})
    return _page(request, "association/matrix.html", "matrix", asked, found, rows=rows, cells=cells, most=MATRIX)


@router.get("/table")
def table(request: Request, asked: Asked, after: Annotated[int, Query(ge=0, le=10**7)] = 0) -> Response:
    """The pairs as a table, closest first, with intervals."""
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    edges = strongest(found.edges, asked.index, asked.least or 0.0)
    part = edges[after : after + PAGE]
    found.estimates.tell((edge.a, edge.b) for edge in part)
    rows = [(edge, index_of_counts(edge.a, edge.b, edge.x, edge.y_a, edge.y_b, edge.y_ab)) for edge in part]
    more = after + PAGE if after + PAGE < len(edges) else None
    return _page(
        request, "association/pairs_table.html", "table", asked, found, rows=rows, n=len(edges), after=after, more=more
    )


@router.get("/network.csv")
def as_csv(request: Request, asked: Asked) -> Response:
    """Every pair as CSV; each row holds the query and the state."""
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    edges = strongest(found.edges, asked.index, asked.least or 0.0)

    def rows() -> Iterator[Sequence[Any]]:
        about = tuple(_about(asked, found).values())
        estimated = found.estimates.tell((edge.a, edge.b) for edge in edges)
        for row in edge_rows(found.network, edges, estimated):
            yield (*about, *row)

    return csv_download("together_network", (*_ASKED_COLUMNS, *EDGE_COLUMNS), rows())


@router.get("/network.graphml")
def as_graphml(request: Request, asked: Asked) -> Response:
    """The network as GraphML; the graph holds the query and the state."""
    with request.app.state.db.read() as conn:
        found = _find(request, conn, asked)
    edges = strongest(found.edges, asked.index, asked.least or 0.0)
    some = replace(found.network, nodes=sorted(found.nodes.values(), key=lambda node: node.anim_id))
    about = {key: "" if value is None else str(value) for key, value in _about(asked, found).items()}
    least = {"least": asked.least or 0.0, "index": asked.index, "with_too_few": asked.few}
    headers = {"Content-Disposition": f'attachment; filename="{safe_name("together_network")}.graphml"'}
    estimated = found.estimates.tell((edge.a, edge.b) for edge in edges)
    body = graphml(some, edges, {**about, **least}, estimated)
    return Response(body, media_type="application/graphml+xml", headers={**headers, "Cache-Control": "no-store"})


def _find(request: Request, conn: sa.Connection, asked: NetworkAddress) -> NetworkSelection:
    found = request.app.state.networks.network(conn, asked.scope)
    estimates = request.app.state.networks.estimates(conn, asked.scope)
    communities = sorted({node.community for node in found.nodes if node.community})
    nodes = {node.key: node for node in found.nodes if not asked.community or node.community == asked.community}
    inside = [edge for edge in found.edges if edge.a in nodes and edge.b in nodes]
    edges = strongest([edge for edge in inside if asked.few or not edge.too_few], asked.index)
    return NetworkSelection(found, nodes, edges, len(inside) - len(edges), communities, estimates)


def _about(asked: NetworkAddress, found: NetworkSelection) -> dict[str, Any]:
    since, until = asked.days
    words = (
        asked.unit, asked.rule, asked.minutes if asked.rule == "minutes" else None, since, until,
        asked.community or None,
        "verified" if asked.names == "verified" else f"model >= {asked.least_probability:g}",
        " ".join(f"{name} {version} (run {key})" for key, name, version in found.network.models),
        found.network.label_seq,
    )  # fmt: skip
    return dict(zip(_ASKED_COLUMNS, words, strict=True))


def _page(
    request: Request, template: str, tab: str, asked: NetworkAddress, found: NetworkSelection, **more: Any
) -> Response:
    since, until = asked.days
    said = {
        "tab": tab, "asked": asked, "since": since, "until": until, "found": found, "node": found.nodes,
        "of": found.estimates.of, "units": UNITS if asked.unit in UNITS else (*UNITS, asked.unit), "gap": BURST_GAP,
        "too_few": TOO_FEW, "resamples": RESAMPLES, "promised_on": request.state.promised_on, **more,
    }  # fmt: skip
    return request.app.state.templates.TemplateResponse(request, template, said)
