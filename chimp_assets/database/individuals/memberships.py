"""Communities, and who belonged to which of them when.

Belongs here: writing `community` and `community_membership`. Does not belong here: the rules (`rules`), biographies
(`biographies`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.individuals.batch import (
    Batch,
    BiographyLog,
    CheckedRow,
    SourceRow,
    Terms,
    WriteReport,
    span_in_words,
)
from chimp_assets.database.individuals.register import Register, make_communities, membership_of
from chimp_assets.database.individuals.rules import membership_contradictions
from chimp_assets.database.individuals.values import looks_like_no_other, membership_values, texts_of
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.schema import community, community_membership


def write_memberships(conn: sa.Connection, told: Sequence[SourceRow], terms: Terms) -> WriteReport:
    """Add or change memberships: anim_id, community, start_date, end_date, source; known by individual and start.

    conn: inside a write transaction. Raises Refused, PeopleError for bad terms.
    """
    if terms.replace and terms.skip_bad:
        raise PeopleError(
            "Memberships cannot be replaced by those of a file with bad rows.",
            "Mend the rows, or say only one of both.",
        )
    log = BiographyLog.of(conn, terms)
    known = Register.of(conn)
    batch = Batch(terms.skip_bad)
    rows: dict[tuple[str, date], CheckedRow] = {}
    for line in told:
        values = batch.keep(line, partial(membership_values, line, known))
        if values is None:
            continue
        if batch.keep(line, partial(looks_like_no_other, "community", values["community"], known, terms)) is None:
            continue
        key = (values["anim_id"], values["start_date"])
        if key in rows:
            batch.refuse(line.line, "start_date", f"{key[0]} already joins on {key[1]} on line {rows[key].line}")
            continue
        rows[key] = CheckedRow(line.line, values)
    while True:
        named = {code for code, _ in rows}
        there = {} if terms.replace else {key: m for key, m in known.memberships.items() if key[0] in named}
        told_now = {key: membership_of(row.values, known) for key, row in rows.items()}
        bad: dict[tuple[str, date], None] = {}
        for found in membership_contradictions(known.lives, (there | told_now).values()):
            told_at = [(found.about[0], start) for start in found.starts if (found.about[0], start) in rows]
            if told_at:
                batch.refuse(rows[told_at[0]].line, found.field, found.sentence)
                bad[told_at[0]] = None
        for key in bad:
            del rows[key]
        if not bad or not terms.skip_bad:
            break
    batch.settle()
    return _store_memberships(conn, rows, known, log, batch, terms.replace)


def _store_memberships(
    conn: sa.Connection,
    rows: Mapping[tuple[str, date], CheckedRow],
    known: Register,
    log: BiographyLog,
    batch: Batch,
    replace: bool,
) -> WriteReport:
    added = changed = removed = 0
    made = make_communities(conn, (row.values["community"] for row in rows.values()), known)
    told_of = {code for code, _ in rows}
    if replace:
        for key, there in known.membership_rows.items():
            if key[0] in told_of and key not in rows:
                conn.execute(
                    sa.delete(community_membership).where(
                        community_membership.c.membership_id == there["membership_id"]
                    )
                )
                stay = known.memberships[key]
                log.write(
                    known.ids[key[0]], f"membership of {stay.community}{span_in_words(stay.start, stay.end)} removed"
                )
                removed += 1
    for key, row in rows.items():
        group = known.community_of(row.values["community"]) or row.values["community"]
        wanted = {
            "community_id": known.community_ids[group],
            "end_date": row.values["end_date"],
            "source": row.values["source"],
        }
        before = known.membership_rows.get(key)
        span = span_in_words(key[1], wanted["end_date"])
        if before is None:
            insert_one(conn, community_membership, individual_id=known.ids[key[0]], start_date=key[1], **wanted)
            log.write(known.ids[key[0]], f"membership of {group}{span} added")
            added += 1
        elif any(before[name] != value for name, value in wanted.items()):
            conn.execute(
                sa.update(community_membership)
                .where(community_membership.c.membership_id == before["membership_id"])
                .values(**wanted)
            )
            was = known.memberships[key]
            log.write(
                known.ids[key[0]],
                f"membership of {was.community}{span_in_words(was.start, was.end)} -> {group}{span}",
            )
            changed += 1
    return WriteReport(added, changed, len(rows) - added - changed, removed, made, batch.skipped)


def write_communities(conn: sa.Connection, told: Sequence[SourceRow], terms: Terms) -> WriteReport:
    """Add communities or change their names: community, name. conn: inside a write transaction. Raises Refused."""
    BiographyLog.of(conn, terms)
    known = Register.of(conn)
    batch = Batch(terms.skip_bad)
    rows: dict[str, CheckedRow] = {}
    new_codes: dict[str, str] = {}
    for line in told:
        values = batch.keep(line, partial(texts_of, line.values, "community", "name"))
        if values is None:
            continue
        code = known.community_of(values["community"]) or new_codes.get(key_of(values["community"]))
        code = code or values["community"]
        if batch.keep(line, partial(looks_like_no_other, "community", code, known, terms)) is None:
            continue
        new_codes[key_of(code)] = code
        if code in rows:
            batch.refuse(line.line, "community", f"{code} already appears on line {rows[code].line}")
            continue
        rows[code] = CheckedRow(line.line, values)
    batch.settle()
    added = changed = 0
    for code, row in rows.items():
        if known.community_of(code) is None:
            insert_one(conn, community, comm_id=code, name=row.values["name"])
            added += 1
        elif known.community_names[code] != row.values["name"]:
            conn.execute(sa.update(community).where(community.c.comm_id == code).values(name=row.values["name"]))
            changed += 1
    return WriteReport(added, changed, len(rows) - added - changed, skipped=batch.skipped)
