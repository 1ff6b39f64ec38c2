"""The signed-in person, the individuals, and the person's own decisions."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.requests import Request
from starlette.responses import JSONResponse

from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.database.labels.kinds import ANSWER_KINDS, is_word
from chimp_assets.insight.individuals.directory import newest_communities
from chimp_assets.web.auth.roles import RUNG_OF, require
from chimp_assets.web.auth.sessions import Person, is_secure
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Body
from chimp_assets.web.labelling.gold import is_gold, items_of_gold
from chimp_assets.web.labelling.items import moment, standing_references
from chimp_assets.web.wording import texts

router = APIRouter(prefix="/api", tags=["people"])

RECENT = 500
"""Newest own decisions that count as recent."""


@router.get("/me")
def me(request: Request, person: Annotated[Person, Depends(require("viewer"))]) -> Any:
    """The signed-in person."""
    return {
        "name": person.name,
        "role": RUNG_OF[person.role],
        "db_role": person.role,
        "lang": texts.language_of(request),
        "languages": list(texts.languages()),
        "must_change_password": person.must_change,
        "csrf": None,
    }


class Preferences(Body):
    """The preferences of a person."""

    lang: str


@router.post("/me")
def choose(
    request: Request, wanted: Preferences, person: Annotated[Person, Depends(require("viewer"))]
) -> JSONResponse:
    """Choose a language; this browser remembers it."""
    if wanted.lang not in texts.languages():
        raise WebError(
            422, "unknown_language", "There is no such language.", f"There are {', '.join(texts.languages())}."
        )
    response = JSONResponse({"lang": wanted.lang})
    response.set_cookie(
        texts.COOKIE, wanted.lang, max_age=10 * 365 * 86_400, secure=is_secure(request), samesite="lax", path="/"
    )
    return response


@router.get("/individuals")
def individuals(
    request: Request,
    person: Annotated[Person, Depends(require("viewer"))],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """All individuals, with aliases, community, reference photos, and the number of recent own namings."""
    with request.app.state.db.read() as conn:
        found = _individuals(conn, person.user_id)
    body = json.dumps({"individuals": found}, ensure_ascii=False, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _individuals(conn: sa.Connection, user_id: int) -> list[dict[str, Any]]:
    i = t.individual.c
    aliases: dict[int, list[str]] = {}
    a = t.individual_alias.c
    for row in conn.execute(sa.select(a.individual_id, a.alias).order_by(a.alias)):
        aliases.setdefault(row.individual_id, []).append(row.alias)
    communities = newest_communities(conn)
    e = t.annotation.c
    newest = (
        sa.select(e.individual_id)
        .where(e.annotator_id == user_id, e.individual_id.is_not(None))
        .order_by(e.seq.desc())
        .limit(RECENT)
        .subquery()
    )
    recent = {
        row.individual_id: row.n
        for row in conn.execute(
            sa.select(newest.c.individual_id, sa.func.count().label("n")).group_by(newest.c.individual_id)
        )
    }
    everybody = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.sex, i.provisional)
        .where(i.same_as_id.is_(None))
        .order_by(i.anim_id)
    ).all()
    photos = standing_references(conn, [row.individual_id for row in everybody])
    return [
        {
            "anim_id": row.anim_id,
            "name": row.name,
            "sex": row.sex,
            "aliases": aliases.get(row.individual_id, []),
            "provisional": bool(row.provisional),
            "community": communities.get(row.individual_id),
            "references": [photo["url"] for photo in photos.get(row.individual_id, [])],
            "recent": recent.get(row.individual_id, 0),
        }
        for row in everybody
    ]


@router.get("/labels/mine")
def my_labels(
    request: Request,
    person: Annotated[Person, Depends(require("annotator"))],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Any:
    """The person's newest decisions, each with its state: stands, retracted or overruled."""
    e, back = t.annotation.c, t.annotation.alias("taken_back")
    i = t.individual.c
    with request.app.state.db.read() as conn:
        rows = conn.execute(
            sa.select(
                e.annotation_id, e.seq, e.kind, e.track_id, e.other_track_id, e.video_id, e.frame_no, e.server_time,
                e.item_id, e.supersedes, e.shown, e.lane, i.anim_id, i.name, back.c.annotation_id.label("retracted_by"),
            )
            .outerjoin_from(t.annotation, t.individual, i.individual_id == e.individual_id)
            .outerjoin(back, sa.and_(back.c.kind == "retract", back.c.supersedes == e.annotation_id))
            .where(e.annotator_id == person.user_id)
            .order_by(e.seq.desc())
            .limit(limit)
        ).all()  # fmt: skip
        tracks = sorted({row.track_id for row in rows if row.track_id is not None})
        answers = effective_answers(of_tracks=tracks).subquery()
        heads = {row.track_id: row.annotation_id for row in conn.execute(sa.select(answers))} if tracks else {}
        lent = items_of_gold(conn, person.user_id) if any(is_gold(row.shown) for row in rows) else {}
    return {"labels": [_label(row, heads, lent) for row in rows]}


def _is_answer(row: Any) -> bool:
    return row.kind in ANSWER_KINDS and not is_word(row._mapping)


def _label(row: Any, heads: dict[int, str], lent: dict[int, int]) -> dict[str, Any]:
    """A decision. One about gold looks like any other: nobody learns here that an expert has named the track."""
    gold = is_gold(row.shown)
    state: Literal["stands", "retracted", "overruled"] = "stands"
    if row.retracted_by is not None:
        state = "retracted"
    elif not gold and _is_answer(row) and heads.get(row.track_id) != row.annotation_id:
        state = "overruled"
    return {
        "annotation_id": row.annotation_id,
        "seq": row.seq,
        "kind": row.kind,
        "track_id": row.track_id,
        "other_track_id": row.other_track_id,
        "video_id": row.video_id,
        "frame_no": row.frame_no,
        "anim_id": row.anim_id,
        "name": row.name,
        "item_id": lent.get(row.track_id) if gold else row.item_id,
        "supersedes": row.supersedes,
        "server_time": moment(row.server_time),
        "state": state,
    }
