"""Whom a head names worse, how sure that is, and of whom too few answers are known.

Belongs here: the handler. Does not belong here: the facts (`insight.fairness`), measuring (`monitoring.fairness`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight import fairness as facts
from chimp_assets.insight.models import names_of
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import bars
from chimp_assets.web.errors import WebError

router = APIRouter(include_in_schema=False)

DRAWN = ("sex", "age_class", "light")


@router.get("/fairness", dependencies=[Depends(require("viewer"))])
def fairness_page(request: Request, model: Annotated[int | None, Query(ge=0, le=2**62)] = None) -> Response:
    """How the champion head treats groups of animals, cameras and times; or another head."""
    with request.app.state.db.read() as conn:
        found = facts.fairness(conn, model)
        codes = list(found.groups.get("individual", {})) if found else []
        names = names_of(conn, codes)
    if found is None and model is not None:
        raise WebError(404, "no_model", "The fairness of this model was never measured.", "See the list of models.")
    charts = {}
    for kind in DRAWN if found else ():
        told = [(group, by.get("recall")) for group, by in found.groups.get(kind, {}).items()] if found else []
        rows = [(group, round((one.value or 0.0) * one.n), one.n) for group, one in told if one is not None]
        charts[kind] = bars([(group, right, n - right) for group, right, n in rows])
    page = {
        "report": found,
        "worse": found.told("worse") if found else [],
        "better": found.told("better") if found else [],
        "few": found.told("too_few") if found else [],
        "metrics": facts.METRICS,
        "counted": facts.COUNTED,
        "charts": {kind: chart for kind, chart in charts.items() if chart is not None},
        "names": names,
    }
    return request.app.state.templates.TemplateResponse(request, "fairness.html", page)
