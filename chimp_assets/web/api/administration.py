"""Administration: promoting models, going back, retrying failed videos, users; and corrections of camera clocks.

Each act writes an `audit_event` with its author. Roles never change, because they weigh answers (`database.people`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.archive.times.corrections import CorrectionReport, CorrectionRequest, correct, revoke
from chimp_assets.database import schema as t
from chimp_assets.database.people.names import key_of
from chimp_assets.database.people.users import add_user, disable_user, enable_user, user_id_of, write_audit_event
from chimp_assets.database.work import due
from chimp_assets.monitoring.cards.card import keep_cards_after_promotion
from chimp_assets.vision.evaluation.promotion import promote_by_hand, roll_back
from chimp_assets.web.auth import accounts, sessions
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, Key

router = APIRouter(prefix="/api", tags=["administration"])

_Admin = Annotated[Person, Depends(require("admin"))]
_Reviewer = Annotated[Person, Depends(require("reviewer"))]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class Promotion(Body):
    """The model to promote. force: even if the gate refuses it."""

    model_id: Key
    why: str = Field("", max_length=500)
    force: bool = False


class Rollback(Body):
    """The task whose previous champion returns."""

    task: Literal["head", "embedder", "detector"]
    why: str = Field("", max_length=500)


class Retry(Body):
    """The failed video to retry; None: all of them."""

    video_id: Key | None = None


class ClockCorrection(Body):
    """A fault of a camera's clock: an offset or zone, a reset, or the order of day and month; period in days."""

    camera: _Name
    offset: str | None = Field(None, max_length=40)
    zone: str | None = Field(None, max_length=60)
    showed: str | None = Field(None, max_length=40)
    true: str | None = Field(None, max_length=40)
    order: Literal["day_first", "month_first", "year_first"] | None = None
    since: str | None = Field(None, max_length=40)
    until: str | None = Field(None, max_length=40)
    why: str = Field("", max_length=1000)
    dry_run: bool = False


class CorrectionUndo(Body):
    """The correction to take back."""

    correction_id: Key
    why: str = Field("", max_length=1000)


class NewUser(Body):
    """A new user, who gets a one-time password."""

    name: _Name
    role: Literal["viewer", "volunteer", "identifier", "reviewer", "expert", "admin"]


class UserName(Body):
    """A user."""

    name: _Name


@router.post("/models/promote")
def promote(request: Request, wanted: Promotion, person: _Admin) -> Any:
    """Make a model the champion of its task; a head is judged by the gate first, as `chimp models promote` does."""
    state = request.app.state
    reason = promote_by_hand(
        state.db, state.home.store, state.settings, wanted.model_id, wanted.why or None, person.name, wanted.force
    )
    keep_cards_after_promotion(state.home)
    return {"model_id": wanted.model_id, "reason": reason}


@router.post("/models/rollback")
def rollback(request: Request, wanted: Rollback, person: _Admin) -> Any:
    """Make the previous champion the champion again, as `chimp models rollback` does."""
    model_id, reason = roll_back(request.app.state.db, wanted.task, wanted.why or None, person.name)
    keep_cards_after_promotion(request.app.state.home)
    return {"model_id": model_id, "reason": reason}


@router.post("/data/retry")
def retry(request: Request, wanted: Retry, person: _Admin) -> Any:
    """Retry failed videos and given-up bundles, as `chimp ingest --retry-failed` does; the daemon decodes them."""
    db = request.app.state.db
    done = due.retry_failed(db, wanted.video_id)
    if wanted.video_id is not None and not done.videos:
        raise WebError(
            409, "not_failed", "This video has not failed, or is already being tried again.", "Load the page again."
        )
    what = "archive" if wanted.video_id is None else f"video:{wanted.video_id}"
    with db.write() as conn:
        write_audit_event(
            conn, "video.retry_failed", what, {"videos": done.videos, "bundles": done.bundles}, person.name
        )
    return {"videos": done.videos, "bundles": done.bundles}


@router.post("/times/correct")
def correct_time(request: Request, wanted: ClockCorrection, person: _Reviewer) -> Any:
    """Correct a camera's clock, as `chimp times correct` does; days, sightings and splits follow."""
    state = request.app.state
    fields = wanted.model_dump(exclude={"why", "dry_run"})
    done = correct(
        state.db, state.settings, CorrectionRequest(**fields), wanted.why or None, person.name, wanted.dry_run
    )
    return _corrected(done)


@router.post("/times/undo")
def undo_time(request: Request, wanted: CorrectionUndo, person: _Reviewer) -> Any:
    """Take a correction of a clock back, as `chimp times undo` does."""
    state = request.app.state
    return _corrected(revoke(state.db, state.settings, wanted.correction_id, wanted.why or None, person.name))


def _corrected(done: CorrectionReport) -> dict[str, Any]:
    would = "would change" if done.correction_id is None else "changed"
    return {
        "correction_id": done.correction_id,
        "says": done.words,
        "videos": done.n_changed,
        "examples": [
            {"uri": uri, "before": before and before.isoformat(), "after": after and after.isoformat()}
            for uri, before, after in done.examples
        ],
        "moved": done.moved,
        "words": f"{done.n_changed:,} times {would}.",
    }


@router.post("/users/add")
async def add(request: Request, wanted: NewUser, person: _Admin) -> Any:
    """A new local user, with a one-time password that is shown once."""
    name = wanted.name.strip()

    def work() -> Any:
        add_user(request.app.state.db, name, wanted.role, person.name)
        return {"name": name, "password": _new_password(request, name, person)}

    return await request.app.state.hashing.run(work)


@router.post("/users/password")
async def password(request: Request, wanted: UserName, person: _Admin) -> Any:
    """A new one-time password, shown once; all sessions of the user end."""

    def work() -> Any:
        with request.app.state.db.read() as conn:
            user_id = user_id_of(conn, wanted.name)
            outside = conn.scalar(sa.select(t.oidc_identity.c.oid).where(t.oidc_identity.c.user_id == user_id))
        if outside is not None:
            raise WebError(
                409,
                "outside",
                f"{wanted.name} signs in with the identity provider and has no password here.",
                "Add a local user for somebody who needs a password.",
            )
        return {"name": wanted.name, "password": _new_password(request, wanted.name, person)}

    return await request.app.state.hashing.run(work)


def _new_password(request: Request, name: str, person: Person) -> str:
    secret = accounts.one_time_password()
    accounts.set_password(request.app.state.db, name, secret, once=True, by=person.name)
    return secret


@router.post("/users/disable")
def disable(request: Request, wanted: UserName, person: _Admin) -> Any:
    """Disable a user: sessions end, leased items go back to the queue, answers stay."""
    if key_of(wanted.name) == key_of(person.name):
        raise WebError(409, "oneself", "You cannot disable yourself.", "Ask another administrator.")
    disable_user(request.app.state.db, wanted.name, person.name)
    return {"name": wanted.name, "disabled": True}


@router.post("/users/enable")
def enable(request: Request, wanted: UserName, person: _Admin) -> Any:
    """Enable a user again."""
    enable_user(request.app.state.db, wanted.name, person.name)
    return {"name": wanted.name, "disabled": False}


@router.post("/users/sign-out")
def sign_out(request: Request, wanted: UserName, person: _Admin) -> Any:
    """End all sessions of a user, except the one of this request."""
    with request.app.state.db.write() as conn:
        user_id = user_id_of(conn, wanted.name, even_disabled=True)
        ended = sessions.revoke_in(conn, user_id, but=person.session_id)
        write_audit_event(conn, "user.sign_out", wanted.name, {"sessions": ended}, person.name)
    return {"name": wanted.name, "ended": ended}
