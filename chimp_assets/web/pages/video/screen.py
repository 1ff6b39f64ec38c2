"""The page of one video, and the way to it from a track.

Belongs here: handlers. Does not belong here: reading (`insight.video`), facts as JSON (`api.video`).
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from chimp_assets.insight.individuals import directory
from chimp_assets.insight.video.timeline import Timeline, video_of
from chimp_assets.web.api.video.facts import beside_video, found_timeline
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Key

router = APIRouter(prefix="/video", include_in_schema=False, dependencies=[Depends(require("viewer"))])

FEW_ROWS = 4
"""Rows of a lane that are always seen; tracks beyond have each a row of its own, which opens."""


@router.get("/of/{track_id}")
def of_track(request: Request, track_id: Key) -> Response:
    """To the video of a track, at its beginning."""
    with request.app.state.db.read() as conn:
        video_id = video_of(conn, track_id)
    if video_id is None:
        raise WebError(404, "no_track", f"There is no track {track_id}.", "It may have been split or merged.")
    return RedirectResponse(f"/video/{video_id}?{urlencode({'track': track_id})}", 303)


@router.get("/{video_id}")
def page(
    request: Request,
    video_id: Key,
    t: Annotated[float | None, Query(ge=0, le=10**7)] = None,
    track: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> Response:
    """One video: its pictures with boxes, a lane an individual, what was filmed around it."""
    with request.app.state.db.read() as conn:
        found = found_timeline(request, conn, video_id)
        beside = beside_video(request, conn, video_id)
        people = directory.names(conn)
        plan = request.app.state.films.plan(conn, video_id)
    place = next((n for n, one in enumerate(beside.videos) if one.video_id == video_id), 0)
    at = t
    if at is None:
        first = next((a.first_s for lane in found.lanes for a in lane.appearances if a.track_id == track), None)
        at = first if first is not None else 0.0
    return request.app.state.templates.TemplateResponse(
        request,
        "video/video.html",
        {
            **_drawn(found), "beside": beside, "people": people, "at": at, "track": track,
            "version": request.app.state.static_version,
            "before": beside.videos[place - 1] if place > 0 else None,
            "after": beside.videos[place + 1] if place + 1 < len(beside.videos) else None,
            "film_version": plan.version if plan else None, "strips": plan.strip_moments() if plan else [],
        },
    )  # fmt: skip


@router.get("/{video_id}/lanes")
def lanes(request: Request, video_id: Key) -> Response:
    """The lanes alone, drawn, for a page whose tracks were named, cut or joined."""
    with request.app.state.db.read() as conn:
        found = found_timeline(request, conn, video_id)
    drawn = request.app.state.templates.TemplateResponse(request, "video/lanes.html", _drawn(found))
    return JSONResponse({"lanes": bytes(drawn.body).decode()}, headers={"Cache-Control": "no-store"})


def _drawn(found: Timeline) -> dict[str, Any]:
    """What the lanes are drawn of."""
    length = max(found.duration_s, found.frames[-1][1] if found.frames else 0.0, 0.001)
    return {"video": found, "length": length, "few": FEW_ROWS}
