"""One video as JSON: who is in it when, boxes, who a track may show, the videos beside it.

Belongs here: handlers. Does not belong here: reading (`insight.video`), pictures (`api.media`, `api.boxes`).
"""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from chimp_assets.database.labels.promises.threshold import name_threshold
from chimp_assets.insight.video.beside import CameraDay, neighbours
from chimp_assets.insight.video.candidates import candidates
from chimp_assets.insight.video.timeline import MOST_SECONDS, Timeline, boxes, timeline, video_of
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Key

router = APIRouter(prefix="/api/videos", tags=["videos"], dependencies=[Depends(require("viewer"))])
Seconds = Annotated[float, Query(ge=0, le=10**7)]


def found_timeline(request: Request, conn: sa.Connection, video_id: int) -> Timeline:
    """The timeline of a video. Raises WebError where there is none."""
    settings = request.app.state.settings
    found = timeline(
        conn, video_id, settings.seed, settings.acquisition.audit_reserve, name_threshold(conn).probability
    )
    if found is None:
        raise WebError(404, "no_video", f"There is no video {video_id}.", "It may have been replaced: search for it.")
    return found


def beside_video(request: Request, conn: sa.Connection, video_id: int) -> CameraDay:
    """The videos of the same camera and day."""
    settings = request.app.state.settings
    share = settings.acquisition.audit_reserve
    return neighbours(conn, video_id, settings.seed, share, name_threshold(conn).probability)


@router.get("/{video_id}/timeline")
def of_video(request: Request, video_id: Key) -> Any:
    """Stored pictures, and a lane for each individual."""
    with request.app.state.db.read() as conn:
        found = found_timeline(request, conn, video_id)
    return {
        "video_id": found.video_id, "duration_s": found.duration_s, "frames": found.frames, "left_out": found.left_out,
        "lanes": [
            {"anim_id": lane.anim_id, "name": lane.name, "tracks": [vars(one) for one in lane.appearances]}
            for lane in found.lanes
        ],
    }  # fmt: skip


@router.get("/{video_id}/boxes")
def of_moment(
    request: Request,
    video_id: Key,
    first: Annotated[Seconds, Query(alias="from")],
    last: Annotated[Seconds, Query(alias="to")],
) -> Any:
    """Boxes of at most 60 seconds."""
    with request.app.state.db.read() as conn:
        found_timeline(request, conn, video_id)
        try:
            found = boxes(conn, video_id, first, last)
        except ValueError:
            raise WebError(
                422, "malformed", f"From {first:g} to {last:g} s cannot be asked at once.",
                f"Ask for at most {MOST_SECONDS:g} seconds.",
            ) from None  # fmt: skip
    return {"boxes": found}


@router.get("/{video_id}/tracks/{track_id}/candidates", dependencies=[Depends(require("identifier"))])
def of_track(request: Request, video_id: Key, track_id: Key) -> Any:
    """Who a track of the video may show, as the model says; nobody for tracks that measure it."""
    settings = request.app.state.settings
    with request.app.state.db.read() as conn:
        found = candidates(conn, track_id, settings.seed, settings.acquisition.audit_reserve)
        if found is None or video_of(conn, track_id) != video_id:
            raise WebError(
                404, "no_track", f"There is no track {track_id} in video {video_id}.",
                "It may have been split or merged: load the page again.",
            )  # fmt: skip
    return {
        "track_id": found.track_id, "model_id": found.model_id, "measures": found.measures,
        "candidates": [vars(one) for one in found.found],
    }  # fmt: skip


@router.get("/{video_id}/neighbours")
def beside(request: Request, video_id: Key) -> Any:
    """Videos of the same camera and day, and who is in them."""
    with request.app.state.db.read() as conn:
        found_timeline(request, conn, video_id)
        found = beside_video(request, conn, video_id)
    return {"videos": [vars(one) for one in found.videos], "left_out": found.left_out}
