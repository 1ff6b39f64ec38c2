"""Individuals as a command lists them, and one with everything that is known about it.

Belongs here: rows ready for JSON. Does not belong here: sightings and photos (`insight.individual`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.individuals.register import Register
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.schema import app_user, biography_log, individual, individual_merge


def list_individuals(conn: sa.Connection) -> list[dict[str, Any]]:
    """Everybody by anim_id: anim_id, name, sex, birth_date, provisional, same_as (the anim_id it was merged into)."""
    i, into = individual.c, individual.alias("into")
    rows = conn.execute(
        sa.select(i.anim_id, i.name, i.sex, i.birth_date, i.provisional, into.c.anim_id.label("same_as"))
        .outerjoin_from(individual, into, into.c.individual_id == i.same_as_id)
        .order_by(i.anim_id)
    )
    return [_plain(row._asdict()) for row in rows]


def show_individual(conn: sa.Connection, text: str) -> dict[str, Any]:
    """One individual by code or alias: biography, aliases, memberships, merges and log, ready for JSON.

    Raises PeopleError if there is none.
    """
    known = Register.of(conn)
    code = known.code_of(text.strip())
    if code is None:
        raise PeopleError(f"There is no individual {text!r}.", "See chimp individuals list.")
    own, codes = known.ids[code], {key: name for name, key in known.ids.items()}
    row = {k: v for k, v in known.rows[code].items() if k not in ("individual_id", "same_as_id")}
    m, entry = individual_merge.c, biography_log.c
    merges = conn.execute(
        sa.select(m.merge_id, m.kind, m.individual_id, m.into_individual_id, m.undoes_merge_id, m.reason, m.at)
        .where(sa.or_(m.individual_id == own, m.into_individual_id == own))
        .order_by(m.merge_id)
    ).all()
    log = conn.execute(
        sa.select(entry.made_at, app_user.c.name.label("made_by"), entry.description, entry.rationale)
        .outerjoin_from(biography_log, app_user, app_user.c.user_id == entry.user_id)
        .where(entry.individual_id == own)
        .order_by(entry.log_id)
    ).all()
    return {
        **_plain(row),
        "same_as": codes.get(known.rows[code]["same_as_id"]),
        "merged_into_it": sorted(c for c, r in known.rows.items() if r["same_as_id"] == own),
        "aliases": [
            _plain({name: alias[name] for name in ("alias", "valid_from", "valid_to")})
            for alias in sorted(known.aliases.values(), key=lambda alias: str(alias["alias"]))
            if alias["anim_id"] == code
        ],
        "memberships": [
            _plain({"community": m.community, "start_date": m.start, "end_date": m.end})
            for m in sorted(known.memberships.values(), key=lambda m: m.start)
            if m.anim_id == code
        ],
        "merges": [
            _plain(
                {
                    "merge_id": merge.merge_id,
                    "kind": merge.kind,
                    "individual": codes[merge.individual_id],
                    "into": codes[merge.into_individual_id],
                    "undoes": merge.undoes_merge_id,
                    "reason": merge.reason,
                    "at": merge.at,
                }
            )
            for merge in merges
        ],
        "log": [_plain(line._asdict()) for line in log],
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()}
