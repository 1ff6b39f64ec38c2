"""The first page: the goal, waiting work, the person's day, what the labels achieved, individuals with few labels.

Belongs here: the handler, which work comes first. Does not belong here: the numbers (`insight.labelling`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.footage.archive_state import archive_problem
from chimp_assets.insight.goal import ArchiveGoal, archive_goal
from chimp_assets.insight.labelling import progress
from chimp_assets.loop.evidence import contradictions_in_words, merge_proposals
from chimp_assets.monitoring.alerts import OPEN, alerts
from chimp_assets.monitoring.words import sentence
from chimp_assets.web.auth.roles import may, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.charts import shares_over
from chimp_assets.web.wording import texts

router = APIRouter(include_in_schema=False)

ADDRESSES = {
    "names": "/label",
    "pages": "/label/grid",
    "is_it": "/is-it",
    "pairs": "/pairs",
    "disputed": "/review?queue=pairs",
}


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
            "goal": archive_goal(conn),
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
    facts["addresses"] = ADDRESSES
    facts["first"] = first_of(facts["work"], facts["goal"])
    return request.app.state.templates.TemplateResponse(request, "home.html", facts)


def first_of(work: list[progress.WaitingWork], goal: ArchiveGoal | None) -> progress.WaitingWork | None:
    """The work that does most for the goal: what the promise's test waits for, then pages (planned only where they
    name more frames a second than single tracks), then names; of who gives no names, "is it X?" before pairs.

    Answers that contradict each other are for the review. None without work; the first kind where nothing is ready.
    """
    tests = goal is not None and goal.promise is not None and goal.promise.state == "auditing"
    order = ("names", "pages", "is_it", "pairs") if tests else ("pages", "names", "is_it", "pairs")
    ready = {row.kind: row for row in work if row.ready}
    return next((ready[kind] for kind in order if kind in ready), work[0] if work else None)
