"""The screens drawn by scripts: labelling, grid, boxes, pairs, "is this X?"; and the service worker.

Belongs here: their pages. Does not belong here: their requests (`api`), their look (`static`).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.web import browser
from chimp_assets.web.auth.roles import RUNG_OF, everybody, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.wording import texts

router = APIRouter(include_in_schema=False)

_Identifier = Annotated[Person, Depends(require("identifier"))]
_Annotator = Annotated[Person, Depends(require("annotator"))]


@router.get("/label")
def label(request: Request, person: _Identifier) -> Response:
    """Naming tracks one by one."""
    return island(request, person, "label/main.js", "nav.label")


@router.get("/label/grid")
def grid(
    request: Request, person: _Identifier, individual: Annotated[str | None, Query(max_length=300)] = None
) -> Response:
    """Confirming two dozen tracks of one individual at once."""
    return island(request, person, "grid/main.js", "nav.grid", ("grid.",), individual=individual)


@router.get("/pairs")
def pairs(request: Request, person: _Annotator) -> Response:
    """Same animal or two?"""
    return island(request, person, "pairs/main.js", "nav.pairs", ("pairs.",))


@router.get("/is-it")
def is_it(request: Request, person: _Annotator) -> Response:
    """Is this animal the one that the head takes it for?"""
    return island(request, person, "is_it/main.js", "nav.is_it", ("is_it.",))


@router.get("/boxes")
def boxes(request: Request, person: _Annotator) -> Response:
    """Drawing and correcting boxes."""
    return island(request, person, "boxes/main.js", "nav.boxes", ("boxes.",))


@router.get("/label/version")
def version(request: Request, person: _Annotator) -> Any:
    """The version that this server serves; older pages reload themselves."""
    return {"version": request.app.state.static_version}


@router.get("/sw.js", dependencies=[Depends(everybody())])
def service_worker(request: Request) -> Response:
    """The service worker, at the root, so that it may serve every page."""
    code = browser.service_worker(request.app.state.static_version)
    return Response(code, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def island(
    request: Request, person: Person, script: str, title: str, prefixes: tuple[str, ...] = (), **facts: Any
) -> Response:
    """A page drawn by a script. title: a key of the texts; prefixes: of the texts that the script needs."""
    state = request.app.state
    oidc = state.settings.web.oidc
    boot = browser.boot_json(
        state.static_version,
        texts.language_of(request),
        prefixes,
        state.settings.words,
        user=person.name,
        role=RUNG_OF[person.role],
        provider=oidc.name if oidc.metadata_url else None,
        **facts,
    )
    return state.templates.TemplateResponse(
        request,
        "island.html",
        {"import_map": browser.import_map(state.static_version), "boot": boot, "script": script, "title": title},
    )
