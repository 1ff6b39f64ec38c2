"""Pictures, clips and boxes by the hash of their content: what an address names never changes.

Belongs here: answering GET /media/... Does not belong here: making them (`vision.item_media`).
"""

from __future__ import annotations

import re
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Response
from starlette.requests import Request

from chimp_assets.archive.store import MissingBlobError
from chimp_assets.database.schema import item_media
from chimp_assets.web.errors import WebError
from chimp_assets.web.roles import require

router = APIRouter(tags=["media"])

FOR_EVER = "private, max-age=31536000, immutable"
TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4", "json": "application/json"}
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST_DIGITS = 18
"""Of a place in a file: longer numbers lie behind the end of any."""


@router.get("/media/{content_hash}.{suffix}", dependencies=[Depends(require("viewer"))], response_class=Response)
def media(
    request: Request,
    content_hash: str,
    suffix: str,
    range_: Annotated[str | None, Header(alias="range")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes. Ranges are served, because browsers ask for parts of a clip."""
    uri = _uri_of(request, content_hash, suffix)
    etag = f'"{content_hash}"'
    headers = {"Cache-Control": FOR_EVER, "ETag": etag, "Accept-Ranges": "bytes"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    try:
        content = request.app.state.home.store.get(uri)
    except MissingBlobError:
        raise _missing() from None
    wanted = _range_of(range_, len(content))
    if wanted is None:
        return Response(content, headers=headers, media_type=TYPES[suffix])
    start, end = wanted
    if start >= len(content) or start > end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Response(content[start : end + 1], 206, headers, TYPES[suffix])


def _uri_of(request: Request, content_hash: str, suffix: str) -> str:
    # Only what the table names: a path is never made from what a request says.
    if suffix not in TYPES or not re.fullmatch(r"[0-9a-f]{64}", content_hash):
        raise _missing()
    with request.app.state.db.read() as conn:
        uri = conn.scalar(sa.select(item_media.c.uri).where(item_media.c.content_hash == content_hash).limit(1))
    if uri is None or not uri.endswith(f".{suffix}"):
        raise _missing()
    return str(uri)


def _range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that are asked for; None: all. Several ranges are answered with everything, as one may."""
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
        404, "no_media", "There is no such picture.", "Load the page again; the picture may have been made anew."
    )
