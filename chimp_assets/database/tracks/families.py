"""Tracks of the same pictures: a track and those that took its place are one family, whatever numbers they have.

Belongs here: which families are kept for measuring. Does not belong here: the draw of single tracks (`labels.splits`),
for which track an answer counts (`labels.rewriting.heirs`).

A draw by the number of a track alone would draw the parts of a cut again: what had taught a model would judge it, and
what had judged would teach. So a family goes as its first tracks do; where they differ, because tracks of both kinds
were joined, it is kept for measuring: that costs a label and leaks nothing.
"""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.labels.answers import holds_at
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.schema import MEASURING_LANES, annotation, track_heir

PAGE = 50_000


def reserved_mask(
    conn: sa.Connection, track_ids: NDArray[np.integer], seed: int, share: float, watermark_seq: int | None = None
) -> NDArray[np.bool_]:
    """`audit_reserve_mask` of tracks as members of their families, as of a watermark of labels (None: now).

    track_ids: i64 [n]; returns bool [n].
    """
    mask = audit_reserve_mask(track_ids, seed, share)
    origins = _origins(conn, watermark_seq)
    if not origins:
        return mask
    for row, track_id in enumerate(track_ids.tolist()):
        if track_id in origins:
            mask[row] = bool(audit_reserve_mask(np.array(sorted(origins[track_id]), np.int64), seed, share).any())
    return mask


def measured_mask(conn: sa.Connection, track_ids: NDArray[np.integer], watermark_seq: int) -> NDArray[np.bool_]:
    """Whether a lane that measures ever asked about a track before these in their families, as of a watermark.

    track_ids: i64 [n]; returns bool [n]; False for tracks that took nobody's place.
    """
    mask = np.zeros(len(track_ids), np.bool_)
    parents = _parents(conn, watermark_seq)
    if not parents:
        return mask
    above = {track_id: _ancestors(track_id, parents) for track_id in track_ids.tolist() if track_id in parents}
    a = annotation.c
    asked = {
        row.track_id
        for row in rows_in_parts(
            conn,
            lambda part: (
                sa.select(a.track_id)
                .where(a.track_id.in_(part), a.lane.in_(MEASURING_LANES), a.seq <= watermark_seq)
                .distinct()
            ),
            {one for those in above.values() for one in those},
        )
    }
    for row, track_id in enumerate(track_ids.tolist()):
        mask[row] = bool(above.get(track_id, set()) & asked)
    return mask


def _parents(conn: sa.Connection, watermark_seq: int | None) -> dict[int, list[int]]:
    """The tracks whose place each heir took."""
    h = track_heir.c
    statement = sa.select(h.track_id, h.heir_track_id).where(holds_at(track_heir, watermark_seq))
    parents: dict[int, list[int]] = {}
    for page in conn.execute(statement, execution_options={"yield_per": PAGE}).partitions():
        for track_id, heir in page:
            parents.setdefault(heir, []).append(track_id)
    return parents


def _ancestors(track_id: int, parents: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    new = list(parents.get(track_id, []))
    while new:
        one = new.pop()
        if one not in found:
            found.add(one)
            new += parents.get(one, [])
    return found


def _origins(conn: sa.Connection, watermark_seq: int | None) -> dict[int, set[int]]:
    """Of each heir the tracks of its family that took nobody's place."""
    parents = _parents(conn, watermark_seq)
    return {heir: {one for one in _ancestors(heir, parents) if one not in parents} for heir in parents}
