"""Search: counts by facet, pictures of the tracks that match, and all of them as CSV.

Belongs here: handlers. Does not belong here: the words of the address and finding (`insight.search`), what is shown of
a track (`insight.similar.tracks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.search.as_conditions import conditions_of
from chimp_assets.insight.search.columns import FACETS, SearchColumns
from chimp_assets.insight.search.known import known
from chimp_assets.insight.search.living import LiveColumns
from chimp_assets.insight.search.query import SORTS, SearchError, SearchQuery, parse
from chimp_assets.insight.similar.tracks import ShownTrack, shown_tracks
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.items import picture_url
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

PAGE = 48
WORDS = 30
"""Words of a facet that the page lists, the commonest."""
MORE_WORDS = 300
"""Further individuals that the box offers while somebody types."""
COLUMNS = (
    "track_id", "video_id", "site", "camera", "recorded_at", "first_s", "anim_id", "name", "source", "probability",
    "query", "label_seq",
)  # fmt: skip


def _asked(request: Request) -> SearchQuery:
    try:
        return parse(request.query_params.multi_items())
    except SearchError as error:
        raise _refused(error.sentence, error.remedy) from None


@router.get("/search")
def page(request: Request) -> Response:
    """What matches the address."""
    asked = _asked(request)
    state = request.app.state
    live: LiveColumns = state.search_columns
    with state.db.read() as conn:
        columns = live.current(conn)
        asked = _known(columns, asked)
        parts = columns.parts(asked)
        matching = columns.all_of(parts)
        found = columns.page(asked, matching, PAGE)
        shown = _shown(request, conn, found.tracks)
    total, facets = int(matching.sum()), columns.facets(parts)
    kept = f"{columns.seq}.{columns.stamp.head or 0}.{total}"
    facts: dict[str, Any] = {
        "asked": asked, "total": total, "tracks": [shown[one] for one in found.tracks if one in shown],
        "facet_names": FACETS, "facets": {name: rows[:WORDS] for name, rows in facets.items()},
        "others": [code for code, _ in facets["who"][WORDS : WORDS + MORE_WORDS]], "sorts": SORTS,
        "called": {one.code: one.name for one in columns.people.persons},
        "more": asked.address(("after", found.after)) if found.after else None, "begins": found.begins,
        "permalink": asked.address(("at", kept)), "exports": _exports(asked) if total else None,
        "helps": _helps(columns, asked) if not total else None, "picture_url": picture_url,
        "stamp": columns.stamp, "reading": live.reading,
    }  # fmt: skip
    return state.templates.TemplateResponse(request, "search/search.html", facts)


@router.get("/search.csv")
def as_csv(request: Request) -> Response:
    """Every track that matches, of one moment."""
    asked = replace(_asked(request), after=None, at=None)
    state = request.app.state
    live: LiveColumns = state.search_columns
    with state.db.read() as conn:
        asked = _known(live.current(conn), asked)

    def rows() -> Iterator[Sequence[Any]]:
        query = asked.address()
        with state.db.read() as conn:
            columns = live.exact(conn)
            ids = columns.ordered(asked, columns.matching(asked)).tolist()
            for start in range(0, len(ids), 1_000):
                for one in _shown(request, conn, ids[start : start + 1_000]).values():
                    yield (
                        one.track_id, one.video_id, one.site, one.camera, one.recorded_at, one.first_s, one.anim_id,
                        one.name, one.source, one.probability, query, columns.seq,
                    )  # fmt: skip

    return csv_download("search", COLUMNS, rows())


def _shown(request: Request, conn: Any, ids: list[int]) -> dict[int, ShownTrack]:
    settings = request.app.state.settings
    return shown_tracks(conn, ids, settings.seed, settings.acquisition.audit_reserve)


def _exports(asked: SearchQuery) -> tuple[str | None, SearchError | None]:
    """The query of the page of exports with the same conditions, or why they cannot be said there."""
    try:
        return urlencode(conditions_of(asked)), None
    except SearchError as error:
        return None, error


def _helps(columns: SearchColumns, asked: SearchQuery) -> tuple[str, str, int] | None:
    """Of an empty answer the word without which most would be found: key, value, tracks."""
    best: tuple[str, str, int] | None = None
    for key, value in asked.words():
        n = int(columns.matching(asked.without(key, value)).sum())
        if n and (best is None or n > best[2]):
            best = key, value, n
    return best


def _known(columns: SearchColumns, asked: SearchQuery) -> SearchQuery:
    try:
        return known(columns, asked)
    except SearchError as error:
        raise _refused(error.sentence, error.remedy) from None


def _refused(sentence: str, remedy: str) -> WebError:
    return WebError(422, "malformed", sentence, remedy)
