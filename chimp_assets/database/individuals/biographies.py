"""Individuals as the database keeps them: what is said of them is checked together with what is known, and logged.

Belongs here: adding and changing individuals, their aliases, communities and memberships. Does not belong here: files
(`individual_files`), the rules (`biography`), merges (`merges`), and who was seen (`events`).

A row is refused if, together with everything else that is said and known, it cannot be true; then nothing is stored, or
everything but the refused rows. A change is written into `biography_log`, with what was said before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_tables import Fault, date_of, truth_of
from chimp_assets.database.individuals.rules import (
    UNKNOWN_ANIM_ID,
    Contradiction,
    Life,
    Membership,
    contradictions,
    membership_contradictions,
)
from chimp_assets.database.people.names import clean, code_of, doubt_about, fault_in, key_of, look_of, looks
from chimp_assets.database.people.users import PeopleError, user_id_of
from chimp_assets.database.schema import (
    BIRTH_DATE_DISTRIBUTIONS,
    BIRTH_GROUP_QUALITIES,
    DEPART_TYPES,
    ENTRY_TYPES,
    FIRST_BORN,
    SEXES,
    annotation,
    app_user,
    biography_log,
    community,
    community_membership,
    evaluation_metric,
    individual,
    individual_alias,
    individual_merge,
)
from chimp_assets.database.texts import fault_of

DATES = ("birth_date", "bd_min", "bd_max", "entry_date", "depart_date")
PARENTS = ("mom_id", "dad_id")
VOCABULARIES = {
    "sex": SEXES,
    "bd_dist": BIRTH_DATE_DISTRIBUTIONS,
    "bg_qual": BIRTH_GROUP_QUALITIES,
    "first_born": FIRST_BORN,
    "entry_type": ENTRY_TYPES,
    "depart_type": DEPART_TYPES,
}
FIELDS = ("anim_id", "name", *VOCABULARIES, *DATES, *PARENTS, "birth_community", "depart_date_error", "provisional")
LENGTHS = {"anim_id": 40, "name": 200, "birth_community": 40, "community": 40, "alias": 200, "source": 100}
IDENTIFIERS = ("anim_id", "alias", "community", "birth_community")
"""Fields that say who or what is meant: stored composed (NFC), compared by `names.key_of`."""
WHY_LENGTH = 1000

# SokweDB's unknown females, who have no row of their own but are mothers.
_UNKNOWN_FEMALE = re.compile(r"MGF\d*")
_DESCRIPTION_LENGTH = 2000


@dataclass(frozen=True)
class Told:
    """One row of what somebody says: the line to name when it is wrong, and its values by field."""

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What became of the rows. communities: those made because a row named them; skipped: rows that were left out."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    communities: list[str] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Terms:
    """How rows are written. skip_bad: the good ones although others are refused; why, by: for the log; replace: the
    memberships of every individual that is named become those that are told; force: new names may look like others.
    """

    skip_bad: bool = False
    why: str | None = None
    by: str | None = None
    replace: bool = False
    force: bool = False


class Refused(Exception):
    """Rows say what cannot be; nothing is stored. faults: all of them, by line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = list(faults)


def upsert_individuals(db: Database, rows: Iterable[Mapping[str, Any]], force: bool = False) -> Written:
    """Add individuals or change what is said about them, by anim_id; one transaction.

    rows: FIELDS; anim_id is required and made upper case; mom_id and dad_id are AnimIDs or aliases, as in SokweDB, of
    any row or of the database; birth_community is a CommID; dates are dates or ISO text; a field that is absent is left
    as it is. An individual that is listed is no longer provisional unless its row says so. force: also codes that look
    like others. Raises PeopleError naming row and field.
    """
    told = [Told(number, row) for number, row in enumerate(rows, start=1)]
    try:
        return db.transact(lambda conn: write_biographies(conn, told, Terms(force=force)))
    except Refused as refused:
        words = "; ".join(f"Individual {fault.line}, field {fault.column}: {fault.message}" for fault in refused.faults)
        raise PeopleError(f"{words}.", "Mend the row; nothing was stored.") from None


def write_biographies(conn: sa.Connection, told: Sequence[Told], terms: Terms) -> Written:
    """Add or change individuals. conn: inside a write transaction. Raises Refused, PeopleError for bad terms."""
    log = _Log.of(conn, terms)
    known = _Known.of(conn)
    batch = _Batch(terms.skip_bad)
    rows: dict[str, _Row] = {}
    new_codes: dict[str, str] = {}
    for line in told:
        values = batch.keep(line, partial(_biography_values, line))
        if values is None or values["anim_id"] == UNKNOWN_ANIM_ID:
            continue
        code = known.code_of(values["anim_id"]) or new_codes.get(key_of(values["anim_id"]))
        if code is None:
            code = values["anim_id"]
            if batch.keep(line, partial(_looks_like_no_other, "anim_id", code, known, terms)) is None:
                continue
            new_codes[key_of(code)] = code
        group = values.get("birth_community")
        if group and batch.keep(line, partial(_looks_like_no_other, "birth_community", group, known, terms)) is None:
            continue
        values["anim_id"] = code
        if code in rows:
            batch.refuse(line.line, "anim_id", f"{code} is told of in line {rows[code].line} already")
            continue
        rows[code] = _Row(line.line, values)
    for code in _unknown_females(rows, known):
        rows[code] = _Row(0, {"anim_id": code, "sex": "F"})
    _drop_what_cannot_be(rows, known, batch)
    batch.settle()
    mothers = {row.values.get("mom_id") for row in rows.values()}
    rows = {code: row for code, row in rows.items() if row.line or code in mothers}
    return _store_biographies(conn, rows, known, log, batch)


def write_memberships(conn: sa.Connection, told: Sequence[Told], terms: Terms) -> Written:
    """Add or change memberships: anim_id, community, start_date, end_date, source; known by individual and start.

    conn: inside a write transaction. Raises Refused, PeopleError for bad terms.
    """
    if terms.replace and terms.skip_bad:
        raise PeopleError(
            "Memberships cannot be replaced by those of a file with bad rows.",
            "Mend the rows, or say only one of both.",
        )
    log = _Log.of(conn, terms)
    known = _Known.of(conn)
    batch = _Batch(terms.skip_bad)
    rows: dict[tuple[str, date], _Row] = {}
    for line in told:
        values = batch.keep(line, partial(_membership_values, line, known))
        if values is None:
            continue
        if batch.keep(line, partial(_looks_like_no_other, "community", values["community"], known, terms)) is None:
            continue
        key = (values["anim_id"], values["start_date"])
        if key in rows:
            batch.refuse(line.line, "start_date", f"{key[0]} joins on {key[1]} in line {rows[key].line} already")
            continue
        rows[key] = _Row(line.line, values)
    while True:
        named = {code for code, _ in rows}
        there = {} if terms.replace else {key: m for key, m in known.memberships.items() if key[0] in named}
        told_now = {key: _membership_of(row.values, known) for key, row in rows.items()}
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


def write_communities(conn: sa.Connection, told: Sequence[Told], terms: Terms) -> Written:
    """Add communities or change their names: community, name. conn: inside a write transaction. Raises Refused."""
    _Log.of(conn, terms)
    known = _Known.of(conn)
    batch = _Batch(terms.skip_bad)
    rows: dict[str, _Row] = {}
    new_codes: dict[str, str] = {}
    for line in told:
        values = batch.keep(line, partial(_texts, line.values, "community", "name"))
        if values is None:
            continue
        code = known.community_of(values["community"]) or new_codes.get(key_of(values["community"]))
        code = code or values["community"]
        if batch.keep(line, partial(_looks_like_no_other, "community", code, known, terms)) is None:
            continue
        new_codes[key_of(code)] = code
        if code in rows:
            batch.refuse(line.line, "community", f"{code} already appears on line {rows[code].line}")
            continue
        rows[code] = _Row(line.line, values)
    batch.settle()
    added = changed = 0
    for code, row in rows.items():
        if known.community_of(code) is None:
            insert_one(conn, community, comm_id=code, name=row.values["name"])
            added += 1
        elif known.community_names[code] != row.values["name"]:
            conn.execute(sa.update(community).where(community.c.comm_id == code).values(name=row.values["name"]))
            changed += 1
    return Written(added, changed, len(rows) - added - changed, skipped=batch.skipped)


def write_aliases(conn: sa.Connection, told: Sequence[Told], terms: Terms) -> Written:
    """Add or change aliases: anim_id, alias, valid_from, valid_to. An alias names one individual and is nobody's code.

    conn: inside a write transaction. Raises Refused, PeopleError for bad terms.
    """
    log = _Log.of(conn, terms)
    known = _Known.of(conn)
    batch = _Batch(terms.skip_bad)
    rows: dict[str, _Row] = {}
    for line in told:
        values = batch.keep(line, partial(_alias_values, line, known))
        if values is None:
            continue
        key = key_of(values["alias"])
        if batch.keep(line, partial(_looks_like_no_other, "alias", values["alias"], known, terms)) is None:
            continue
        if key in rows:
            batch.refuse(line.line, "alias", f"{values['alias']} is told of in line {rows[key].line} already")
            continue
        rows[key] = _Row(line.line, values)
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
        validity = _span(wanted["valid_from"], wanted["valid_to"])
        log.write(known.ids[row.values["anim_id"]], f"alias {wanted['alias']}{validity}")
    return Written(added, changed, len(rows) - added - changed, skipped=batch.skipped)


def add_alias(
    db: Database, anim_id: str, alias: str, valid_from: str | None, valid_to: str | None, terms: Terms
) -> None:
    """Give an individual another name, or say from when to when it is valid. Raises PeopleError if that cannot be."""
    told = Told(1, {"anim_id": anim_id, "alias": alias, "valid_from": valid_from, "valid_to": valid_to})
    try:
        db.transact(lambda conn: write_aliases(conn, [told], terms))
    except Refused as refused:
        words = "; ".join(f"{fault.column}: {fault.message}" for fault in refused.faults)
        raise PeopleError(f"The alias was not stored, {words}.", "Mend the command; nothing was stored.") from None


@dataclass(frozen=True)
class Renamed:
    """An individual with another code. former: the code before; alias: whether it still means the individual."""

    anim_id: str
    former: str
    alias: bool


def rename_individual(db: Database, anim_id: str, new: str, terms: Terms, free: bool = False) -> Renamed:
    """Give an individual another code, for one that was mistyped; labels, merges and parents follow by themselves.

    anim_id: the code or an alias. The former code stays an alias, so that files and notes that hold it are still read;
    free: it does not. Renaming back undoes it: the code in between is free again unless a label was given under it.
    Raises PeopleError where there is no such individual or the new code cannot be, is taken, or looks like another.
    """

    def work(conn: sa.Connection) -> Renamed:
        log = _Log.of(conn, terms)
        known = _Known.of(conn)
        code = known.code_of(anim_id)
        if code is None:
            raise PeopleError(f"There is no individual {anim_id!r}.", "See chimp individuals list.")
        own = known.ids[code]
        wanted = _new_code(new, code, known, terms)
        back = known.aliases.get(key_of(wanted))
        if back is not None:
            conn.execute(sa.delete(individual_alias).where(individual_alias.c.alias_id == back["alias_id"]))
        conn.execute(sa.update(individual).where(individual.c.individual_id == own).values(anim_id=wanted))
        keeps = not free and key_of(code) != key_of(wanted)
        if keeps and back is not None and not _labelled_since(conn, own, f"{_RENAMED} {wanted} -> {code}"):
            keeps = False
        if keeps:
            insert_one(conn, individual_alias, individual_id=own, alias=code)
        m = evaluation_metric
        measured = m.c.slice_kind == "individual", m.c.slice_value == code
        conn.execute(sa.update(m).where(*measured).values(slice_value=wanted))
        log.write(own, f"{_RENAMED} {code} -> {wanted}")
        return Renamed(wanted, code, keeps)

    return db.transact(work)


_RENAMED = "anim_id:"


def _new_code(text: str, code: str, known: _Known, terms: Terms) -> str:
    """The code that an individual may get. Raises PeopleError."""
    try:
        wanted = _code(_texts({"anim_id": text}, "anim_id")["anim_id"], "anim_id")
        if wanted == code:
            raise _Wrong("anim_id", f"{code} has this code already")
        if wanted == UNKNOWN_ANIM_ID:
            raise _Wrong("anim_id", f"{UNKNOWN_ANIM_ID} stands for nobody")
        if (other := known.codes.get(key_of(wanted))) not in (None, code):
            raise _Wrong("anim_id", f"{other} is another individual; if they are one, merge them")
        alias = known.aliases.get(key_of(wanted))
        if alias is not None and alias["anim_id"] != code:
            raise _Wrong("anim_id", f"{alias['alias']} is an alias of {alias['anim_id']}")
        if alias is None and key_of(wanted) != key_of(code):
            known.looks.pop(look_of(code), None)  # a code may be mended into one that it looks like
            _looks_like_no_other("anim_id", wanted, known, terms)
    except _Wrong as wrong:
        raise PeopleError(f"{code} was not renamed: {wrong}.", "Choose another code; nothing was stored.") from None
    return wanted


def _labelled_since(conn: sa.Connection, individual_id: int, description: str) -> bool:
    """Whether a label named an individual after a change of the log; True where the log has no such change."""
    entry, a = biography_log.c, annotation.c
    since = conn.scalar(
        sa.select(sa.func.max(entry.made_at)).where(
            entry.individual_id == individual_id, entry.description == description
        )
    )
    newest = conn.scalar(sa.select(sa.func.max(a.server_time)).where(a.individual_id == individual_id))
    return since is None or (newest is not None and newest >= since)


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
    known = _Known.of(conn)
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


@dataclass(frozen=True)
class _Row:
    line: int
    values: dict[str, Any]


class _Wrong(Exception):
    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


class _Batch:
    """The faults of one call: all are gathered before the first is told."""

    def __init__(self, skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self._faults: dict[Fault, None] = {}

    @property
    def skipped(self) -> list[Fault]:
        return sorted(self._faults, key=lambda fault: fault.line)

    def keep(self, line: Told, check: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return check()
        except _Wrong as wrong:
            self.refuse(line.line, wrong.column, str(wrong))
            return None

    def refuse(self, line: int, column: str, sentence: str) -> None:
        self._faults[Fault(line, column, sentence)] = None

    def settle(self) -> None:
        if self._faults and not self.skip_bad:
            raise Refused(self.skipped)


class _Log:
    """Writes `biography_log` rows of one call."""

    def __init__(self, conn: sa.Connection, why: str | None, user_id: int | None) -> None:
        self._conn, self._why, self._user_id, self._at = conn, why, user_id, datetime.now(UTC)

    @classmethod
    def of(cls, conn: sa.Connection, terms: Terms) -> _Log:
        """Takes the turn of those who change individuals. Raises PeopleError if the terms cannot be stored."""
        fault = fault_of(terms.why or "", WHY_LENGTH)
        if fault:
            raise PeopleError(f"The reason {fault}.", "Say it in another way.")
        take_numbers(conn, ANNOTATION, 0)
        return cls(conn, terms.why, user_id_of(conn, terms.by) if terms.by else None)

    def write(self, individual_id: int, description: str) -> None:
        self._conn.execute(
            sa.insert(biography_log).values(
                individual_id=individual_id,
                made_at=self._at,
                user_id=self._user_id,
                description=description[:_DESCRIPTION_LENGTH],
                rationale=self._why,
            )
        )


@dataclass
class _Known:
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
    def of(cls, conn: sa.Connection) -> _Known:
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
            lives={code: _life_of(row) for code, row in rows.items()},
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


def _looks_like_no_other(column: str, text: str, known: _Known, terms: Terms) -> dict[str, Any]:
    """Raises _Wrong for a new name that may be taken for another, unless somebody insists."""
    group = column.endswith("community")
    if known.community_of(text) is not None if group else key_of(text) in known.aliases:
        return {column: text}
    others, look = (known.community_looks, text) if group else (known.looks, text.upper())
    doubt = None if terms.force else doubt_about(look, others)
    if doubt:
        raise _Wrong(column, f"{text} {doubt}; if it is meant so, say --force")
    others[look_of(look)] = look
    return {column: text}


def _life_of(values: Mapping[str, Any]) -> Life:
    told: dict[str, Any] = {f.name: values.get(f.name) for f in fields(Life) if f.name not in ("mom", "dad", "sex")}
    return Life(**told, sex=values.get("sex") or "U", mom=values.get("mom_id"), dad=values.get("dad_id"))


def _biography_values(told: Told) -> dict[str, Any]:
    unknown = sorted(set(told.values) - set(FIELDS))
    if unknown:
        raise _Wrong(unknown[0], f"there is no such field; there are {', '.join(FIELDS)}")
    values = dict(told.values) | _texts(
        told.values, "anim_id", *(name for name in ("name", "birth_community") if name in told.values)
    )
    values["anim_id"] = _code(values["anim_id"], "anim_id")
    for name in PARENTS:
        if name in values:
            values[name] = _code(values[name], name) if values[name] else None
            if values[name] == UNKNOWN_ANIM_ID:
                values[name] = None
    for name in DATES:
        if name in values:
            values[name] = _date(name, values[name])
    for name, words in VOCABULARIES.items():
        if name in values:
            values[name] = str(values[name]).strip().upper() if values[name] not in (None, "") else None
            if name == "first_born" and values[name] not in words:
                truth = truth_of(values[name] or "")
                values[name] = values[name] if truth is None else "Y" if truth else "N"
            if values[name] is not None and values[name] not in words:
                raise _Wrong(name, f"{values[name]!r} is none of {', '.join(words)}")
    if "sex" in values:
        values["sex"] = values["sex"] or "U"
    if "depart_date_error" in values:
        values["depart_date_error"] = _years("depart_date_error", values["depart_date_error"])
    values.setdefault("provisional", False)
    return values


def _membership_values(told: Told, known: _Known) -> dict[str, Any]:
    values = _texts(told.values, "anim_id", "community", "source") | {
        name: _date(name, told.values.get(name)) for name in ("start_date", "end_date")
    }
    values["anim_id"] = _known_code(values["anim_id"], known)
    if values["start_date"] is None:
        raise _Wrong("start_date", "there is none")
    return values


def _alias_values(told: Told, known: _Known) -> dict[str, Any]:
    values = _texts(told.values, "anim_id", "alias") | {
        name: _date(name, told.values.get(name)) for name in ("valid_from", "valid_to")
    }
    code, alias = _known_code(values["anim_id"], known), values["alias"]
    if (taken_code := known.codes.get(key_of(alias))) is not None:
        raise _Wrong("alias", f"{taken_code} is the anim_id of an individual, so it cannot be an alias")
    if key_of(alias) == key_of(UNKNOWN_ANIM_ID):
        raise _Wrong("alias", f"{UNKNOWN_ANIM_ID} stands for nobody, so it cannot be an alias")
    taken = known.aliases.get(key_of(alias))
    if taken and taken["anim_id"] != code:
        raise _Wrong("alias", f"{alias} is already an alias of {taken['anim_id']}")
    if values["valid_from"] and values["valid_to"] and values["valid_to"] < values["valid_from"]:
        raise _Wrong("valid_to", f"it lies before valid_from {values['valid_from']}")
    return values | {"anim_id": code}


def _known_code(text: str, known: _Known) -> str:
    code = known.code_of(text)
    if code is None:
        why = "stands for nobody" if code_of(text) == UNKNOWN_ANIM_ID else "is no individual"
        raise _Wrong("anim_id", f"{text!r} {why}")
    return code


def _texts(values: Mapping[str, Any], first: str, *others: str) -> dict[str, Any]:
    """The named texts without blanks around them, None where empty; the first must be there (two, of aliases)."""
    found: dict[str, Any] = {}
    for name in (first, *others):
        text = str(values.get(name) or "").strip()
        if name in IDENTIFIERS:
            text = clean(text)
        if fault := fault_of(text, LENGTHS[name]) or (None if name == "source" else fault_in(text)):
            raise _Wrong(name, f"it {fault}")
        found[name] = text or None
        if not text and (name == first or name in ("alias", "community")):
            raise _Wrong(name, f"it must have 1 to {LENGTHS[name]} characters")
    return found


def _code(text: Any, name: str) -> str:
    code = code_of(str(text))  # capitals may be longer
    if fault := fault_of(code, LENGTHS["anim_id"]) or fault_in(code):
        raise _Wrong(name, f"it {fault}")
    return code


def _date(name: str, value: Any) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date_of(str(value).strip())
    except ValueError as error:
        raise _Wrong(name, str(error)) from None


def _years(name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        years = float(value)
    except ValueError:
        years = -1.0
    if not 0 <= years < 200:
        raise _Wrong(name, f"{value!r} is not a number of years")
    return years


def _unknown_females(rows: Mapping[str, _Row], known: _Known) -> Iterator[str]:
    """Mothers of SokweDB's MGF family that nobody lists: they are females of whom nothing else is known."""
    mothers = {row.values.get("mom_id") or "" for row in rows.values()}
    return iter(
        sorted(m for m in mothers if _UNKNOWN_FEMALE.fullmatch(m) and m not in rows and known.code_of(m) is None)
    )


def _drop_what_cannot_be(rows: dict[str, _Row], known: _Known, batch: _Batch) -> None:
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
            lives[code] = _life_of(known.rows.get(code, {}) | row.values)
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
    conn: sa.Connection, rows: Mapping[str, _Row], known: _Known, log: _Log, batch: _Batch
) -> Written:
    added: list[str] = []
    changed = 0
    made = _make_communities(conn, (row.values.get("birth_community") for row in rows.values()), known)
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
    return Written(len(added), changed, len(rows) - len(added) - changed, 0, made, batch.skipped)


def _store_memberships(
    conn: sa.Connection,
    rows: Mapping[tuple[str, date], _Row],
    known: _Known,
    log: _Log,
    batch: _Batch,
    replace: bool,
) -> Written:
    added = changed = removed = 0
    made = _make_communities(conn, (row.values["community"] for row in rows.values()), known)
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
                log.write(known.ids[key[0]], f"membership of {stay.community}{_span(stay.start, stay.end)} removed")
                removed += 1
    for key, row in rows.items():
        group = known.community_of(row.values["community"]) or row.values["community"]
        wanted = {
            "community_id": known.community_ids[group],
            "end_date": row.values["end_date"],
            "source": row.values["source"],
        }
        before = known.membership_rows.get(key)
        span = _span(key[1], wanted["end_date"])
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
                f"membership of {was.community}{_span(was.start, was.end)} -> {group}{span}",
            )
            changed += 1
    return Written(added, changed, len(rows) - added - changed, removed, made, batch.skipped)


def _make_communities(conn: sa.Connection, wanted: Iterable[str | None], known: _Known) -> list[str]:
    made: list[str] = []
    for text in wanted:
        if text and known.community_of(text) is None:
            known.community_ids[text] = insert_one(conn, community, comm_id=text)
            known.community_names[text] = None
            made.append(text)
    return made


def _membership_of(values: Mapping[str, Any], known: _Known) -> Membership:
    group = known.community_of(values["community"]) or values["community"]
    return Membership(values["anim_id"], group, values["start_date"], values["end_date"])


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float) and isinstance(now, float):
        return bool(np.float32(before) == np.float32(now))  # as wide as the column
    if isinstance(now, bool):
        return bool(before) == now
    return bool(before == now)


def _shown(value: Any) -> str:
    return "nothing" if value is None else "yes" if value is True else "no" if value is False else str(value)


def _span(start: date | None, end: date | None) -> str:
    return (f" from {start}" if start else "") + (f" to {end}" if end else "")
