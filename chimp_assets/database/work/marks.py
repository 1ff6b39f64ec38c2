"""What becomes of tracks that a person found, marked and named at once: all of it is stored, or nothing.

What stays is named (`identify`); what was taken out at the second look is surely not the individual (`not_individual`).
Nobody asked about these tracks, and what was found was chosen by looks or by a model: lane `free` without a propensity,
mode `search`, so that no accuracy, price or promise is measured by them. The seconds are shared among the tracks.

Belongs here: which marked tracks may still be named, storing what was said. Does not belong here: what events do
(`database.labels`), tracks that measure the model and the hidden look-alikes (`web.api.marks`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.labels.events import COUNTER, LabelEvent, record_in
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.database.labels.shown import SEARCH, written
from chimp_assets.database.work.page_answers import PageRefusal, event_id
from chimp_assets.database.work.pages import LEAST_LEFT

MOST = 48
"""Marked tracks that are named at once: those that a page shows."""
MANY = LEAST_LEFT
"""From so many on look-alikes of other individuals are hidden among them."""


@dataclass(frozen=True)
class MarksAnswer:
    """What a person said about marked tracks. answer_id: a UUID made by the device; taken_out: at the second look;
    suggested: the model's name and its probability, of each track below which the page showed one; query: of the
    address where they were found; page_id: of the hidden look-alikes."""

    answer_id: str
    anim_id: str
    track_ids: Sequence[int]
    taken_out: Collection[int] = ()
    suggested: Mapping[int, tuple[str, float]] = field(default_factory=dict)
    query: str = ""
    page_id: str | None = None
    seconds: float | None = None
    how: str | None = None
    client_time: datetime | None = None


@dataclass(frozen=True)
class MarksResult:
    """annotation_id of each track that was named, and of each that was denied; left_out: those that are gone, or that
    somebody named meanwhile."""

    named: dict[int, str]
    denied: dict[int, str]
    left_out: list[int]


def open_tracks(conn: sa.Connection, track_ids: Sequence[int], own: Collection[str] = ()) -> list[int]:
    """Those of at most a few hundred tracks, in their order, that are live, in the archive, and named by nobody. own:
    names by these events do not count, so that an answer that is sent twice finds what it found."""
    k, v, e = t.track.c, t.video.c, t.standing_answer.c
    names = [e.track_id == k.track_id, e.kind.in_(NAMING_KINDS)]
    if own:
        names.append(e.annotation_id.not_in(list(own)))
    there = set(
        conn.scalars(
            sa.select(k.track_id)
            .join_from(t.track, t.video, v.video_id == k.video_id)
            .where(k.track_id.in_(list(track_ids)), k.state == "live", v.state != "retired")
            .where(~sa.exists().where(*names))
        )
    )
    return [track_id for track_id in track_ids if track_id in there]


def name_marked(conn: sa.Connection, user: str, said: MarksAnswer) -> MarksResult:
    """Store what was said about marked tracks. conn: inside a write transaction. The same answer again changes nothing.

    Raises PageRefusal where an event of it cannot be stored; the transaction must then be rolled back.
    """
    take_numbers(conn, COUNTER, 0)  # from here on nobody names one of them
    ids = {track_id: event_id(said.answer_id, track_id) for track_id in said.track_ids}
    wanted = open_tracks(conn, said.track_ids, ids.values())
    share = None if said.seconds is None or not wanted else said.seconds / len(wanted)
    events = [_event(said, track_id, ids[track_id], user, share) for track_id in wanted]
    for result in record_in(conn, events):
        if result.status == "rejected":
            raise PageRefusal(result.reason or "one of these names cannot be stored")
    return MarksResult(
        {event.track_id: event.annotation_id for event in events if event.track_id and event.kind == "identify"},
        {event.track_id: event.annotation_id for event in events if event.track_id and event.kind != "identify"},
        [track_id for track_id in said.track_ids if track_id not in wanted],
    )


def _event(said: MarksAnswer, track_id: int, annotation_id: str, user: str, share: float | None) -> LabelEvent:
    facts: dict[str, Any] = {"mode": SEARCH, "input": said.how, "query": said.query, "page_id": said.page_id}
    if track_id in said.suggested:
        code, probability = said.suggested[track_id]
        facts["candidates"] = [[code, round(probability, 4)]]
    return LabelEvent(
        annotation_id,
        "not_individual" if track_id in said.taken_out else "identify",
        user,
        track_id=track_id,
        anim_id=said.anim_id,
        shown=written({key: value for key, value in facts.items() if value is not None} | {"schema": 1}),
        seconds=share,
        client_time=said.client_time,
    )
