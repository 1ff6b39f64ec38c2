"""Decisions about changes that were noticed: expected, or over. Each writes an `audit_event` with its author."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.monitoring.alerts import EXPECTED, RESOLVED, expect, resolve
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.fields import Body, Key

router = APIRouter(prefix="/api/drift", tags=["drift"])

_Reviewer = Annotated[Person, Depends(require("reviewer"))]


class AlertDecision(Body):
    """The alert, and why it is decided so."""

    alert_id: Key
    why: str = Field(min_length=1, max_length=500)


@router.post("/expect")
def expect_change(request: Request, wanted: AlertDecision, person: _Reviewer) -> Any:
    """A change was expected, as `chimp drift expect` says it: nothing more is asked because of it."""
    changed = expect(request.app.state.db, wanted.alert_id, wanted.why, person.name)
    return {"alert_id": wanted.alert_id, "state": EXPECTED, "changed": changed}


@router.post("/resolve")
def resolve_change(request: Request, wanted: AlertDecision, person: _Reviewer) -> Any:
    """A change is over, as `chimp drift resolve` says it."""
    changed = resolve(request.app.state.db, wanted.alert_id, wanted.why, person.name)
    return {"alert_id": wanted.alert_id, "state": RESOLVED, "changed": changed}
