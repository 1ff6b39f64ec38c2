"""Tracks that have a name, and the answers that stand.

Belongs here: the columns of these views, the number of verified tracks. Does not belong here: what the views mean
(`sql/views`), what pages count.
"""

from __future__ import annotations

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import NAMING_KINDS

named_track = sa.table(
    "v_named_track",
    sa.column("track_id", sa.BigInteger),
    sa.column("video_id", sa.BigInteger),
    sa.column("individual_id", sa.BigInteger),
    sa.column("anim_id", sa.Unicode(40)),
    sa.column("source", sa.Unicode(10)),
    sa.column("probability", sa.Double),
    sa.column("annotation_id", sa.Unicode(36)),
    sa.column("model_id", sa.BigInteger),
)
"""Tracks with a name that a person or the champion head gave: the columns that are read here."""
effective_answer = sa.table(
    "v_effective_answer",
    sa.column("track_id", sa.BigInteger),
    sa.column("kind", sa.Unicode(16)),
    sa.column("said_individual_id", sa.BigInteger),
)
"""The answer that stands for each track: the columns that are read here."""


def verified_tracks(conn: sa.Connection) -> dict[int, int]:
    """Number of live tracks of each individual whose standing name a person gave, after merges."""
    answers = effective_answers().subquery("answer")
    return {
        row.individual_id: row.n
        for row in conn.execute(
            sa.select(answers.c.individual_id, sa.func.count().label("n"))
            .join_from(answers, t.track, t.track.c.track_id == answers.c.track_id)
            .where(answers.c.kind.in_(NAMING_KINDS), t.track.c.state == "live")
            .group_by(answers.c.individual_id)
        )
    }
