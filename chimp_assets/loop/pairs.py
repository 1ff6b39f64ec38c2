"""The pairs and the doubts that a plan asks about besides names.

Belongs here: which pairs of the pool nobody has answered, holds, or could be one animal; which answers are doubtful.
Does not belong here: how pairs are chosen (`acquisition.pairs`), what follows from them (`acquisition.curation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.acquisition.pairs import PairAnswers, Pairs, pairs
from chimp_assets.acquisition.policy import Policy
from chimp_assets.acquisition.pool import TrackPool
from chimp_assets.arrays import BoolArray, I64Array, located
from chimp_assets.database import schema as t
from chimp_assets.loop.evidence import Doubt, doubts
from chimp_assets.loop.pool import TrackSnapshot

if TYPE_CHECKING:
    from chimp_assets.database.connection.engine import Database

_PART = 500


def pairs_to_ask(
    db: Database, pool: TrackPool, snapshot: TrackSnapshot, asked: I64Array, policy: Policy, b: int
) -> Pairs:
    """Pairs to ask "same animal?" about, without those that are planned, answered or on a screen already."""
    row_of = np.full(len(snapshot.evidence.track), -1)
    here, row = located(pool.track, snapshot.evidence.track)
    row_of[here] = row[here]
    group = np.arange(len(pool))
    # A group is known by the row of one of its tracks.
    first = np.full(int(snapshot.conclusions.group.max(initial=-1)) + 1, -1)
    first[snapshot.conclusions.group[here]] = row[here]
    group[row[here]] = first[snapshot.conclusions.group[here]]
    answered = row_of[snapshot.evidence.pair]
    both = (answered >= 0).all(axis=1)
    tracks = [(one, other) for one, other in snapshot.not_now if other is not None]
    found, waiting = located(pool.track, np.array(tracks, np.int64).reshape(-1, 2))
    return pairs(
        pool,
        PairAnswers(
            known=np.concatenate([answered[both], waiting[found.all(axis=1)]]),
            group=group,
            apart=answered[both & (snapshot.evidence.kind == "different")],
        ),
        b,
        # Of a large pool some tracks are looked at: other answers, others; the seed of the plan does not matter.
        np.random.default_rng([20, len(pool), snapshot.watermark_seq]),
        taken=asked,
        duplicate_likeness=policy.duplicate_likeness,
        impossible=lambda one, other: seen_together(db, pool, one, other),
    )


def seen_together(db: Database, pool: TrackPool, one: I64Array, other: I64Array) -> BoolArray:
    """Which pairs of rows one camera filmed at the same moment: two animals, whatever they look like. bool [k]."""
    assert pool.video is not None
    together = pool.video[one] == pool.video[other]
    rows = np.unique(np.concatenate([one[together], other[together]]))
    first, last = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    track = t.track.c
    with db.read() as conn:
        for low in range(0, len(rows), _PART):
            some = pool.track[rows[low : low + _PART]]
            for row in conn.execute(
                sa.select(track.track_id, track.first_frame_no, track.last_frame_no).where(
                    track.track_id.in_(some.tolist())
                )
            ):
                place = low + int(np.searchsorted(some, row.track_id))
                first[place], last[place] = row.first_frame_no, row.last_frame_no
    a, b = np.searchsorted(rows, one[together]), np.searchsorted(rows, other[together])
    together[together] = (first[a] <= last[b]) & (first[b] <= last[a])
    return together


def doubts_to_ask(snapshot: TrackSnapshot, asked: set[int], b: int) -> list[Doubt]:
    """At most b answers to look at again, without those that are on a screen or in the plan already."""
    new = [
        d
        for d in doubts(snapshot.evidence, snapshot.conclusions)
        if (d.track_id, d.other_track_id) not in snapshot.not_now
    ]
    return [d for d in new if d.other_track_id is not None or d.track_id not in asked][:b]
