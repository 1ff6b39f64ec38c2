"""Claiming and releasing questions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.work import queue
from chimp_assets.web.auth.roles import may, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.fields import Body, EmptyBody, Key
from chimp_assets.web.labelling.items import LabellingQuestion, item_dicts, moment, questions_of
from chimp_assets.web.wording.texts import language_of

router = APIRouter(prefix="/api/queue", tags=["queue"])


class ClaimRequest(Body):
    """Number of questions, items to exclude (on the screen or in the outbox already), and lanes."""

    n: int = Field(ge=1, le=500)
    exclude: list[Key] = Field(default_factory=list, max_length=2000)
    lanes: list[str] | None = Field(None, max_length=20)
    pairs: bool = False
    offline: bool = False


@router.post("/claim")
def claim(request: Request, wanted: ClaimRequest, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Lease questions to the person; items that the person holds already come first."""
    settings = request.app.state.settings
    db = request.app.state.db
    minutes = settings.web.offline_hours * 60 if wanted.offline else settings.acquisition.lease_minutes
    lanes = _lanes(wanted, person)
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    items = queue.claim(db, person.name, wanted.n, minutes, lanes, wanted.exclude) if lanes else []
    fresh = {item.item_id for item in items if item.fresh}
    asked = questions_of(items, settings.web.blind_share, _repeats_as(db, items))
    questions = request.app.state.gold.among(person, asked, fresh)
    request.app.state.media.make_soon(_tracks(questions), settings.web.media_wait_s)
    with db.read() as conn:
        return {
            "items": item_dicts(conn, questions, until, language_of(request)),
            "waiting": queue.pending_count(conn, lanes, person.user_id) if lanes else 0,
            "held": held(conn, person.user_id, lanes),
            "server_time": moment(datetime.now(UTC)),
        }


def _lanes(wanted: ClaimRequest, person: Person) -> list[str]:
    """The requested lanes that the person may answer."""
    side = {t.PAIRS: may(person, "annotator"), t.IS_IT: may(person, "annotator"), t.DISPUTED: may(person, "reviewer")}
    allowed = [lane for lane in t.LANES if side.get(lane, may(person, "identifier"))]
    if wanted.pairs:
        return [t.PAIRS]
    return [lane for lane in allowed if (lane not in side if wanted.lanes is None else lane in wanted.lanes)]


def _repeats_as(db: Database, items: Sequence[queue.QueueItem]) -> str:
    """The lane as which repeats are shown: one of which their plan has others."""
    rounds = {item.round_id for item in items if item.lane == "repeat"}
    q = t.acquisition_queue.c
    if rounds:
        with db.read() as conn:
            if conn.scalar(sa.select(q.item_id).where(q.round_id.in_(rounds), q.lane == t.FRAMES).limit(1)):
                return t.FRAMES
    return "boundary"


def _tracks(questions: list[LabellingQuestion]) -> list[int]:
    return [i for q in questions for i in (q.track_id, q.other_track_id) if i is not None]


@router.post("/release")
def release(request: Request, nothing: EmptyBody, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Release all items of the person."""
    return {"released": queue.release(request.app.state.db, person.name)}


def held(conn: sa.Connection, user_id: int, lanes: Collection[str]) -> list[dict[str, Any]]:
    """Other people who hold questions, how many, and until when, so that the page can explain "no items"."""
    q = t.acquisition_queue.c
    rows = conn.execute(
        sa.select(t.app_user.c.name, sa.func.count().label("n"), sa.func.max(q.leased_until).label("until"))
        .join_from(t.acquisition_queue, t.app_user, t.app_user.c.user_id == q.leased_by)
        .where(q.state == "leased", q.leased_until > datetime.now(UTC), q.leased_by != user_id, q.lane.in_(lanes))
        .group_by(t.app_user.c.name)
        .order_by(t.app_user.c.name)
    )
    return [{"by": row.name, "n": row.n, "until": moment(row.until)} for row in rows]
