"""One label event: what a client sends, what becomes of it, and how its identifiers are spelt.

Belongs here: the two records and the computed identifiers. Does not belong here: judging an event (`judgement`) and
storing it (`events`).
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chimp_assets.database.people.names import code_of


@dataclass(frozen=True)
class LabelEvent:
    """One decision as the client sends it. Boxes are fractions of the displayed picture; times carry their zone.

    annotation_id: a UUID made by the client. annotator: a user's name. anim_id: the individual of `identify`,
    `is_individual` and `not_individual` (code or alias) and of `new_individual` (made from annotation_id where it is
    not given). other_track_id: the second track of `merge`, `same` and `different`, and of a `cannot_tell` or `skip`
    about a pair. supersedes: what a `retract` takes back. item_id: the queue item that asked; lane and propensity are
    the item's, not the client's. shown: JSON.

    lane and propensity of an event without an item are stored as they are, for imports of our own exports; code that
    passes on events from a network leaves them out.
    """

    annotation_id: str
    kind: str
    annotator: str
    lane: str = "free"
    track_id: int | None = None
    other_track_id: int | None = None
    anim_id: str | None = None
    name: str | None = None
    video_id: int | None = None
    frame_no: int | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    supersedes: str | None = None
    propensity: float | None = None
    item_id: int | None = None
    shown: str | None = None
    note: str | None = None
    seconds: float | None = None
    client_time: datetime | None = None


@dataclass(frozen=True)
class EventResult:
    """The result of one event. seq: its number if it is stored (now or before). reason, field: why it is rejected."""

    annotation_id: str
    status: Literal["stored", "duplicate", "rejected"]
    seq: int | None = None
    reason: str | None = None
    field: str | None = None


class Rejection(Exception):
    """An event cannot be stored: the sentence for its author, and the field it is about."""

    def __init__(self, field_name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field_name


def provisional_anim_id(annotation_id: str) -> str:
    """The code of a new individual for which none was given: the same for the same event, wherever it is replayed."""
    return f"NEW-{hashlib.blake2b(annotation_id.encode(), digest_size=4).hexdigest().upper()}"


def individual_code(event: LabelEvent) -> str:
    """The code of the individual that an event names, as it is stored; "" if it names none."""
    code = code_of(event.anim_id or "")
    return provisional_anim_id(canonical(event.annotation_id)) if not code and event.kind == "new_individual" else code


def canonical(identifier: str | None) -> str:
    """A UUID in its one spelling; what is not a UUID stays as it is and is rejected later."""
    try:
        return str(uuid.UUID(identifier))
    except (ValueError, AttributeError, TypeError):
        return str(identifier)
