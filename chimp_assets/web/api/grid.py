"""Confirming many tracks at once: two dozen that the model assigns to one individual, and some plants."""

from __future__ import annotations

import random
import uuid
from typing import Annotated, Any

import numpy as np
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.people.lookup import individual_called
from chimp_assets.database.tracks.families import reserved_mask
from chimp_assets.settings import Settings
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import Person
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body, Key
from chimp_assets.web.labelling.items import champion_head, standing_references, track_dicts

router = APIRouter(prefix="/api/grid", tags=["grid"])

TRACKS = 24
_LOOKED_AT = 20 * TRACKS
# A literal: SQLite uses a partial index only if it sees the value.
_FIRST = t.prediction.c.rank == sa.literal_column("1")


class GridAnswer(Body):
    """The tracks that a person marked as another individual, before any answer of the page is stored."""

    page_id: str = Field(max_length=36)
    marked: list[Key] = Field(max_length=100)


@router.get("")
def grid(
    request: Request,
    person: Annotated[Person, Depends(require("identifier"))],
    anim_id: Annotated[str | None, Query(max_length=300)] = None,
) -> Any:
    """A page of tracks that the champion head assigns to an individual; without anim_id: to the one with most tracks.

    Tracks of the audit and of test days are never on it: suggested names would bias the measurement.
    """
    state = request.app.state
    with state.db.read() as conn:
        head = champion_head(conn)
        if head is None:
            raise WebError(
                409, "no_head", "There is no model yet that proposes names.", "Name tracks one by one first."
            )
        who = _individual(conn, anim_id) if anim_id else _most_predicted(conn, head["head_id"])
        found = _predicted(conn, state.settings, head["head_id"], who.individual_id) if who else []
    if who is None:
        raise WebError(404, "no_individual", "There is no such individual.", "See the list of individuals.")
    page_id = str(uuid.uuid4())
    probability = dict(found[: TRACKS - 2])
    plants = state.plants.plant(person, page_id, who.individual_id) if probability else []
    if not plants:
        # Without plants, careful and careless confirmations look the same.
        probability = {}
    shown = [*probability, *plants]
    random.shuffle(shown)
    with state.db.read() as conn:
        return {
            "page_id": page_id,
            "anim_id": who.anim_id,
            "name": who.name,
            "references": standing_references(conn, [who.individual_id]).get(who.individual_id, []),
            "tracks": [_tile(track) for track in track_dicts(conn, shown)],
            "left": max(0, len(found) - len(probability)),
            "model": {"head_id": head["head_id"], "head_name": head["head_name"]},
        }


@router.post("/check")
def check(request: Request, given: GridAnswer, person: Annotated[Person, Depends(require("identifier"))]) -> Any:
    """Whether the plants of a page were found. Plants must not be stored; after a miss, nothing of the page is."""
    judged = request.app.state.plants.judge_page(person, given.page_id, set(given.marked))
    if judged is None:
        raise WebError(404, "no_page", "This page was not given to you.", "Load the page again.")
    plants, missed = judged
    request.app.state.metrics.count("chimp_grid_pages_total", outcome="missed" if missed else "found")
    return {"passed": not missed, "plants": plants, "missed": missed}


def _tile(track: dict[str, Any]) -> dict[str, Any]:
    """A track by its best crop, always by the same kind of address: otherwise pictures made in advance would reveal
    which tracks are plants.
    """
    face = {"url": track["face"], "frame_no": None, "time_s": None, "width": None, "height": None}
    return {**track, "crops": [face], "clip": None, "frame": None}


def _individual(conn: sa.Connection, anim_id: str) -> Any:
    called = individual_called(conn, anim_id)
    if called is None:
        return None
    i = t.individual.c
    return conn.execute(sa.select(i.individual_id, i.anim_id, i.name).where(i.individual_id == called.root_id)).first()


def _most_predicted(conn: sa.Connection, head_id: int) -> Any:
    p, i = t.prediction.c, t.individual.c
    return conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name)
        .join_from(t.prediction, t.individual, i.individual_id == p.individual_id)
        .join(t.track, t.track.c.track_id == p.track_id)
        .where(p.model_id == head_id, _FIRST, t.track.c.state == "live", i.same_as_id.is_(None))
        .where(~sa.exists().where(t.annotation.c.track_id == p.track_id))
        .group_by(i.individual_id, i.anim_id, i.name)
        .order_by(sa.func.count().desc(), i.anim_id)
        .limit(1)
    ).first()


def _predicted(conn: sa.Connection, settings: Settings, head_id: int, individual_id: int) -> list[tuple[int, float]]:
    """(track_id, probability) of unnamed tracks that the head assigns to an individual, most probable first."""
    p, k, v, s = t.prediction.c, t.track.c, t.video.c, t.split_assignment.c
    rows = conn.execute(
        sa.select(p.track_id, p.probability)
        .join_from(t.prediction, t.track, k.track_id == p.track_id)
        .join(t.video, v.video_id == k.video_id)
        .outerjoin(t.split_assignment, s.video_id == k.video_id)
        .where(p.individual_id == individual_id, p.model_id == head_id, _FIRST)
        .where(k.state == "live", v.state != "retired", sa.or_(s.split.is_(None), s.split != "test"))
        .order_by(p.probability.desc(), p.track_id)
        .limit(_LOOKED_AT)
    ).all()
    ids = [row.track_id for row in rows]
    reserved = reserved_mask(conn, np.array(ids, np.int64), settings.seed, settings.acquisition.audit_reserve)
    answers = effective_answers(of_tracks=ids).subquery()
    answered = set(conn.scalars(sa.select(answers.c.track_id))) if ids else set()
    return [
        (row.track_id, row.probability)
        for row, kept in zip(rows, reserved, strict=True)
        if not kept and row.track_id not in answered
    ]
