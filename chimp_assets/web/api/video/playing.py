"""What the page of a video plays: which pieces there are, the pieces, and strips of small pictures.

Belongs here: handlers. Does not belong here: making (`vision.playing`), waiting (`web.playing`), single stored pictures
(`api.boxes`).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from chimp_assets.vision.playing.stored import CODECS, Stored
from chimp_assets.web.auth.roles import require
from chimp_assets.web.auth.sessions import person_of
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import FrameNo, Key

router = APIRouter(prefix="/api/videos", tags=["videos"], dependencies=[Depends(require("viewer"))])

FOR_EVER = "private, max-age=31536000, immutable"
Version = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@router.get("/{video_id}/playing")
def of_video(request: Request, video_id: Key) -> Any:
    """Version, codec, and [from, to] in seconds of each piece; none where pictures lie too far apart to be played."""
    plan = _plan(request, video_id)
    return {
        "version": plan.version, "type": f'video/mp4; codecs="{CODECS}"',
        "pieces": [plan.span(n) for n in range(len(plan.pieces))], "strips": plan.strips,
    }  # fmt: skip


@router.get("/{video_id}/proxy/{version}/{piece}.mp4", response_class=Response)
async def piece(request: Request, video_id: Key, version: Version, piece: FrameNo) -> Response:
    """About ten seconds as H.264 in fragmented MP4, which begins at 0. 503 with Retry-After while others wait."""
    return await _answered(request, video_id, version, "piece", piece)


@router.get("/{video_id}/sprite/{version}/{strip}.jpg", response_class=Response)
async def strip(request: Request, video_id: Key, version: Version, strip: FrameNo) -> Response:
    """Ten small pictures side by side. 503 with Retry-After while others wait."""
    return await _answered(request, video_id, version, "strip", strip)


async def _answered(request: Request, video_id: int, version: str, kind: str, number: int) -> Response:
    films = request.app.state.films
    plan = await run_in_threadpool(_plan, request, video_id)
    if plan.version != version:
        raise WebError(404, "no_media", "The pictures of this video have been stored anew.", "Load the page again.")
    if number >= (len(plan.pieces) if kind == "piece" else plan.strips):
        raise WebError(404, "no_media", f"This video has no {kind} {number}.", "Load the page again.")
    headers = {"Cache-Control": FOR_EVER, "ETag": f'"{version}-{kind}-{number}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    content = await run_in_threadpool(films.cached, plan, kind, number)
    if content is None:
        store = await run_in_threadpool(lambda: request.app.state.home.store.as_message())
        person = await run_in_threadpool(person_of, request)
        assert person is not None
        content = await films.made(plan, kind, number, store, person.user_id, request.is_disconnected)
    return Response(content, headers=headers, media_type="video/mp4" if kind == "piece" else "image/jpeg")


def _plan(request: Request, video_id: int) -> Stored:
    with request.app.state.db.read() as conn:
        plan: Stored | None = request.app.state.films.plan(conn, video_id)
    if plan is None:
        raise WebError(404, "no_media", f"No pictures of a video {video_id} are stored.", "Search for it.")
    return plan
