"""Local accounts: passwords, the first administrator, and checking a password.

Belongs here: argon2 hashes of `app_user`, renewing them, and one-time passwords. Does not belong here: sessions
(`sessions`), the limit on guessing (`throttle`), how many hash at once (`hashing`), easy passwords (`passwords`),
people of an identity provider (`pages.oidc`).

A password is normalised (NFKC) before it is hashed: keyboards write one letter in several ways. A one-time password
allows one sign-in and ends after a day; its session may still choose a new password.
"""

from __future__ import annotations

import itertools
import secrets
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.counters import take_numbers
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.lookup import user_called
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import PeopleError, user_id_of, write_audit_event
from chimp_assets.database.schema import app_user
from chimp_assets.database.texts import is_storable
from chimp_assets.web.auth import sessions
from chimp_assets.web.auth.passwords import is_easy_to_guess

SHORTEST = 10
"""Characters. NIST SP 800-63B-4 asks for length and forbids rules about kinds of characters."""
LONGEST = 256
ONE_TIME = timedelta(days=1)
"""Lifetime of a one-time password."""
FIRST_ADMIN = "admin"
_TURN = "first_admin"
# Characters that are not confused when read aloud.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()
# Refusing an unknown name takes as long as refusing a wrong password.
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Account:
    """A user whose password was right."""

    user_id: int
    name: str
    role: str
    must_change: bool


class EndedPasswordError(PeopleError):
    """A one-time password that was used, or is older than a day."""


def verify(db: Database, name: str, password: str) -> Account | None:
    """The account with this name and password, if it is enabled. Hashes with older parameters are renewed.

    Uses up a one-time password: of several attempts at once, one succeeds. Raises EndedPasswordError for one that was
    used or has expired.
    """
    row, as_typed = _found(db, name, password)
    if row is None:
        return None
    if row.must_change:
        _use_up(db, row)
    if as_typed or _hasher.check_needs_rehash(row.password_hash):
        renewed = _hasher.hash(_normal(password))
        with db.write() as conn:
            u = app_user.c
            # The password may have been changed in the meantime.
            which = (u.user_id == row.user_id, u.password_hash == row.password_hash)
            conn.execute(sa.update(app_user).where(*which).values(password_hash=renewed))
    return Account(row.user_id, row.name, row.role, bool(row.must_change))


def is_password(db: Database, name: str, password: str) -> bool:
    """Whether this is the password of a signed-in person; a used one-time password counts until it is changed."""
    return _found(db, name, password)[0] is not None


def _found(db: Database, name: str, password: str) -> tuple[Any, bool]:
    """The user with this password or None, and whether the hash is of the typed password instead of the normalised."""
    row = None
    if is_storable(name) and len(name) <= 100:
        u = app_user.c
        columns = (u.user_id, u.name, u.role, u.password_hash, u.must_change, u.disabled, u.password_ends_at)
        with db.read() as conn:
            called = user_called(conn, name)
            if called is not None:
                row = conn.execute(sa.select(*columns).where(u.user_id == called.user_id)).first()
    known = row is not None and row.password_hash is not None and not row.disabled
    hashed = row.password_hash if row is not None and known else _NOBODY
    normal = _normal(password)
    as_normal = _matches(hashed, normal)
    # Hashes from versions without normalisation.
    as_typed = not as_normal and normal != password and _matches(hashed, password)
    return (row if known and (as_normal or as_typed) else None), as_typed


def _use_up(db: Database, row: Any) -> None:
    """Raises EndedPasswordError unless this is the first use, and in time. One statement, so only one of two
    succeeds.
    """
    u, now = app_user.c, datetime.now(UTC)
    first = (
        u.user_id == row.user_id, u.password_hash == row.password_hash, u.password_used_at.is_(None),
        sa.or_(u.password_ends_at.is_(None), u.password_ends_at > now),
    )  # fmt: skip
    with db.write() as conn:
        if conn.execute(sa.update(app_user).where(*first).values(password_used_at=now)).rowcount != 1:
            raise EndedPasswordError(
                "This password was valid for one sign-in only and has expired.",
                "Ask an administrator for a new one.",
            )


def set_password(db: Database, name: str, password: str, once: bool = False, by: str | None = None) -> None:
    """Set a user's password and end all sessions of the user. once: a one-time password, to be changed at sign-in.

    Raises PeopleError for an unknown user or an unacceptable password.
    """
    check_password(password, name)
    hashed = _hasher.hash(_normal(password))
    with db.write() as conn:
        user_id = user_id_of(conn, name)
        _store(conn, user_id, hashed, once)
        write_audit_event(conn, "user.password", name, {"once": once}, by)
        sessions.revoke_in(conn, user_id)


def one_time_password() -> str:
    """A random password: twenty characters in groups of four, about 99 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))


def first_admin(db: Database) -> str | None:
    """The password of `first_account`; None if none was made."""
    made = first_account(db)
    return None if made is None else made[1]


def first_account(db: Database) -> tuple[str, str] | None:
    """At the first start: makes an administrator and returns name and one-time password; later None.

    A start is the first if no enabled administrator can sign in with a password. An administrator with a used or
    expired one-time password cannot. The name is `admin`, or another one if `admin` is taken in any spelling. Of
    several servers that start at once one makes it, and the others wait for that.
    """
    u, now = app_user.c, datetime.now(UTC)
    password = one_time_password()
    hashed = _hasher.hash(password)
    with db.write() as conn:
        take_numbers(conn, _TURN, 0)
        rows = conn.execute(
            sa.select(
                u.user_id, u.name, u.role, u.disabled, u.password_hash, u.must_change, u.password_used_at,
                u.password_ends_at,
            ).order_by(u.user_id)
        ).all()  # fmt: skip
        admins = [row for row in rows if row.role == "admin" and not row.disabled]
        if any(row.password_hash is not None and not _has_ended(row, now) for row in admins):
            return None
        own = next((row for row in admins if key_of(row.name) == key_of(FIRST_ADMIN)), None)
        own = own or next((row for row in admins if row.password_hash is not None), None)
        if own is None:
            taken = {key_of(row.name) for row in rows}
            name = next(name for name in _names_of_admins() if key_of(name) not in taken)
            user_id = insert_one(conn, app_user, name=name, role="admin", created_at=now)
        else:
            user_id, name = own.user_id, own.name
            sessions.revoke_in(conn, user_id)
        _store(conn, user_id, hashed, once=True)
        write_audit_event(conn, "user.first_admin", name, {})
    return name, password


def _names_of_admins() -> Iterator[str]:
    yield FIRST_ADMIN
    yield "administrator"
    yield from (f"{FIRST_ADMIN}-{number}" for number in itertools.count(2))


def check_password(password: str, name: str = "") -> None:
    """Raises PeopleError if this is no acceptable password. name: of its owner."""
    password = _normal(password)
    if len(password) < SHORTEST:
        raise PeopleError(f"A password needs at least {SHORTEST} characters.", "A sentence is easy to remember.")
    if len(password) > LONGEST or not is_storable(password):
        raise PeopleError(f"A password may have at most {LONGEST} characters, all of them text.", "Choose another.")
    if is_easy_to_guess(password, name):
        raise PeopleError(
            "This password is easy to guess.",
            "Choose a sentence of four words or more that only you would write.",
        )


def _has_ended(row: Any, now: datetime) -> bool:
    used = row.password_used_at is not None or (row.password_ends_at is not None and row.password_ends_at <= now)
    return bool(row.must_change) and used


def _store(conn: sa.Connection, user_id: int, hashed: str, once: bool) -> None:
    conn.execute(
        sa.update(app_user)
        .where(app_user.c.user_id == user_id)
        .values(
            password_hash=hashed,
            must_change=once,
            password_used_at=None,
            password_ends_at=datetime.now(UTC) + ONE_TIME if once else None,
        )
    )


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password[: 4 * LONGEST])


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[: LONGEST + 1].encode(errors="surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
