"""Confirming many tracks at once: two dozen that the model assigns to one individual, and some plants."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.events import LONGEST_S
from chimp_assets.database.people.lookup import individual_called
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.database.work import page_answers
from chimp_assets.database.work.page_answers import PageAnswer, PageRefusal, PageResult, last_answer
from chimp_assets.database.work.pages import (
    LeasedPage,
    PageOfMany,
    claim_page,
    lease_on_demand,
    tracks_of_leased_pages,
    waiting_pages,
)
from chimp_assets.settings import Settings
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, Key
from chimp_assets.web.labelling.items import champion_head, moment, standing_references, track_dicts
from chimp_assets.web.labelling.plants import PLANTS, judged
from chimp_assets.web.wording.sentences import translated
from chimp_assets.web.wording.texts import language_of

router = APIRouter(prefix="/api/grid", tags=["grid"])

TRACKS = 24
_LOOKED_AT = 20 * TRACKS
_INDIVIDUALS = 20
"""Individuals that are tried where a person asks for any page."""
# A literal: SQLite uses a partial index only if it sees the value.
_FIRST = t.prediction.c.rank == sa.literal_column("1")
_Person = Annotated[Person, Depends(require("identifier"))]


class GridCheck(Body):
    """The tracks that a person marked as another individual, from devices with a screen of an earlier version."""

    page_id: str = Field(max_length=36)
    marked: list[Key] = Field(max_length=100)


class GridAnswer(GridCheck):
    """The whole answer to a page. annotation_id: made by the device, so that an answer that is sent twice is stored
    once; seconds: from shown to answered; user: who decided, where the device knows it."""

    annotation_id: uuid.UUID
    kind: str = Field("grid_page", max_length=40)
    seconds: float | None = None
    input: str | None = Field(None, max_length=20)
    ui: str | None = Field(None, max_length=40)
    client_time: datetime | None = None
    user: str | None = Field(None, max_length=200)


class GridUndo(Body):
    """Takes back the answer to a page. answer_id: the annotation_id of the answer."""

    annotation_id: uuid.UUID
    kind: str = Field("grid_undo", max_length=40)
    page_id: str = Field(max_length=36)
    answer_id: uuid.UUID
    client_time: datetime | None = None
    user: str | None = Field(None, max_length=200)


@router.get("")
def grid(
    request: Request,
    person: _Person,
    anim_id: Annotated[str | None, Query(max_length=300)] = None,
    planned: bool = False,
) -> Any:
    """The page that the person has, else the next one of the plan; a reload gives the same one. With anim_id: of this
    individual, made on demand where none is planned. planned: only pages of the plan.

    Tracks of the audit and of test days are never on it: suggested names would bias the measurement.
    """
    state = request.app.state
    with state.db.read() as conn:
        head = champion_head(conn)
        if head is None:
            raise WebError(
                409, "no_head", "There is no model yet that proposes names.", "Name tracks one by one first."
            )
        asked_for = _root_of(conn, anim_id) if anim_id else None
    if anim_id and asked_for is None:
        raise WebError(404, "no_individual", "There is no such individual.", "See the list of individuals.")
    page, left = _page(state, person, head["head_id"], asked_for, planned)
    if page is None and asked_for is None and not planned:
        raise WebError(404, "no_individual", "There is no such individual.", "See the list of individuals.")
    plants = [] if page is None else _plants(state, person, page)
    shown = [] if page is None or not plants else state.plants.mixed(page.shown_id, [*page.track_ids, *plants])
    with state.db.read() as conn:
        reason = translated(language_of(request), page.reason if page else "")
        return {
            "page_id": page.shown_id if page else str(uuid.uuid4()),
            **_about(conn, page.individual_id if page else asked_for),
            "tracks": [_tile(track) for track in track_dicts(conn, shown)],
            "left": left,
            "model": {"head_id": page.head_model_id if page else head["head_id"], "head_name": head["head_name"]},
            "planned": planned if page is None else page.round_id is not None,
            "reason": reason.text,
            "reason_lang": reason.lang,
            "pages_left": waiting_pages(conn, datetime.now(UTC)),
            "last": _last(last_answer(conn, person.user_id)),
        }


@router.post("")
def answer(request: Request, given: GridAnswer, person: _Person) -> Any:
    """The answer to a page, stored as a whole or not at all: names for what stays, denials for what was taken out, and
    nothing but the miss where a plant stayed. Safe to send again."""
    check_author(given.user, person)
    seconds = given.seconds
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_S):
        seconds = None
    said = PageAnswer(
        str(given.annotation_id), given.page_id, frozenset(given.marked), seconds, given.input, given.ui,
        given.client_time if given.client_time is not None and given.client_time.tzinfo is not None else None,
    )  # fmt: skip

    def work(conn: sa.Connection) -> PageResult:
        checked = judged(conn, person.user_id, given.page_id, given.marked)
        if checked is None:
            raise PageRefusal("this page was not given to you")
        return page_answers.answer_page(conn, person.user_id, person.name, said, checked[1], datetime.now(UTC))

    result = _stored(request, work)
    if result.status == "stored":
        request.app.state.metrics.count("chimp_grid_pages_total", outcome="missed" if result.missed else "found")
    return _results(said.answer_id, result)


@router.post("/undo")
def undo(request: Request, given: GridUndo, person: _Person) -> Any:
    """Take back the answer to a page: names and denials. The page is the person's again. Safe to send again."""
    check_author(given.user, person)
    until = _until(request.app.state.settings)
    result = _stored(
        request,
        lambda conn: page_answers.take_back_page(
            conn, person.user_id, person.name, given.page_id, str(given.answer_id), str(given.annotation_id), until
        ),
    )
    return _results(str(given.annotation_id), result)


@router.post("/check")
def check(request: Request, given: GridCheck, person: _Person) -> Any:
    """Whether the plants of a page were found, for screens of an earlier version, which then send names one by one.
    Plants must not be stored; after a miss, nothing of the page is."""

    def work(conn: sa.Connection) -> tuple[list[int], list[int]] | None:
        checked = judged(conn, person.user_id, given.page_id, given.marked)
        if checked is not None:
            page_answers.close_checked(conn, person.user_id, given.page_id, given.marked, checked[1], datetime.now(UTC))
        return checked

    checked = request.app.state.db.transact(work)
    if checked is None:
        raise WebError(404, "no_page", "This page was not given to you.", "Load the page again.")
    plants, missed = checked
    request.app.state.metrics.count("chimp_grid_pages_total", outcome="missed" if missed else "found")
    return {"passed": not missed, "plants": plants, "missed": missed}


def _about(conn: sa.Connection, individual_id: int | None) -> dict[str, Any]:
    """Who a page is about, as its screen shows it."""
    i = t.individual.c
    who = conn.execute(sa.select(i.anim_id, i.name).where(i.individual_id == individual_id)).first()
    if individual_id is None or who is None:
        return {"anim_id": None, "name": None, "references": []}
    photos = standing_references(conn, [individual_id]).get(individual_id, [])
    return {"anim_id": who.anim_id, "name": who.name, "references": photos}


def _stored(request: Request, work: Callable[[sa.Connection], PageResult]) -> PageResult:
    """The result of a piece of work on a page; refused, nothing of it is stored."""
    try:
        result: PageResult = request.app.state.db.transact(work)
    except PageRefusal as refusal:
        return PageResult("rejected", reason=refusal.reason)
    return result


def _results(annotation_id: str, result: PageResult) -> dict[str, Any]:
    """As the results of single events: the outbox of a device reads both."""
    one = {
        "annotation_id": annotation_id,
        "status": result.status,
        "reason": result.reason,
        "field": None if result.reason is None else "page_id",
        "head": None,
        "passed": not result.missed,
        "missed": list(result.missed),
        "named": result.named,
        "taken_out": result.taken_out,
    }
    return {"results": [one], "server_time": moment(datetime.now(UTC))}


def check_author(user: str | None, person: Person) -> None:
    """Several people may share a device: answers never change their author. Raises WebError (409)."""
    if user is not None and user != person.name:
        raise WebError(
            409,
            "other_user",
            f"These answers belong to {user}, but {person.name} is signed in.",
            f"Sign in as {user}; they are kept until then.",
        )


def _last(last: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if last is None else {**last, "answered_at": moment(last["answered_at"])}


def _until(settings: Settings) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=settings.acquisition.lease_minutes)


def _plants(state: Any, person: Person, page: LeasedPage) -> list[int]:
    found: list[int] = state.plants.plant(
        person, page.shown_id, page.individual_id, PLANTS, page.head_model_id, page.track_ids
    )
    return found


def _page(
    state: Any, person: Person, head_id: int, individual_id: int | None, planned: bool
) -> tuple[LeasedPage | None, int]:
    """The page for a person and the tracks that are left for more of them. No page without plants: careful and careless
    confirmations would look the same."""
    now, until = datetime.now(UTC), _until(state.settings)
    if not state.plants.known(-1 if individual_id is None else individual_id):
        return None, 0

    def claim(conn: sa.Connection) -> LeasedPage | None:
        return claim_page(conn, person.user_id, now, until, individual_id, on_demand=not planned)

    page: LeasedPage | None = state.db.transact(claim)
    if page is None and planned:
        return None, 0
    with state.db.read() as conn:
        least = _prices(conn).least_chance_on_a_page(TRACKS)
        if page is not None:
            others = _predicted(conn, state.settings, head_id, page.individual_id, least)
            return page, len({track_id for track_id, _, _ in others} - set(page.track_ids))
        tried = _most_predicted(conn, head_id, least) if individual_id is None else [individual_id]
        found = ((one, _predicted(conn, state.settings, head_id, one, least)) for one in tried)
        who, rows = next(((one, rows) for one, rows in found if rows), (0, []))
        if not rows:
            return None, 0
        wanted = _on_demand(conn, who, rows[: TRACKS - PLANTS])
    given: LeasedPage = state.db.transact(
        lambda conn: lease_on_demand(conn, person.user_id, wanted, head_id, now, until)
    )
    return given, len(rows) - len(given.track_ids)


def _on_demand(conn: sa.Connection, individual_id: int, rows: list[tuple[int, float, int]]) -> PageOfMany:
    from chimp_assets.loop.minutes.pages import reason_of

    i = t.individual.c
    who = conn.execute(sa.select(i.anim_id, i.name).where(i.individual_id == individual_id)).one()
    probabilities = [probability for _, probability, _ in rows]
    seconds = _prices(conn).of_page(np.array(probabilities))
    called = f"{who.name} ({who.anim_id})" if who.name else who.anim_id
    reason = reason_of(len(rows), sum(frames for _, _, frames in rows), seconds, called)
    return PageOfMany(individual_id, [track_id for track_id, _, _ in rows], probabilities, reason)


def _prices(conn: sa.Connection) -> Any:
    from chimp_assets.loop.minutes.prices import learned_prices

    return learned_prices(conn)


def _tile(track: dict[str, Any]) -> dict[str, Any]:
    """A track by its best crop, always by the same kind of address: otherwise pictures made in advance would reveal
    which tracks are plants.
    """
    face = {"url": track["face"], "frame_no": None, "time_s": None, "width": None, "height": None}
    return {**track, "crops": [face], "clip": None, "frame": None}


def _root_of(conn: sa.Connection, anim_id: str) -> int | None:
    called = individual_called(conn, anim_id)
    return None if called is None else called.root_id


def _most_predicted(conn: sa.Connection, head_id: int, least: float) -> list[int]:
    """The individuals of which a page may name most frames, the best first."""
    p, i, k = t.prediction.c, t.individual.c, t.track.c
    root = sa.func.coalesce(i.same_as_id, i.individual_id)
    worth = sa.func.sum(p.probability * k.n_detections)
    return list(
        conn.scalars(
            sa.select(root)
            .join_from(t.prediction, t.individual, i.individual_id == p.individual_id)
            .join(t.track, k.track_id == p.track_id)
            .where(p.model_id == head_id, _FIRST, p.probability >= least, k.state == "live")
            .where(~sa.exists().where(t.annotation.c.track_id == p.track_id))
            .group_by(root)
            .order_by(worth.desc(), root)
            .limit(_INDIVIDUALS)
        )
    )


def _predicted(
    conn: sa.Connection, settings: Settings, head_id: int, individual_id: int, least: float
) -> list[tuple[int, float, int]]:
    """(track_id, probability, frames) of unnamed tracks that the head assigns to an individual with at least this
    probability, most frames x probability first; none that somebody has on the screen or has denied."""
    p, k, v, s, i = t.prediction.c, t.track.c, t.video.c, t.split_assignment.c, t.individual.c
    said, item = t.track_evidence.c, t.acquisition_queue.c
    now = datetime.now(UTC)
    these = sa.select(i.individual_id).where(sa.or_(i.individual_id == individual_id, i.same_as_id == individual_id))
    held = sa.exists().where(item.track_id == p.track_id, item.state == "leased", item.leased_until >= now)
    denied = sa.exists().where(
        said.track_id == p.track_id, said.individual_id.in_(these), said.state == "denied"
    )  # fmt: skip
    rows = conn.execute(
        sa.select(p.track_id, p.probability, k.n_detections)
        .join_from(t.prediction, t.track, k.track_id == p.track_id)
        .join(t.video, v.video_id == k.video_id)
        .outerjoin(t.split_assignment, s.video_id == k.video_id)
        .where(p.individual_id.in_(these), p.model_id == head_id, _FIRST, p.probability >= least)
        .where(k.state == "live", v.state != "retired", sa.or_(s.split.is_(None), s.split != "test"))
        .where(~held, ~denied, p.track_id.not_in(tracks_of_leased_pages(now)))
        .order_by((p.probability * k.n_detections).desc(), p.track_id)
        .limit(_LOOKED_AT)
    ).all()
    ids = [row.track_id for row in rows]
    reserved = reserved_mask(conn, np.array(ids, np.int64), settings.seed, settings.acquisition.audit_reserve)
    answers = effective_answers(of_tracks=ids).subquery()
    answered = set(conn.scalars(sa.select(answers.c.track_id))) if ids else set()
    return [
        (row.track_id, float(row.probability), int(row.n_detections))
        for row, kept in zip(rows, reserved, strict=True)
        if not kept and row.track_id not in answered
    ]
