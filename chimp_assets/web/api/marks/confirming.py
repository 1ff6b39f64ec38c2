"""Naming the tracks that a person marked among those a search or an example found.

Belongs here: the second look, in which known tracks of other individuals are hidden where many are named, and the
answer. Does not belong here: which look-alikes (`web.labelling.plants`), what is stored (`database.work.marks`).

Tracks of the audit reserve and of test days are refused: they measure the models, and who looks for one individual
finds her.
"""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.labels.events import LONGEST_S
from chimp_assets.database.people.lookup import individual_called
from chimp_assets.database.work.marks import MANY, MOST, MarksAnswer, MarksResult, name_marked, open_tracks
from chimp_assets.database.work.page_answers import PageRefusal
from chimp_assets.insight.measuring import kept_for_measuring
from chimp_assets.insight.similar.tracks import shown_tracks
from chimp_assets.web.api.grid import check_author
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, Key
from chimp_assets.web.labelling.items import champion_head, moment, standing_references, track_dicts
from chimp_assets.web.labelling.plants import PLANTS, judged

router = APIRouter(prefix="/api/marks", tags=["marks"])

_Person = Annotated[Person, Depends(require("identifier"))]
_QUERY = 1_000


class MarkedTracks(Body):
    """Marked tracks, and the code of the individual that they all show. answer_id: made by the device, the same for the
    second look and the answer."""

    answer_id: uuid.UUID
    anim_id: str = Field(min_length=1, max_length=200)
    tracks: list[Key] = Field(min_length=1, max_length=MOST)
    user: str | None = Field(None, max_length=200)


class MarksConfirmed(MarkedTracks):
    """The answer. taken_out: at the second look; seconds: from the first mark on; query: of the address where they were
    found; user: who decided, where the device knows it."""

    taken_out: list[Key] = Field(default_factory=list, max_length=MOST + PLANTS)
    seconds: float | None = None
    input: str | None = Field(None, max_length=20)
    query: str = Field("", max_length=4_000)
    client_time: datetime | None = None


@router.post("")
def look(request: Request, given: MarkedTracks, person: _Person) -> Any:
    """The second look: the marked tracks and, from six on, hidden look-alikes among them; nothing is named yet.

    left_out: how many marked tracks are gone, or were named meanwhile.
    """
    check_author(given.user, person)
    state = request.app.state
    tracks = list(dict.fromkeys(given.tracks))
    with state.db.read() as conn:
        individual_id, code, name = _individual(conn, given.anim_id)
        _refuse_kept(request, conn, tracks)
        there = open_tracks(conn, tracks)
        head = champion_head(conn)
    if not there:
        raise WebError(409, "nothing_left", "Somebody has named these tracks meanwhile.", "Load the page again.")
    page_id = state.plants.page_id(person, individual_id, tracks, str(given.answer_id))
    plants: list[int] = []
    if len(tracks) >= MANY:
        head_id = None if head is None else head["head_id"]
        plants = state.plants.plant(person, page_id, individual_id, PLANTS, head_id, there)
        if not plants:
            # Careful and careless confirmations would look the same.
            raise WebError(
                409, "nobody_known", "No track of another individual is known yet that could be hidden among these.",
                f"Name at most {MANY - 1} at once until then.",
            )  # fmt: skip
    with state.db.read() as conn:
        photos = standing_references(conn, [individual_id]).get(individual_id, [])
        shown = track_dicts(conn, state.plants.mixed(page_id, [*there, *plants]))
    return {
        "anim_id": code,
        "name": name,
        "references": [photo["url"] for photo in photos],
        # Always by the same kind of address: pictures made in advance would reveal which are hidden ones.
        "tracks": [{"track_id": one["track_id"], "picture": one["face"]} for one in shown],
        "left_out": len(tracks) - len(there),
    }


@router.post("/answer")
def answer(request: Request, given: MarksConfirmed, person: _Person) -> Any:
    """The answer, stored as a whole or not at all: names for what stays, denials for what was taken out.

    Where a hidden look-alike stayed, nothing but the miss is stored. Safe to send again.
    """
    check_author(given.user, person)
    state, settings = request.app.state, request.app.state.settings
    tracks = list(dict.fromkeys(given.tracks))
    with state.db.read() as conn:
        individual_id, code, name = _individual(conn, given.anim_id)
        _refuse_kept(request, conn, tracks)
        said = shown_tracks(conn, tracks, settings.seed, settings.acquisition.audit_reserve)
    page_id = state.plants.page_id(person, individual_id, tracks, str(given.answer_id))
    many = len(tracks) >= MANY
    by_model = [one for one in said.values() if one.source == "model" and one.anim_id]
    marks = MarksAnswer(
        str(given.answer_id), code, tracks, frozenset(given.taken_out),
        {one.track_id: (one.anim_id or "", one.probability or 0.0) for one in by_model},
        given.query[:_QUERY], page_id if many else None, _plausible(given.seconds), given.input,
        given.client_time if given.client_time is not None and given.client_time.tzinfo is not None else None,
    )  # fmt: skip

    def work(conn: sa.Connection) -> tuple[list[int], MarksResult]:
        missed: list[int] = []
        if many:
            checked = judged(conn, person.user_id, page_id, given.taken_out)
            if checked is None:
                raise PageRefusal("so many are named after a second look only")
            missed = checked[1]
        return missed, MarksResult({}, {}, []) if missed else name_marked(conn, person.name, marks)

    try:
        missed, result = state.db.transact(work)
    except PageRefusal as refusal:
        raise WebError(409, "refused", f"Nothing is stored: {refusal.reason}.", "Load the page again.") from None
    if many:
        state.metrics.count("chimp_marks_total", outcome="missed" if missed else "found")
    return {
        "anim_id": code,
        "name": name,
        "named": [{"track_id": one, "annotation_id": event} for one, event in result.named.items()],
        "denied": [{"track_id": one, "annotation_id": event} for one, event in result.denied.items()],
        "left_out": result.left_out,
        "missed": len(missed),
        "server_time": moment(datetime.now(UTC)),
    }


def _individual(conn: sa.Connection, code: str) -> tuple[int, str, str | None]:
    """Key, code and name of the individual of a code or alias, as merged. Raises WebError (422)."""
    called, i = individual_called(conn, code), t.individual.c
    row = None
    if called is not None:
        which = sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id == called.root_id)
        row = conn.execute(which).first()
    if row is None:
        raise WebError(422, "no_individual", f"There is no individual {code[:40]!r}.", "See the list of individuals.")
    return row.individual_id, row.anim_id, row.name


def _refuse_kept(request: Request, conn: sa.Connection, tracks: list[int]) -> None:
    settings = request.app.state.settings
    kept = sorted(kept_for_measuring(conn, tracks, settings.seed, settings.acquisition.audit_reserve))
    if kept:
        raise WebError(
            422, "kept_for_measuring", f"Track {kept[0]} is kept for measuring the models.",
            "It is not named with others: take it out.",
        )  # fmt: skip


def _plausible(seconds: float | None) -> float | None:
    """The time of many tracks, which may be that of as many answers."""
    return seconds if seconds is not None and math.isfinite(seconds) and 0 <= seconds <= LONGEST_S else None
