"""What reviewers should look at: where people, or people and the model, give different answers.

Belongs here: reading a queue, and how far one read goes. Does not belong here: the decision (an event like any other,
`database.labels`), drawing.

Events are numbered without gaps, so one read goes through the newest LOOKED_AT of them (TRACKS_LOOKED_AT where tracks
are read), and an older read begins where it ended: the cost does not grow with the archive. A decision made in review
(`"mode":"review"` in what was shown) settles the answers before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import PARAMETERS
from chimp_assets.database.labels.events import (
    last_seq,
)
from chimp_assets.insight.labelling.review.cases import ReviewCase
from chimp_assets.insight.labelling.review.event_queues import EVENT_QUEUES
from chimp_assets.insight.labelling.review.whole_queues import WHOLE_QUEUES
from chimp_assets.insight.measuring import kept_for_measuring
from chimp_assets.settings import Settings

QUEUES = ("names", "pairs", "missed", "provisional", "doubtful", "flags", "conflicts", "asked")
LOOKED_AT = 10_000
"""Newest events that one read goes through."""
TRACKS_LOOKED_AT = 2_000
"""The same for queues that need every answer to the tracks of these events."""


@dataclass(frozen=True)
class CaseBatch:
    """The cases of one read, newest first. older: where the next read begins; None if nothing is older."""

    cases: list[ReviewCase]
    older: int | None


def find_cases(conn: sa.Connection, queue: str, settings: Settings, before: int | None = None) -> CaseBatch:
    """The cases of a queue, as far as one read goes. before: only events with a smaller seq (queues of events only).

    None says what the model thinks of a track that measures it: an answer that is corrected after it agrees with it.
    """
    if queue in WHOLE_QUEUES:
        return CaseBatch(WHOLE_QUEUES[queue](conn), None)
    high = min(last_seq(conn), (before or 2**62) - 1)
    low = max(0, high - (TRACKS_LOOKED_AT if queue in ("names", "doubtful") else LOOKED_AT))
    found = EVENT_QUEUES[queue](conn, low, high)
    told = [one.track_id for one in found if one.model is not None and one.track_id is not None]
    kept = kept_for_measuring(conn, told, settings.seed, settings.acquisition.audit_reserve)
    found = [one for one in found if one.model is None or one.track_id not in kept]
    return CaseBatch(found, low + 1 if low else None)


def counts(conn: sa.Connection, settings: Settings) -> dict[str, int]:
    """Number of cases in the newest read of each queue; MOST means that many or more."""
    return {queue: len(find_cases(conn, queue, settings).cases) for queue in QUEUES}


def authors(conn: sa.Connection, annotation_ids: Sequence[str]) -> dict[str, str]:
    """Name of the author of each event, by annotation_id; of the first PARAMETERS events."""
    a, u = t.annotation.c, t.app_user.c
    rows = conn.execute(
        sa.select(a.annotation_id, u.name)
        .join_from(t.annotation, t.app_user, u.user_id == a.annotator_id)
        .where(a.annotation_id.in_(list(annotation_ids)[:PARAMETERS]))
    )
    return {row.annotation_id: row.name for row in rows}
