"""Search: counts by facet, pictures of the tracks that match, and all of them as CSV.

Belongs here: handlers. Does not belong here: the words of the address and finding (`insight.search`), what is shown of
a track (`insight.similar.tracks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.known import require_known
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
COLUMNS = (
    "track_id", "video_id", "site", "camera", "recorded_at", "first_s", "anim_id", "name", "source", "probability",
    "query", "label_seq",
)  # fmt: skip


def _asked(request: Request) -> SearchQuery:
    try:
        return parse(request.query_params.multi_items())
    except SearchError as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None


@router.get("/search")
def page(request: Request) -> Response:
    """What matches the address."""
    asked = _asked(request)
    state = request.app.state
    with state.db.read() as conn:
        columns: SearchColumns = state.search_columns.current(conn)
        _require_known(columns, asked)
        matching = columns.matching(asked)
        ids, keys, at = columns.ranked(asked, matching)
        part = ids[at : at + PAGE].tolist()
        shown = _shown(request, conn, part)
    total = len(ids)
    more = asked.address(("after", f"{float(keys[at + PAGE - 1])!r}~{part[-1]}")) if at + PAGE < total else None
    facts: dict[str, Any] = {
        "asked": asked, "total": total, "tracks": [shown[one] for one in part if one in shown], "seq": columns.seq,
        "facets": {name: rows[:WORDS] for name, rows in columns.facets(asked).items()}, "sorts": SORTS,
        "called": {code: name for code, name, _ in columns.people},
        "more": more, "begins": at + 1,
        "helps": _helps(columns, asked) if not total else None, "picture_url": picture_url,
        "sort_links": [(sort, replace(asked, sort=sort, after=None).address()) for sort in SORTS],
    }  # fmt: skip
    return state.templates.TemplateResponse(request, "search/search.html", facts)


@router.get("/search.csv")
def as_csv(request: Request) -> Response:
    """Every track that matches: as many rows as the page says."""
    asked = replace(_asked(request), after=None)
    state = request.app.state
    with state.db.read() as conn:
        columns: SearchColumns = state.search_columns.current(conn)
        _require_known(columns, asked)
        ids = columns.ordered(asked, columns.matching(asked)).tolist()

    def rows() -> Iterator[Sequence[Any]]:
        query = asked.address()
        for start in range(0, len(ids), 1_000):
            with state.db.read() as conn:
                found = _shown(request, conn, ids[start : start + 1_000])
            for one in found.values():
                yield (
                    one.track_id, one.video_id, one.site, one.camera, one.recorded_at, one.first_s, one.anim_id,
                    one.name, one.source, one.probability, query, columns.seq,
                )  # fmt: skip

    return csv_download("search", COLUMNS, rows())


def _shown(request: Request, conn: Any, ids: list[int]) -> dict[int, ShownTrack]:
    settings = request.app.state.settings
    return shown_tracks(conn, ids, settings.seed, settings.acquisition.audit_reserve)


def _helps(columns: SearchColumns, asked: SearchQuery) -> tuple[str, str, int] | None:
    """Of an empty answer the word without which most would be found: key, value, tracks."""
    best: tuple[str, str, int] | None = None
    for key, value in asked.words():
        n = int(columns.matching(asked.without(key, value)).sum())
        if n and (best is None or n > best[2]):
            best = key, value, n
    return best


def _require_known(columns: SearchColumns, asked: SearchQuery) -> None:
    try:
        require_known(columns, asked)
    except SearchError as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None
