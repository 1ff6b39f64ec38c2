"""Changes to individuals by people: reference photos, misnamed tracks, codes, merges.

Belongs here: bodies and answers. Does not belong here: the changes (`database.labels`, `database.individuals`).
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.individuals.renaming import rename_individual
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.references import set_references
from chimp_assets.database.labels.shown import GALLERY, written
from chimp_assets.database.people.users import write_audit_event
from chimp_assets.insight.individuals import directory
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, Key

router = APIRouter(prefix="/api/individuals", tags=["individuals"])

_Identifier = Annotated[Person, Depends(require("identifier"))]
_Reviewer = Annotated[Person, Depends(require("reviewer"))]


class ReferenceChoice(Body):
    """Tracks whose best crops are the reference photos, in order."""

    tracks: list[Key] = Field(max_length=20)


class MisnamedTrack(Body):
    """A track that is shown under a wrong individual."""

    track_id: Key
    note: str | None = Field(None, max_length=2000)


class Merge(Body):
    """The individual to merge into. force: even if the biographies contradict it."""

    into: str = Field(max_length=200)
    why: str | None = Field(None, max_length=1000)
    force: bool = False


class Rename(Body):
    """The new code. force: even if it looks like another code."""

    to: str = Field(max_length=200)
    why: str | None = Field(None, max_length=1000)
    force: bool = False


class Unmerge(Body):
    """The reason for undoing a merge."""

    why: str | None = Field(None, max_length=1000)


@router.post("/{anim_id:path}/references")
def references(request: Request, anim_id: str, wanted: ReferenceChoice, person: _Identifier) -> Any:
    """Choose and order the reference photos."""
    db = request.app.state.db
    key, code = _find(db, anim_id)
    before = set_references(db, key, wanted.tracks, person.name)
    return {"anim_id": code, "before": before, "tracks": list(dict.fromkeys(wanted.tracks))}


@router.post("/{anim_id:path}/not-this-one")
def not_this_one(request: Request, anim_id: str, said: MisnamedTrack, person: _Identifier) -> Any:
    """Ask a reviewer to look at a track. Retracting the returned event takes this back."""
    db = request.app.state.db
    _, code = _find(db, anim_id)
    event = LabelEvent(
        str(uuid.uuid4()),
        "skip",
        person.name,
        track_id=said.track_id,
        note=said.note or f"not {code}",
        shown=written({"mode": GALLERY, "flag": True, "not": code, "schema": 1}),
    )
    result = record_events(db, [event])[0]
    if result.status == "rejected":
        raise WebError(422, "rejected", f"This cannot be stored: {result.reason}.", "Load the page again.")
    return {"annotation_id": result.annotation_id, "seq": result.seq}


@router.post("/{anim_id:path}/merge")
def merge(request: Request, anim_id: str, wanted: Merge, person: _Reviewer) -> Any:
    """Merge the individual into another. Labels stay as they are; the merge can be undone."""
    db = request.app.state.db
    done = merge_individuals(db, _known(anim_id), _known(wanted.into), wanted.why, person.name, wanted.force)
    _audit(db, "individual.merge", done.anim_id, {"into": done.into_anim_id, "why": wanted.why}, person)
    return {"merge_id": done.merge_id, "anim_id": done.anim_id, "into_anim_id": done.into_anim_id}


@router.post("/{anim_id:path}/rename")
def rename(request: Request, anim_id: str, wanted: Rename, person: _Reviewer) -> Any:
    """Change a code. The former one stays an alias; renaming back undoes it."""
    db = request.app.state.db
    terms = Terms(why=wanted.why, by=person.name, force=wanted.force)
    done = rename_individual(db, _known(anim_id), wanted.to, terms)
    _audit(db, "individual.rename", done.anim_id, {"from": done.former, "why": wanted.why}, person)
    return {"anim_id": done.anim_id, "former": done.former, "alias": done.alias}


@router.post("/{anim_id:path}/unmerge")
def unmerge(request: Request, anim_id: str, wanted: Unmerge, person: _Reviewer) -> Any:
    """Undo the merge of an individual, with those that had been merged into it."""
    db = request.app.state.db
    done = unmerge_individual(db, _known(anim_id), wanted.why, person.name)
    _audit(db, "individual.unmerge", done.anim_id, {"why": wanted.why}, person)
    return {"merge_id": done.merge_id, "anim_id": done.anim_id}


def _audit(db: Database, action: str, subject: str, detail: dict[str, Any], person: Person) -> None:
    with db.write() as conn:
        write_audit_event(conn, action, subject, detail, person.name)


def _known(code: str) -> str:
    """The code, if it is a valid one. Raises WebError."""
    if "\x00" in code or not 0 < len(code) <= 200:
        raise WebError(404, "no_individual", "There is no individual with this code.", "See the list of individuals.")
    return code


def _find(db: Database, anim_id: str) -> tuple[int, str]:
    with db.read() as conn:
        found = directory.find(conn, _known(anim_id))
    if found is None:
        raise WebError(404, "no_individual", "There is no individual with this code.", "See the list of individuals.")
    return found
