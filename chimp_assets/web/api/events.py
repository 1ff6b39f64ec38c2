"""Decisions from browsers: stored once each, however often and in whatever order they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database.competing import Opinion, record_opinions
from chimp_assets.database.events import LabelEvent
from chimp_assets.web.checks import GOLD_FROM
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, FrameNo, Key
from chimp_assets.web.items import moment
from chimp_assets.web.roles import RUNG_OF, may_answer, require
from chimp_assets.web.sessions import Person

router = APIRouter(prefix="/api", tags=["events"])


class Event(Body):
    """One decision: `LabelEvent` without its author, who is signed in. base_event_id: what the person saw and edits."""

    annotation_id: str = Field(max_length=64)
    kind: str = Field(max_length=40)
    lane: str = Field("free", max_length=20)
    track_id: Key | None = None
    other_track_id: Key | None = None
    anim_id: str | None = Field(None, max_length=300)
    name: str | None = Field(None, max_length=1000)
    video_id: Key | None = None
    frame_no: FrameNo | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    supersedes: str | None = Field(None, max_length=64)
    propensity: float | None = None
    item_id: Key | None = None
    shown: dict[str, Any] | None = None
    note: str | None = Field(None, max_length=10_000)
    seconds: float | None = None
    client_time: datetime | None = None
    base_event_id: str | None = Field(None, max_length=64)


class Events(Body):
    """A batch. user: whose answers they are, where a device says so: several people may use one."""

    user: str | None = Field(None, max_length=200, description="who decided; refused if somebody else is signed in")
    events: list[Event] = Field(min_length=1, max_length=200)


@router.post("/events")
def events(request: Request, batch: Events, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Store decisions; says of each what became of it. What is `stored`, `duplicate` or `conflict` may be forgotten."""
    if batch.user is not None and batch.user != person.name:
        # Somebody else signed in on the same device in the meantime: nobody's answers become another's.
        raise WebError(
            409,
            "other_user",
            f"These answers are of {batch.user}, and {person.name} is signed in.",
            f"Sign in as {batch.user}; they are kept until then.",
        )
    results: list[dict[str, Any] | None] = [None] * len(batch.events)
    opinions = []
    for place, event in enumerate(batch.events):
        if may_answer(person, event.kind):
            opinions.append((place, _opinion(event, person)))
            continue
        reason = f"your role is {RUNG_OF[person.role]}, which may not answer {event.kind!r}"
        results[place] = _result(event.annotation_id, "rejected", None, reason, "kind", None)
    stored = record_opinions(request.app.state.db, [opinion for _, opinion in opinions]) if opinions else []
    for (place, _), done in zip(opinions, stored, strict=True):
        head = None if done.head is None else {**done.head, "server_time": moment(done.head["server_time"])}
        r = done.result
        status = "conflict" if r.status == "stored" and head is not None else r.status
        results[place] = _result(r.annotation_id, status, r.seq, r.reason, r.field, head)
    request.app.state.checks.learn(person, [event.item_id for event in batch.events if event.item_id is not None])
    for result in results:
        request.app.state.metrics.count("chimp_events_total", status=str(result and result["status"]))
    return {"results": results, "server_time": moment(datetime.now(UTC))}


def _opinion(event: Event, person: Person) -> Opinion:
    values = event.model_dump(exclude={"shown", "base_event_id"})
    facts = event.shown
    if event.item_id is not None and event.item_id >= GOLD_FROM:
        # The queue knows nothing of gold; what the record keeps is that it was gold.
        values["item_id"], facts = None, {**(facts or {}), "mode": "gold"}
    shown = None if facts is None else json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
    return Opinion(LabelEvent(**values, annotator=person.name, shown=shown), event.base_event_id)


def _result(
    annotation_id: str, status: str, seq: int | None, reason: str | None, field: str | None, head: Any
) -> dict[str, Any]:
    return {
        "annotation_id": annotation_id,
        "status": status,
        "seq": seq,
        "reason": reason,
        "field": field,
        "head": head,
    }
