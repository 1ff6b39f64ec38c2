"""The first page: waiting work, the person's day, what the labels achieved, individuals with few labels.

Belongs here: the handler. Does not belong here: the numbers (`insight.labelling.progress`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.footage.archive_state import archive_problem
from chimp_assets.insight.labelling import progress
from chimp_assets.loop.evidence import contradictions_in_words, merge_proposals
from chimp_assets.monitoring.alerts import OPEN, alerts
from chimp_assets.monitoring.words import sentence
from chimp_assets.web.auth.roles import may, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.charts import shares_over
from chimp_assets.web.wording import texts

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(request: Request, person: Annotated[Person, Depends(require("viewer"))]) -> Response:
    """The first page."""
    corrects = may(person, "reviewer")
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    with request.app.state.db.read() as conn:
        works = may(person, "annotator")
        facts: dict[str, Any] = {
            "work": progress.work_for(conn, person.user_id, may(person, "identifier"), corrects) if works else [],
            "day": progress.day_of(conn, person.user_id, person.name, midnight) if works else None,
            "learned": progress.learning_progress(conn),
            "lacking": progress.undersampled(conn),
            "proposals": merge_proposals(conn) if corrects else [],
            "contradictions": contradictions_in_words(conn) if corrects else [],
            "archive_problem": archive_problem(conn),
            "changed": [sentence(one, texts.language_of(request)) for one in alerts(conn, (OPEN,))],
        }
    lines: dict[str, list[tuple[float, float, float, float]]] = {"real": [], "random": []}
    for point in facts["learned"].curve:
        lines[point.policy].append((point.labels, point.accuracy, point.low, point.high))
    facts |= {"chart": shares_over(lines), "enough": progress.ENOUGH, "pace_of": progress.PACE_OF}
    facts["addresses"] = {"names": "/label", "pairs": "/pairs", "disputed": "/review?queue=pairs"}
    return request.app.state.templates.TemplateResponse(request, "home.html", facts)
