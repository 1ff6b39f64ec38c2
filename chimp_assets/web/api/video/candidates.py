"""Who a track of a video may show, for those who may name it.

Belongs here: the handler. Does not belong here: reading (`insight.video.candidates`), naming (`api.events`).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from chimp_assets.insight.video.candidates import candidates
from chimp_assets.insight.video.timeline import video_of
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Key

router = APIRouter(prefix="/api/videos", tags=["videos"], dependencies=[Depends(require("identifier"))])


@router.get("/{video_id}/tracks/{track_id}/candidates")
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
