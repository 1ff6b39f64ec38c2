"""The tracks whose names newer decisions may have changed.

Belongs here: finding them. Does not belong here: what they are called now (`individuals.named_tracks`), when everything
has to be read again (`stamps`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.labels.rewriting.cutting import REWRITING_KINDS

MOST_NEW = 2_000
"""Newer decisions than these are read with everything else."""


class NewerDecisions(NamedTuple):
    """tracks: that they are about, and those that took their place or whose place they took; kinds: of them, and of
    what they supersede."""

    tracks: set[int]
    kinds: set[str]


def newer_decisions(conn: sa.Connection, after: int, last: int) -> NewerDecisions | None:
    """What decisions after a number are about. last: number of the newest decision. None where everything has to be
    read: a decision cut or joined tracks, or there are more than MOST_NEW."""
    if last - after > MOST_NEW:
        return None
    a, before = t.annotation.c, t.annotation.alias("before")
    told = conn.execute(
        sa.select(a.track_id, before.c.track_id, a.kind, before.c.kind)
        .outerjoin_from(t.annotation, before, before.c.annotation_id == a.supersedes)
        .where(a.seq > after)
    ).all()
    kinds = {kind for row in told for kind in row[2:] if kind is not None}
    if kinds & set(REWRITING_KINDS):
        return None
    return NewerDecisions(with_heirs(conn, {key for row in told for key in row[:2] if key is not None}), kinds)


def tracks_told_of(conn: sa.Connection, after: int, last: int) -> list[int] | None:
    """The tracks of `newer_decisions`, ascending; None also where a decision made an individual."""
    found = newer_decisions(conn, after, last)
    return None if found is None or "new_individual" in found.kinds else sorted(found.tracks)


def with_heirs(conn: sa.Connection, tracks: Iterable[int]) -> set[int]:
    """Tracks, and all that took their place or whose place they took: what is said of one may count for another."""
    links = [
        (one, other)
        for table in (t.answer_heir.c, t.track_heir.c)
        for one, other in ((table.track_id, table.heir_track_id), (table.heir_track_id, table.track_id))
    ]
    found: set[int] = set()
    new = set(tracks)
    while new:
        found |= new
        reached: set[int] = set()
        for one, other in links:
            reached |= {row[0] for row in rows_in_parts(conn, partial(_linked, one, other), new)}
        new = reached - found
    return found


def _linked(one: sa.Column[Any], other: sa.Column[Any], part: Sequence[Any]) -> sa.Select[Any]:
    return sa.select(other).where(one.in_(part))
