"""Everything that the database says about individuals, read once for a call that checks or shows them.

Belongs here: reading it, and finding an individual or a community in it. Does not belong here: rules (`rules`), and
changing individuals (`biographies`, `memberships`, `aliases`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.individuals.fields import PARENTS
from chimp_assets.database.individuals.rules import Life, Membership
from chimp_assets.database.people.names import code_of, key_of, looks
from chimp_assets.database.schema import community, community_membership, individual, individual_alias


@dataclass
class Register:
    """Everything that the database says of individuals; a few thousand rows at most."""

    ids: dict[str, int]
    rows: dict[str, dict[str, Any]]
    lives: dict[str, Life]
    aliases: dict[str, dict[str, Any]]
    community_ids: dict[str, int]
    community_names: dict[str, str | None]
    codes: dict[str, str]
    looks: dict[str, str]
    community_looks: dict[str, str]
    memberships: dict[tuple[str, date], Membership]
    membership_rows: dict[tuple[str, date], dict[str, Any]]

    @classmethod
    def of(cls, conn: sa.Connection) -> Register:
        found = [dict(row) for row in conn.execute(sa.select(individual)).mappings()]
        codes = {row["individual_id"]: row["anim_id"] for row in found}
        groups = conn.execute(sa.select(community)).all()
        group_codes = {row.community_id: row.comm_id for row in groups}
        rows: dict[str, dict[str, Any]] = {}
        for row in found:
            row |= {name: codes.get(row[name]) for name in PARENTS}
            row["birth_community"] = group_codes.get(row.pop("birth_community_id"))
            rows[row["anim_id"]] = row
        stays = {
            (codes[row.individual_id], row.start_date): dict(row._mapping)
            for row in conn.execute(sa.select(community_membership))
        }
        aliases = {
            key_of(row.alias): dict(row._mapping) | {"anim_id": codes[row.individual_id]}
            for row in conn.execute(sa.select(individual_alias))
        }
        return cls(
            ids={row["anim_id"]: row["individual_id"] for row in found},
            rows=rows,
            lives={code: life_of(row) for code, row in rows.items()},
            aliases=aliases,
            community_ids={row.comm_id: row.community_id for row in groups},
            community_names={row.comm_id: row.name for row in groups},
            # Of two that are one but for their spelling, in a database from before names were compared: the older.
            codes={key_of(row["anim_id"]): row["anim_id"] for row in sorted(found, key=_youngest_first)},
            looks=looks([*rows, *(str(alias["alias"]).upper() for alias in aliases.values())]),
            community_looks=looks(group_codes.values()),
            memberships={
                (code, start): Membership(code, group_codes[row["community_id"]], start, row["end_date"])
                for (code, start), row in stays.items()
            },
            membership_rows=stays,
        )

    def code_of(self, text: str) -> str | None:
        """The anim_id that a code or an alias means."""
        code, key = code_of(text), key_of(text)
        if code in self.ids:
            return code
        if key in self.codes:
            return self.codes[key]
        return self.aliases[key]["anim_id"] if key in self.aliases else None

    def community_of(self, text: str) -> str | None:
        """The CommID as it is stored: in other letters it is the same community."""
        if text in self.community_ids:
            return text
        return next((code for code in self.community_ids if key_of(code) == key_of(text)), None)


def _youngest_first(row: Mapping[str, Any]) -> int:
    return -int(row["individual_id"])


def life_of(values: Mapping[str, Any]) -> Life:
    found: dict[str, Any] = {f.name: values.get(f.name) for f in fields(Life) if f.name not in ("mom", "dad", "sex")}
    return Life(**found, sex=values.get("sex") or "U", mom=values.get("mom_id"), dad=values.get("dad_id"))


def membership_of(values: Mapping[str, Any], known: Register) -> Membership:
    group = known.community_of(values["community"]) or values["community"]
    return Membership(values["anim_id"], group, values["start_date"], values["end_date"])


def make_communities(conn: sa.Connection, wanted: Iterable[str | None], known: Register) -> list[str]:
    made: list[str] = []
    for text in wanted:
        if text and known.community_of(text) is None:
            known.community_ids[text] = insert_one(conn, community, comm_id=text)
            known.community_names[text] = None
            made.append(text)
    return made
