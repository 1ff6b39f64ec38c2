"""Claiming questions and giving them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from chimp_assets.database import queue
from chimp_assets.database import schema as t
from chimp_assets.web.items import asked, item_dicts, moment
from chimp_assets.web.roles import may, require
from chimp_assets.web.sessions import Person

router = APIRouter(prefix="/api/queue", tags=["queue"])

PAIRS = "pairs"


class ClaimRequest(BaseModel):
    """How many questions, which not (on the screen or in the outbox already), of which lanes."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(ge=1, le=500)
    exclude: list[int] = Field(default_factory=list, max_length=2000)
    lanes: list[str] | None = Field(None, max_length=20)
    pairs: bool = False
    offline: bool = False


class Nothing(BaseModel):
    """An empty body."""

    model_config = ConfigDict(extra="forbid")


@router.post("/claim")
def claim(request: Request, wanted: ClaimRequest, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Lease questions to the person who asks: at first those that are theirs already."""
    settings = request.app.state.settings
    db = request.app.state.db
    minutes = settings.web.offline_hours * 60 if wanted.offline else settings.acquisition.lease_minutes
    lanes = _lanes(wanted, person)
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    items = queue.claim(db, person.name, wanted.n, minutes, lanes, wanted.exclude) if lanes else []
    questions = asked(items, settings.web.blind_share)
    request.app.state.media.make_soon([q.track_id for q in questions], settings.web.media_wait_s)
    with db.read() as conn:
        return {
            "items": item_dicts(conn, questions, until),
            "waiting": queue.pending_count(conn),
            "held": held(conn, person.user_id),
            "server_time": moment(datetime.now(UTC)),
        }


def _lanes(wanted: ClaimRequest, person: Person) -> list[str]:
    allowed = [PAIRS] if wanted.pairs else [lane for lane in t.LANES if lane != PAIRS]
    if not wanted.pairs and not may(person, "identifier"):
        return []
    return [lane for lane in allowed if wanted.lanes is None or lane in wanted.lanes]


@router.post("/release")
def release(request: Request, nothing: Nothing, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Give back what is leased to the person who asks."""
    return {"released": queue.release(request.app.state.db, person.name)}


def held(conn: sa.Connection, user_id: int) -> list[dict[str, Any]]:
    """Who else holds questions, how many, and until when at the latest: "no items" must say why."""
    q = t.acquisition_queue.c
    rows = conn.execute(
        sa.select(t.app_user.c.name, sa.func.count().label("n"), sa.func.max(q.leased_until).label("until"))
        .join_from(t.acquisition_queue, t.app_user, t.app_user.c.user_id == q.leased_by)
        .where(q.state == "leased", q.leased_until > datetime.now(UTC), q.leased_by != user_id)
        .group_by(t.app_user.c.name)
        .order_by(t.app_user.c.name)
    )
    return [{"by": row.name, "n": row.n, "until": moment(row.until)} for row in rows]
