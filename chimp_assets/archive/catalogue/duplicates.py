"""The same bytes twice in the archive: a copy that is not decoded, and a file that was moved and keeps its tracks.

Belongs here: which rows have the bytes or the pictures of a new file, and what becomes of the two rows.
Does not belong here: reading and hashing files (`reading`), what a listing shows (`discover`).

One row of `video` holds the frames, tracks, labels and split of some bytes, for ever. A second file with these bytes is
a `retired` row that names it; when the first file is gone, the row that holds everything takes the place of the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from chimp_assets.archive.catalogue.burst_files import exchange_facts, files_are_back, is_of_burst, reached_state
from chimp_assets.archive.catalogue.places import copy_marks
from chimp_assets.archive.times.rows import follow, is_corrected
from chimp_assets.database import schema
from chimp_assets.database.connection.counters import take_numbers

_SOME = 500
_ACTIVE = ("decoded", "tracked")


def twins(conn: sa.Connection, sizes: Iterable[int]) -> dict[int, dict[str, int]]:
    """bytes to {content_hash: video_id} of videos of these sizes that have frames, or are pictures of a burst that has,
    and are no duplicates themselves.

    Of several with the same bytes the one whose file is there, else the oldest. Sizes without any are left out.
    """
    video = schema.video.c
    found: dict[int, dict[str, int]] = {}
    asked = sorted(set(sizes))
    for start in range(0, len(asked), _SOME):
        rows = conn.execute(
            sa.select(video.bytes, video.content_hash, video.video_id)
            .where(video.bytes.in_(asked[start : start + _SOME]), video.content_hash.is_not(None), *_holds_frames())
            # The last one stays in the dictionary: the active one, and of equals the oldest.
            .order_by(sa.case((video.state == "retired", 0), else_=1), video.video_id.desc())
        )
        for row in rows:
            found.setdefault(row.bytes, {})[row.content_hash] = row.video_id
    return found


def settle_twin(
    conn: sa.Connection, video_id: int, twin_id: int, content_hash: str, at: datetime
) -> Literal["duplicate", "moved"] | None:
    """Settle a registered video whose bytes are its twin's. conn: inside a write transaction.

    "duplicate": the twin's file is there too, and this row is retired. "moved": the twin's file was gone or replaced,
    or is by its name a copy of this one (`Cam07 - Copy/...`), and the twin has taken this row's place in the archive
    (path, version, when and where), with its tracks, labels and split; this row is retired in the twin's old place.
    None if either row is no longer what it was: nothing is written, and decoding the bundle again decides.
    """
    take_numbers(conn, "discovery", 0)  # a listing, or another copy of the same file, takes turns with this
    video = schema.video.c
    new = conn.execute(sa.select(schema.video).where(video.video_id == video_id, video.state == "registered")).first()
    twin = conn.execute(
        sa.select(schema.video).where(video.video_id == twin_id, video.content_hash == content_hash, *_holds_frames())
    ).first()
    if new is None or twin is None:
        return None
    values: dict[str, Any] = {
        "state": "retired",
        "duplicate_of_video_id": twin_id,
        "content_hash": content_hash,
        "error": None,
        "updated_at": at,
    }
    if _has_its_file(conn, twin) and copy_marks(new.uri) >= copy_marks(twin.uri):
        _write(conn, video_id, **values)
        return "duplicate"
    _take_place(conn, new, twin, at, values)
    return "moved"


def _take_place(
    conn: sa.Connection, new: sa.Row[Any], twin: sa.Row[Any], at: datetime, values: dict[str, Any], **facts: Any
) -> None:
    """The twin takes the place of a new row, which is retired in the twin's old place. facts: columns of the twin."""
    # No path has an empty part, so this one is free; (uri, version) is unique at every moment.
    _write(conn, new.video_id, uri=f"//{new.video_id}")
    place = _place_of(new, twin, is_corrected(conn, twin.video_id))
    _write(conn, twin.video_id, uri=new.uri, version=new.version, etag=new.etag, **place, **facts)
    if "recorded_at" in place:
        follow(conn, new.video_id, twin.video_id)
    exchange_facts(conn, new.video_id, twin.video_id)
    where = {name: getattr(twin, name) for name in ("site", "camera", "uri", "version", "etag")}
    _write(conn, new.video_id, **where, **values)
    bring_back(conn, twin.video_id, at)


def same_pictures(conn: sa.Connection, video_id: int, picture_hash: str | None, time_s: np.ndarray) -> int | None:
    """The retired video whose pictures a registered one has, as it was before its file was remuxed, renamed or given
    other metadata; None without one. time_s: f64 [n], of the pictures that were kept now: they must be the same ones.
    """
    if picture_hash is None:
        return None
    video, frame = schema.video.c, schema.frame.c
    uri = conn.scalar(sa.select(video.uri).where(video.video_id == video_id))
    rows = conn.execute(
        sa.select(video.video_id, video.avg_fps)
        .where(
            video.picture_hash == picture_hash,
            video.video_id != video_id,
            video.state == "retired",
            video.n_frames == len(time_s),
            video.duplicate_of_video_id.is_(None),
        )
        .order_by(sa.case((video.uri == uri, 0), else_=1), video.video_id.desc())
    ).all()
    for row in rows:
        before = conn.execute(
            sa.select(frame.time_s).where(frame.video_id == row.video_id).order_by(frame.frame_no)
        ).scalars()
        # Containers round times differently; a picture that lies nearer than to its neighbour is the same one.
        slack_s = 0.4 / max(row.avg_fps or 25.0, 0.01)
        times = np.fromiter(before, np.float64)
        if len(times) == len(time_s) and np.abs(times - time_s).max(initial=0.0) <= slack_s:
            return int(row.video_id)
    return None


def settle_same_pictures(
    conn: sa.Connection, video_id: int, before_id: int, columns: dict[str, Any], pts: np.ndarray, at: datetime
) -> bool:
    """A retired video takes the place of a registered one that shows the same pictures, with everything it holds.

    columns: of the file as it is now; pts i64 [n]: of its kept pictures, since another container has another time base.
    Says whether it was written: not if either row is no longer what it was.
    """
    take_numbers(conn, "discovery", 0)
    video, frame = schema.video.c, schema.frame.c
    new = conn.execute(sa.select(schema.video).where(video.video_id == video_id, video.state == "registered")).first()
    old = conn.execute(sa.select(schema.video).where(video.video_id == before_id, video.state == "retired")).first()
    if new is None or old is None:
        return False
    values: dict[str, Any] = {
        "state": "retired",
        "duplicate_of_video_id": before_id,
        "content_hash": old.content_hash,
        "bytes": old.bytes,
        "error": None,
        "updated_at": at,
    }
    _take_place(conn, new, old, at, values, bytes=new.bytes, **columns)
    conn.execute(
        sa.update(schema.frame)
        .where(frame.video_id == before_id, frame.frame_no == sa.bindparam("number"))
        .values(pts=sa.bindparam("stamp")),
        [{"number": number, "stamp": int(stamp)} for number, stamp in enumerate(pts)],
    )
    return True


def bring_back(conn: sa.Connection, video_id: int, at: datetime) -> None:
    """A retired video whose file is there again goes on from the step that its rows prove."""
    if is_of_burst(conn, video_id):
        files_are_back(conn, [video_id], at)
        return
    state = reached_state(conn, video_id)
    values: dict[str, Any] = {"state": state, "duplicate_of_video_id": None, "updated_at": at}
    if state == "registered":
        values["error"] = None
    _write(conn, video_id, **values)


def _holds_frames() -> tuple[sa.ColumnElement[bool], ...]:
    video = schema.video.c
    return (
        video.state.in_((*_ACTIVE, "retired")),
        sa.or_(video.n_frames > 0, video.burst_video_id.is_not(None)),
        video.duplicate_of_video_id.is_(None),
    )


def _has_its_file(conn: sa.Connection, row: sa.Row[Any]) -> bool:
    """Whether the file of a row that holds frames, or a frame of a burst, was there at the last listing."""
    video, fact = schema.video.c, schema.picture_fact.c
    gone_at = conn.scalar(sa.select(fact.gone_at).where(fact.video_id == row.video_id))
    state = row.state
    if row.burst_video_id is not None:
        state = conn.scalar(sa.select(video.state).where(video.video_id == row.burst_video_id))
    return state in _ACTIVE and gone_at is None


def _place_of(new: sa.Row[Any], twin: sa.Row[Any], by_clock: bool) -> dict[str, Any]:
    """Where and when the file was recorded, as its new path says; what a person set stays, except
    a correction of its old camera's clock (by_clock)."""
    place = {"site": new.site, "camera": new.camera}
    if twin.recorded_at_source != "user" or by_clock:
        when = ("recorded_at", "recorded_at_source", "recorded_on", "recorded_at_certainty")
        place |= {name: getattr(new, name) for name in when}
    return place


def _write(conn: sa.Connection, video_id: int, **values: Any) -> None:
    conn.execute(sa.update(schema.video).where(schema.video.c.video_id == video_id).values(**values))
