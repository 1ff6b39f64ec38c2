"""Tracks that measure the model: of the audit reserve, and of test days. No page tells what the model says of them.

Whoever has read a name repeats it, and answers about these tracks say how often the model is right. Names by persons
are told everywhere; sums over many tracks (counts, networks, chances) hold the model's names of all; files of data hold
them beside who gave each (`source`).

Belongs here: which tracks these are. Does not belong here: how the reserve is drawn (`database.labels.splits`), what a
page shows instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.tracks.families import reserved_mask


def kept_for_measuring(conn: sa.Connection, track_ids: Sequence[int], seed: int, share: float) -> set[int]:
    """Those of the audit reserve, and those of test days. seed, share: the draw of the reserve (settings.seed,
    settings.acquisition.audit_reserve)."""
    if not track_ids:
        return set()
    numbers = np.array(track_ids, dtype=np.int64)
    kept = set(numbers[reserved_mask(conn, numbers, seed, share)].tolist())
    a = t.split_assignment.c
    days = rows_in_parts(
        conn,
        lambda part: (
            sa.select(t.track.c.track_id)
            .join_from(t.track, t.split_assignment, a.video_id == t.track.c.video_id)
            .where(t.track.c.track_id.in_(part), a.split == "test")
        ),
        track_ids,
    )
    return kept | {row.track_id for row in days}
