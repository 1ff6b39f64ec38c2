"""Whom a text means: individuals by code, alias or name, users by name, however it is spelt.

Belongs here: asking the database. Does not belong here: when two names are one (`names`), changing anything.

An exact code or name is found by its index; any other spelling is compared in Python, since databases disagree about
the capitals and accents of other alphabets. A few thousand names take milliseconds.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.people.names import code_of, key_of
from chimp_assets.database.schema import app_user, individual, individual_alias
from chimp_assets.database.texts import fault_of, is_storable


@dataclass(frozen=True)
class IndividualMatch:
    """An individual that was meant. root_id: whom it was merged into, itself where it is not merged."""

    individual_id: int
    anim_id: str
    root_id: int


def individual_called(conn: sa.Connection, text: str, by_name: bool = False) -> IndividualMatch | None:
    """The individual of a code or an alias; with by_name also of a name that one individual alone has.

    A code wins over an alias, and both over a name.
    """
    i, a = individual.c, individual_alias.c
    root = sa.func.coalesce(i.same_as_id, i.individual_id).label("root_id")
    everybody = sa.select(i.individual_id, i.anim_id, root, i.name)
    code = code_of(text)
    if not code or not is_storable(code):
        return None
    if fault_of(code, 40) is None:
        row = conn.execute(everybody.where(i.anim_id == code)).first()
        if row is not None:
            return IndividualMatch(row.individual_id, row.anim_id, row.root_id)
    key = key_of(text)
    rows = conn.execute(everybody).all()
    found = next((row for row in rows if key_of(row.anim_id) == key), None)
    if found is None:
        own = next(
            (k for alias, k in conn.execute(sa.select(a.alias, a.individual_id)).all() if key_of(alias) == key), None
        )
        found = next((row for row in rows if row.individual_id == own), None)
    if found is None and by_name:
        named = [row for row in rows if row.name and row.root_id == row.individual_id and key_of(row.name) == key]
        found = named[0] if len(named) == 1 else None
    return None if found is None else IndividualMatch(found.individual_id, found.anim_id, found.root_id)


def nearest_individual(conn: sa.Connection, text: str) -> str | None:
    """The code whose spelling, or whose alias or name, is nearest to a text that nobody is called by."""
    i, a = individual.c, individual_alias.c
    words = {key_of(code): code for (code,) in conn.execute(sa.select(i.anim_id))}
    of = {row.individual_id: row for row in conn.execute(sa.select(i.individual_id, i.anim_id, i.name))}
    for row in of.values():
        if row.name:
            words.setdefault(key_of(row.name), row.anim_id)
    for alias, own in conn.execute(sa.select(a.alias, a.individual_id)):
        words.setdefault(key_of(alias), of[own].anim_id)
    near = difflib.get_close_matches(key_of(text), list(words), n=1)
    return words[near[0]] if near else None


def user_called(conn: sa.Connection, name: str) -> Any:
    """The row of a user (user_id, name, role, disabled), or None: who is spelt exactly so, else the oldest who fits."""
    u = app_user.c
    known = sa.select(u.user_id, u.name, u.role, u.disabled)
    if not is_storable(name):
        return None
    exact = conn.execute(known.where(u.name == name).order_by(u.user_id)).all()
    for row in exact:  # a database that ignores case finds more than the exact spelling
        if row.name == name:
            return row
    key = key_of(name)
    return next((row for row in conn.execute(known.order_by(u.user_id)).all() if key_of(row.name) == key), None)
