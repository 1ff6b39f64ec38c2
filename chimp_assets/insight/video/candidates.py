"""Who a track may show, as the model says.

Belongs here: the candidates of one track for somebody who names it from its video. Does not belong here: questions of
the queue (`web.labelling.items`), which tracks measure the model (`similar.tracks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.labels.evidence import is_denied
from chimp_assets.insight.measuring import kept_for_measuring

MOST = 9
"""As many as there are digits."""


@dataclass(frozen=True)
class Candidate:
    """Somebody whom the track may show. probability: the model's, 0 to 1."""

    anim_id: str
    name: str | None
    probability: float


@dataclass(frozen=True)
class Candidates:
    """The candidates of a track, the likeliest first. model_id: of the head that says so; None without one. measures:
    the track measures the model (audit reserve, test day), so that nobody is told what it says."""

    track_id: int
    model_id: int | None
    measures: bool
    found: list[Candidate] = field(default_factory=list)


def candidates(conn: sa.Connection, track_id: int, seed: int, share: float) -> Candidates | None:
    """At most MOST candidates of a live track, without those of whom people said that it is not them; None where there
    is no such track. seed, share: the draw of the audit reserve. Who was merged into another is the other."""
    k, m, p = t.track.c, t.model.c, t.prediction.c
    if conn.scalar(sa.select(k.track_id).where(k.track_id == track_id, k.state == "live")) is None:
        return None
    if kept_for_measuring(conn, [track_id], seed, share):
        return Candidates(track_id, None, True)
    head = conn.scalar(sa.select(m.model_id).where(m.task == "head", m.state == "champion"))
    if head is None:
        return Candidates(track_id, None, False)
    said, who = t.individual.alias("said"), t.individual.c
    rows = conn.execute(
        sa.select(who.anim_id, who.name, p.probability)
        .join_from(t.prediction, said, said.c.individual_id == p.individual_id)
        .join(t.individual, who.individual_id == sa.func.coalesce(said.c.same_as_id, said.c.individual_id))
        .where(p.model_id == head, p.track_id == track_id, ~is_denied(p.track_id, who.individual_id))
        .order_by(p.rank)
    )
    found: dict[str, Candidate] = {}
    for row in rows:
        found.setdefault(row.anim_id, Candidate(row.anim_id, row.name, float(row.probability)))
    return Candidates(track_id, int(head), False, list(found.values())[:MOST])
