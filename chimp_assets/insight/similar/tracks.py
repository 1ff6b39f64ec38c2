"""What is known of the tracks that are shown, read by their keys.

Belongs here: the facts of some hundred tracks. Does not belong here: which tracks (`answer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.insight.individuals.named_tracks import named_track
from chimp_assets.insight.measuring import kept_for_measuring

__all__ = ["ShownTrack", "kept_for_measuring", "shown_tracks"]


@dataclass(frozen=True)
class ShownTrack:
    """A live track. anim_id, source, probability: who it shows as far as may be said; None where nobody knows, or where
    it is kept for measuring (reserved) and no person has named it."""

    track_id: int
    video_id: int
    site: str | None
    camera: str | None
    recorded_at: datetime | None
    first_s: float
    photo: str | None
    anim_id: str | None
    name: str | None
    source: str | None
    probability: float | None
    reserved: bool


def shown_tracks(conn: sa.Connection, track_ids: Sequence[int], seed: int, share: float) -> dict[int, ShownTrack]:
    """The live tracks among some, by track_id. seed, share: the draw of the audit reserve.

    What a model says of tracks of the reserve, and of test days, is left out (`insight.measuring`).
    """
    k, v, n, m, i = t.track.c, t.video.c, named_track.c, t.item_media.c, t.individual.c
    rows = rows_in_parts(
        conn,
        lambda part: (
            sa.select(k.track_id, v.video_id, v.site, v.camera, v.recorded_at, k.first_s, m.content_hash.label("photo"))
            .join_from(t.track, t.video, v.video_id == k.video_id)
            .outerjoin(t.item_media, sa.and_(m.track_id == k.track_id, m.kind == "crop", m.place == 0))
            .where(k.track_id.in_(part), k.state == "live", v.state != "retired")
        ),
        track_ids,
    )
    found = {row.track_id: row for row in rows}
    named = {
        row.track_id: row
        for row in rows_in_parts(
            conn,
            lambda part: (
                sa.select(n.track_id, n.anim_id, i.name, n.source, n.probability)
                .join_from(named_track, t.individual, i.individual_id == n.individual_id)
                .where(n.track_id.in_(part))
            ),
            found,
        )
    }
    kept = kept_for_measuring(conn, [*found], seed, share)
    shown = {}
    for track_id in track_ids:
        if track_id not in found:
            continue
        row, who = found[track_id], named.get(track_id)
        if who is not None and track_id in kept and who.source != "person":
            who = None
        shown[track_id] = ShownTrack(
            track_id, row.video_id, row.site, row.camera, row.recorded_at, row.first_s, row.photo,
            who and who.anim_id, who and who.name, who and who.source, who and who.probability, track_id in kept,
        )  # fmt: skip
    return shown
