"""Decisions from browsers: each is stored once, however often and in whatever order they arrive.

The browser is trusted about the decision, its subject, and what the screen showed. It is not trusted about why it was
asked: lane and propensity come from the queue item, or are those of a free decision. A decision that cannot be read or
stored does not hold up the others of its batch.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.competing import Opinion, record_opinions
from chimp_assets.database.labels.events import AHEAD, EARLIEST, LONGEST_S, LabelEvent
from chimp_assets.database.labels.kinds import PAIR_KINDS
from chimp_assets.database.labels.shown import SEARCH, written
from chimp_assets.web.auth.roles import RUNG_OF, RUNG_OF_LANE, may_answer, may_settle, require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, FrameNo, Key
from chimp_assets.web.labelling.gold import as_shown
from chimp_assets.web.labelling.items import moment

router = APIRouter(prefix="/api", tags=["events"])


class Event(Body):
    """One decision: a `LabelEvent` without its author, who is signed in. base_event_id: the event that the person saw
    and edits. lane and propensity are accepted but ignored: devices in the field still send them.
    """

    annotation_id: str = Field(max_length=64)
    kind: str = Field(max_length=40)
    lane: Any = None
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
    propensity: Any = None
    item_id: Key | None = None
    shown: dict[str, Any] | None = None
    note: str | None = Field(None, max_length=10_000)
    seconds: float | None = None
    client_time: datetime | None = None
    base_event_id: str | None = Field(None, max_length=64)

    @property
    def is_about_two(self) -> bool:
        """Whether it is about a pair of tracks."""
        return self.kind in PAIR_KINDS or self.other_track_id is not None


class UnreadableEvent(BaseModel):
    """An invalid decision with an id, so that its result can be reported."""

    annotation_id: str
    error: Any


def _or_unreadable(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        name = value.get("annotation_id") if isinstance(value, dict) else None
        if not isinstance(name, str) or len(name) > 64:
            raise
        return UnreadableEvent(annotation_id=name, error=error.errors(include_url=False, include_context=False)[0])


class EventBatch(Body):
    """A batch of decisions. user: their author, where the device knows it, because several people may share a
    device.
    """

    user: str | None = Field(None, max_length=200, description="who decided; refused if somebody else is signed in")
    events: list[Annotated[Event, WrapValidator(_or_unreadable)]] = Field(min_length=1, max_length=200)


@router.post("/events")
def events(request: Request, batch: EventBatch, person: Annotated[Person, Depends(require("annotator"))]) -> Any:
    """Store decisions, with a result for each. The client may forget those that are stored, duplicate or conflict."""
    if batch.user is not None and batch.user != person.name:
        # Somebody else has signed in on this device: answers must not change their author.
        raise WebError(
            409,
            "other_user",
            f"These answers belong to {batch.user}, but {person.name} is signed in.",
            f"Sign in as {batch.user}; they are kept until then.",
        )
    state = request.app.state
    # The validator replaces invalid decisions by these.
    places: list[tuple[int, Any]] = list(enumerate(batch.events))
    unreadable: dict[int, UnreadableEvent] = {place: one for place, one in places if isinstance(one, UnreadableEvent)}
    readable = [event for place, event in enumerate(batch.events) if place not in unreadable]
    if not readable:
        raise RequestValidationError([one.error for one in unreadable.values()])
    lanes = _lanes(state.db, {event.item_id for event in readable if event.item_id is not None})
    gold = state.gold.answered_by(person, [(event.item_id, event.track_id) for event in readable])
    results: list[dict[str, Any] | None] = [None] * len(batch.events)
    opinions: list[tuple[int, Opinion]] = []
    left_out: dict[int, dict[str, str]] = {}
    for place, event in enumerate(batch.events):
        if place in unreadable:
            field, sentence = _fault_of(unreadable[place].error)
            results[place] = _result(event.annotation_id, "rejected", None, sentence, field, None)
            continue
        is_gold = (event.item_id, event.track_id) in gold
        lane = None if event.item_id is None else lanes.get(event.item_id)
        refusal = _refusal(person, event, lane, is_gold)
        if refusal is not None:
            results[place] = _result(event.annotation_id, "rejected", None, refusal[1], refusal[0], None)
            continue
        left_out[place] = _implausible(event)
        opinions.append((place, _opinion(event, person, lane if is_gold else None, is_gold, set(left_out[place]))))
    stored = record_opinions(state.db, [opinion for _, opinion in opinions]) if opinions else []
    for (place, _), done in zip(opinions, stored, strict=True):
        head = None if done.head is None else {**done.head, "server_time": moment(done.head["server_time"])}
        r = done.result
        status = "conflict" if r.status == "stored" and head is not None else r.status
        reason, about = r.reason, r.field
        if r.status == "stored" and left_out[place]:
            about, reason = next(iter(left_out[place].items()))
        results[place] = _result(r.annotation_id, status, r.seq, reason, about, head)
    state.gold.learn(person, {(o.item_id, o.track_id) for p in left_out if (o := batch.events[p])} & gold)
    for result in results:
        state.metrics.count("chimp_events_total", status=str(result and result["status"]))
    return {"results": results, "server_time": moment(datetime.now(UTC))}


def _lanes(db: Database, item_ids: set[int]) -> dict[int, str]:
    q = t.acquisition_queue.c
    if not item_ids:
        return {}
    with db.read() as conn:
        rows = conn.execute(sa.select(q.item_id, q.lane).where(q.item_id.in_(sorted(item_ids))))
        return {row.item_id: row.lane for row in rows}


def _refusal(person: Person, event: Event, lane: str | None, is_gold: bool) -> tuple[str, str] | None:
    """(field, sentence) if this person may not decide this; None otherwise. lane: of the queue item."""
    rung = RUNG_OF[person.role]
    if not may_answer(person, event.kind, event.is_about_two or lane == t.IS_IT):
        return "kind", f"your role is {rung}, which may not answer {event.kind!r} about an animal"
    if lane is not None and not is_gold and event.kind != "retract" and not may_settle(person, lane):
        needed = RUNG_OF_LANE.get(lane, "identifier")
        return "item_id", f"your role is {rung}, and queue item {event.item_id} needs the role {needed} or above"
    if event.kind == "identify" and (event.shown or {}).get("mode") == SEARCH and "input" in (event.shown or {}):
        # Screens of an earlier version named marked tracks one by one, without look-alikes hidden among them.
        return "shown", "marked tracks are named together: load the page again, and mark them there"
    return None


def _implausible(event: Event) -> dict[str, str]:
    """Implausible fields that are left out, each with a sentence; the decision itself is stored."""
    found = {}
    if event.seconds is not None and not (math.isfinite(event.seconds) and 0 <= event.seconds <= LONGEST_S):
        found["seconds"] = f"seconds is left out: {event.seconds} is not between 0 and {LONGEST_S:.0f}"
    time = event.client_time
    if time is not None and time.tzinfo is not None:
        try:
            plausible = EARLIEST <= time.astimezone(UTC) <= datetime.now(UTC) + AHEAD
        except OverflowError:
            plausible = True  # such a time is refused elsewhere
        if not plausible:
            found["client_time"] = f"client_time is left out: {time.isoformat()} is not plausible"
    return found


def _fault_of(error: Any) -> tuple[str, str]:
    """Field and sentence of a validation error."""
    where = ".".join(str(part) for part in error["loc"])
    return where.partition(".")[0], f"{where}: {error['msg']}"[:300]


def _opinion(event: Event, person: Person, lane: str | None, is_gold: bool, left_out: set[str]) -> Opinion:
    values = event.model_dump(exclude={"shown", "base_event_id", "lane", "propensity", *left_out})
    if is_gold:
        # Gold only took the place of the item: the record says gold, not the item.
        values["item_id"] = None
    if lane == t.IS_IT:
        # Nor is "cannot tell" an answer about who the track shows: it was asked about one individual only.
        values["lane"] = lane
    shown = written(as_shown(event.shown, is_gold))
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
