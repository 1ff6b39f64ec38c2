"""What follows when a person's hidden checks say that she guesses, or that she does not any more.

Belongs here: counting her words about tracks anew. Does not belong here: from when on she guesses
(`people.carefulness`), what words say together (`labels.evidence`).
"""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.database.labels.evidence import keep_evidence
from chimp_assets.database.labels.is_it.ballots import settle
from chimp_assets.database.labels.kinds import EVIDENCE_KINDS
from chimp_assets.database.schema import IS_IT, acquisition_queue, annotation

WAITING = ("pending", "leased")


def follow_carefulness(conn: sa.Connection, user_id: int) -> None:
    """Brings `track_evidence` and waiting questions to what follows without a careless person, or with her again.

    Safe to repeat. For whoever judges her checks, in the same transaction, which no other may store events beside.
    """
    a, q = annotation.c, acquisition_queue.c
    said = sa.or_(a.kind.in_(EVIDENCE_KINDS), a.lane == IS_IT)
    tracks = set(conn.scalars(sa.select(a.track_id).where(a.annotator_id == user_id, said, a.track_id.is_not(None))))
    keep_evidence(conn, tracks)
    mine = sa.exists().where(a.annotator_id == user_id, a.track_id == q.track_id, said)
    waiting = sa.select(q.item_id).where(q.lane == IS_IT, q.state.in_(WAITING), mine)
    settle(conn, list(conn.scalars(waiting)))
