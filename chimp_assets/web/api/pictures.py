"""Pictures of tracks that were not ready with the page: clients poll until they are, or until there is a reason."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from chimp_assets.web.auth.roles import require
from chimp_assets.web.fields import Key
from chimp_assets.web.labelling.items import pictures, read_media
from chimp_assets.web.wording import texts

router = APIRouter(prefix="/api/pictures", tags=["pictures"])

MOST = 100


@router.get("", dependencies=[Depends(require("viewer"))])
def of_tracks(request: Request, track: Annotated[list[Key], Query(min_length=1, max_length=MOST)]) -> Any:
    """Crops, clip and frame of tracks, with priority. state: ready, making (ask again), or missing (see reason)."""
    state = request.app.state
    asked = list(dict.fromkeys(track))
    state.media.make_soon(asked, state.settings.web.media_wait_s, at_once=True)
    media: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    with state.db.read() as conn:
        read_media(conn, media, asked)
    lang = texts.language_of(request)
    return {"tracks": [{"track_id": track_id, **_one(request, track_id, media, lang)} for track_id in asked]}


def _one(request: Request, track_id: int, media: dict[int, Any], lang: str) -> dict[str, Any]:
    if media[track_id].get("crop"):
        return {"state": "ready", "reason": None, **pictures(media[track_id])}
    why_not = request.app.state.media.why_not(track_id)
    if why_not is None:
        return {"state": "making", "reason": None}
    return {"state": "missing", "reason": texts.text(lang, f"media.{why_not}")}
