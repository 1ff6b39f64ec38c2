"""Cases for the review screen; authors of answers, after the decision; provisional individuals.

The decision itself is an event like any other (`api.events`), with mode "review" in `shown`. Authors stay hidden until
the decision, because names influence reviewers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.individuals.batch import RowsRefusedError, SourceRow, Terms
from chimp_assets.database.individuals.biographies import write_biographies
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.answers import OTHER_ROLES, ROLE_ORDER
from chimp_assets.database.people.users import write_audit_event
from chimp_assets.insight.labelling.review import queues
from chimp_assets.insight.labelling.review.cases import MOST, ReviewCase
from chimp_assets.insight.labelling.review.events import StandingEvent
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body
from chimp_assets.web.labelling.items import champion_head, moment, standing_references, track_dicts, video_dict
from chimp_assets.web.wording.sentences import translated
from chimp_assets.web.wording.texts import language_of

router = APIRouter(prefix="/api/review", tags=["review"])

PAGE = 20
"""Cases in one answer; the next ones come when these are decided."""
_Reviewer = Annotated[Person, Depends(require("reviewer"))]
_Id = Annotated[str, Field(max_length=64)]


@router.get("/counts")
def counts(request: Request, person: _Reviewer) -> Any:
    """Number of cases in the newest read of each queue; `most` means that many or more."""
    with request.app.state.db.read() as conn:
        return {"counts": queues.counts(conn, request.app.state.settings), "most": MOST, "looked_at": queues.LOOKED_AT}


@router.get("/cases")
def cases(
    request: Request,
    person: _Reviewer,
    queue: Annotated[str, Query(max_length=20)],
    before: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> Any:
    """The newest cases of a queue; `older`: where an older read begins."""
    if queue not in queues.QUEUES:
        raise WebError(422, "queue", f"There is no queue {queue[:20]!r}.", f"There are {', '.join(queues.QUEUES)}.")
    state = request.app.state
    with state.db.read() as conn:
        found = queues.find_cases(conn, queue, state.settings, before)
        shown = found.cases[:PAGE]
    state.media.make_soon(_track_ids(shown), state.settings.web.media_wait_s)
    with state.db.read() as conn:
        head = champion_head(conn)
        tracks = {row["track_id"]: row for row in track_dicts(conn, _track_ids(shown))}
        photos = _photos(conn, shown)
        weight = ROLE_ORDER.get(person.role, OTHER_ROLES)
        sent = []
        for case in shown:
            boxed = next((one for one in case.events if one.box is not None), None)
            if boxed is None and case.track_id is not None and case.track_id not in tracks:
                continue  # the track is gone
            sent.append({
                **_case(case, photos, weight, person.user_id, language_of(request)),
                "item": tracks.get(case.track_id) if case.track_id is not None else None,
                "other": tracks.get(case.other_track_id) if case.other_track_id is not None else None,
                "more": [tracks[i] for i in case.more if i in tracks],
                "frame": _frame(conn, boxed) if boxed is not None else None,
            })  # fmt: skip
    return {"queue": queue, "cases": sent, "found": len(found.cases), "older": found.older, "model": head}


@router.get("/authors")
def authors(request: Request, person: _Reviewer, ids: Annotated[list[_Id], Query(max_length=50)]) -> Any:
    """Authors of events by id; the screen asks for them after a decision."""
    with request.app.state.db.read() as conn:
        return {"authors": queues.authors(conn, ids)}


class IndividualDecision(Body):
    """The decision about a provisional individual. into: target of a merge."""

    anim_id: str = Field(max_length=200)
    act: Literal["confirm", "unconfirm", "merge", "unmerge"]
    into: str | None = Field(None, max_length=200)
    why: str | None = Field(None, max_length=500)


@router.post("/individual")
def individual(request: Request, wanted: IndividualDecision, person: _Reviewer) -> Any:
    """Confirm a provisional individual, or merge it into another; both can be undone."""
    db = request.app.state.db
    if wanted.act == "merge":
        if not wanted.into:
            raise WebError(422, "into", "The individual to merge into is missing.", "Name another individual.")
        merge_individuals(db, wanted.anim_id, wanted.into, wanted.why or "decided in review", person.name)
    elif wanted.act == "unmerge":
        unmerge_individual(db, wanted.anim_id, wanted.why or "taken back in review", person.name)
    else:
        _confirm(request, wanted, person, wanted.act == "unconfirm")
    detail = {"into": wanted.into or "", "why": wanted.why or ""}
    with db.write() as conn:
        write_audit_event(conn, f"individual.{wanted.act}", wanted.anim_id, detail, person.name)
    return {"done": wanted.act}


def _confirm(request: Request, wanted: IndividualDecision, person: Person, provisional: bool) -> None:
    i = t.individual.c
    terms = Terms(why=wanted.why or "decided in review", by=person.name)

    def work(conn: sa.Connection) -> None:
        if conn.scalar(sa.select(i.individual_id).where(i.anim_id == wanted.anim_id)) is None:
            raise WebError(404, "no_individual", "There is no individual with this code.", "Load the page again.")
        write_biographies(conn, [SourceRow(1, {"anim_id": wanted.anim_id, "provisional": provisional})], terms)

    try:
        request.app.state.db.transact(work)
    except RowsRefusedError as refused:
        raise WebError(422, "refused", f"{refused}.", "") from None


def _track_ids(shown: Sequence[ReviewCase]) -> list[int]:
    ids = [i for case in shown for i in (case.track_id, case.other_track_id, *case.more) if i is not None]
    return list(dict.fromkeys(ids))


def _photos(conn: sa.Connection, shown: Sequence[ReviewCase]) -> dict[str, list[dict[str, Any]]]:
    """Reference photos of all individuals named in these cases, by anim_id."""
    i = t.individual.c
    codes = {one.anim_id for case in shown for one in case.events if one.anim_id is not None}
    codes |= {case.model.anim_id for case in shown if case.model is not None}
    code_of = {
        row.individual_id: row.anim_id
        for row in conn.execute(sa.select(i.individual_id, i.anim_id).where(i.anim_id.in_(sorted(codes))))
    }
    return {code_of[key]: found for key, found in standing_references(conn, sorted(code_of)).items()}


def _case(
    case: ReviewCase, photos: dict[str, list[dict[str, Any]]], weight: int, user_id: int, lang: str
) -> dict[str, Any]:
    opinions: list[dict[str, Any]] = []
    places: dict[tuple[Any, ...], int] = {}
    bound: int | None = None
    for one in case.events:
        if one.kind == "skip":
            continue
        place = places.setdefault(one.meaning, len(places))
        if place == len(opinions):
            opinions.append({**_answer(one.kind, one.anim_id, one.name, photos), "box": one.box, "events": []})
        opinions[place]["events"].append(_event(one, user_id))
        if one.annotation_id == case.head:
            opinions[place]["stands"] = True
            # A reviewer with less weight may agree or ask; a different answer would be stored but not count.
            # Boxes are not weighed: the newest counts.
            bound = place if one.weight < weight and one.box is None else None
    if case.model is not None:
        model = case.model
        opinions.append({
            **_answer("identify", model.anim_id, model.name, photos), "box": None, "events": [],
            "model": round(model.probability, 4),
        })  # fmt: skip
    flags = [_event(one, user_id) for one in case.events if one.kind == "skip"]
    who = case.individual
    reason = None if case.reason is None else translated(lang, case.reason)
    return {
        "key": case.key,
        "queue": case.queue,
        "reason": reason.text if reason else None,
        "reason_lang": reason.lang if reason else None,
        "check": case.check,
        "base_event_id": case.head,
        "opinions": opinions,
        "flags": flags,
        "bound": bound,
        "asked": None if case.asked is None else {"at": moment(case.asked.at), "note": case.asked.note},
        "individual": None if who is None else {"anim_id": who[0], "name": who[1], "tracks": who[2]},
    }


def _answer(
    kind: str, anim_id: str | None, name: str | None, photos: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    kind = "identify" if kind == "new_individual" else kind
    shown = photos.get(anim_id or "", [])[:3]
    return {"kind": kind, "anim_id": anim_id, "name": name, "references": shown, "stands": False, "model": None}


def _event(one: StandingEvent, user_id: int) -> dict[str, Any]:
    """An answer as shown before the decision: everything except its author."""
    saw = one.shown.candidates
    return {
        "annotation_id": one.annotation_id,
        "at": moment(one.at),
        "seconds": one.seconds,
        "note": one.note,
        "mode": one.shown.mode,
        "input": one.shown.input,
        "flag": one.shown.is_flagged,
        "saw": [[code, share] for code, share in (saw or [])[:5]],
        "saw_any": saw is not None,
        "mine": one.annotator_id == user_id,
    }


def _frame(conn: sa.Connection, one: StandingEvent) -> dict[str, Any]:
    return {
        "video_id": one.video_id,
        "frame_no": one.frame_no,
        "track_id": one.track_id,
        "url": f"/media/frame/{one.video_id}/{one.frame_no}.jpg",
        "video": video_dict(conn, one.video_id or 0),
    }
