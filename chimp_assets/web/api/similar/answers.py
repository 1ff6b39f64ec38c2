"""Tracks that look like examples, as JSON; and the one way in which the page, its CSV and programs ask.

Belongs here: reading the address, errors in words. Does not belong here: the answer (`insight.similar`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from chimp_assets.insight.search.columns import SearchColumns
from chimp_assets.insight.search.known import known
from chimp_assets.insight.search.query import SearchError
from chimp_assets.insight.similar.answer import SimilarAnswer, live_among, similar_tracks
from chimp_assets.insight.similar.asked import AskedError, SimilarAsked, read_asked, read_where
from chimp_assets.insight.similar.tracks import ShownTrack, shown_tracks
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.labelling.items import moment, picture_url

router = APIRouter(prefix="/api/similar", tags=["similar"])

PAGE = 48
MOST = 960
"""The list ends here: what is less alike than the first thousand is better found with other examples."""

_Words = Annotated[list[str] | None, Query(max_length=40)]


@dataclass(frozen=True)
class SimilarWords:
    """The parameters of the request. Any word of a search may be added: what it does not find is not found here."""

    to: _Words = None
    unwanted: Annotated[list[str] | None, Query(alias="not", max_length=40)] = None
    spread: Annotated[str, Query(max_length=40)] = "video"
    show: Annotated[int, Query(ge=1, le=MOST)] = PAGE


@dataclass(frozen=True)
class Similar:
    """What a page shows. tracks: with how much each is alike; shelf: what is known of the examples; embedder: whose
    vectors were compared; searched: tracks that were compared; waiting: bundles whose vectors are not read yet;
    columns: of the search that narrowed what may be found, None where nothing did; cameras: those that filmed."""

    asked: SimilarAsked
    answer: SimilarAnswer
    tracks: list[tuple[ShownTrack, float]]
    shelf: dict[int, ShownTrack]
    embedder: int | None
    searched: int
    waiting: int
    trouble: str | None
    columns: SearchColumns | None
    cameras: list[str]


def ask(request: Request, words: SimilarWords) -> Similar:
    """The answer to an address. Raises WebError 422 that names a word which means nothing here."""
    state = request.app.state
    settings = state.settings
    now = state.similar.current()
    columns: SearchColumns | None = None
    try:
        where = read_where(request.query_params.multi_items())
        if where.words():
            with state.db.read() as conn:
                columns = state.search_columns.current(conn)
                where = known(columns, where)
        asked = read_asked(words.to or (), words.unwanted or (), words.spread, where)
    except (AskedError, SearchError) as error:
        raise WebError(422, "malformed", error.sentence, error.remedy) from None
    answer = SimilarAnswer(without=[*asked.wanted, *asked.unwanted])
    searched = 0
    with state.db.read() as conn:
        if now is not None:
            allowed = state.similar_places.there(now.index)
            if columns is not None:
                allowed = allowed & state.similar_places.found_by(now.index, columns, where)
            searched = int(allowed.sum())
            answer = similar_tracks(
                now.index, state.similar_places, asked, lambda ids: live_among(conn, ids), words.show, allowed
            )
        ids = [*answer.track_id, *asked.wanted, *asked.unwanted]
        shown = shown_tracks(conn, ids, settings.seed, settings.acquisition.audit_reserve)
    return Similar(
        asked,
        answer,
        [(shown[one], alike) for one, alike in zip(answer.track_id, answer.alike, strict=True) if one in shown],
        {one: shown[one] for one in (*asked.wanted, *asked.unwanted) if one in shown},
        now.index.embedder if now is not None else None,
        searched,
        now.waiting if now is not None else 0,
        now.trouble if now is not None else None,
        columns,
        state.similar_places.cameras(now.index) if now is not None else [],
    )


@router.get("", dependencies=[Depends(require("viewer"))])
def similar(request: Request, words: Annotated[SimilarWords, Depends()]) -> Any:
    """The tracks most alike, nearest first. alike: the inner product of unit vectors, which is no probability."""
    found = ask(request, words)
    return {
        "query": found.asked.query(),
        "tracks": [
            {
                "track_id": track.track_id,
                "video_id": track.video_id,
                "site": track.site,
                "camera": track.camera,
                "recorded_at": None if track.recorded_at is None else moment(track.recorded_at),
                "anim_id": track.anim_id,
                "source": track.source,
                "probability": track.probability,
                "alike": alike,
                "picture": picture_url(track.track_id, track.photo),
            }
            for track, alike in found.tracks
        ],
        "more": found.answer.more,
        "without_vector": found.answer.without,
        "embedder": found.embedder,
        "searched": found.searched,
        "bundles_waiting": found.waiting,
    }
