"""Models, the archive's data, and users.

Belongs here: handlers, reading addresses. Does not belong here: the facts (`insight.models`, `insight.archive`,
`insight.labelling.people`), what administrators do (`api.administration`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.archive.times.corrections import list_corrections
from chimp_assets.database.footage import times
from chimp_assets.database.footage.archive_state import archive_problem
from chimp_assets.database.footage.passed_over import labels_left_behind, passed_over_files
from chimp_assets.database.schema import DATE_ORDERS, ROLES, VIDEO_STATES
from chimp_assets.insight import archive, models
from chimp_assets.insight.goal import forecast_marks
from chimp_assets.insight.labelling import people
from chimp_assets.monitoring.cards import card
from chimp_assets.monitoring.cards.card_text import as_markdown
from chimp_assets.vision.models.checkpoint import ModelError
from chimp_assets.web.auth.roles import RUNG_OF, require
from chimp_assets.web.charts import reliability, shares_over
from chimp_assets.web.errors import WebError

router = APIRouter(include_in_schema=False)

STATES = (*VIDEO_STATES, archive.LOST)
_Number = Annotated[int | None, Query(ge=0, le=2**62)]
_Key = Annotated[int, Path(ge=0, le=2**62)]


@router.get("/models", dependencies=[Depends(require("viewer"))])
def models_page(request: Request, model: _Number = None) -> Response:
    """Champions, candidates and refused models with reasons; one of them with its measurement."""
    with request.app.state.db.read() as conn:
        found = models.model_summaries(conn)
        shown = _chosen(found, model)
        measured = models.measurement(conn, shown.model_id) if shown else None
        codes = [one.slice_value for one in measured.slices.get("individual", [])] if measured else []
        names = models.names_of(conn, codes)
        decided = models.decisions(conn)
        forecasts = forecast_marks(conn)
    learning = models.learning(found)
    kept = measured.reliability if measured else []
    facts = {
        "tasks": {task: [one for one in found if one.task == task] for task in models.TASKS},
        "champions": {one.task: one for one in found if one.state == "champion"},
        "retired": {one.task for one in found if one.state == "retired"},
        "shown": shown,
        "measured": measured,
        "names": names,
        "decided": decided,
        "learning": learning,
        "learning_chart": shares_over({"real": learning}),
        "forecasts": forecasts,
        "forecast_chart": shares_over({"real": [(m.spent_minutes, m.named, m.named, m.named) for m in forecasts]}),
        "reliability_chart": reliability([(k.said, k.right, k.low, k.high, k.n) for k in kept]),
    }
    return request.app.state.templates.TemplateResponse(request, "models.html", facts)


@router.get("/models/{model_id}/card", dependencies=[Depends(require("viewer"))])
def card_page(request: Request, model_id: _Key, form: Literal["page", "md", "json"] = "page") -> Response:
    """The card of a model, as of its promotion; of one that never was champion, as of now. form: as a file."""
    home = request.app.state.home
    try:
        found = card.stored_card(home, model_id) or card.model_card(home, model_id)
    except ModelError:
        raise WebError(404, "no_model", "There is no such model.", "See the list of models.") from None
    if form != "page":
        whole = as_markdown(found) if form == "md" else json.dumps(found, indent=1, sort_keys=True)
        kind = "text/markdown; charset=utf-8" if form == "md" else "application/json"
        name = f'attachment; filename="model-{model_id}.{form}"'
        return Response(whole, media_type=kind, headers={"Content-Disposition": name})
    return request.app.state.templates.TemplateResponse(request, "card.html", {"card": found})


def _chosen(found: list[models.ModelSummary], model: int | None) -> models.ModelSummary | None:
    """The requested model; else the champion head, else the newest head."""
    if model is not None:
        one = next((one for one in found if one.model_id == model), None)
        if one is None:
            raise WebError(404, "no_model", "There is no such model.", "See the list of models.")
        return one
    heads = [one for one in found if one.task == "head"]
    return next((one for one in heads if one.state == "champion"), heads[0] if heads else None)


@dataclass(frozen=True)
class _DataParameters:
    """The parameters of the request."""

    state: Annotated[str, Query(max_length=20)] = ""
    camera: Annotated[str, Query(max_length=300)] = ""
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""
    text: Annotated[str, Query(max_length=200)] = ""


@router.get("/data", dependencies=[Depends(require("viewer"))])
def data_page(request: Request, words: Annotated[_DataParameters, Depends()], before: _Number = None) -> Response:
    """Videos with their states, progress of the ingest, storage, recording times."""
    state = request.app.state
    with state.db.read() as conn:
        cameras = archive.cameras(conn)
        asked = _filter(words, cameras)
        found = archive.videos(conn, asked, before)
        progress = archive.progress(conn, state.settings.decode.workers)
        failed = archive.failures(conn) if progress.states.get("failed") else []
        stored = archive.storage_use(conn)
        problem = archive_problem(conn)
        seen = times.times_of(conn)
        corrections = list_corrections(conn)
        beside = passed_over_files(conn, archive.SHOWN)
        left_behind = labels_left_behind(conn)
    query = {key: value for key, value in vars(words).items() if value}
    local = state.settings.store_url.startswith("file:")
    facts: dict[str, Any] = {
        "videos": found,
        "progress": progress,
        "failed": failed,
        "stored": stored,
        "archive_problem": problem,
        "times": seen,
        "corrections": corrections,
        "orders": DATE_ORDERS,
        "beside": beside,
        "left_behind": left_behind,
        "free": shutil.disk_usage(state.settings.home).free if local else None,
        "cameras": cameras,
        "states": STATES,
        "words": words,
        "camera_key": camera_key,
        "failed_shown": archive.SHOWN,
        "filtered": bool(query),
        "more": urlencode({**query, "before": found[-1].video_id}) if len(found) == archive.PAGE else None,
        "size": size_in_words,
    }
    return state.templates.TemplateResponse(request, "data.html", facts)


def _filter(words: _DataParameters, cameras: list[tuple[str, str]]) -> archive.VideoFilter:
    camera = next((one for one in cameras if camera_key(*one) == words.camera), None)
    return archive.VideoFilter(
        state=words.state if words.state in STATES else None,
        camera=camera,
        since=_day(words.since),
        until=_day(words.until),
        text=words.text.replace("\x00", "").strip(),
    )


def camera_key(site: str, camera: str) -> str:
    """A camera as pages name it and as the filter of videos takes it."""
    return f"{site or '–'} / {camera or '–'}"


def _day(word: str) -> date | None:
    try:
        return date.fromisoformat(word)
    except ValueError:
        return None


def size_in_words(n: float) -> str:
    """A number of bytes with a unit, such as 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n < 1000 or unit == "TB":
            return f"{n:.0f} {unit}" if unit in ("B", "kB") else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError


@router.get("/users", dependencies=[Depends(require("admin"))])
def users_page(
    request: Request,
    before: _Number = None,
    action: Annotated[str, Query(max_length=100)] = "",
    part: Literal["all", "log"] = "all",
) -> Response:
    """Users, how they answer, and the audit log."""
    whole = part == "all" and before is None and not action
    with request.app.state.db.read() as conn:
        facts: dict[str, Any] = {
            "members": people.members(conn, datetime.now(UTC)) if whole else None,
            "answered": people.answering_summary(conn) if whole else None,
            "logged": people.audit_log(conn, before, action.replace("\x00", "") or None),
            "actions": people.actions(conn),
        }
    last = facts["logged"][-1].audit_event_id if len(facts["logged"]) == people.LOGGED else None
    query = {"part": "log", **({"action": action} if action else {})}
    facts |= {
        "action": action,
        "more": urlencode({**query, "before": last}) if last is not None else None,
        "roles": [role for role in ROLES if role != "admin"] + ["admin"],
        "rung_of": RUNG_OF,
    }
    return request.app.state.templates.TemplateResponse(request, "users.html", facts)
