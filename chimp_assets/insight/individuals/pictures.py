"""Pictures of an individual: the best crop of each of its tracks, and its reference photos.

Belongs here: which pictures, in which order. Does not belong here: their bytes (`web.labelling.media`), choosing
references (`database.labels.references`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.references import best_named
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SearchQuery

PAGE = 24
"""Pictures that a page brings; the next ones follow when they are scrolled to."""


@dataclass(frozen=True)
class TrackPicture:
    """The best crop of one track. content_hash: None until it is made; then it is cut when a page shows it."""

    track_id: int
    content_hash: str | None
    source: str
    probability: float
    recorded_at: datetime | None
    camera: str | None
    is_reference: bool


@dataclass(frozen=True)
class ReferencePhoto:
    """A reference photo. by: the user who chose it; None: the rule chose it."""

    track_id: int
    content_hash: str | None
    recorded_at: datetime | None
    camera: str | None
    by: str | None


def gallery_tracks(columns: SearchColumns, code: str, source: str | None = None) -> np.ndarray:
    """The tracks of an individual whose pictures may be shown under its name, newest first: i64 [n].

    Tracks that measure the model are among them only where a person named them. source: person, volunteers or model.
    """
    asked = SearchQuery(who=(code,), sources=() if source is None else (source,))
    return columns.track[columns.matching(asked)][::-1]


def gallery(conn: sa.Connection, key: int, track_ids: Sequence[int]) -> list[TrackPicture]:
    """The best crop of each of these tracks of an individual, at most a few hundred, in their order."""
    n, v, m, r = named_track.c, t.video.c, t.item_media.c, t.reference_photo.c
    rows = conn.execute(
        sa.select(
            n.track_id, n.source, n.probability, m.content_hash, v.recorded_at, v.camera, r.track_id.label("reference")
        )
        .join_from(named_track, t.video, v.video_id == n.video_id)
        .outerjoin(t.item_media, sa.and_(m.track_id == n.track_id, m.kind == "crop", m.place == 0))
        .outerjoin(t.reference_photo, sa.and_(r.individual_id == key, r.track_id == n.track_id))
        .where(n.individual_id == key, n.track_id.in_(list(track_ids)))
    )
    found = {row.track_id: row for row in rows}
    return [
        TrackPicture(
            row.track_id, row.content_hash, row.source, row.probability, row.recorded_at, row.camera,
            row.reference is not None,
        )
        for row in (found[one] for one in track_ids if one in found)
    ]  # fmt: skip


def photos(conn: sa.Connection, key: int) -> list[ReferencePhoto]:
    """The reference photos of an individual, in their order; without a choice by a user, those that the rule picks."""
    r, u = t.reference_photo.c, t.app_user.c
    chosen = {
        row.track_id: row.name
        for row in conn.execute(
            sa.select(r.track_id, u.name)
            .outerjoin_from(t.reference_photo, t.app_user, u.user_id == r.user_id)
            .where(r.individual_id == key)
            .order_by(r.place)
        )
    }
    shown = chosen or dict.fromkeys(best_named(conn, [key]).get(key, []))
    k, m, v = t.track.c, t.item_media.c, t.video.c
    rows = conn.execute(
        sa.select(k.track_id, m.content_hash, v.recorded_at, v.camera)
        .join_from(t.track, t.video, v.video_id == k.video_id)
        .outerjoin(t.item_media, sa.and_(m.track_id == k.track_id, m.kind == "crop", m.place == 0))
        .where(k.track_id.in_(list(shown)))
    )
    found = {row.track_id: row for row in rows}
    return [
        ReferencePhoto(one, found[one].content_hash, found[one].recorded_at, found[one].camera, by)
        for one, by in shown.items()
        if one in found
    ]
