"""Sessions: a random token in a cookie; its hash and expiry in SQL, so that sessions can be listed and revoked.

Belongs here: beginning, finding, using and ending sessions, and their cookie. Does not belong here: authentication
(`accounts`, `pages.oidc`) and permissions (`roles`).

Over https the cookie is `__Host-sid; Secure; HttpOnly; SameSite=Lax`: no other host and no plain connection can set or
read it. A browser refuses both the prefix and `Secure` over plain http, so on this machine alone (127.0.0.1, where
nothing leaves the computer) the same cookie is called `sid` and is not `Secure`.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.database.connection.engine import BusyDatabaseError, Database
from chimp_assets.database.schema import app_user, user_session
from chimp_assets.database.texts import cut_to, is_storable
from chimp_assets.settings import WebSettings

SECURE_COOKIE, LOCAL_COOKIE = "__Host-sid", "sid"
# The last use is written at most this often, so that reading a picture writes nothing.
NOTED_EVERY = timedelta(minutes=5)
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Person:
    """The signed-in user. role: of the database (schema.ROLES); session_id: the hash of the token."""

    user_id: int
    name: str
    role: str
    session_id: str
    must_change: bool = False


@dataclass(frozen=True)
class SessionRow:
    """A session as its owner sees it."""

    session_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


def begin(
    db: Database, settings: WebSettings, user_id: int, role: str, keep: bool, address: str, agent: str
) -> tuple[str, datetime]:
    """Begins a session; returns its token, which is not stored, and its latest end.

    keep: the person uses an own device; experts then stay signed in for `expert_days` without use.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = datetime.now(UTC)
    hours = settings.expert_days * 24 if keep and role == "expert" else settings.idle_hours
    idle_s = round(hours * 3600)
    expires = now + timedelta(days=settings.session_days)
    with db.write() as conn:
        conn.execute(
            sa.insert(user_session).values(
                session_id=hash_of(token),
                user_id=user_id,
                created_at=now,
                last_seen_at=now,
                expires_at=expires,
                idle_s=idle_s,
                address=cut_to(address, 60),
                agent=cut_to(agent if is_storable(agent) else "", 200),
            )
        )
    return token, expires


def find(db: Database, token: str) -> Person | None:
    """The person with this token, if the session is open and the user enabled; else None."""
    u, s = app_user.c, user_session.c
    now = datetime.now(UTC)
    session_id = hash_of(token)
    with db.read() as conn:
        row = conn.execute(
            sa.select(u.user_id, u.name, u.role, u.must_change, s.last_seen_at, s.created_at, s.idle_s, s.expires_at)
            .join_from(user_session, app_user, u.user_id == s.user_id)
            .where(s.session_id == session_id, s.revoked_at.is_(None), u.disabled == sa.false())
        ).first()
    if row is None:
        return None
    seen = row.last_seen_at or row.created_at
    if now >= row.expires_at or now >= seen + timedelta(seconds=row.idle_s):
        return None
    if now - seen > NOTED_EVERY:
        _note_use(db, session_id, now)
    return Person(row.user_id, row.name, row.role, session_id, bool(row.must_change))


def _note_use(db: Database, session_id: str, now: datetime) -> None:
    try:
        with db.write() as conn:
            conn.execute(
                sa.update(user_session).where(user_session.c.session_id == session_id).values(last_seen_at=now)
            )
    except BusyDatabaseError:
        pass  # the next request notes it


def of_user(db: Database, user_id: int) -> list[SessionRow]:
    """The open sessions of a user, newest first."""
    s = user_session.c
    now = datetime.now(UTC)
    with db.read() as conn:
        rows = conn.execute(
            sa.select(s.session_id, s.created_at, s.last_seen_at, s.expires_at, s.idle_s, s.address, s.agent)
            .where(s.user_id == user_id, s.revoked_at.is_(None), s.expires_at > now)
            .order_by(s.created_at.desc())
        ).all()
    return [
        SessionRow(r.session_id, r.created_at, seen, r.expires_at, r.address or "", r.agent or "")
        for r in rows
        if now < (seen := r.last_seen_at or r.created_at) + timedelta(seconds=r.idle_s)
    ]


def revoke(db: Database, user_id: int, session_id: str | None = None, but: str | None = None) -> int:
    """End one session of a user, or all (but one); returns how many. Leases stay until they expire."""
    with db.write() as conn:
        return revoke_in(conn, user_id, session_id, but)


def revoke_in(conn: sa.Connection, user_id: int, session_id: str | None = None, but: str | None = None) -> int:
    """`revoke` inside a transaction."""
    s = user_session.c
    which = [s.user_id == user_id, s.revoked_at.is_(None)]
    if session_id is not None:
        which.append(s.session_id == session_id)
    if but is not None:
        which.append(s.session_id != but)
    return conn.execute(sa.update(user_session).where(*which).values(revoked_at=datetime.now(UTC))).rowcount


def sweep(db: Database, older_than: timedelta = timedelta(days=30)) -> int:
    """Delete sessions that ended long ago; returns how many."""
    s, before = user_session.c, datetime.now(UTC) - older_than
    with db.write() as conn:
        return conn.execute(
            sa.delete(user_session).where(sa.or_(s.expires_at < before, s.revoked_at < before))
        ).rowcount


def hash_of(token: str) -> str:
    """The stored hash of a token, so that nobody can sign in with the content of the database."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def person_of(request: Request) -> Person | None:
    """The person who sends a request, or None; looked up once for each request."""
    if not hasattr(request.state, "person"):
        token = request.cookies.get(cookie_name(request))
        request.state.person = find(request.app.state.db, token) if token and len(token) < 200 else None
    return request.state.person


def cookie_name(request: Request) -> str:
    """Name of the session cookie, by the scheme of the request."""
    return SECURE_COOKIE if is_secure(request) else LOCAL_COOKIE


def is_secure(request: Request) -> bool:
    """Whether the browser uses https, to this server or to a proxy before it."""
    return request.url.scheme == "https" or str(request.app.state.settings.web.public_url or "").startswith("https:")


def set_cookie(request: Request, response: Response, token: str, until: datetime) -> None:
    """Set the session cookie. It outlives the browser window; the server decides when the session ends."""
    response.set_cookie(
        cookie_name(request),
        token,
        expires=until,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def delete_cookie(request: Request, response: Response) -> None:
    """Delete the session cookie."""
    response.delete_cookie(cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")
