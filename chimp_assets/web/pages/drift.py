"""What changed: the list of alerts, and the page of one with pictures before and after.

Belongs here: handlers. Does not belong here: the facts (`insight.drift`), the sentences and moments (`monitoring`),
decisions (`api.drift`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.schema import ALERT_STATES
from chimp_assets.insight.drift import course_of, places_of, stories, story
from chimp_assets.monitoring.alerts import Alert, AlertError, alert, alerts
from chimp_assets.monitoring.contact_sheet import contact_sheet
from chimp_assets.monitoring.words import day_of, sentence
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import signal_over_days
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.administration import camera_key
from chimp_assets.web.wording import texts

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

SHOWN = 50
"""Closed alerts of each state that the list begins with."""


@router.get("/drift")
def drift(request: Request, every: bool = False) -> Response:
    """Alerts, open ones first. every: all that are closed, too."""
    with request.app.state.db.read() as conn:
        found = {state: alerts(conn, (state,)) for state in ALERT_STATES}
        hidden = {state: 0 if every or state == "open" else max(0, len(found[state]) - SHOWN) for state in found}
        shown = {state: stories(conn, found[state][: len(found[state]) - hidden[state]]) for state in found}
    return _page(request, "drift/alerts.html", alerts=shown, hidden=sum(hidden.values()))


@router.get("/drift/{alert_id}")
def one(request: Request, alert_id: Annotated[int, Path(ge=0, lt=2**53)]) -> Response:
    """One alert: pictures before and after, its signal over days, what became of it."""
    state = request.app.state
    with state.db.read() as conn:
        found = _find(conn, alert_id)
        told = story(conn, found)
        course = course_of(conn, found)
        places = places_of(conn, found)
    return _page(
        request,
        "drift/alert.html",
        one=told,
        alert=found,
        sheet=contact_sheet(state.home, found),
        course=course,
        chart=signal_over_days([(day.day, day.value, day.spread) for day in course.days], found.since, found.until),
        videos=[(camera_key(*place), _videos_of(found, camera_key(*place))) for place in places]
        or [("", _videos_of(found, ""))],
    )


def _find(conn: sa.Connection, alert_id: int) -> Alert:
    try:
        return alert(conn, alert_id)
    except AlertError:
        raise WebError(404, "no_alert", "There is no such alert.", "See the list of what changed.") from None


def _videos_of(found: Alert, camera: str) -> str:
    """The address of the videos of an alert; the last day of a filter is inside, `until` is outside."""
    last = found.until - timedelta(days=1) if found.until else None
    asked = {"camera": camera, "since": found.since, "until": last}
    return "/data?" + urlencode({name: str(value) for name, value in asked.items() if value}) + "#videos"


def _page(request: Request, template: str, **facts: Any) -> Response:
    lang = texts.language_of(request)

    def said(one: Alert) -> str:
        return sentence(one, lang)

    def day(moment: Any) -> str:
        return day_of(moment, lang)

    facts = {"sentence": said, "day_of": day, **facts}
    return request.app.state.templates.TemplateResponse(request, template, facts)
