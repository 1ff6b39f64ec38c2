"""What people see of a track: its sharpest crops, its best frame, a short clip without boxes and the boxes beside it.

Belongs here: storing them by content, dropping old ones. Does not belong here: making them (`stills`, `clips`), which
tracks lack pictures (`database.work`), when they are made (`assets.item_media`, `web.labelling`), which tracks
represent an individual (`database.labels.references`), addresses and pages (`web`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.archive.storage.store import MissingBlobError
from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.vision.pictures.clips import clip_and_boxes
from chimp_assets.vision.pictures.media_file import MediaFile
from chimp_assets.vision.pictures.stills import read_candidates, sharpest, source_of, stills

if TYPE_CHECKING:
    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

FOLDER = "item-media"
SUFFIX = {"crop": "jpg", "frame": "jpg", "clip": "mp4", "boxes": "json"}

_DROPPED_AT_ONCE = 200
_YOUNG_S = 3600.0

Progress = Callable[[str, int, int], None]


@dataclass
class MediaReport:
    """Result of `make_item_media`. failed: track to error, if its pictures cannot be read; lost: those of them whose
    frames are no longer in the store."""

    tracks: int = 0
    bytes: int = 0
    clips: int = 0
    seconds: float = 0.0
    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


def make_item_media(
    db: Database,
    store: BlobStore,
    track_ids: Iterable[int],
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MediaReport:
    """Make or replace the pictures of some tracks; tracks that no longer exist are skipped. May be killed and run
    again.

    A track's files are written before its rows, its rows in one transaction. One pass over the frames of each video;
    memory: the pictures of one track. stop: called before each track. A track whose pictures cannot be read is listed
    in `failed` and does not stop the others. Raises StoreError and FullDiskError if the store is away or full.
    """
    began = time.monotonic()
    done = MediaReport()
    wanted = sorted({int(i) for i in track_ids})
    for number, track_id in enumerate(wanted):
        if stop():
            break
        if progress:
            progress("pictures", number, len(wanted))
        try:
            blobs = _files(db, store, track_id)
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


def _files(db: Database, store: BlobStore, track_id: int) -> list[MediaFile]:
    source = source_of(db, track_id)
    if source is None:
        return []
    seen = source.seen
    pictures = read_candidates(db, store, source)
    shown = sharpest(seen, source.candidates, pictures)
    return [
        *stills(seen, shown, pictures),
        *clip_and_boxes(db, store, source.video_id, track_id, int(seen.frame_no[shown[0]]), pictures),
    ]


def _store(db: Database, store: BlobStore, track_id: int, blobs: list[MediaFile]) -> None:
    """Write files first, rows afterwards: a row never names a missing file."""
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
            return  # its video was tracked again meanwhile; the sweep finds the files
        conn.execute(sa.delete(t.item_media).where(t.item_media.c.track_id == track_id))
        insert_rows(conn, t.item_media, {name: [row[name] for row in rows] for name in names})

    try:
        db.transact(work)
    except sa.exc.IntegrityError:
        # Another server of the page made the same pictures in the same moment: one of the two is enough.
        with db.read() as conn:
            if conn.scalar(sa.select(t.item_media.c.track_id).where(t.item_media.c.track_id == track_id)) is None:
                raise


def sizes(conn: sa.Connection, newest: int = 2000) -> tuple[list[int], list[int]]:
    """Bytes of stills and of clips of the tracks with the newest pictures, one number for each track."""
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
    """Delete stored pictures, the oldest first, until the rest takes at most most_bytes; returns the number of tracks.

    Pictures of tracks that are pending, leased or reference photos stay, however large. Deleted ones are made again on
    demand. Rows go before their files; a file younger than an hour may belong to a running maker and is left to
    `chimp doctor --sweep`, like files of a killed process.
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
    """Delete rows; returns the files that no row names any longer."""
    m = t.item_media.c
    uris = set(conn.scalars(sa.select(m.uri).where(m.track_id.in_(track_ids))))
    conn.execute(sa.delete(t.item_media).where(m.track_id.in_(track_ids)))
    ordered = sorted(uris)
    for start in range(0, len(ordered), 500):
        uris -= set(conn.scalars(sa.select(m.uri).where(m.uri.in_(ordered[start : start + 500]))))
    return sorted(uris)
