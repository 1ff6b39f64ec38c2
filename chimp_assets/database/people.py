"""People who answer and individuals who are named.

Belongs here: adding, listing and disabling users; writing what is known about individuals. Does not belong here:
sign-in (`web`) and what people answer (`events`).

A role never changes: answers are weighed by it, so that changing it would change past training sets. Who gets another
role gets another user.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.bulk import insert_one
from chimp_assets.database.engine import Database
from chimp_assets.database.schema import DEPART_TYPES, ROLES, SEXES, app_user, audit_event, individual
from chimp_assets.errors import ChimpError

DEFAULT_EXPERT = "expert"

_DATES = ("birth_date", "bd_min", "bd_max", "entry_date", "depart_date")
_PARENTS = ("mom_id", "dad_id")
_FIELDS = ("anim_id", "name", "sex", *_DATES, *_PARENTS, "depart_type", "provisional")


class PeopleError(ChimpError):
    """A user or an individual is unknown, or what is said about one cannot be."""


@dataclass(frozen=True)
class User:
    """Somebody who may sign in and answer."""

    user_id: int
    name: str
    role: str
    disabled: bool


@dataclass(frozen=True)
class UpsertedIndividuals:
    """How many individuals were new and how many were there."""

    added: int
    updated: int


def add_user(db: Database, name: str, role: str) -> int:
    """Add a user; returns the user_id. Raises PeopleError for an empty or taken name or a role outside ROLES."""
    name = name.strip()
    if not name or len(name) > 100:
        raise PeopleError("A user's name has 1 to 100 characters.", "Give another name.")
    if role not in ROLES:
        raise PeopleError(f"{role!r} is not a role.", f"Use one of {', '.join(ROLES)}.")
    with db.write() as conn:
        if conn.execute(sa.select(app_user.c.user_id).where(app_user.c.name == name)).first():
            raise PeopleError(f"There is already a user {name!r}.", "Give another name.")
        return _insert_user(conn, name, role)


def list_users(db: Database) -> list[User]:
    """All users by name."""
    with db.read() as conn:
        rows = conn.execute(
            sa.select(app_user.c.user_id, app_user.c.name, app_user.c.role, app_user.c.disabled).order_by(
                app_user.c.name
            )
        )
        return [User(row.user_id, row.name, row.role, bool(row.disabled)) for row in rows]


def disable_user(db: Database, name: str) -> None:
    """This user may answer no more; past answers stay. Raises PeopleError if there is no such user."""
    with db.write() as conn:
        user_id = user_id_of(conn, name, even_disabled=True)
        conn.execute(sa.update(app_user).where(app_user.c.user_id == user_id).values(disabled=True))
        _write_audit(conn, "user.disable", name, {})


def ensure_default_users(db: Database) -> None:
    """A fresh home has one expert; does nothing if there is any user."""
    with db.write() as conn:
        if conn.execute(sa.select(app_user.c.user_id).limit(1)).first() is None:
            _insert_user(conn, DEFAULT_EXPERT, "expert")


def user_id_of(conn: sa.Connection, name: str, even_disabled: bool = False) -> int:
    """Key of a user. Raises PeopleError if there is no such user, or the user is disabled."""
    row = conn.execute(sa.select(app_user.c.user_id, app_user.c.disabled).where(app_user.c.name == name)).first()
    if row is None:
        raise PeopleError(f"There is no user {name!r}.", "See chimp user list, or add one with chimp user add.")
    if row.disabled and not even_disabled:
        raise PeopleError(f"The user {name!r} is disabled.", "Ask an administrator, or use another name.")
    return int(row.user_id)


def upsert_individuals(db: Database, rows: Iterable[Mapping[str, Any]]) -> UpsertedIndividuals:
    """Add individuals or change what is said about them, by anim_id; one transaction.

    rows: the columns of `individual`; anim_id is required and made upper case; mom_id and dad_id are AnimIDs, as in
    SokweDB, of any row or of the database; dates are dates or ISO text; a key that is absent is left as it is. An
    individual that is listed is no longer provisional unless its row says so. Raises PeopleError naming row and field.
    """
    checked = [_checked_row(number, row) for number, row in enumerate(rows, start=1)]
    added = 0
    with db.write() as conn:
        sexes: dict[str, str] = {}
        ids: dict[str, int] = {}
        for row in conn.execute(sa.select(individual.c.individual_id, individual.c.anim_id, individual.c.sex)):
            ids[row.anim_id], sexes[row.anim_id] = row.individual_id, row.sex
        for values in checked:
            anim_id = values["anim_id"]
            told = {key: value for key, value in values.items() if key not in _PARENTS}
            told.setdefault("provisional", False)
            if anim_id in ids:
                conn.execute(sa.update(individual).where(individual.c.individual_id == ids[anim_id]).values(**told))
            else:
                ids[anim_id] = insert_one(conn, individual, **told, created_at=datetime.now(UTC))
                added += 1
            sexes[anim_id] = told.get("sex", sexes.get(anim_id, "U"))
        for number, values in enumerate(checked, start=1):
            parents = {key: _parent(number, key, values, ids, sexes) for key in _PARENTS if key in values}
            if parents:
                conn.execute(
                    sa.update(individual).where(individual.c.individual_id == ids[values["anim_id"]]).values(**parents)
                )
    return UpsertedIndividuals(added, len(checked) - added)


def record_audit_event(db: Database, action: str, subject: str, detail: dict[str, Any]) -> None:
    """Writes what happened to whom, by nobody in particular; texts are cut to the width of their columns."""
    with db.write() as conn:
        _write_audit(conn, action[:100], subject[:300], {key: str(value)[:1500] for key, value in detail.items()})


def _insert_user(conn: sa.Connection, name: str, role: str) -> int:
    user_id = insert_one(conn, app_user, name=name, role=role, created_at=datetime.now(UTC))
    _write_audit(conn, "user.add", name, {"role": role})
    return user_id


def _write_audit(conn: sa.Connection, action: str, subject: str, detail: dict[str, Any]) -> None:
    conn.execute(
        sa.insert(audit_event).values(action=action, subject=subject, detail=json.dumps(detail), at=datetime.now(UTC))
    )


def _checked_row(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    def wrong(field: str, why: str) -> PeopleError:
        return PeopleError(f"Individual {number}, field {field}: {why}.", "Mend the row; nothing was stored.")

    unknown = sorted(set(row) - set(_FIELDS))
    if unknown:
        raise wrong(unknown[0], f"there is no such field; there are {', '.join(_FIELDS)}")
    values = dict(row)
    anim_id = str(values.get("anim_id") or "").strip().upper()
    if not anim_id or len(anim_id) > 40:
        raise wrong("anim_id", "it must have 1 to 40 characters")
    values["anim_id"] = anim_id
    for field in _PARENTS:
        if field in values:
            values[field] = str(values[field]).strip().upper() if values[field] else None
    for field in _DATES:
        if field in values:
            try:
                values[field] = _date(values[field])
            except ValueError:
                raise wrong(field, f"{values[field]!r} is not a date like 1976-03-24") from None
    if "sex" in values:
        values["sex"] = str(values["sex"] or "U").upper()
        if values["sex"] not in SEXES:
            raise wrong("sex", f"{values['sex']!r} is none of {', '.join(SEXES)}")
    if values.get("depart_type") not in (None, *DEPART_TYPES):
        raise wrong("depart_type", f"{values['depart_type']!r} is none of {', '.join(DEPART_TYPES)}")
    for earlier, later in (("bd_min", "bd_max"), ("entry_date", "depart_date"), ("birth_date", "entry_date")):
        if values.get(earlier) and values.get(later) and values[earlier] > values[later]:
            raise wrong(later, f"it lies before {earlier}")
    return values


def _date(value: Any) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _parent(
    number: int, field: str, values: Mapping[str, Any], ids: Mapping[str, int], sexes: Mapping[str, str]
) -> int | None:
    parent = values[field]
    if parent is None:
        return None
    wrong_sex = "M" if field == "mom_id" else "F"
    if parent not in ids or parent == values["anim_id"] or sexes.get(parent) == wrong_sex:
        why = (
            "there is no such individual"
            if parent not in ids
            else "nobody is their own parent"
            if parent == values["anim_id"]
            else f"{parent} has sex {wrong_sex}"
        )
        raise PeopleError(
            f"Individual {number} ({values['anim_id']}), field {field}: {parent} cannot be the parent, {why}.",
            "Mend the row; nothing was stored.",
        )
    return ids[parent]
