"""Other names of individuals: aliases, each of which means one individual and is nobody's code.

Belongs here: writing `individual_alias`. Does not belong here: another code for an individual (`renaming`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.batch import (
    Batch,
    BiographyLog,
    CheckedRow,
    RowsRefusedError,
    SourceRow,
    Terms,
    WriteReport,
    span_in_words,
)
from chimp_assets.database.individuals.register import Register
from chimp_assets.database.individuals.values import alias_values, looks_like_no_other
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.schema import individual_alias


def write_aliases(conn: sa.Connection, told: Sequence[SourceRow], terms: Terms) -> WriteReport:
    """Add or change aliases: anim_id, alias, valid_from, valid_to. An alias names one individual and is nobody's code.

    conn: inside a write transaction. Raises Refused, PeopleError for bad terms.
    """
    log = BiographyLog.of(conn, terms)
    known = Register.of(conn)
    batch = Batch(terms.skip_bad)
    rows: dict[str, CheckedRow] = {}
    for line in told:
        values = batch.keep(line, partial(alias_values, line, known))
        if values is None:
            continue
        key = key_of(values["alias"])
        if batch.keep(line, partial(looks_like_no_other, "alias", values["alias"], known, terms)) is None:
            continue
        if key in rows:
            batch.refuse(line.line, "alias", f"{values['alias']} already appears on line {rows[key].line}")
            continue
        rows[key] = CheckedRow(line.line, values)
    batch.settle()
    added = changed = 0
    for key, row in rows.items():
        wanted = {name: row.values.get(name) for name in ("alias", "valid_from", "valid_to")}
        there = known.aliases.get(key)
        if there is None:
            insert_one(conn, individual_alias, individual_id=known.ids[row.values["anim_id"]], **wanted)
            added += 1
        elif any(there[name] != value for name, value in wanted.items()):
            conn.execute(
                sa.update(individual_alias).where(individual_alias.c.alias_id == there["alias_id"]).values(**wanted)
            )
            changed += 1
        else:
            continue
        validity = span_in_words(wanted["valid_from"], wanted["valid_to"])
        log.write(known.ids[row.values["anim_id"]], f"alias {wanted['alias']}{validity}")
    return WriteReport(added, changed, len(rows) - added - changed, skipped=batch.skipped)


def add_alias(
    db: Database, anim_id: str, alias: str, valid_from: str | None, valid_to: str | None, terms: Terms
) -> None:
    """Give an individual another name, or say from when to when it is valid. Raises PeopleError if that cannot be."""
    told = SourceRow(1, {"anim_id": anim_id, "alias": alias, "valid_from": valid_from, "valid_to": valid_to})
    try:
        db.transact(lambda conn: write_aliases(conn, [told], terms))
    except RowsRefusedError as refused:
        words = "; ".join(f"{fault.column}: {fault.message}" for fault in refused.faults)
        raise PeopleError(f"The alias was not stored, {words}.", "Mend the command; nothing was stored.") from None
