"""The page of tracks that look alike, and its CSV.

Belongs here: handlers. Does not belong here: asking (`api.similar.answers`), the answer (`insight.similar`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from chimp_assets.insight.individuals import directory
from chimp_assets.insight.search.query import SOURCES, STATUSES, SearchQuery
from chimp_assets.insight.similar.asked import MOST_EXAMPLES, SPREADS
from chimp_assets.web.api.similar.answers import MOST, PAGE, Similar, SimilarWords, ask
from chimp_assets.web.auth.roles import require
from chimp_assets.web.labelling.items import picture_url
from chimp_assets.web.tables import csv_download

router = APIRouter(include_in_schema=False, dependencies=[Depends(require("viewer"))])

_LISTED = ("who", "cam", "since", "until", "status", "by")
"""Words of a search that the page has a box for; the others stay in the address."""
COLUMNS = (
    "place", "track_id", "video_id", "site", "camera", "recorded_at", "first_s", "anim_id", "source", "probability",
    "alike", "embedder", "query",
)  # fmt: skip


@router.get("/similar.csv")
def export(request: Request, words: Annotated[SimilarWords, Depends()]) -> Response:
    """The tracks that the page shows as CSV, nearest first; each row holds the question and the embedder."""
    return csv_download("similar", COLUMNS, _rows(ask(request, words)))


@router.get("/similar")
def page(request: Request, words: Annotated[SimilarWords, Depends()]) -> Response:
    """Tracks that look like the examples of the address."""
    found = ask(request, words)
    asked = found.asked
    with request.app.state.db.read() as conn:
        people = [(one.anim_id, one.name) for one in directory.names(conn)]
    facts = {
        "found": found,
        "asked": asked,
        "people": people,
        "spreads": [(spread, replace(asked, spread=spread).query()) for spread in SPREADS],
        "csv": f"/similar.csv?{asked.query(('show', str(max(words.show, len(found.tracks), 1))))}",
        "more": f"/similar?{asked.query(('show', str(min(MOST, words.show + PAGE))))}#n{words.show + 1}"
        if found.answer.more and words.show < MOST
        else None,
        "unfiltered": replace(asked, where=SearchQuery()).query(),
        "called": dict(people),
        "only": lambda track_id: replace(asked, wanted=(track_id,), unwanted=()).query(),
        "statuses": STATUSES,
        "sources": SOURCES,
        "unlisted": [one for one in asked.where.words() if one[0] not in _LISTED],
        "most_examples": MOST_EXAMPLES,
        "most": MOST,
        "picture_url": picture_url,
    }
    return request.app.state.templates.TemplateResponse(request, "similar/similar.html", facts)


def _rows(found: Similar) -> Iterator[Sequence[Any]]:
    query = found.asked.query()
    for place, (track, alike) in enumerate(found.tracks, 1):
        yield (
            place, track.track_id, track.video_id, track.site, track.camera, track.recorded_at, track.first_s,
            track.anim_id, track.source, track.probability, alike, found.embedder, query,
        )  # fmt: skip
