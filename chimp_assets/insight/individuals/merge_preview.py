"""What a merge of two individuals, or undoing one, would change.

Belongs here: counting the tracks that would get another name. Does not belong here: merging
(`database.individuals.merges`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.merges import root_of, standing_edges
from chimp_assets.database.labels.kinds import NAMING_KINDS
from chimp_assets.insight.individuals.named_tracks import effective_answer, named_track


@dataclass(frozen=True)
class MergePreview:
    """Tracks that a merge, or undoing one, would rename: verified by persons, or named by the model."""

    anim_id: str
    name: str | None
    into_anim_id: str
    into_name: str | None
    verified: int
    model: int


def preview_merge(conn: sa.Connection, key: int, into: int) -> MergePreview:
    """What merging an individual into another would change."""
    n = named_track.c
    by_source = sa.select(n.source, sa.func.count()).where(n.individual_id == key).group_by(n.source)
    counts: dict[str, int] = {row[0]: row[1] for row in conn.execute(by_source)}
    return _preview(conn, key, into, counts.get("person", 0), counts.get("model", 0))


def preview_unmerge(conn: sa.Connection, key: int) -> MergePreview | None:
    """What undoing the merge of an individual would change; None if it is not merged."""
    edges = standing_edges(conn)
    if key not in edges:
        return None
    members = [one for one in edges if one == key or _leads_through(one, key, edges)]
    e, p, m = effective_answer.c, t.prediction.c, t.model.c
    verified = conn.scalar(
        sa.select(sa.func.count())
        .select_from(effective_answer)
        .where(e.said_individual_id.in_(members), e.kind.in_(NAMING_KINDS))
    )
    answered = sa.exists().where(effective_answer.c.track_id == p.track_id)
    model = conn.scalar(
        sa.select(sa.func.count())
        .join_from(t.prediction, t.model, m.model_id == p.model_id)
        .where(m.task == "head", m.state == "champion", p.rank == t.FIRST_RANK, p.individual_id.in_(members), ~answered)
    )
    return _preview(conn, root_of(key, edges), key, verified or 0, model or 0)


def _leads_through(one: int, by: int, edges: Mapping[int, int]) -> bool:
    while one in edges:
        one = edges[one]
        if one == by:
            return True
    return False


def _preview(conn: sa.Connection, here: int, into: int, verified: int, model: int) -> MergePreview:
    i = t.individual.c
    rows = {
        row.individual_id: row
        for row in conn.execute(sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id.in_([here, into])))
    }
    a, b = rows[here], rows[into]
    return MergePreview(a.anim_id, a.name, b.anim_id, b.name, verified, model)
