"""Frames whose boxes people should draw or correct, with the known boxes."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from starlette.requests import Request

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.database import schema as t
from chimp_assets.database.labels.answers import effective_answers
from chimp_assets.web.auth.roles import require
from chimp_assets.web.errors import WebError
from chimp_assets.web.fields import FrameNo, Key
from chimp_assets.web.labelling.items import video_dict

router = APIRouter(tags=["boxes"])

FRAMES = 12
"""Neighbouring frames of one task; boxes between two drawn frames are interpolated."""


@router.get("/api/boxes/next", dependencies=[Depends(require("annotator"))])
def next_task(
    request: Request,
    exclude: Annotated[list[Key] | None, Query(max_length=200)] = None,
    skip_videos: Annotated[list[Key] | None, Query(max_length=200)] = None,
) -> Any:
    """Frames of one video: of a track with a reported bad box, else of a video without drawn boxes.

    exclude: tracks, skip_videos: videos that are in progress or were skipped. task is null when nothing is left.
    """
    with request.app.state.db.read() as conn:
        bad = _bad_box(conn, exclude or [])
        if bad is not None:
            return {"task": _task(conn, bad.video_id, "bad_box", bad.track_id, bad.middle)}
        video = _undrawn_video(conn, skip_videos or [])
        if video is None:
            return {"task": None}
        return {"task": _task(conn, video.video_id, "undrawn", None, video.n_frames // 2)}


@router.get("/media/frame/{video_id}/{frame_no}.jpg", dependencies=[Depends(require("viewer"))])
def frame(request: Request, video_id: Key, frame_no: FrameNo) -> Response:
    """A stored frame. Browsers revalidate it by its etag, which changes if the video is ingested again."""
    f, s = t.frame.c, t.frame_shard.c
    with request.app.state.db.read() as conn:
        row = conn.execute(
            sa.select(s.uri, s.content_hash, f.byte_offset, f.byte_length)
            .join_from(t.frame, t.frame_shard, s.shard_id == f.shard_id)
            .where(f.video_id == video_id, f.frame_no == frame_no)
        ).first()
    if row is None:
        raise WebError(404, "no_media", "There is no such frame.", "Its video may have been ingested again.")
    etag = f'"{row.content_hash[:32]}-{row.byte_offset}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=86400"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    try:
        content = request.app.state.home.store.get_range(row.uri, row.byte_offset, row.byte_length)
    except MissingBlobError:
        raise WebError(404, "no_media", "This frame is missing from the store.", "Tell the administrator.") from None
    return Response(content, headers=headers, media_type="image/jpeg")


def _bad_box(conn: sa.Connection, exclude: list[int]) -> Any:
    a, k = t.annotation.c, t.track.c
    # A literal: SQLite uses a partial index only if it sees the value.
    said = sa.select(a.track_id).where(a.kind == sa.literal_column("'bad_box'"))
    answers = effective_answers(of_tracks=said).subquery()
    drawn = t.annotation.alias("drawn")
    mended = sa.exists().where(
        drawn.c.kind == "box", drawn.c.track_id == answers.c.track_id, drawn.c.seq > answers.c.seq
    )
    statement = (
        sa.select(k.track_id, k.video_id, ((k.first_frame_no + k.last_frame_no) / 2).label("middle"))
        .join_from(answers, t.track, k.track_id == answers.c.track_id)
        .join(t.video, t.video.c.video_id == k.video_id)
        .where(answers.c.kind == "bad_box", ~mended, t.video.c.state != "retired")
        .order_by(answers.c.seq)
        .limit(1)
    )
    return conn.execute(statement.where(k.track_id.not_in(exclude)) if exclude else statement).first()


def _undrawn_video(conn: sa.Connection, skip: list[int]) -> Any:
    v, a = t.video.c, t.annotation.c
    drawn = sa.exists().where(a.kind == "box", a.video_id == v.video_id)
    statement = (
        sa.select(v.video_id, v.n_frames)
        .where(v.state == "tracked", v.n_frames > 0, ~drawn)
        .order_by(v.video_id.desc())
        .limit(1)
    )
    return conn.execute(statement.where(v.video_id.not_in(skip)) if skip else statement).first()


def _task(conn: sa.Connection, video_id: int, reason: str, track_id: int | None, middle: Any) -> dict[str, Any]:
    f = t.frame.c
    first = max(0, int(middle) - FRAMES // 2)
    frames = conn.execute(
        sa.select(f.frame_no, f.time_s)
        .where(f.video_id == video_id, f.frame_no >= first)
        .order_by(f.frame_no)
        .limit(FRAMES)
    ).all()
    numbers = [row.frame_no for row in frames]
    d = t.detection.c
    boxes: dict[int, dict[Any, dict[str, Any]]] = {n: {} for n in numbers}
    for row in conn.execute(
        sa.select(d.frame_no, d.track_id, d.x, d.y, d.w, d.h, d.score)
        .join_from(t.detection, t.track, t.track.c.track_id == d.track_id)
        .where(d.video_id == video_id, d.frame_no.in_(numbers), t.track.c.state == "live")
    ):
        boxes[row.frame_no][row.track_id] = _box(row, row.score, None)
    a, taken_back = t.annotation.c, t.annotation.alias("taken_back")
    undone = sa.exists().where(taken_back.c.kind == "retract", taken_back.c.supersedes == a.annotation_id)
    for row in conn.execute(
        sa.select(a.annotation_id, a.frame_no, a.track_id, a.x, a.y, a.w, a.h)
        .where(a.kind == "box", a.video_id == video_id, a.frame_no.in_(numbers), ~undone)
        .order_by(a.seq)
    ):
        key = row.track_id if row.track_id is not None else row.annotation_id
        boxes[row.frame_no][key] = _box(row, None, row.annotation_id)
    return {
        "reason": reason,
        "track_id": track_id,
        "video": video_dict(conn, video_id),
        "frames": [
            {
                "frame_no": row.frame_no,
                "time_s": row.time_s,
                "url": f"/media/frame/{video_id}/{row.frame_no}.jpg",
                "boxes": list(boxes[row.frame_no].values()),
            }
            for row in frames
        ],
    }


def _box(row: Any, score: float | None, event_id: str | None) -> dict[str, Any]:
    """event_id: of a box that a person drew; whoever changes the box sends it as base_event_id."""
    return {
        "track_id": row.track_id,
        "x": row.x,
        "y": row.y,
        "w": row.w,
        "h": row.h,
        "score": score,
        "event_id": event_id,
    }
