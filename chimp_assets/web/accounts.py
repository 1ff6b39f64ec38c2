"""Local accounts: passwords, the first administrator, and what signing in with a password takes.

Belongs here: argon2 hashes of `app_user` and when they are made anew. Does not belong here: sessions (`sessions`), the
brake on guessing (`throttle`), people of an identity provider (`oidc`).
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chimp_assets.database.bulk import insert_one
from chimp_assets.database.engine import Database
from chimp_assets.database.names import key_of
from chimp_assets.database.people import PeopleError, user_id_of, write_audit_event
from chimp_assets.database.schema import app_user
from chimp_assets.database.texts import is_storable
from chimp_assets.web import sessions

SHORTEST = 10
"""Characters. NIST SP 800-63B-4 asks for length and forbids rules about kinds of characters."""
LONGEST = 256
FIRST_ADMIN = "admin"
# Letters that nobody takes for others when they are read out.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()
# A name that nobody has takes as long to refuse as a wrong password.
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Account:
    """Somebody whose password was right."""

    user_id: int
    name: str
    role: str
    must_change: bool


def verify(db: Database, name: str, password: str) -> Account | None:
    """The account of a name, if the password is its own and not disabled; hashes of older parameters are renewed."""
    row = None
    if is_storable(name) and len(name) <= 100:
        u = app_user.c
        with db.read() as conn:
            row = conn.execute(
                sa.select(u.user_id, u.name, u.role, u.password_hash, u.must_change, u.disabled).where(u.name == name)
            ).first()
    known = row is not None and row.password_hash is not None and not row.disabled
    if not _matches(row.password_hash if row is not None and known else _NOBODY, password) or row is None or not known:
        return None
    if _hasher.check_needs_rehash(row.password_hash):
        with db.write() as conn:
            _store(conn, row.user_id, _hasher.hash(password), bool(row.must_change))
    return Account(row.user_id, row.name, row.role, bool(row.must_change))


def set_password(db: Database, name: str, password: str, once: bool = False, by: str | None = None) -> None:
    """Give a user a password and end all of the user's sessions. once: another is chosen at the first sign-in.

    Raises PeopleError for an unknown user or a password that cannot be one.
    """
    check_password(password)
    hashed = _hasher.hash(password)
    with db.write() as conn:
        user_id = user_id_of(conn, name)
        _store(conn, user_id, hashed, once)
        write_audit_event(conn, "user.password", name, {"once": once}, by)
    sessions.revoke(db, user_id)


def one_time_password() -> str:
    """Twenty letters in fours, about 99 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))


def first_admin(db: Database) -> str | None:
    """The password of `first_account`; None where none was made."""
    made = first_account(db)
    return None if made is None else made[1]


def first_account(db: Database) -> tuple[str, str] | None:
    """At the first start: makes an administrator and returns name and password for one sign-in; later None.

    The first start is one at which no enabled administrator can sign in with a password. The name is `admin`, or
    another one where somebody else has it in any spelling.
    """
    u = app_user.c
    password = one_time_password()
    hashed = _hasher.hash(password)
    with db.write() as conn:
        rows = conn.execute(sa.select(u.user_id, u.name, u.role, u.disabled, u.password_hash).order_by(u.user_id)).all()
        admins = [row for row in rows if row.role == "admin" and not row.disabled]
        if any(row.password_hash is not None for row in admins):
            return None
        own = next((row for row in admins if key_of(row.name) == key_of(FIRST_ADMIN)), None)
        if own is None:
            taken = {key_of(row.name) for row in rows}
            name = next(name for name in _names_of_admins() if key_of(name) not in taken)
            user_id = insert_one(conn, app_user, name=name, role="admin", created_at=datetime.now(UTC))
        else:
            user_id, name = own.user_id, own.name
        _store(conn, user_id, hashed, once=True)
        write_audit_event(conn, "user.first_admin", name, {})
    return name, password


def _names_of_admins() -> Iterator[str]:
    yield FIRST_ADMIN
    yield "administrator"
    yield from (f"{FIRST_ADMIN}-{number}" for number in itertools.count(2))


def check_password(password: str) -> None:
    """Raises PeopleError with a sentence if this cannot be a password."""
    if len(password) < SHORTEST:
        raise PeopleError(f"A password has at least {SHORTEST} characters.", "A sentence is easy to remember.")
    if len(password) > LONGEST or not is_storable(password):
        raise PeopleError(f"A password has at most {LONGEST} characters, all of them text.", "Choose another.")


def _store(conn: sa.Connection, user_id: int, hashed: str, once: bool) -> None:
    conn.execute(
        sa.update(app_user).where(app_user.c.user_id == user_id).values(password_hash=hashed, must_change=once)
    )


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
