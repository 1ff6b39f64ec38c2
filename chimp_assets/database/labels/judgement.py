"""Whether a label event can be stored, and the row that is stored: every rule that an event must satisfy.

Belongs here: the rules, each with the sentence for the event's author; fingerprints, by which an event that is sent
again is known. Does not belong here: transactions and numbers (`events`), what is read for the rules (`facts`).
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.labels.facts import BatchFacts
from chimp_assets.database.labels.kinds import ABOUT_SOMEBODY, EVIDENCE_KINDS, NAMING_KINDS, PAIR_KINDS
from chimp_assets.database.labels.label_event import LabelEvent, Rejection, canonical, individual_code
from chimp_assets.database.labels.rewriting.cutting import REWRITING_KINDS, check_undo
from chimp_assets.database.labels.shown import fault_in_shown, searched
from chimp_assets.database.people.names import doubt_about, fault_in, looks
from chimp_assets.database.schema import (
    ANNOTATION_KINDS,
    CORRECTING_ROLES,
    IS_IT,
    LANES,
    frame,
    individual,
    individual_alias,
)
from chimp_assets.database.texts import fault_of

FREE = "free"
"""The lane of unasked answers."""


def judge(conn: sa.Connection, event: LabelEvent, facts: BatchFacts) -> tuple[dict[str, Any] | None, int | None]:
    """The row of a new event, or (None, seq) of one that is already stored. Raises Rejection."""
    row = _meaning(event, facts)
    known = facts.known.get(row["annotation_id"])
    if known is not None:
        if bytes(known["fingerprint"]) in (_fingerprint(row), _exact_fingerprint(row)):
            return None, known["seq"]
        raise Rejection(
            "annotation_id", "id_reused: an event with this id is already stored and decides something else"
        )
    _check_sender(event, row, facts)
    _check_extras(event)
    _check_subject(conn, event, row, facts)
    item = facts.items.get(event.item_id)
    if event.item_id is not None and (item is None or not item.asks_about(row)):
        about = "whether these two tracks are one animal" if item and item.other_track_id else "about this track"
        raise Rejection("item_id", f"queue item {event.item_id} does not ask {about}")
    # For the queue, not stored: whom the words mean now.
    row["as_merged"] = facts.same.get(row["individual_id"], row["individual_id"])
    now = datetime.now(UTC)
    lane, propensity, item_id = event.lane, event.propensity, event.item_id
    if item is not None:
        lane, propensity = item.lane, item.propensity
        takes_back = event.kind == "retract"
        # Several people answer "is this X?", whoever holds it.
        held = item.lane != IS_IT and item.is_held_by_another(row["annotator_id"], now)
        if not takes_back and (held or not item.is_answered_by(row)):
            # An unasked answer: stored, but without the item's lane and propensity; the item keeps waiting.
            lane, propensity, item_id = FREE, None, None
    if event.kind in NAMING_KINDS and row["individual_id"] is None:
        row["individual_id"] = _new_individual(conn, event, facts)
    return row | {
        "lane": lane,
        "propensity": propensity,
        "item_id": item_id,
        "shown": event.shown,
        **searched(event.shown),
        "note": event.note,
        "seconds": event.seconds,
        "client_time": event.client_time,
        "server_time": now,
        "fingerprint": _fingerprint(row),
    }, None


def _meaning(event: LabelEvent, facts: BatchFacts) -> dict[str, Any]:
    """What an event decides, as columns; nothing is checked. A retraction is about the track of what it takes back."""
    user = facts.users.get(event.annotator)
    supersedes = canonical(event.supersedes) if event.supersedes else None
    target = facts.known.get(supersedes or "") if event.kind == "retract" else None
    return {
        "annotation_id": canonical(event.annotation_id),
        "kind": event.kind,
        "track_id": target["track_id"] if target else event.track_id,
        "other_track_id": event.other_track_id,
        "individual_id": facts.individuals.get(individual_code(event)) if event.kind in ABOUT_SOMEBODY else None,
        "video_id": event.video_id,
        "frame_no": event.frame_no,
        "x": event.x,
        "y": event.y,
        "w": event.w,
        "h": event.h,
        "supersedes": supersedes,
        "annotator_id": user[0] if user else None,
    }


def _fingerprint(row: dict[str, Any]) -> bytes:
    # The numbers of a box as their columns keep them (REAL): SQL Server gives 0.1 back as 0.10000000149011612.
    return _exact_fingerprint(row | {name: _as_real(row[name]) for name in ("x", "y", "w", "h")})


def _as_real(value: float | None) -> float | None:
    """The shortest number that a REAL keeps as the same one."""
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e30:
        return value  # refused later, by name
    return float(str(np.float32(value)))


def _exact_fingerprint(row: dict[str, Any]) -> bytes:
    # Only what was decided: the same decision with another note or time is the same decision.
    # supersedes decides something only in a retraction; elsewhere it is a remark. Events of earlier versions have this
    # one, with the numbers as they were sent.
    taken_back = row["supersedes"] if row["kind"] == "retract" else None
    text = json.dumps([*(row[name] for name in _MEANING), taken_back], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


_MEANING = (
    "annotation_id", "kind", "track_id", "other_track_id", "individual_id", "video_id", "frame_no", "x", "y", "w", "h",
    "annotator_id",
)  # fmt: skip


def _check_sender(event: LabelEvent, row: dict[str, Any], facts: BatchFacts) -> None:
    try:
        uuid.UUID(event.annotation_id)
    except (ValueError, AttributeError, TypeError):
        raise Rejection("annotation_id", f"{event.annotation_id!r} is not a UUID") from None
    if event.kind not in ANNOTATION_KINDS:
        raise Rejection("kind", f"{event.kind!r} is not a kind of answer; there are {', '.join(ANNOTATION_KINDS)}")
    if event.lane not in LANES:
        raise Rejection("lane", f"{event.lane!r} is not a lane; there are {', '.join(LANES)}")
    if row["annotator_id"] is None:
        raise Rejection("annotator", f"there is no user {event.annotator!r}")
    _, role, disabled = facts.users[event.annotator]
    if disabled:
        raise Rejection("annotator", f"the user {event.annotator!r} is disabled")
    if role == "viewer":
        raise Rejection("annotator", f"the user {event.annotator!r} may look but not answer")


def _check_extras(event: LabelEvent) -> None:
    if event.seconds is not None and not (math.isfinite(event.seconds) and event.seconds >= 0):
        raise Rejection("seconds", f"{event.seconds} is not a number of seconds")
    if event.propensity is not None and not 0 < event.propensity <= 1:
        raise Rejection("propensity", f"propensity {event.propensity} is not a chance between 0 and 1")
    if event.client_time is not None and event.client_time.tzinfo is None:
        raise Rejection("client_time", "client_time has no time zone")
    if event.client_time is not None and not _is_of_our_calendar(event.client_time):
        raise Rejection("client_time", "client_time lies outside the years 1 to 9999 in UTC")
    if note_fault := fault_of(event.note or "", 2000):
        raise Rejection("note", f"the note {note_fault}")
    if event.shown is not None and (shown_fault := fault_in_shown(event.shown)):
        raise Rejection("shown", f"'shown' {shown_fault}")


def _is_of_our_calendar(time: datetime) -> bool:
    try:
        time.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _check_subject(conn: sa.Connection, event: LabelEvent, row: dict[str, Any], facts: BatchFacts) -> None:
    if row["supersedes"] is not None and row["supersedes"] not in facts.known:
        raise Rejection("supersedes", f"there is no event {row['supersedes']} to take back or replace")
    for track_id in (event.track_id, event.other_track_id):
        if track_id is not None and track_id not in facts.tracks:
            raise Rejection("track_id", f"there is no track {track_id}")
    if event.video_id is not None and event.video_id not in facts.videos:
        raise Rejection("video_id", f"there is no video {event.video_id}")
    if event.track_id is not None and event.video_id not in (None, facts.tracks[event.track_id][0]):
        raise Rejection("video_id", f"track {event.track_id} is not in video {event.video_id}")
    if event.anim_id and event.kind not in ABOUT_SOMEBODY:
        raise Rejection("anim_id", f"an answer of kind {event.kind!r} cannot name an individual")
    if event.kind == "retract":
        _check_retraction(conn, event, row, facts)
    elif event.kind in PAIR_KINDS or (event.kind in ("cannot_tell", "skip") and event.other_track_id is not None):
        if event.track_id is None or event.other_track_id is None or event.track_id == event.other_track_id:
            raise Rejection("other_track_id", f"{event.kind!r} needs two different tracks")
        if event.kind == "merge" and facts.tracks[event.track_id][0] != facts.tracks[event.other_track_id][0]:
            raise Rejection(
                "other_track_id",
                f"tracks {event.track_id} and {event.other_track_id} are of two videos, and only tracks of one video "
                "can be merged: give both the same name, or answer 'same'",
            )
    elif event.kind == "box":
        _check_box(conn, event)
    elif event.track_id is None:
        raise Rejection("track_id", f"an answer of kind {event.kind!r} needs a track")
    elif event.kind == "split":
        _, first, last = facts.tracks[event.track_id]
        if event.frame_no is None or not first < event.frame_no <= last:
            raise Rejection("frame_no", f"track {event.track_id} can be split at frames {first + 1} to {last}")
    elif event.kind in ("identify", *EVIDENCE_KINDS) and row["individual_id"] is None:
        code, lacking = individual_code(event), f"{event.kind} needs an anim_id"
        raise Rejection("anim_id", f"there is no individual {code!r}" if event.anim_id else lacking)


def _check_retraction(conn: sa.Connection, event: LabelEvent, row: dict[str, Any], facts: BatchFacts) -> None:
    if row["supersedes"] is None:
        raise Rejection("supersedes", "a retraction must name the event it takes back")
    target = facts.known[row["supersedes"]]
    if target["kind"] == "retract":
        raise Rejection("supersedes", "a retraction cannot be taken back; answer again instead")
    if row["supersedes"] in facts.retracted:
        raise Rejection("supersedes", "this event was already taken back")
    user_id, role, _ = facts.users[event.annotator]
    if target["annotator_id"] != user_id and role not in CORRECTING_ROLES:
        raise Rejection(
            "annotator", "only an expert, a reviewer or an administrator may take back somebody else's answer"
        )
    if target["kind"] in REWRITING_KINDS:
        check_undo(conn, target["annotation_id"])


def _check_box(conn: sa.Connection, event: LabelEvent) -> None:
    if event.video_id is None or event.frame_no is None:
        raise Rejection("frame_no", "a box needs a video and a frame")
    x, y, w, h = event.x, event.y, event.w, event.h
    if x is None or y is None or w is None or h is None:
        raise Rejection("x", "a box needs x, y, w and h")
    # A box drawn to the very edge may pass it by a rounding.
    inside = x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 1.0001 and y + h <= 1.0001
    if not inside:  # also true of NaN
        raise Rejection("x", "the box must lie inside the picture, in fractions from 0 to 1")
    there = sa.select(frame.c.frame_no).where(frame.c.video_id == event.video_id, frame.c.frame_no == event.frame_no)
    if conn.execute(there).first() is None:
        raise Rejection("frame_no", f"video {event.video_id} has no frame {event.frame_no}")


def _new_individual(conn: sa.Connection, event: LabelEvent, facts: BatchFacts) -> int:
    code = individual_code(event)
    if code == UNKNOWN_ANIM_ID:
        raise Rejection("anim_id", f"{code} stands for an animal that nobody can name: answer 'unknown'")
    if code_fault := fault_of(code, 40) or fault_in(code):
        raise Rejection("anim_id", f"the anim_id {code_fault}")
    if name_fault := fault_of(event.name or "", 200) or fault_in(event.name or ""):
        raise Rejection("name", f"the name {name_fault}")
    if event.anim_id and (doubt := doubt_about(code, _looks_of_individuals(conn))):
        raise Rejection("anim_id", f"the anim_id {doubt}; chimp individuals import --force takes it all the same")
    made = insert_one(
        conn, individual, anim_id=code, name=event.name or None, provisional=True, created_at=datetime.now(UTC)
    )
    facts.individuals[code] = made
    return made


def _looks_of_individuals(conn: sa.Connection) -> dict[str, str]:
    aliases = conn.scalars(sa.select(individual_alias.c.alias))
    return looks([*(alias.upper() for alias in aliases), *conn.scalars(sa.select(individual.c.anim_id))])
