"""People who answer.

Belongs here: adding, listing, disabling and enabling users. Does not belong here: sign-in (`web`), what people answer
(`events`) and the individuals whom they name (`individuals`, `merges`).

A role never changes: answers are weighed by it, so that changing it would change past training sets. Who gets another
role gets another user.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import ANNOTATION, take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.leases import give_back
from chimp_assets.database.people.lookup import user_called
from chimp_assets.database.people.names import clean, doubt_about, fault_in, key_of, looks
from chimp_assets.database.schema import ROLES, app_user, audit_event, user_session
from chimp_assets.database.texts import cut_to, fault_of
from chimp_assets.errors import ChimpError

DEFAULT_EXPERT = "expert"


class PeopleError(ChimpError):
    """A user or an individual is unknown, or what is said of one cannot be."""


@dataclass(frozen=True)
class User:
    """Somebody who may sign in and answer."""

    user_id: int
    name: str
    role: str
    disabled: bool


def add_user(db: Database, name: str, role: str, by: str | None = None, force: bool = False) -> int:
    """Add a user; returns the user_id. by: who does it; force: also a name that looks like another.

    Raises PeopleError for an empty or taken name (in any case or composition) or a role outside ROLES.
    """
    name = clean(name)
    if fault := fault_of(name, 100) or fault_in(name) or (None if name else "is empty"):
        raise PeopleError(f"A user's name has 1 to 100 characters; this one {fault}.", "Give another name.")
    if role not in ROLES:
        raise PeopleError(f"{role!r} is not a role.", f"Use one of {', '.join(ROLES)}.")
    with db.write() as conn:
        take_numbers(conn, ANNOTATION, 0)  # two at once would not see each other
        there = conn.scalars(sa.select(app_user.c.name)).all()
        if taken := next((other for other in there if key_of(other) == key_of(name)), None):
            raise PeopleError(f"There is already a user {taken!r}.", "Give another name.")
        if not force and (doubt := doubt_about(name, looks(there))):
            raise PeopleError(f"The name {name!r} {doubt}.", "Give another name; if it is meant so, say --force.")
        return _insert_user(conn, name, role, None if by is None else user_id_of(conn, by))


def list_users(db: Database) -> list[User]:
    """All users by name."""
    with db.read() as conn:
        rows = conn.execute(
            sa.select(app_user.c.user_id, app_user.c.name, app_user.c.role, app_user.c.disabled).order_by(
                app_user.c.name
            )
        )
        return [User(row.user_id, row.name, row.role, bool(row.disabled)) for row in rows]


def disable_user(db: Database, name: str, by: str | None = None) -> None:
    """This user may answer no more: sessions end, items go back to the queue, past answers stay. Raises PeopleError if
    there is no such user."""
    _set_disabled(db, name, True, by)


def enable_user(db: Database, name: str, by: str | None = None) -> None:
    """This user may answer again. Raises PeopleError if there is no such user."""
    _set_disabled(db, name, False, by)


def _set_disabled(db: Database, name: str, disabled: bool, by: str | None) -> None:
    with db.write() as conn:
        user_id = user_id_of(conn, name, even_disabled=True)
        name = str(conn.scalar(sa.select(app_user.c.name).where(app_user.c.user_id == user_id)))
        conn.execute(sa.update(app_user).where(app_user.c.user_id == user_id).values(disabled=disabled))
        detail: dict[str, Any] = {}
        if disabled:
            detail["items"] = give_back(conn, user_id)
            s = user_session.c
            ending = sa.update(user_session).where(s.user_id == user_id, s.revoked_at.is_(None))
            detail["sessions"] = conn.execute(ending.values(revoked_at=datetime.now(UTC))).rowcount
        write_audit_event(conn, "user.disable" if disabled else "user.enable", name, detail, by)


def ensure_default_users(db: Database) -> None:
    """A fresh home has one expert; does nothing if there is any user."""
    with db.write() as conn:
        if conn.execute(sa.select(app_user.c.user_id).limit(1)).first() is None:
            _insert_user(conn, DEFAULT_EXPERT, "expert")


def user_id_of(conn: sa.Connection, name: str, even_disabled: bool = False) -> int:
    """Key of a user, by the name in any case. Raises PeopleError if there is no such user, or the user is disabled."""
    row = user_called(conn, name)
    if row is None:
        raise PeopleError(f"There is no user {name!r}.", "See chimp user list, or add one with chimp user add.")
    if row.disabled and not even_disabled:
        raise PeopleError(f"The user {name!r} is disabled.", "Ask an administrator, or use another name.")
    return int(row.user_id)


def record_audit_event(db: Database, action: str, subject: str, detail: dict[str, Any]) -> None:
    """Writes what happened to whom, by nobody in particular; texts are cut to the width of their columns."""
    with db.write() as conn:
        _write_audit(conn, action[:100], cut_to(subject, 300), detail)


def _insert_user(conn: sa.Connection, name: str, role: str, by_id: int | None = None) -> int:
    user_id = insert_one(conn, app_user, name=name, role=role, created_at=datetime.now(UTC))
    _write_audit(conn, "user.add", name, {"role": role}, by_id)
    return user_id


def write_audit_event(
    conn: sa.Connection, action: str, subject: str, detail: dict[str, Any], by: str | None = None
) -> None:
    """The same inside a transaction, by a user where one is named. Raises PeopleError if there is no such user."""
    user_id = None if by is None else user_id_of(conn, by)
    _write_audit(conn, action[:100], cut_to(subject, 300), detail, user_id)


def _write_audit(
    conn: sa.Connection, action: str, subject: str, detail: dict[str, Any], user_id: int | None = None
) -> None:
    width = 1_500
    # JSON writes every letter beyond ASCII as six.
    while len(text := json.dumps({key: str(value)[:width] for key, value in detail.items()})) > 4_000:
        width //= 2
    conn.execute(
        sa.insert(audit_event).values(
            user_id=user_id, action=action, subject=subject, detail=text, at=datetime.now(UTC)
        )
    )
