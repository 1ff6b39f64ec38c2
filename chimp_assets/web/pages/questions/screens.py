"""Ask a question of the cookbook: choose it, fill in its parameters, see a picture, rows and the SQL.

Belongs here: handlers, reading the address. Does not belong here: asking and drawing (`insight.questions`), the SQL
(`sql/queries`).

A question is stopped after some seconds, its rows are capped, and no more than two are asked at once: somebody's month
of everybody must not make others wait for their labels. `chimp query` has no such limits.
"""

from __future__ import annotations

import shlex
import threading
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.connection.time_limits import TooSlowError
from chimp_assets.insight.individuals import directory
from chimp_assets.insight.questions import (
    TOPICS,
    Answer,
    Parameter,
    Question,
    QuestionError,
    ask,
    camera_names,
    question,
    questions,
)
from chimp_assets.insight.similar.tracks import shown_tracks
from chimp_assets.insight.svg import on_white
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False)

MOST_SECONDS = 10.0
MOST_ROWS = 1000
MOST_ROWS_OF_A_FILE = 100_000
_AT_ONCE = 2
_LONGEST = 200
_turns = threading.BoundedSemaphore(_AT_ONCE)


@router.get("/questions", dependencies=[Depends(require("viewer"))])
def all_questions(request: Request) -> Response:
    """Every question of the cookbook."""
    return request.app.state.templates.TemplateResponse(
        request, "questions/list.html", {"questions": questions(), "topics": TOPICS}
    )


@router.get("/questions/{name}", dependencies=[Depends(require("viewer"))])
def one_question(request: Request, name: str) -> Response:
    """A question with its parameters, and its answer where it is asked or needs nobody's name."""
    asked = _question(name)
    given = _given(request, asked)
    answer: Answer | None = None
    untold = 0
    problem: QuestionError | TooSlowError | None = None
    if given or not _names_somebody(asked):
        try:
            answer, untold = _to_tell(request, _ask(request, asked, given, MOST_ROWS))
        except (QuestionError, TooSlowError) as error:
            problem = error
    drawn = answer.as_picture() if answer is not None else None
    with request.app.state.db.read() as conn:
        people, places = directory.names(conn), camera_names(conn)
    page = {
        "asked": asked,
        "fields": [_field(parameter, given) for parameter in asked.parameters],
        "answer": answer,
        "untold": untold,
        "problem": problem,
        "picture": Markup(drawn) if drawn is not None else None,  # noqa: S704  made of escaped texts
        "people": people,
        "cameras": places,
        "query": request.url.query,
        "most": MOST_ROWS,
        "seconds": MOST_SECONDS,
        "command": _command(asked, given),
    }
    return request.app.state.templates.TemplateResponse(request, "questions/question.html", page)


@router.get("/questions/{name}/answer.csv", dependencies=[Depends(require("viewer"))])
def answer_as_csv(request: Request, name: str) -> Response:
    """The rows of an answer as CSV, up to a hundred thousand. The parameters are those of the page."""
    asked = _question(name)
    answer = _told(request, asked)
    if answer.cut:
        raise WebError(
            413,
            "too_much",
            f"This answer has more than {MOST_ROWS_OF_A_FILE:,} rows.",
            f"Ask for less, or use `chimp query {asked.name} --csv FILE`.",
        )
    return csv_download(asked.name, answer.columns, answer.rows)


@router.get("/questions/{name}/picture.svg", dependencies=[Depends(require("viewer"))])
def answer_as_picture(request: Request, name: str) -> Response:
    """The picture of an answer as a file."""
    asked = _question(name)
    drawn = _told(request, asked).as_picture()
    if drawn is None:
        raise WebError(404, "no_picture", "This answer has no picture.", "Look at its rows.")
    headers = {"Content-Disposition": f'attachment; filename="{asked.name}.svg"', "Cache-Control": "no-store"}
    return Response(on_white(drawn), media_type="image/svg+xml", headers=headers)


def _question(name: str) -> Question:
    try:
        return question(name)
    except QuestionError as error:
        raise WebError(404, "no_question", error.sentence[:300], "See /questions for all of them.") from None


def _given(request: Request, asked: Question) -> dict[str, str]:
    """The parameters of the address; fields that were left empty have their defaults."""
    known = {parameter.name for parameter in asked.parameters}
    given = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            there = ", ".join(sorted(known)) or "no parameters"
            raise WebError(422, "malformed", f"{name[:100]!r} is no parameter of {asked.name}.", f"There are {there}.")
        if len(value) > _LONGEST:
            raise WebError(422, "malformed", f"{name} is too long.", f"At most {_LONGEST} signs.")
        if value.strip():
            given[name] = value.strip()
    return given


def _ask(request: Request, asked: Question, given: dict[str, str], most_rows: int) -> Answer:
    if not _turns.acquire(timeout=MOST_SECONDS):
        raise WebError(
            503, "busy", "Other questions are being answered.", "Try again in a minute.", {"Retry-After": "5"}
        )
    try:
        db = request.app.state.db.replica
        return ask(db, asked.name, given, most_rows=most_rows, most_seconds=MOST_SECONDS)
    finally:
        _turns.release()


def _to_tell(request: Request, answer: Answer) -> tuple[Answer, int]:
    """The answer without rows about single tracks that measure the model, as far as no person named them, and how many
    these are (`insight.measuring`). Files hold them."""
    if "track_id" not in answer.columns or not answer.rows:
        return answer, 0
    settings = request.app.state.settings
    place = list(answer.columns).index("track_id")
    about = [row[place] for row in answer.rows if row[place] is not None]
    with request.app.state.db.read() as conn:
        shown = shown_tracks(conn, about, settings.seed, settings.acquisition.audit_reserve)
    hidden = {one.track_id for one in shown.values() if one.reserved and one.anim_id is None}
    rows = [row for row in answer.rows if row[place] not in hidden]
    return replace(answer, rows=rows), len(answer.rows) - len(rows)


def _told(request: Request, asked: Question) -> Answer:
    """The answer for a file. Raises WebError where there is none, or somebody in it is not known."""
    try:
        answer = _ask(request, asked, _given(request, asked), MOST_ROWS_OF_A_FILE)
    except TooSlowError as error:
        raise WebError(503, "too_slow", error.sentence, error.remedy) from None
    except QuestionError as error:
        raise WebError(422, "malformed", error.sentence[:300], error.remedy) from None
    if answer.unknown:
        raise WebError(422, "unknown", " ".join(answer.unknown)[:300], "Choose one that there is.")
    return answer


def _names_somebody(asked: Question) -> bool:
    """Whether it is about one individual by default: somebody of the demo, whom an archive may not have."""
    return any(p.of == "individual" and (p.required or p.default is not None) for p in asked.parameters)


def _field(parameter: Parameter, given: dict[str, str]) -> dict[str, Any]:
    usual = "" if parameter.default is None else parameter.default
    value = given.get(parameter.name, "" if parameter.of == "individual" else usual)
    return {
        "parameter": parameter,
        "value": value,
        "usual": usual,
        "step": "1" if parameter.kind == "integer" else "any",
    }


def _command(asked: Question, given: dict[str, str]) -> str:
    sets = "".join(f" --set {shlex.quote(f'{name}={value}')}" for name, value in given.items())
    return f"chimp query {asked.name}{sets}"
