"""The list of individuals, and the page of one.

Belongs here: handlers. Does not belong here: the facts (`insight.individuals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chimp_assets.database.labels.references import MOST
from chimp_assets.database.labels.shown import Shown
from chimp_assets.insight.association.periods.presets import life_events
from chimp_assets.insight.individuals import directory, profile
from chimp_assets.insight.individuals.decisions import asked_for_review, decisions
from chimp_assets.insight.individuals.lookalikes import lookalikes
from chimp_assets.insight.individuals.merge_preview import preview_merge, preview_unmerge
from chimp_assets.insight.individuals.pictures import PAGE, gallery, gallery_tracks, photos
from chimp_assets.insight.individuals.sightings import SIGHTING_COLUMNS, sighting_summary, sightings
from chimp_assets.insight.joined.beside import said_of
from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.query import SOURCES
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
    """Every individual that may be named, sorted by code."""
    with request.app.state.db.read() as conn:
        found = directory.listing(conn, after, LISTED)
    return _page(
        request, "individuals/individuals.html", people=found, more=found[-1].anim_id if len(found) == LISTED else None
    )


@router.get("/individual/{anim_id:path}.csv")
def sightings_csv(request: Request, anim_id: str) -> Response:
    """Every track of an individual as CSV: its source (person or model), probability, and place."""
    db = request.app.state.db
    with db.read() as conn:
        key, code = _find(conn, anim_id)

    def rows() -> Iterator[Sequence[Any]]:
        with db.read() as conn:
            yield from sightings(conn, key)

    return csv_download(f"sightings_{code}", SIGHTING_COLUMNS, rows())


@router.get("/individual/{anim_id:path}")
def individual(
    request: Request,
    anim_id: str,
    source: Literal["person", "volunteers", "model"] | None = None,
    before: _Number = None,
    decided_before: _Number = None,
    merge_into: _Code = "",
    unmerge: _Code = "",
) -> Response:
    """One individual. An alias or a merged code redirects to the present code.

    merge_into, unmerge: also show what merging into that individual, or undoing that merge, would change.
    """
    with request.app.state.db.read() as conn:
        key, code = _find(conn, anim_id)
        births = [one for one in life_events(conn) if one.mother is not None and one.mother[0] == key]
        if code != anim_id:
            return RedirectResponse(f"/individual/{quote(code, safe='')}", 303)
        seen = sighting_summary(conn, key)
        columns: SearchColumns = request.app.state.search_columns.current(conn)
        counted = {one: len(gallery_tracks(columns, code, one)) for one in SOURCES}
        ids = _older(gallery_tracks(columns, code, source), before)
        pictures = gallery(conn, key, ids[:PAGE].tolist())
        decided = decisions(conn, key, decided_before)
        facts: dict[str, Any] = {
            "life": profile.profile_of(conn, key),
            "photos": photos(conn, key),
            "alike": lookalikes(conn, key),
            "asked": asked_for_review(conn, [picture.track_id for picture in pictures]),
            "people": directory.names(conn),
            **_preview(conn, key, merge_into.strip(), unmerge.strip()),
            "seen": seen,
            "pictures": pictures,
            "counted": counted,
            "not_shown": seen.verified + seen.volunteers + seen.model - sum(counted.values()),
            "decisions": decided,
            "changes": profile.biography_changes(conn, key),
            "imported": said_of(conn, key),
        }
    return _page(
        request,
        "individuals/individual.html",
        **facts,
        source=source,
        path=f"/individual/{quote(code, safe='')}",
        chart=bars(seen.months()),
        modes={row.seq: Shown.of(row.shown).mode for row in decided},
        candidates={row.seq: _candidates(row.shown) for row in decided},
        most_photos=MOST,
        more_pictures=int(ids[PAGE - 1]) if len(ids) > PAGE else None,
        more_decisions=decided[-1].seq if len(decided) == PAGE else None,
        births=births,
    )


def _find(conn: sa.Connection, anim_id: str) -> tuple[int, str]:
    found = directory.find(conn, anim_id) if len(anim_id) <= 200 and "\x00" not in anim_id else None
    if found is None:
        raise WebError(404, "no_individual", "There is no individual with this code.", "See the list of individuals.")
    return found


def _older(track_ids: np.ndarray, before: int | None) -> np.ndarray:
    """Of tracks, newest first, those that are older than one."""
    return track_ids if before is None else track_ids[track_ids < before]


def _candidates(shown: str | None) -> list[tuple[str, float]]:
    """The first suggestions at the time of the decision, with their probabilities."""
    return [(code[:40], share) for code, share in (Shown.of(shown).candidates or [])[:5]]


def _preview(conn: sa.Connection, key: int, merge_into: str, unmerge: str) -> dict[str, Any]:
    """What would change. wanted: the typed text if it names no individual."""
    if unmerge:
        one = directory.key_of_code(conn, unmerge)
        undone = None if one is None else preview_unmerge(conn, one)
        return {"undone": undone, "moved": None, "wanted": None if undone else unmerge}
    found = directory.find_named(conn, merge_into) if merge_into else None
    moved = preview_merge(conn, key, found) if found is not None and found != key else None
    return {"moved": moved, "undone": None, "wanted": merge_into if merge_into and moved is None else None}


def _page(request: Request, template: str, **facts: Any) -> Response:
    return request.app.state.templates.TemplateResponse(request, template, {"picture_url": picture_url, **facts})
