"""The sign-in page, and the page for choosing a password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.web.auth.accounts import SHORTEST
from chimp_assets.web.auth.roles import everybody, require
from chimp_assets.web.auth.sessions import Person

router = APIRouter(include_in_schema=False)

PROBLEMS = ("failed", "no_role", "disabled", "away")
"""Reasons why a sign-in with the identity provider failed: keys of the texts."""


@router.get("/sign-in", dependencies=[Depends(everybody())])
def sign_in(request: Request, next: str = "/", problem: str = "") -> Response:
    """Name and password, and the identity provider if there is one."""
    oidc = request.app.state.settings.web.oidc
    facts = {"next": local_path(next), "provider": oidc.name if oidc.metadata_url else None}
    facts["problem"] = problem if problem in PROBLEMS else None
    return request.app.state.templates.TemplateResponse(request, "sign_in/sign_in.html", facts)


@router.get("/password")
def password(request: Request, person: Annotated[Person, Depends(require("viewer"))]) -> Response:
    """Choosing a password."""
    return request.app.state.templates.TemplateResponse(request, "sign_in/password.html", {"shortest": SHORTEST})


def local_path(target: str) -> str:
    """The page after signing in: a local path, never another site (`//elsewhere`, `/\\elsewhere`)."""
    good = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    return target if good and target.isprintable() else "/"
