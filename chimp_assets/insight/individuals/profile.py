"""What is known about one individual: birth, parents, communities, aliases, and how that changed.

Belongs here: reading biographies. Does not belong here: changing them (`database.individuals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as t

CHANGES_SHOWN = 60


@dataclass(frozen=True)
class IndividualProfile:
    """Who an individual is. mother, father: (anim_id, name); communities: (name, from, until); merged: former codes."""

    individual_id: int
    anim_id: str
    name: str | None
    sex: str
    birth_date: date | None
    bd_min: date | None
    bd_max: date | None
    entry_date: date | None
    depart_date: date | None
    depart_type: str | None
    provisional: bool
    mother: tuple[str, str | None] | None
    father: tuple[str, str | None] | None
    communities: list[tuple[str, date, date | None]]
    aliases: list[tuple[str, date | None, date | None]]
    merged: list[tuple[str, str | None]]


def profile_of(conn: sa.Connection, key: int) -> IndividualProfile:
    """The profile of the individual with this key."""
    i = t.individual.c
    row = conn.execute(sa.select(t.individual).where(i.individual_id == key)).one()
    parents = {}
    for name, parent in (("mother", row.mom_id), ("father", row.dad_id)):
        found = conn.execute(sa.select(i.anim_id, i.name).where(i.individual_id == parent)).first() if parent else None
        parents[name] = (found.anim_id, found.name) if found else None
    m, c, a = t.community_membership.c, t.community.c, t.individual_alias.c
    communities = conn.execute(
        sa.select(c.comm_id, c.name, m.start_date, m.end_date)
        .join_from(t.community_membership, t.community, c.community_id == m.community_id)
        .where(m.individual_id == key)
        .order_by(m.start_date)
    ).all()
    known_as = sa.select(a.alias, a.valid_from, a.valid_to).where(a.individual_id == key).order_by(a.alias)
    aliases = conn.execute(known_as).all()
    merged = conn.execute(sa.select(i.anim_id, i.name).where(i.same_as_id == key).order_by(i.anim_id)).all()
    return IndividualProfile(
        individual_id=key, anim_id=row.anim_id, name=row.name, sex=row.sex, birth_date=row.birth_date,
        bd_min=row.bd_min, bd_max=row.bd_max, entry_date=row.entry_date, depart_date=row.depart_date,
        depart_type=row.depart_type, provisional=bool(row.provisional),
        communities=[(r.name or r.comm_id, r.start_date, r.end_date) for r in communities],
        aliases=[(r.alias, r.valid_from, r.valid_to) for r in aliases],
        merged=[(r.anim_id, r.name) for r in merged], **parents,
    )  # fmt: skip


def biography_changes(conn: sa.Connection, key: int, limit: int = CHANGES_SHOWN) -> list[Any]:
    """The newest changes of an individual's biography: made_at, by, description, rationale."""
    g, u = t.biography_log.c, t.app_user.c
    return list(
        conn.execute(
            sa.select(g.made_at, u.name.label("by"), g.description, g.rationale)
            .outerjoin_from(t.biography_log, t.app_user, u.user_id == g.user_id)
            .where(g.individual_id == key)
            .order_by(g.log_id.desc())
            .limit(limit)
        )
    )


PAGE = 60
