"""What people see of a track: its sharpest crops, its best frame, a short clip without boxes and the boxes beside it.

Belongs here: choosing, cutting, encoding within a budget, storing by content. Does not belong here: which tracks lack
pictures (`database.work`), when they are made (`assets.item_media`, `web.making`, `web.faces`), which tracks stand for
an individual (`database.references`), addresses and pages (`web`).

Boxes are not burnt into the clip: whoever mends a box writes boxes anew, not pictures.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError, read_frames
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.references import MOST as REFERENCES
from chimp_assets.database.labels.references import choose_references
from chimp_assets.vision.pictures.crops import CONTEXT, best_crops, crop_square

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

__all__ = ["REFERENCES", "choose_references", "make_item_media"]

FOLDER = "item-media"
CROPS = 8
LOOKED_AT = 24
"""Detections whose sharpness is measured: a third of them is shown."""
STILL_BYTES, CLIP_BYTES = 150_000, 400_000
"""What a station on a slow link can load while one item is answered (49 items a minute at 1.5 Mbit/s)."""
CLIP_S = 4.0
CLIP_LINES = 480
MIN_CLIP_FRAMES = 3
FACE_SIDE, FACE_QUALITY = 256, 82
# Side and quality of crops, longest side and quality of the frame: the first that fits.
STILLS = (
    (256, 82, 640, 78),
    (224, 78, 640, 70),
    (192, 75, 512, 68),
    (160, 70, 448, 62),
    (128, 65, 384, 55),
    (96, 50, 256, 45),
    (64, 35, 160, 35),
)
# Lines and x264's constant rate factor: the first that fits.
CLIPS = ((CLIP_LINES, 25), (CLIP_LINES, 29), (CLIP_LINES, 33), (360, 33), (240, 35), (144, 40))
SMALLEST_CROP = 64
SUFFIX = {"crop": "jpg", "frame": "jpg", "clip": "mp4", "boxes": "json"}

_SHARPNESS_SIDE = 96

Progress = Callable[[str, int, int], None]
Picture = tuple[float, np.ndarray]
Box = tuple[float, float, float, float]


@dataclass
class MediaMade:
    """What a making did. failed: track -> sentence: those whose pictures cannot be read; lost: those of them whose
    frames are no longer in the store."""

    tracks: int = 0
    bytes: int = 0
    clips: int = 0
    seconds: float = 0.0
    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Blob:
    """Bytes that become a file, and the columns of their row."""

    kind: str
    place: int
    content: bytes
    columns: dict[str, Any]


@dataclass(frozen=True)
class _Seen:
    """The boxes of one track: frame_no i64 [n] ascending, boxes f64 [n, 4], scores f64 [n]."""

    frame_no: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


def make_item_media(
    db: Database,
    store: BlobStore,
    track_ids: Iterable[int],
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MediaMade:
    """Pictures of some tracks, made or made anew; tracks that are gone are passed over. May be killed and run again.

    A track's files are written before its rows, its rows in one transaction. One pass over the frames of each video;
    memory: the pictures of one track. stop: asked before each track. A track whose pictures cannot be read is told in
    `failed` and stops nothing. Raises StoreError and FullDiskError if the store is away or full.
    """
    began = time.monotonic()
    done = MediaMade()
    wanted = sorted({int(i) for i in track_ids})
    for number, track_id in enumerate(wanted):
        if stop():
            break
        if progress:
            progress("pictures", number, len(wanted))
        try:
            blobs = _blobs(db, store, track_id)
        except (PictureError, MissingBlobError) as error:
            done.failed[track_id] = str(error)
            if isinstance(error, MissingBlobError):
                done.lost.add(track_id)
            continue
        if blobs:
            _store(db, store, track_id, blobs)
            done.tracks += 1
            done.bytes += sum(len(blob.content) for blob in blobs)
            done.clips += any(blob.kind == "clip" for blob in blobs)
    done.seconds = time.monotonic() - began
    return done


@dataclass(frozen=True)
class Source:
    """What the stills of a track are cut from. candidates: rows of seen that are looked at.

    key: a hash of the boxes and of the bytes that they lie in: equal keys give equal pictures.
    """

    video_id: int
    seen: _Seen
    candidates: np.ndarray
    key: str


def source_of(db: Database, track_id: int) -> Source | None:
    """What the pictures of a track are cut from; None where there is no such track or nothing of it was detected.

    Reads rows alone. Raises PictureError where the database lacks a frame that has a box.
    """
    f, h = t.frame.c, t.frame_shard.c
    with db.read() as conn:
        video_id = conn.scalar(sa.select(t.track.c.video_id).where(t.track.c.track_id == track_id))
        if video_id is None:
            return None
        seen = _boxes_of(conn, track_id)
        if not len(seen.frame_no):
            return None
        candidates = best_crops(seen.frame_no, seen.boxes, seen.scores, LOOKED_AT)
        wanted = seen.frame_no[candidates].tolist()
        frames = conn.execute(
            sa.select(f.frame_no, h.content_hash, f.byte_offset, f.byte_length)
            .join_from(t.frame, t.frame_shard, h.shard_id == f.shard_id)
            .where(f.video_id == video_id, f.frame_no.in_(wanted))
            .order_by(f.frame_no)
        ).all()
    said = [[tuple(row) for row in frames], seen.boxes[candidates].tolist(), seen.scores[candidates].tolist()]
    key = hashlib.sha256(json.dumps([FACE_SIDE, FACE_QUALITY, CONTEXT, *said]).encode()).hexdigest()
    return Source(video_id, seen, candidates, key)


def cut_face(db: Database, store: BlobStore, source: Source) -> bytes:
    """The best crop of a track as a JPEG, the same that stands first among its pictures. Memory: two decoded frames.

    Raises PictureError and StoreError where its frames cannot be read.
    """
    seen = source.seen
    row_of = {int(seen.frame_no[row]): row for row in source.candidates.tolist()}
    best, best_value, picture_of_best = -1, -np.inf, {}
    for frame_no, time_s, picture in read_frames(db, store, source.video_id, row_of):
        value = _sharpness(seen, row_of[frame_no], picture)
        if value > best_value:
            best, best_value, picture_of_best = row_of[frame_no], value, {frame_no: (time_s, picture)}
    return _crop(seen, best, 0, picture_of_best, FACE_SIDE, FACE_QUALITY).content


def _looked_at(db: Database, store: BlobStore, source: Source) -> dict[int, Picture]:
    wanted = source.seen.frame_no[source.candidates].tolist()
    return {
        frame_no: (time_s, picture) for frame_no, time_s, picture in read_frames(db, store, source.video_id, wanted)
    }


def _blobs(db: Database, store: BlobStore, track_id: int) -> list[_Blob]:
    source = source_of(db, track_id)
    if source is None:
        return []
    seen = source.seen
    pictures = _looked_at(db, store, source)
    shown = sharpest(seen, source.candidates, pictures)
    return [
        *_stills(seen, shown, pictures),
        *_moving(db, store, source.video_id, track_id, int(seen.frame_no[shown[0]]), pictures),
    ]


def _boxes_of(conn: sa.Connection, track_id: int) -> _Seen:
    d = t.detection.c
    rows = conn.execute(
        sa.select(d.frame_no, d.x, d.y, d.w, d.h, d.score).where(d.track_id == track_id).order_by(d.frame_no)
    ).all()
    return _Seen(
        np.array([row.frame_no for row in rows], np.int64),
        np.array([(row.x, row.y, row.w, row.h) for row in rows], np.float64).reshape(-1, 4),
        np.array([row.score for row in rows], np.float64),
    )


def sharpest(seen: _Seen, candidates: np.ndarray, pictures: dict[int, Picture]) -> list[int]:
    """Rows of the crops that are shown: the best first, the others in the order of time, one for each part of its life.

    Best: the variance of the Laplacian of the crop at one size (Pech-Pacheco et al. 2000), times score and the root of
    its area; blur and distance both count against it.
    """
    value = {row: _sharpness(seen, row, pictures[int(seen.frame_no[row])][1]) for row in candidates.tolist()}
    first, last = seen.frame_no[candidates[0]], seen.frame_no[candidates[-1]]
    parts: dict[int, int] = {}
    for row in sorted(value, key=lambda row: -value[row]):
        parts.setdefault(int((seen.frame_no[row] - first) * CROPS // (last - first + 1)), row)
    best = max(value, key=lambda row: value[row])
    return [best, *sorted(row for row in parts.values() if row != best)]


def _sharpness(seen: _Seen, row: int, picture: np.ndarray) -> float:
    """As `sharpest` says."""
    x, y, w, h = seen.boxes[row]
    crop = crop_square(picture, (x, y, w, h), _SHARPNESS_SIDE)
    variance = cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()
    return float(np.log1p(variance) * seen.scores[row] * np.sqrt(w * h))


def _stills(seen: _Seen, shown: list[int], pictures: dict[int, Picture]) -> list[_Blob]:
    """Crops and the best frame, as good as the budget allows."""
    blobs: list[_Blob] = []
    for side, crop_quality, longest, frame_quality in STILLS:
        blobs = [_crop(seen, row, place, pictures, side, crop_quality) for place, row in enumerate(shown)]
        blobs.append(_frame(seen, shown[0], pictures, longest, frame_quality))
        if sum(len(blob.content) for blob in blobs) <= STILL_BYTES:
            break
    return blobs


def _crop(seen: _Seen, row: int, place: int, pictures: dict[int, Picture], side: int, quality: int) -> _Blob:
    frame_no = int(seen.frame_no[row])
    time_s, picture = pictures[frame_no]
    x, y, w, h = (float(value) for value in seen.boxes[row])
    # Never larger than it was filmed: that costs bytes and shows nothing.
    filmed = round(max(w * picture.shape[1], h * picture.shape[0]) * (1 + CONTEXT))
    side = int(np.clip(filmed, SMALLEST_CROP, side)) if filmed < side else side
    crop = crop_square(picture, (x, y, w, h), side)
    content = simplejpeg.encode_jpeg(np.ascontiguousarray(crop), quality=quality, colorspace="RGB")
    return _Blob(
        "crop",
        place,
        content,
        {"frame_no": frame_no, "time_s": time_s, "width": side, "height": side, "x": x, "y": y, "w": w, "h": h},
    )


def _frame(seen: _Seen, row: int, pictures: dict[int, Picture], longest: int, quality: int) -> _Blob:
    frame_no = int(seen.frame_no[row])
    time_s, picture = pictures[frame_no]
    small = _scaled(picture, min(1.0, longest / max(picture.shape[:2])))
    x, y, w, h = (float(value) for value in seen.boxes[row])
    return _Blob(
        "frame",
        0,
        simplejpeg.encode_jpeg(small, quality=quality, colorspace="RGB"),
        {
            "frame_no": frame_no, "time_s": time_s, "width": small.shape[1], "height": small.shape[0],
            "x": x, "y": y, "w": w, "h": h,
        },
    )  # fmt: skip


def _moving(
    db: Database, store: BlobStore, video_id: int, track_id: int, best_frame_no: int, pictures: dict[int, Picture]
) -> list[_Blob]:
    """Clip and boxes of the seconds around the best frame; none where too few pictures were kept."""
    best_s = pictures[best_frame_no][0]
    f, d = t.frame.c, t.detection.c
    with db.read() as conn:
        near = conn.execute(
            sa.select(f.frame_no, f.time_s)
            .where(f.video_id == video_id, f.time_s >= best_s - CLIP_S, f.time_s <= best_s + CLIP_S)
            .order_by(f.frame_no)
        ).all()
        first, last = _window([row.time_s for row in near], best_s)
        frame_nos = [row.frame_no for row in near[first:last]]
        if len(frame_nos) < MIN_CLIP_FRAMES:
            return []
        boxes = conn.execute(
            sa.select(d.track_id, d.frame_no, d.x, d.y, d.w, d.h)
            .join_from(t.detection, t.track, t.track.c.track_id == d.track_id)
            .where(
                d.video_id == video_id,
                d.frame_no >= frame_nos[0],
                d.frame_no <= frame_nos[-1],
                t.track.c.state == "live",
            )
            .order_by(d.track_id, d.frame_no)
        ).all()
    shots = [(time_s, picture) for _, time_s, picture in read_frames(db, store, video_id, frame_nos)]
    start_s = shots[0][0]
    content, width, height = _encoded_to_fit(shots)
    fps = (len(shots) - 1) / (shots[-1][0] - start_s)
    times = dict(zip(frame_nos, (time_s - start_s for time_s, _ in shots), strict=True))
    return [
        _Blob(
            "clip",
            0,
            content,
            {
                "frame_no": best_frame_no, "time_s": best_s - start_s, "start_s": start_s, "fps": fps,
                "width": width, "height": height,
            },
        ),
        _Blob("boxes", 0, _boxes_json(track_id, boxes, times, fps), {"start_s": start_s, "fps": fps}),
    ]  # fmt: skip


def _window(times: list[float], best_s: float) -> tuple[int, int]:
    """Which of the pictures are in the clip: [first, last) within CLIP_S, the best one in the middle if it can be."""
    first = last = min(range(len(times)), key=lambda i: abs(times[i] - best_s))
    while True:
        before = times[last] - times[first - 1] if first > 0 else None
        after = times[last + 1] - times[first] if last + 1 < len(times) else None
        fits_before, fits_after = (span is not None and span <= CLIP_S for span in (before, after))
        if not fits_before and not fits_after:
            return first, last + 1
        if fits_before and (not fits_after or best_s - times[first] <= times[last] - best_s):
            first -= 1
        else:
            last += 1


def _encoded_to_fit(shots: list[Picture]) -> tuple[bytes, int, int]:
    content, width, height = b"", 0, 0
    for lines, rate_factor in CLIPS:
        content, width, height = encode_clip(shots, lines, rate_factor)
        if len(content) <= CLIP_BYTES:
            break
    return content, width, height


def encode_clip(shots: Sequence[Picture], lines: int, rate_factor: int) -> tuple[bytes, int, int]:
    """H.264 in MP4, as every browser plays it: (bytes, width, height). shots: (seconds, u8 [h, w, 3] RGB), ascending.

    The index is at the beginning, so that a browser begins to play before it has all; times are those of the pictures.
    """
    import av

    scale = min(1.0, lines / min(shots[0][1].shape[:2]))
    first = _scaled(shots[0][1], scale)
    height, width = (side // 2 * 2 for side in first.shape[:2])
    # To move the index to the beginning the muxer opens its own file once more: a name, not a stream.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        with av.open(str(file), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            # One thread: the work beside it has the other core.
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"crf": str(rate_factor), "preset": "veryfast", "profile": "high", "bf": "0"}
            for time_s, picture in shots:
                frame = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(_scaled(picture, scale)[:height, :width]), format="rgb24"
                )
                frame.pts, frame.time_base = round(1000 * (time_s - shots[0][0])), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.read_bytes(), width, height


def _boxes_json(track_id: int, boxes: Sequence[Any], times: dict[int, float], fps: float) -> bytes:
    """{fps, frames: [[time_s, x, y, w, h], ...], others: [{track_id, frames}]}; seconds of the clip, fractions."""
    by_track: dict[int, list[list[float]]] = {}
    for row in boxes:
        if row.frame_no in times:
            by_track.setdefault(row.track_id, []).append(
                [round(float(value), 4) for value in (times[row.frame_no], row.x, row.y, row.w, row.h)]
            )
    said = {
        "fps": round(fps, 3),
        "frames": by_track.pop(track_id, []),
        "others": [{"track_id": key, "frames": frames} for key, frames in by_track.items()],
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale >= 1.0:
        return np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _store(db: Database, store: BlobStore, track_id: int, blobs: list[_Blob]) -> None:
    """Files first, rows afterwards: a row never names what is not there."""
    hashes = [hashlib.sha256(blob.content).hexdigest() for blob in blobs]
    keys = [f"{FOLDER}/{name}.{SUFFIX[blob.kind]}" for name, blob in zip(hashes, blobs, strict=True)]
    for key, blob in zip(keys, blobs, strict=True):
        store.put(key, blob.content)
    names = [column.name for column in t.item_media.c]
    rows = [
        {
            **dict.fromkeys(names),
            "track_id": track_id,
            "kind": blob.kind,
            "place": blob.place,
            "content_hash": name,
            "uri": key,
            "bytes": len(blob.content),
            "created_at": datetime.now(UTC),
            **blob.columns,
        }
        for name, key, blob in zip(hashes, keys, blobs, strict=True)
    ]

    def work(conn: sa.Connection) -> None:
        there = sa.select(t.track.c.track_id).where(t.track.c.track_id == track_id)
        if conn.execute(there).first() is None:
            return  # its video was tracked anew meanwhile; the sweep finds the files
        conn.execute(sa.delete(t.item_media).where(t.item_media.c.track_id == track_id))
        insert_rows(conn, t.item_media, {name: [row[name] for row in rows] for name in names})

    db.transact(work)


def sizes(conn: sa.Connection, newest: int = 2000) -> tuple[list[int], list[int]]:
    """Bytes of stills and bytes of clips of the tracks whose pictures were made last, one number for each."""
    m = t.item_media.c
    last = (
        sa.select(m.track_id).where(m.kind == "frame").order_by(m.created_at.desc(), m.track_id).limit(newest)
    ).subquery()
    rows = conn.execute(
        sa.select(
            m.track_id,
            sa.func.sum(sa.case((m.kind.in_(("crop", "frame")), m.bytes), else_=0)).label("stills"),
            sa.func.sum(sa.case((m.kind == "clip", m.bytes), else_=0)).label("clip"),
        )
        .where(m.track_id.in_(sa.select(last.c.track_id)))
        .group_by(m.track_id)
    ).all()
    return [int(row.stills) for row in rows], [int(row.clip) for row in rows if row.clip]


def drop_old_pictures(db: Database, store: BlobStore, most_bytes: int) -> int:
    """Drops stored pictures, the oldest first, until the others take at most most_bytes; returns of how many tracks.

    Those of tracks that wait, are leased or stand for somebody stay, whatever they take. What is dropped is made again
    when somebody looks. Rows go before their files; a file that is younger than an hour may belong to a maker at work
    and is left to `chimp doctor --sweep`, as is what a killed process leaves.
    """
    m = t.item_media.c
    with db.read() as conn:
        left = int(conn.scalar(sa.select(sa.func.sum(m.bytes))) or 0)
    dropped = 0
    while left > most_bytes:
        with db.read() as conn:
            oldest = conn.execute(_droppable().limit(_DROPPED_AT_ONCE)).all()
        if not oldest:
            break
        wanted: list[int] = []
        for row in oldest:
            if left <= most_bytes:
                break
            wanted.append(row.track_id)
            left -= int(row.bytes)
        for uri in db.transact(lambda conn, wanted=wanted: _drop_rows(conn, wanted)):  # type: ignore[misc]
            seen = store.head(uri)
            if seen is not None and (datetime.now(UTC) - seen.modified).total_seconds() > _YOUNG_S:
                store.delete(uri)
        dropped += len(wanted)
    return dropped


_DROPPED_AT_ONCE = 200
_YOUNG_S = 3600.0


def _droppable() -> sa.Select[Any]:
    m, q, r = t.item_media.c, t.acquisition_queue.c, t.reference_photo.c
    waits = sa.exists().where(
        sa.or_(q.track_id == m.track_id, q.other_track_id == m.track_id), q.state.in_(("pending", "leased"))
    )
    stands = sa.exists().where(r.track_id == m.track_id)
    return (
        sa.select(m.track_id, sa.func.sum(m.bytes).label("bytes"))
        .where(~waits, ~stands)
        .group_by(m.track_id)
        .order_by(sa.func.min(m.created_at), m.track_id)
    )


def _drop_rows(conn: sa.Connection, track_ids: list[int]) -> list[str]:
    """The files that no row names any more."""
    m = t.item_media.c
    uris = set(conn.scalars(sa.select(m.uri).where(m.track_id.in_(track_ids))))
    conn.execute(sa.delete(t.item_media).where(m.track_id.in_(track_ids)))
    ordered = sorted(uris)
    for start in range(0, len(ordered), 500):
        uris -= set(conn.scalars(sa.select(m.uri).where(m.uri.in_(ordered[start : start + 500]))))
    return sorted(uris)
