"""The list of individuals, and finding one by what people call it.

Belongs here: codes, names, communities, merged individuals. Does not belong here: one individual in full (`profile`),
what a name means (`database.people.lookup`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.references import best_named
from chimp_assets.database.people.lookup import IndividualMatch, individual_called
from chimp_assets.insight.individuals.named_tracks import verified_tracks


@dataclass(frozen=True)
class IndividualSummary:
    """One line of the list. photo: content hash of the crop of the first reference photo, None until it is made;
    photo_track: the track of that photo."""

    anim_id: str
    name: str | None
    sex: str
    provisional: bool
    verified: int
    photo: str | None
    photo_track: int | None


def newest_communities(conn: sa.Connection) -> dict[int, str]:
    """Name (or code) of the community that each individual joined last."""
    m, c = t.community_membership.c, t.community.c
    rows = conn.execute(
        sa.select(m.individual_id, c.comm_id, c.name)
        .join_from(t.community_membership, t.community, c.community_id == m.community_id)
        .order_by(m.start_date)
    )
    return {row.individual_id: row.name or row.comm_id for row in rows}


def listing(conn: sa.Connection, after: str | None = None, limit: int = 300) -> list[IndividualSummary]:
    """Individuals that are not merged into another, sorted by code; after: only those behind this code."""
    i, r, m = t.individual.c, t.reference_photo.c, t.item_media.c
    asked = sa.select(i.individual_id, i.anim_id, i.name, i.sex, i.provisional).where(i.same_as_id.is_(None))
    if after is not None:
        asked = asked.where(i.anim_id > after)
    people = conn.execute(asked.order_by(i.anim_id).limit(limit)).all()
    counts = verified_tracks(conn)
    photos: dict[int, tuple[str | None, int]] = {}
    for row in conn.execute(
        sa.select(r.individual_id, r.track_id, m.content_hash)
        .outerjoin_from(
            t.reference_photo, t.item_media, sa.and_(m.track_id == r.track_id, m.kind == "crop", m.place == 0)
        )
        .order_by(r.individual_id, r.place)
    ):
        photos.setdefault(row.individual_id, (row.content_hash, row.track_id))
    lacking = [p.individual_id for p in people if counts.get(p.individual_id) and p.individual_id not in photos]
    photos |= {key: (None, tracks[0]) for key, tracks in (best_named(conn, lacking) if lacking else {}).items()}
    return [
        IndividualSummary(
            p.anim_id, p.name, p.sex, bool(p.provisional), counts.get(key, 0), *photos.get(key, (None, None))
        )
        for p in people
        for key in (p.individual_id,)
    ]  # fmt: skip


def find(conn: sa.Connection, code: str) -> tuple[int, str] | None:
    """Key and anim_id of the individual with this code or alias; a merged one gives the one it was merged into."""
    return _now(conn, individual_called(conn, code))


def find_named(conn: sa.Connection, word: str) -> int | None:
    """Key of the individual with this code, alias, or unambiguous name."""
    found = _now(conn, individual_called(conn, word, by_name=True))
    return None if found is None else found[0]


def _now(conn: sa.Connection, called: IndividualMatch | None) -> tuple[int, str] | None:
    if called is None:
        return None
    i = t.individual.c
    return called.root_id, str(conn.scalar(sa.select(i.anim_id).where(i.individual_id == called.root_id)))


def key_of_code(conn: sa.Connection, code: str) -> int | None:
    """Key of the individual with exactly this code, merged or not."""
    if "\x00" in code:
        return None
    i = t.individual.c
    return conn.scalar(sa.select(i.individual_id).where(i.anim_id == code))


def names(conn: sa.Connection) -> Sequence[Any]:
    """anim_id and name of every individual that is not merged into another, sorted by code."""
    i = t.individual.c
    return conn.execute(sa.select(i.anim_id, i.name).where(i.same_as_id.is_(None)).order_by(i.anim_id)).all()
