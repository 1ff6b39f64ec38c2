"""Patterns of the network, tested by permutation of labels.

Belongs here: the handler. Does not belong here: tests (`insight.association.patterns`), the address (`pages.network`).
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.association.families.lives import DEPENDENT_YEARS
from chimp_assets.insight.association.patterns.tested import patterns
from chimp_assets.statistics.association.label_permutation import DRAWS, FEWEST
from chimp_assets.web.auth.roles import require
from chimp_assets.web.pages.network import Asked

router = APIRouter(prefix="/together", include_in_schema=False, dependencies=[Depends(require("viewer"))])


@router.get("/patterns")
def page(request: Request, asked: Asked) -> Response:
    """Every test of the network of these days."""
    with request.app.state.db.read() as conn:
        network = request.app.state.networks.network(conn, asked.scope)
        found = patterns(conn, network)
    since, until = asked.days
    said = {"asked": asked, "since": since, "until": until, "patterns": found, "draws": DRAWS, "fewest": FEWEST,
            "dependent_years": DEPENDENT_YEARS,
            "tests": sum(one.test is not None for one in found)}  # fmt: skip
    return request.app.state.templates.TemplateResponse(request, "association/patterns.html", said)
