"""Everybody in a list, and one individual: who it is, where it was seen, its pictures, what was decided about it.

Belongs here: handlers. Does not belong here: the facts (`insight.lives`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chimp_assets.database.labels.references import MOST
from chimp_assets.insight import individual as lives
from chimp_assets.web.auth.roles import require
from chimp_assets.web.charts import bars
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.items import picture_url
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

LISTED = 300
_Code = Annotated[str, Query(max_length=200)]
_Number = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/individuals")
def everybody(request: Request, after: _Code | None = None) -> Response:
    """Everybody who may be named, by code."""
    with request.app.state.db.read() as conn:
        found = lives.listing(conn, after, LISTED)
    return _page(
        request, "individuals/individuals.html", people=found, more=found[-1].anim_id if len(found) == LISTED else None
    )


@router.get("/individual/{anim_id:path}.csv")
def sightings(request: Request, anim_id: str) -> Response:
    """Every track of an individual: who said so, how surely, and where it is."""
    db = request.app.state.db
    with db.read() as conn:
        key, code = _find(conn, anim_id)

    def rows() -> Iterator[Sequence[Any]]:
        with db.read() as conn:
            yield from lives.sightings(conn, key)

    return csv_download(f"sightings_{code}", lives.SIGHTING_COLUMNS, rows())


@router.get("/individual/{anim_id:path}")
def individual(
    request: Request,
    anim_id: str,
    source: Literal["person", "model"] | None = None,
    before: _Number = None,
    decided_before: _Number = None,
    merge_into: _Code = "",
    unmerge: _Code = "",
) -> Response:
    """One individual. Who is asked for by an alias or a merged code is shown under the present one.

    merge_into, unmerge: show first what a merge with that one, or undoing the merge of that one, would change.
    """
    with request.app.state.db.read() as conn:
        key, code = _find(conn, anim_id)
        if code != anim_id:
            return RedirectResponse(f"/individual/{quote(code, safe='')}", 303)
        seen = lives.seen(conn, key)
        pictures = lives.gallery(conn, key, source, before)
        decided = lives.decisions(conn, key, decided_before)
        facts: dict[str, Any] = {
            "life": lives.life_of(conn, key),
            "photos": lives.photos(conn, key),
            "alike": lives.lookalikes(conn, key),
            "asked": lives.asked_for_review(conn, [picture.track_id for picture in pictures]),
            "people": lives.names(conn),
            **_preview(conn, key, merge_into.strip(), unmerge.strip()),
            "seen": seen,
            "pictures": pictures,
            "decisions": decided,
            "changes": lives.biography_changes(conn, key),
        }
    return _page(
        request,
        "individuals/individual.html",
        **facts,
        source=source,
        path=f"/individual/{quote(code, safe='')}",
        chart=bars(seen.months()),
        modes={row.seq: _mode(row.shown) for row in decided},
        candidates={row.seq: _candidates(row.shown) for row in decided},
        most_photos=MOST,
        more_pictures=pictures[-1].track_id if len(pictures) == lives.PAGE else None,
        more_decisions=decided[-1].seq if len(decided) == lives.PAGE else None,
    )


def _find(conn: sa.Connection, anim_id: str) -> tuple[int, str]:
    found = lives.find(conn, anim_id) if len(anim_id) <= 200 and "\x00" not in anim_id else None
    if found is None:
        raise WebError(404, "no_individual", "There is nobody of this code.", "Look into the list of individuals.")
    return found


def _mode(shown: str | None) -> str | None:
    """How a decision was asked for, as far as the page that asked has said it."""
    try:
        mode = json.loads(shown or "{}").get("mode")
    except (ValueError, AttributeError):
        return None
    return mode if isinstance(mode, str) else None


def _candidates(shown: str | None) -> list[tuple[str, float]]:
    """Whom the page suggested when it was decided, with their chances."""
    try:
        said = json.loads(shown or "{}").get("candidates") or []
        return [(str(code)[:40], float(chance)) for code, chance in said][:5]
    except (ValueError, TypeError, AttributeError):
        return []


def _preview(conn: sa.Connection, key: int, merge_into: str, unmerge: str) -> dict[str, Any]:
    """What would change. wanted: whom somebody typed, where that is nobody."""
    if unmerge:
        one = lives.key_of_code(conn, unmerge)
        undone = None if one is None else lives.if_unmerged(conn, one)
        return {"undone": undone, "moved": None, "wanted": None if undone else unmerge}
    found = lives.find_named(conn, merge_into) if merge_into else None
    moved = lives.if_merged(conn, key, found) if found is not None and found != key else None
    return {"moved": moved, "undone": None, "wanted": merge_into if merge_into and moved is None else None}


def _page(request: Request, template: str, **facts: Any) -> Response:
    return request.app.state.templates.TemplateResponse(request, template, {"picture_url": picture_url, **facts})
