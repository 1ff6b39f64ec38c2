"""A case: one thing that a reviewer should decide.

Belongs here: what a case consists of. Does not belong here: finding cases (`event_queues`, `whole_queues`), the JSON
for the screen (`web.api.review`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chimp_assets.insight.labelling.review.events import StandingEvent
from chimp_assets.insight.labelling.review.tracks import TrackAnswers

MOST = 200
"""Cases that one read of a queue returns at most."""


@dataclass(frozen=True)
class ModelOpinion:
    """The champion's name for a track, and its probability, against the name that stands."""

    anim_id: str
    name: str | None
    probability: float


@dataclass(frozen=True)
class ReviewCase:
    """One thing to decide. events: one standing event of each person, oldest first; head: the id of the one that
    counts.

    reason: why answers contradict each other, a sentence; individual: (anim_id, name, number of named tracks) of a
    provisional one, and more: its other newest tracks; check: gold or plant, of a missed check; asked: the open
    question to an author.
    """

    key: str
    queue: str
    track_id: int | None
    other_track_id: int | None
    events: tuple[StandingEvent, ...]
    head: str | None = None
    reason: str | None = None
    model: ModelOpinion | None = None
    individual: tuple[str, str | None, int] | None = None
    more: tuple[int, ...] = ()
    check: str | None = None
    asked: StandingEvent | None = None


def track_case(queue: str, track_id: int, known: TrackAnswers, **more: Any) -> ReviewCase:
    """The case of one track with all its answers. more: other fields of Case."""
    head = known.head
    return ReviewCase(
        f"{queue}:{track_id}", queue, track_id, None, tuple(known.answers), head.annotation_id if head else None,
        asked=known.open_question, **more,
    )  # fmt: skip
