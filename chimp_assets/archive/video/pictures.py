"""Stored pictures, read back through SQL: the frames of a video in order, as JPEGs or as arrays.

Belongs here: finding a frame's bytes by its row, fetching neighbours together, decoding.
Does not belong here: crops and batches for a network (`vision`), writing (`shards`, `ingest`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import simplejpeg
import sqlalchemy as sa

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError

# Rows asked of SQL at once, and JPEG bytes held at once: what bounds the memory of a reader.
_ROWS = 500
_BYTES = 8 * 1024 * 1024


class PictureError(ChimpError):
    """A picture that was asked for is not in the database, or its bytes are not a picture."""


def read_frames(
    db: Database | sa.Connection, store: BlobStore, video_id: int, frame_nos: Iterable[int] | None = None
) -> Iterator[tuple[int, float, np.ndarray]]:
    """(frame_no, time_s, picture u8 [h, w, 3] RGB as displayed) in the order of frame_no, each once.

    frame_nos: only these; all frames of the video if None. Holds about 8 MiB of JPEGs at once; between reads no
    transaction is open if db is a Database. Raises PictureError if a frame has no row or is no JPEG, StoreError if
    its shard cannot be read.
    """
    for frame_no, time_s, jpeg in read_jpegs(db, store, video_id, frame_nos):
        try:
            yield frame_no, time_s, simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
        except ValueError as error:
            raise PictureError(
                f"Frame {frame_no} of video {video_id} is not a JPEG: {error}.",
                "Its shard was changed after it was written: restore it, or ingest the video again.",
            ) from error


def read_jpegs(
    db: Database | sa.Connection, store: BlobStore, video_id: int, frame_nos: Iterable[int] | None = None
) -> Iterator[tuple[int, float, bytes]]:
    """(frame_no, time_s, JPEG) in the order of frame_no: `read_frames` without decoding."""
    rows = _all_rows(db, video_id) if frame_nos is None else _asked_rows(db, video_id, frame_nos)
    for batch in _batches(rows):
        for uri, in_shard in groupby(batch, key=lambda row: row.uri):
            members = list(in_shard)
            jpegs = store.get_ranges(uri, [m.byte_offset for m in members], [m.byte_length for m in members])
            for row, jpeg in zip(members, jpegs, strict=True):
                yield row.frame_no, row.time_s, jpeg


def _select(video_id: int) -> sa.Select[Any]:
    frame, shard = schema.frame.c, schema.frame_shard.c
    return (
        sa.select(frame.frame_no, frame.time_s, shard.uri, frame.byte_offset, frame.byte_length)
        .join_from(schema.frame, schema.frame_shard, frame.shard_id == shard.shard_id)
        .where(frame.video_id == video_id)
        .order_by(frame.frame_no)
    )


def _rows(db: Database | sa.Connection, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    if isinstance(db, Database):
        with db.read() as conn:
            return conn.execute(statement).all()
    return db.execute(statement).all()


def _all_rows(db: Database | sa.Connection, video_id: int) -> Iterator[sa.Row[Any]]:
    after = -1
    while rows := _rows(db, _select(video_id).where(schema.frame.c.frame_no > after).limit(_ROWS)):
        yield from rows
        after = rows[-1].frame_no


def _asked_rows(db: Database | sa.Connection, video_id: int, frame_nos: Iterable[int]) -> Iterator[sa.Row[Any]]:
    asked = sorted({int(n) for n in frame_nos})
    for start in range(0, len(asked), _ROWS):
        wanted = asked[start : start + _ROWS]
        rows = _rows(db, _select(video_id).where(schema.frame.c.frame_no.in_(wanted)))
        if len(rows) != len(wanted):
            missing = sorted(set(wanted) - {row.frame_no for row in rows})
            raise PictureError(
                f"Video {video_id} has no frame {missing[0]}"
                + (f" (nor {len(missing) - 1} others asked for)." if len(missing) > 1 else "."),
                "Ask for frames that are in the table frame; the video may have been ingested again.",
            )
        yield from rows


def _batches(rows: Iterator[sa.Row[Any]]) -> Iterator[list[sa.Row[Any]]]:
    batch: list[sa.Row[Any]] = []
    held = 0
    for row in rows:
        if batch and held + row.byte_length > _BYTES:
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += row.byte_length
    if batch:
        yield batch
