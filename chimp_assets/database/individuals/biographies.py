"""Biographies: adding individuals and changing what is recorded about them, checked together with what is known.

Belongs here: writing `individual`. Does not belong here: files (`individual_files`), the rules (`rules`), one row's
values (`values`), communities and memberships (`memberships`), other names (`aliases`, `renaming`), merges (`merges`).

A row is refused if it cannot be true together with the other rows and with what is known; then nothing is stored, or
everything but the refused rows. A change is written into `biography_log`, with the values before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
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
)
from chimp_assets.database.individuals.fields import PARENTS
from chimp_assets.database.individuals.register import Register, life_of, make_communities
from chimp_assets.database.individuals.rules import (
    UNKNOWN_ANIM_ID,
    Contradiction,
    contradictions,
    membership_contradictions,
)
from chimp_assets.database.individuals.values import biography_values, looks_like_no_other
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.schema import individual

# SokweDB's unknown females, who have no row of their own but are mothers.
_UNKNOWN_FEMALE = re.compile(r"MGF\d*")


def upsert_individuals(db: Database, rows: Iterable[Mapping[str, Any]], force: bool = False) -> WriteReport:
    """Add individuals or change what is said about them, by anim_id; one transaction.

    rows: FIELDS; anim_id is required and made upper case; mom_id and dad_id are AnimIDs or aliases, as in SokweDB, of
    any row or of the database; birth_community is a CommID; dates are dates or ISO text; a field that is absent is left
    as it is. An individual that is listed is no longer provisional unless its row says so. force: also codes that look
    like others. Raises PeopleError naming row and field.
    """
    told = [SourceRow(number, row) for number, row in enumerate(rows, start=1)]
    try:
        return db.transact(lambda conn: write_biographies(conn, told, Terms(force=force)))
    except RowsRefusedError as refused:
        words = "; ".join(f"Individual {fault.line}, field {fault.column}: {fault.message}" for fault in refused.faults)
        raise PeopleError(f"{words}.", "Mend the row; nothing was stored.") from None


def write_biographies(conn: sa.Connection, told: Sequence[SourceRow], terms: Terms) -> WriteReport:
    """Add or change individuals. conn: inside a write transaction. Raises Refused, PeopleError for bad terms."""
    log = BiographyLog.of(conn, terms)
    known = Register.of(conn)
    batch = Batch(terms.skip_bad)
    rows: dict[str, CheckedRow] = {}
    new_codes: dict[str, str] = {}
    for line in told:
        values = batch.keep(line, partial(biography_values, line))
        if values is None or values["anim_id"] == UNKNOWN_ANIM_ID:
            continue
        code = known.code_of(values["anim_id"]) or new_codes.get(key_of(values["anim_id"]))
        if code is None:
            code = values["anim_id"]
            if batch.keep(line, partial(looks_like_no_other, "anim_id", code, known, terms)) is None:
                continue
            new_codes[key_of(code)] = code
        group = values.get("birth_community")
        if group and batch.keep(line, partial(looks_like_no_other, "birth_community", group, known, terms)) is None:
            continue
        values["anim_id"] = code
        if code in rows:
            batch.refuse(line.line, "anim_id", f"{code} already appears on line {rows[code].line}")
            continue
        rows[code] = CheckedRow(line.line, values)
    for code in _unknown_females(rows, known):
        rows[code] = CheckedRow(0, {"anim_id": code, "sex": "F"})
    _drop_what_cannot_be(rows, known, batch)
    batch.settle()
    mothers = {row.values.get("mom_id") for row in rows.values()}
    rows = {code: row for code, row in rows.items() if row.line or code in mothers}
    return _store_biographies(conn, rows, known, log, batch)


def _unknown_females(rows: Mapping[str, CheckedRow], known: Register) -> Iterator[str]:
    """Mothers of SokweDB's MGF family that nobody lists: they are females of whom nothing else is known."""
    mothers = {row.values.get("mom_id") or "" for row in rows.values()}
    return iter(
        sorted(m for m in mothers if _UNKNOWN_FEMALE.fullmatch(m) and m not in rows and known.code_of(m) is None)
    )


def _drop_what_cannot_be(rows: dict[str, CheckedRow], known: Register, batch: Batch) -> None:
    """Refuse rows until the others, together with what is known, can be true."""
    while True:
        bad: dict[str, None] = {}

        def refuse(code: str, column: str, sentence: str, bad: dict[str, None] = bad) -> None:
            batch.refuse(rows[code].line, column, sentence)
            bad[code] = None

        lives = dict(known.lives)
        for code, row in rows.items():
            for name in PARENTS:
                parent = row.values.get(name)
                if parent is not None:
                    # Checked again in each pass: the parent's own row may have been refused.
                    there = parent if parent in rows else known.code_of(parent)
                    if there is None:
                        refuse(code, name, f"there is no individual {parent}")
                    row.values[name] = there or parent
            lives[code] = life_of(known.rows.get(code, {}) | row.values)
        stays = [m for (code, _), m in known.memberships.items() if code in rows]
        found: list[Contradiction] = [
            *contradictions(lives),
            *(c for c in membership_contradictions(lives, stays) if c.life_field),
        ]
        for contradiction in found:
            teller = next((code for code in contradiction.about if code in rows and rows[code].line), None)
            if teller is not None:
                column = contradiction.life_field or contradiction.field
                refuse(teller, column if teller == contradiction.about[0] else "anim_id", contradiction.sentence)
        for code in bad:
            del rows[code]
        if not bad or not batch.skip_bad:
            return


def _store_biographies(
    conn: sa.Connection, rows: Mapping[str, CheckedRow], known: Register, log: BiographyLog, batch: Batch
) -> WriteReport:
    added: list[str] = []
    changed = 0
    made = make_communities(conn, (row.values.get("birth_community") for row in rows.values()), known)
    for code, row in rows.items():
        if code not in known.ids:
            own = {k: v for k, v in row.values.items() if k not in (*PARENTS, "birth_community")}
            known.ids[code] = insert_one(conn, individual, **own, created_at=datetime.now(UTC))
            added.append(code)
    for code, row in rows.items():
        before = known.rows.get(code, {})
        news = {k: v for k, v in row.values.items() if k != "anim_id" and not _same(before.get(k), v)}
        if news.get("birth_community"):
            news["birth_community"] = known.community_of(news["birth_community"])
            if news["birth_community"] == before.get("birth_community"):
                del news["birth_community"]
        if code in added:
            news = {k: v for k, v in news.items() if k in (*PARENTS, "birth_community")}
        if not news:
            continue
        columns = {k: v for k, v in news.items() if k not in (*PARENTS, "birth_community")}
        columns |= {k: known.ids.get(news[k] or "") for k in PARENTS if k in news}
        if "birth_community" in news:
            columns["birth_community_id"] = known.community_ids.get(news["birth_community"] or "")
        conn.execute(sa.update(individual).where(individual.c.individual_id == known.ids[code]).values(**columns))
        if code not in added:
            changed += 1
            log.write(
                known.ids[code], "; ".join(f"{k}: {_shown(before.get(k))} -> {_shown(v)}" for k, v in news.items())
            )
    return WriteReport(len(added), changed, len(rows) - len(added) - changed, 0, made, batch.skipped)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float) and isinstance(now, float):
        return bool(np.float32(before) == np.float32(now))  # as wide as the column
    if isinstance(now, bool):
        return bool(before) == now
    return bool(before == now)


def _shown(value: Any) -> str:
    return "nothing" if value is None else "yes" if value is True else "no" if value is False else str(value)
