"""Dated reports of the archive: which are kept, and each as it was made.

Belongs here: handlers. Does not belong here: making and keeping reports (`insight.report`).

A report is a document of its own with its own style; it is served in a sandbox, without scripts.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.report.kept import kept_days, kept_numbers, kept_page
from chimp_assets.insight.report.words import ReportError, languages
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.wording import texts

router = APIRouter(prefix="/report", include_in_schema=False, dependencies=[Depends(require("viewer"))])

SANDBOX = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
Day = Annotated[date, Path()]


@router.get("")
def kept(request: Request) -> Response:
    """Every kept report, newest first."""
    found = kept_days(request.app.state.home.store)
    lang = texts.language_of(request)
    return request.app.state.templates.TemplateResponse(
        request, "reports/reports.html", {"days": found, "in_lang": lang if lang in languages() else languages()[0]}
    )


@router.get("/{day}.html")
def page(request: Request, day: Day, lang: Annotated[str, Query(max_length=8)] = "en") -> Response:
    """The report of a day."""
    try:
        found = kept_page(request.app.state.home.store, day, lang)
    except ReportError as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None
    if found is None:
        raise _missing(day)
    return Response(found, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": SANDBOX})


@router.get("/{day}.json")
def numbers(request: Request, day: Day) -> Any:
    """What is kept of a report for other programs."""
    found = kept_numbers(request.app.state.home.store, day)
    if found is None:
        raise _missing(day)
    return dict(found)


def _missing(day: date) -> WebError:
    return WebError(404, "no_report", f"No report of {day} is kept.", "The page Reports lists those that are.")
