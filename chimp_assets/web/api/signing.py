"""Signing in and out, passwords, and own sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import record_audit_event
from chimp_assets.database.work import queue
from chimp_assets.web.auth import accounts, sessions
from chimp_assets.web.auth.roles import RUNG_OF, everybody, require
from chimp_assets.web.auth.security import is_local
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.auth.throttle import is_worth_telling
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, EmptyBody
from chimp_assets.web.labelling.items import moment

router = APIRouter(prefix="/api", tags=["sign-in"])

_Who = tuple[str, str, str | None]
"""Account, address and known device, as the throttle wants them."""


class Credentials(Body):
    """Name and password. keep: this is the person's own device."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=1000)
    keep: bool = False


class NewPassword(Body):
    """Changing one's own password."""

    old: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


class WhichSession(Body):
    """One of the person's sessions; None: all others."""

    session_id: str | None = Field(None, max_length=64)


@router.post("/sign-in", dependencies=[Depends(everybody())])
async def sign_in(request: Request, given: Credentials) -> JSONResponse:
    """A session for a name and its password."""
    refuse_open_http(request)
    state = request.app.state
    name, address = given.name.strip(), address_of(request)
    key = key_of(name)
    device = state.devices.known(request, key)
    who: _Who = (key, address, device)
    await _refuse_throttled(request, given.name, state.throttle.pause_s, who)
    with state.hashing.turn() as hashed:
        await _refuse_throttled(request, given.name, state.throttle.admit, who)
        try:
            account = await hashed(partial(accounts.verify, state.db, name, given.password))
        except accounts.EndedPasswordError as error:
            state.metrics.count("chimp_sign_in_total", outcome="ended")
            await _note(state.db, "sign_in.failed", given.name, {"address": address, "why": error.sentence})
            raise WebError(401, "password_ended", error.sentence, error.remedy) from None
        except BaseException:
            # The password was not checked, for example because the database was busy or the browser left.
            await _forget(request, who)
            raise
    if account is None:
        state.metrics.count("chimp_sign_in_total", outcome="wrong")
        await _note(state.db, "sign_in.failed", given.name, {"address": address})
        raise WebError(
            401, "wrong_password", "The name or the password is wrong.", "Try again, or ask an administrator."
        )
    await run_in_threadpool(partial(state.throttle.succeed, *who))
    begin = partial(
        begin_session, request, account.user_id, account.name, account.role, account.must_change, given.keep
    )
    return await run_in_threadpool(begin)


async def _refuse_throttled(
    request: Request, name: str, pause_of: Callable[[str, str, str | None], float], who: _Who
) -> None:
    """Raises WebError (429) during a pause; only some of many such refusals are logged. pause_of: asks the throttle."""
    pause = await run_in_threadpool(partial(pause_of, *who))
    if pause <= 0:
        return
    state = request.app.state
    n = await run_in_threadpool(partial(state.throttle.refuse, *who))
    state.metrics.count("chimp_sign_in_total", outcome="throttled")
    if is_worth_telling(n):
        await _note(state.db, "sign_in.throttled", name, {"address": who[1], "refused_so_far": n})
    raise WebError(
        429,
        "throttled",
        "There were too many wrong passwords.",
        f"Try again in {round(pause) + 1} seconds, or ask an administrator for a new password.",
        {"Retry-After": str(round(pause) + 1)},
    )


async def _forget(request: Request, who: _Who) -> None:
    """Takes an attempt back, also where the request was given up meanwhile."""
    await asyncio.shield(run_in_threadpool(partial(request.app.state.throttle.forget, *who)))


async def _note(db: Database, action: str, subject: str, detail: dict[str, Any]) -> None:
    await run_in_threadpool(record_audit_event, db, action, subject, detail)


def begin_session(request: Request, user_id: int, name: str, role: str, must_change: bool, keep: bool) -> JSONResponse:
    """Opens a session after a correct password, and remembers the device."""
    response = JSONResponse({"name": name, "role": RUNG_OF[role], "must_change_password": must_change})
    open_session(request, response, user_id, name, role, keep)
    request.app.state.devices.remember(request, response, key_of(name))
    return response


def open_session(request: Request, response: Response, user_id: int, name: str, role: str, keep: bool) -> None:
    """Opens a new session on this answer; never reuses an existing one."""
    state = request.app.state
    token, until = sessions.begin(
        state.db, state.settings.web, user_id, role, keep, address_of(request), request.headers.get("user-agent", "")
    )
    state.metrics.count("chimp_sign_in_total", outcome="right")
    record_audit_event(state.db, "sign_in", name, {"address": address_of(request)})
    sessions.set_cookie(request, response, token, until)


@router.post("/sign-out")
def sign_out(
    request: Request, nothing: EmptyBody, person: Annotated[Person, Depends(require("viewer"))]
) -> JSONResponse:
    """End this session and release the person's items."""
    db = request.app.state.db
    released = queue.release(db, person.name)
    sessions.revoke(db, person.user_id, person.session_id)
    response = JSONResponse({"released": released}, headers={"Clear-Site-Data": '"cookies"'})
    sessions.delete_cookie(request, response)
    return response


@router.post("/password")
async def password(
    request: Request, wanted: NewPassword, person: Annotated[Person, Depends(require("viewer"))]
) -> JSONResponse:
    """Change the password: all sessions of the person end, and a new one begins."""
    state = request.app.state
    who: _Who = (key_of(person.name), address_of(request), f"session {person.session_id}")
    await _refuse_throttled(request, person.name, state.throttle.pause_s, who)
    with state.hashing.turn() as hashed:
        await _refuse_throttled(request, person.name, state.throttle.admit, who)
        try:
            right = await hashed(partial(accounts.is_password, state.db, person.name, wanted.old))
        except BaseException:
            await _forget(request, who)
            raise
        if not right:
            raise WebError(403, "wrong_password", "The current password is wrong.", "Type it again.")
        await run_in_threadpool(partial(state.throttle.succeed, *who))
        if wanted.new == wanted.old:
            raise WebError(422, "same_password", "The new password is the same as the current one.", "Choose another.")
        await hashed(partial(accounts.set_password, state.db, person.name, wanted.new, by=person.name))
    return await run_in_threadpool(begin_session, request, person.user_id, person.name, person.role, False, False)


@router.get("/sessions")
def my_sessions(request: Request, person: Annotated[Person, Depends(require("viewer"))]) -> Any:
    """The person's open sessions."""
    return {
        "sessions": [
            {
                "session_id": row.session_id,
                "this": row.session_id == person.session_id,
                "created_at": moment(row.created_at),
                "last_seen_at": moment(row.last_seen_at),
                "address": row.address,
                "agent": row.agent,
            }
            for row in sessions.of_user(request.app.state.db, person.user_id)
        ]
    }


@router.post("/sessions/revoke")
def revoke(request: Request, which: WhichSession, person: Annotated[Person, Depends(require("viewer"))]) -> Any:
    """End one of the person's sessions; without session_id all except this one."""
    db = request.app.state.db
    but = person.session_id if which.session_id is None else None
    revoked = sessions.revoke(db, person.user_id, which.session_id, but)
    record_audit_event(db, "session.revoke", person.name, {"n": revoked})
    return {"revoked": revoked}


def address_of(request: Request) -> str:
    """The address that a request comes from; behind a trusted proxy, the one that it reports (`auth.forwarded`)."""
    return request.client.host if request.client else ""


def refuse_open_http(request: Request) -> None:
    """Raises WebError for plain http from another machine, where passwords can be read on the way."""
    if sessions.is_secure(request) or request.app.state.settings.web.insecure_http:
        return
    if not is_local((request.url.hostname or "").strip("[]")):
        raise WebError(
            403,
            "insecure",
            "This connection is not encrypted, so nobody can sign in over it.",
            "Open the page over https (a proxy such as Caddy), or set web.insecure_http if you accept the risk.",
        )
