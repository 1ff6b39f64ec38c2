"""The review screen, and the page of own answers.

Belongs here: handlers. Does not belong here: finding cases (`insight.labelling.review`), their JSON (`api.review`), own
answers (`insight.labelling.own`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.labelling import own
from chimp_assets.insight.labelling.review.event_queues import SURE
from chimp_assets.insight.labelling.review.queues import LOOKED_AT, QUEUES
from chimp_assets.web.auth.roles import may_answer, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.labelling.items import picture_url
from chimp_assets.web.pages.label import island

router = APIRouter(include_in_schema=False)


@router.get("/review")
def review(
    request: Request,
    person: Annotated[Person, Depends(require("reviewer"))],
    queue: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """One case after another. Without a queue, the screen opens the first one with cases."""
    facts = {"queue": queue if queue in QUEUES else None, "looked_at": LOOKED_AT, "sure": SURE}
    return island(request, person, "review/main.js", "nav.review", ("review.", "mode."), **facts)


@router.get("/mine")
def mine(
    request: Request,
    person: Annotated[Person, Depends(require("annotator"))],
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Response:
    """The person's last answers and their states; corrected ones first."""
    with request.app.state.db.read() as conn:
        page = own.page(conn, person.user_id, before)
    facts = {
        "answers": page.answers,
        "corrected": page.corrected,
        "first": before is None,
        "more": page.older,
        "among": own.CORRECTED_OF,
        "picture_url": picture_url,
        "may_name": may_answer(person, "identify"),
    }
    return request.app.state.templates.TemplateResponse(request, "mine.html", facts)
