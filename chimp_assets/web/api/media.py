"""Pictures, clips and boxes by the hash of their content, which never changes; and the best crop and the clip of any
track by its number, made on request.

Belongs here: answering GET /media/... Does not belong here: making pictures (`vision.pictures.item_media`), waiting for
them (`labelling.faces`, `labelling.media_worker`).
"""

from __future__ import annotations

import re
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.database.schema import item_media
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import Key
from chimp_assets.web.wording import texts

router = APIRouter(tags=["media"])

FOR_EVER = "private, max-age=31536000, immutable"
A_WHILE = "private, max-age=600"
"""For addresses by track: if a video is tracked again, other tracks get the same numbers."""
CLIP_WAIT_S = 20.0
RETRY_AFTER_S = 2
TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4", "json": "application/json"}
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST_DIGITS = 18
"""Digits of a position in a file: longer numbers lie behind the end of any file."""


@router.get("/media/{content_hash}.{suffix}", dependencies=[Depends(require("viewer"))], response_class=Response)
def media(
    request: Request,
    content_hash: str,
    suffix: str,
    range_: Annotated[str | None, Header(alias="range")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes of a stored picture or clip, with ranges, because browsers ask for parts of a clip."""
    uri, size = _stored(request, content_hash, suffix)
    etag = f'"{content_hash}"'
    headers = {"Cache-Control": FOR_EVER, "ETag": etag, "Accept-Ranges": "bytes"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    wanted = _range_of(range_, size)
    store = request.app.state.home.store
    try:
        if wanted is None:
            return Response(store.get(uri), headers=headers, media_type=TYPES[suffix])
        start, end = wanted
        if start >= size or start > end:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        content = store.get_range(uri, start, end - start + 1)  # never the whole clip for each part of it
    except MissingBlobError:
        raise _missing() from None
    if len(content) != end - start + 1:  # it was cut after it was written
        raise _missing()
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(content, 206, headers, TYPES[suffix])


@router.get("/media/track/{track_id}.jpg", dependencies=[Depends(require("viewer"))], response_class=Response)
async def face(request: Request, track_id: Key, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The best crop of a track: the stored one, else cut now."""
    found = await request.app.state.faces.get(track_id)
    if found.missing is not None:
        raise no_picture(request, found.missing)
    headers = {"Cache-Control": A_WHILE, "ETag": f'"{found.etag}"'}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type="image/jpeg")


@router.get("/media/track/{track_id}/clip.mp4", dependencies=[Depends(require("viewer"))], response_class=Response)
async def clip(request: Request, track_id: Key) -> Response:
    """Redirects to the clip of a track, which is made now if necessary."""
    uri = await run_in_threadpool(_clip_of, request, track_id)
    return RedirectResponse(uri, 307, {"Cache-Control": "no-store"})


def _clip_of(request: Request, track_id: int) -> str:
    state, m = request.app.state, item_media.c
    made = sa.select(m.content_hash).where(m.track_id == track_id, m.kind == "clip").limit(1)
    state.media.make_soon([track_id], CLIP_WAIT_S, at_once=True)
    with state.db.read() as conn:
        found = conn.scalar(made)
    if found is None:
        # Pictures but no clip: too few frames were stored.
        raise no_picture(request, state.media.why_not(track_id) or "no_clip")
    return f"/media/{found}.mp4"


def no_picture(request: Request, why: str) -> WebError:
    """The reason for a missing picture, in the language of the person. why: a key of the texts under `media`."""
    lang = texts.language_of(request)
    sentence, remedy = texts.text(lang, f"media.{why}"), texts.text(lang, f"media.{why}_remedy")
    if why in ("busy", "away"):
        return WebError(503, why, sentence, remedy, {"Retry-After": str(RETRY_AFTER_S)})
    return WebError(404, "no_media", sentence, remedy)


def _stored(request: Request, content_hash: str, suffix: str) -> tuple[str, int]:
    """Where the store keeps a file, and its size in bytes. Raises WebError (404)."""
    # Only files in the table: a path is never built from a request.
    if suffix not in TYPES or not re.fullmatch(r"[0-9a-f]{64}", content_hash):
        raise _missing()
    m = item_media.c
    with request.app.state.db.read() as conn:
        found = conn.execute(sa.select(m.uri, m.bytes).where(m.content_hash == content_hash).limit(1)).first()
    if found is None or not found.uri.endswith(f".{suffix}"):
        raise _missing()
    return str(found.uri), int(found.bytes)


def _range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last requested byte; None: all. Several ranges get the whole file, as HTTP allows."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - _place(last)), size - 1
    return _place(first), min(_place(last) if last else size - 1, size - 1)


def _place(digits: str) -> int:
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _missing() -> WebError:
    return WebError(
        404, "no_media", "There is no such picture.", "Load the page again: the picture may have been made again."
    )
