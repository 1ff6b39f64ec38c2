"""Another code for an individual whose code was mistyped.

Belongs here: changing `individual.anim_id` and whatever holds a code instead of a key. Does not belong here: other
names beside the code (`aliases`), two individuals that are one (`merges`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_sheets import InvalidValue
from chimp_assets.database.individuals.batch import BiographyLog, Terms
from chimp_assets.database.individuals.register import Register
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.individuals.values import checked_code, looks_like_no_other, texts_of
from chimp_assets.database.people.names import key_of, look_of
from chimp_assets.database.people.users import PeopleError
from chimp_assets.database.schema import annotation, biography_log, evaluation_metric, individual, individual_alias

_RENAMED = "anim_id:"


@dataclass(frozen=True)
class RenameReport:
    """An individual with another code. former: the code before; alias: whether it still means the individual."""

    anim_id: str
    former: str
    alias: bool


def rename_individual(db: Database, anim_id: str, new: str, terms: Terms, free: bool = False) -> RenameReport:
    """Give an individual another code, for one that was mistyped; labels, merges and parents follow by themselves.

    anim_id: the code or an alias. The former code stays an alias, so that files and notes that hold it are still read;
    free: it does not. Renaming back undoes it: the code in between is free again unless a label was given under it.
    Raises PeopleError where there is no such individual or the new code cannot be, is taken, or looks like another.
    """

    def work(conn: sa.Connection) -> RenameReport:
        log = BiographyLog.of(conn, terms)
        known = Register.of(conn)
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
        return RenameReport(wanted, code, keeps)

    return db.transact(work)


def _new_code(text: str, code: str, known: Register, terms: Terms) -> str:
    """The code that an individual may get. Raises PeopleError."""
    try:
        wanted = checked_code(texts_of({"anim_id": text}, "anim_id")["anim_id"], "anim_id")
        if wanted == code:
            raise InvalidValue("anim_id", f"{code} has this code already")
        if wanted == UNKNOWN_ANIM_ID:
            raise InvalidValue("anim_id", f"{UNKNOWN_ANIM_ID} stands for nobody")
        if (other := known.codes.get(key_of(wanted))) not in (None, code):
            raise InvalidValue("anim_id", f"{other} is another individual; if they are one, merge them")
        alias = known.aliases.get(key_of(wanted))
        if alias is not None and alias["anim_id"] != code:
            raise InvalidValue("anim_id", f"{alias['alias']} is an alias of {alias['anim_id']}")
        if alias is None and key_of(wanted) != key_of(code):
            known.looks.pop(look_of(code), None)  # a code may be mended into one that it looks like
            looks_like_no_other("anim_id", wanted, known, terms)
    except InvalidValue as wrong:
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
