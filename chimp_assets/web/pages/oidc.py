"""Sign-in through an identity provider (Entra ID): OpenID Connect, authorisation code with PKCE. Off unless set.

Belongs here: the two routes, mapping claims to users, and roles of the provider to roles here. Does not belong here:
sessions (`auth.sessions`), the protocol (Authlib).

A person is identified by tenant and object (`tid`, `oid`), never by address, because addresses change hands. A user's
role never changes, because it weighs answers; a person with another role at the provider becomes another user here. The
secret comes from the environment (CHIMP_OIDC_CLIENT_SECRET) and is in no file of the home.

The state of a sign-in (state, nonce, verifier) lies in a sealed cookie of the browser (`auth.sealing`), not in memory:
nobody can push it out, and another server of the same database can read it.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chimp_assets.database.connection.bulk import insert_one
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import record_audit_event, write_audit_event
from chimp_assets.database.schema import ROLES, app_user, oidc_answer, oidc_identity
from chimp_assets.database.texts import cut_to, is_storable
from chimp_assets.settings import OidcSettings
from chimp_assets.web.api.signing import open_session, refuse_open_http
from chimp_assets.web.auth import sessions
from chimp_assets.web.auth.roles import everybody
from chimp_assets.web.auth.sealing import Seal
from chimp_assets.web.auth.sessions import is_secure
from chimp_assets.web.errors import WebError
from chimp_assets.web.pages.sign_in import local_path

_log = logging.getLogger(__name__)

router = APIRouter(prefix="/sign-in/oidc", include_in_schema=False, dependencies=[Depends(everybody())])

SECRET = "CHIMP_OIDC_CLIENT_SECRET"  # noqa: S105  the name of the variable that holds it
CLIENT = "provider"
"""The name of the provider in Authlib's state."""
FLOW_S = 600.0
"""Seconds from leaving for the provider to coming back."""
LONGEST_NEXT = 1_000
"""Browsers keep cookies up to 4,096 bytes; longer addresses for afterwards are dropped."""
MOST_USED = 10_000
"""Answers that are remembered; those taken longest ago go first."""
_HIGHEST = {
    role: place for place, role in enumerate(("viewer", "volunteer", "identifier", "reviewer", "expert", "admin"))
}


class OidcRefusal(WebError):
    """A person known to the provider who may not enter. code: a key of the texts under `sign_in.problem`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(403, code, sentence, "Ask an administrator.")


class Flows:
    """Sign-ins in progress: the state of each stays in the browser, sealed, for ten minutes.

    Which ones were answered is remembered in SQL, so that a copied cookie cannot be used again, at whatever server.
    """

    def __init__(self, db: Database, key: bytes) -> None:
        self._db = db
        self._seal = Seal(key, "oidc")

    def sealed(self, memory: dict[str, Any]) -> str:
        """The value of a cookie that holds this state."""
        return self._seal.close({"id": secrets.token_urlsafe(16), "memory": memory}, FLOW_S)

    def end(self, cookie: str | None, state: str | None) -> dict[str, Any]:
        """The state in a cookie, once, if the answer has the same state. Empty for a forged, old or used cookie.

        Raises BusyDatabaseError.
        """
        opened = self._seal.open(cookie or "")
        if opened is None or f"_state_{CLIENT}_{state}" not in opened["memory"]:
            return {}
        return dict(opened["memory"]) if self._take(opened["id"]) else {}

    def _take(self, number: str) -> bool:
        """Whether nobody took the answer to this sign-in before. Rows of sealed cookies that no longer open go."""
        now, c = datetime.now(UTC), oidc_answer.c

        def work(conn: sa.Connection) -> None:
            conn.execute(sa.delete(oidc_answer).where(c.taken_at < now - timedelta(seconds=2 * FLOW_S)))
            conn.execute(sa.insert(oidc_answer).values(answer_hash=sessions.hash_of(number), taken_at=now))
            oldest = conn.scalar(sa.select(c.taken_at).order_by(c.taken_at.desc()).offset(MOST_USED).limit(1))
            if oldest is not None:
                conn.execute(sa.delete(oidc_answer).where(c.taken_at <= oldest))

        try:
            self._db.transact(work)
        except sa.exc.IntegrityError:
            return False
        return True


def prepare(app: FastAPI, secret: bytes) -> None:
    """Registers the provider, if one is set. secret: of the page."""
    settings: OidcSettings = app.state.settings.web.oidc
    app.state.oidc = None
    if not settings.metadata_url:
        return
    app.state.oidc_flows = Flows(app.state.db, secret)
    from authlib.integrations.starlette_client import OAuth

    registry = OAuth()
    app.state.oidc = registry.register(
        CLIENT,
        server_metadata_url=settings.metadata_url,
        client_id=settings.client_id,
        client_secret=os.environ.get(SECRET) or None,
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256", "timeout": 15.0},
    )


@router.get("")
async def leave(request: Request, next: str = "/") -> Response:
    """Redirects to the provider."""
    client = _client(request)
    refuse_open_http(request)
    memory: dict[str, Any] = {"next": local_path(next) if len(next) <= LONGEST_NEXT else "/"}
    request.scope["session"] = memory
    try:
        response: Response = await client.authorize_redirect(request, _callback(request))
    except Exception:
        _log.exception("the identity provider cannot be asked")
        return _back(request, "away")
    response.set_cookie(
        _cookie(request),
        request.app.state.oidc_flows.sealed(memory),
        max_age=int(FLOW_S),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/callback")
async def come_back(request: Request) -> Response:
    """Handles the answer of the provider."""
    client = _client(request)
    memory = await run_in_threadpool(
        request.app.state.oidc_flows.end, request.cookies.get(_cookie(request)), request.query_params.get("state")
    )
    request.scope["session"] = memory
    settings = request.app.state.settings.web.oidc
    try:
        token = await client.authorize_access_token(
            request, claims_options={"aud": {"essential": True, "values": [settings.client_id]}, **_issuer(client)}
        )
        claims = token.get("userinfo")
        if not claims:
            raise ValueError("the provider sent no id_token")
    except Exception as error:
        # The error may contain codes and tokens: it goes to the log, not into the address.
        _log.warning("sign-in through the provider failed: %s: %s", type(error).__name__, error)
        request.app.state.metrics.count("chimp_sign_in_total", outcome="oidc_failed")
        return _back(request, "failed")
    try:
        user_id, name, role = await run_in_threadpool(user_of, request.app.state.db, settings, claims)
    except OidcRefusal as refusal:
        subject = cut_to(str(claims.get("preferred_username") or claims.get("sub")), 300)
        await run_in_threadpool(
            record_audit_event, request.app.state.db, "sign_in.refused", subject, {"why": refusal.sentence}
        )
        return _back(request, refusal.code)
    response = RedirectResponse(memory.get("next", "/"), 303)
    await run_in_threadpool(open_session, request, response, user_id, name, role, False)
    response.delete_cookie(_cookie(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")
    return response


def user_of(db: Database, settings: OidcSettings, claims: Mapping[str, Any]) -> tuple[int, str, str]:
    """(user_id, name, role) of a person of the provider; a new user the first time. Raises OidcRefusal."""
    tid, oid = str(claims.get("tid") or claims.get("iss") or ""), str(claims.get("oid") or claims.get("sub") or "")
    if not tid or not oid or len(tid) > 100 or len(oid) > 100 or not is_storable(tid + oid):
        raise OidcRefusal("failed", "The provider does not say who this is.")
    role = role_of(settings, claims.get("roles"))
    if role is None:
        raise OidcRefusal("no_role", "The provider gives this person no role here.")
    u, o = app_user.c, oidc_identity.c

    def work(conn: sa.Connection) -> tuple[int, str, str]:
        row = conn.execute(
            sa.select(u.user_id, u.name, u.role, u.disabled)
            .join_from(oidc_identity, app_user, u.user_id == o.user_id)
            .where(o.tid == tid, o.oid == oid)
        ).first()
        if row is not None and row.disabled:
            raise OidcRefusal("disabled", f"The user {row.name!r} is disabled.")
        if row is not None and row.role == role:
            return row.user_id, row.name, row.role
        name = _free_name(conn, str(claims.get("name") or claims.get("preferred_username") or "person"), role)
        now = datetime.now(UTC)
        user_id = insert_one(conn, app_user, name=name, role=role, created_at=now)
        if row is None:
            conn.execute(sa.insert(oidc_identity).values(tid=tid, oid=oid, user_id=user_id, created_at=now))
        else:
            conn.execute(sa.update(oidc_identity).where(o.tid == tid, o.oid == oid).values(user_id=user_id))
        before = {"before": row.name, "role_before": row.role} if row is not None else {}
        write_audit_event(conn, "user.add", name, {"role": role, "by": "identity provider", **before})
        if row is not None:
            sessions.revoke_in(conn, row.user_id)
        return user_id, name, role

    return db.transact(work)


def role_of(settings: OidcSettings, said: Any) -> str | None:
    """The highest role here for the provider's `roles` claim; None without one."""
    names = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    ours = [settings.roles[name] for name in names if isinstance(name, str) and settings.roles.get(name) in ROLES]
    return max(ours, key=lambda role: _HIGHEST[role], default=None)


def _free_name(conn: sa.Connection, wanted: str, role: str) -> str:
    base = cut_to("".join(c for c in wanted if c.isprintable()).strip(), 80) if is_storable(wanted) else ""
    base = base or "person"
    candidates = [base, f"{base} ({role})", *(f"{base} ({role} {n})" for n in range(2, 100))]
    taken = set(map(key_of, conn.scalars(sa.select(app_user.c.name))))
    return next(name for name in candidates if key_of(name) not in taken)


def _client(request: Request) -> Any:
    if request.app.state.oidc is None:
        raise WebError(404, "no_provider", "No identity provider is set up here.", "Sign in with a password.")
    return request.app.state.oidc


def _issuer(client: Any) -> dict[str, Any]:
    issuer = client.server_metadata.get("issuer")
    return {"iss": {"essential": True, "values": [issuer]}} if issuer else {}


def _callback(request: Request) -> str:
    public = request.app.state.settings.web.public_url
    return f"{public or str(request.base_url).rstrip('/')}/sign-in/oidc/callback"


def _cookie(request: Request) -> str:
    return "__Host-oidc" if is_secure(request) else "oidc"


def _back(request: Request, problem: str) -> Response:
    return RedirectResponse(f"/sign-in?problem={quote(problem)}", 303)
