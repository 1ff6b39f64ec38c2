"""How rows and pictures reach a training loop: short read transactions, JPEGs decoded into tensors' memory, one error.

Belongs here: what frames and tracks both need. Does not belong here: which rows are samples (`frames`, `tracks`), their
order (`order`, `stream`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import simplejpeg
import sqlalchemy as sa
import torch
from torchvision import tv_tensors

from chimp_assets.archive.video.pictures import PictureError
from chimp_assets.database.connection.engine import Database
from chimp_assets.errors import ChimpError

Sample = dict[str, Any]
Transform = Callable[[Sample], Any]

NAMED_TRACK = sa.table(
    "v_named_track", sa.column("track_id"), sa.column("video_id"), sa.column("individual_id"), sa.column("source")
)
JPEG_BYTES = 20_000
"""Estimate for a JPEG whose length no row states."""
_CACHE_KIB = 4096


class DatasetError(ChimpError):
    """A query selects nothing, or a state is not one of this dataset."""


@contextmanager
def reading_connection(db: Database) -> Iterator[sa.Connection]:
    """A read transaction with a small page cache: a loader seldom needs a page twice, and 64 MB a worker are many."""
    with db.read() as conn:
        if conn.dialect.name != "sqlite":
            yield conn
            return
        usual = int(conn.exec_driver_sql("PRAGMA cache_size").scalar_one())
        conn.exec_driver_sql(f"PRAGMA cache_size={-_CACHE_KIB}")
        try:
            yield conn
        finally:
            conn.exec_driver_sql(f"PRAGMA cache_size={usual}")


def decoded_jpeg(jpeg: bytes, video_id: int, frame_no: int) -> np.ndarray:
    try:
        picture: np.ndarray = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
    except ValueError as error:
        raise _no_jpeg(video_id, frame_no, error) from error
    return picture


def jpeg_size(jpeg: bytes, video_id: int, frame_no: int) -> tuple[int, int]:
    """(height, width) of a picture, without decoding it."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise _no_jpeg(video_id, frame_no, error) from error
    return height, width


def _no_jpeg(video_id: int, frame_no: int, error: ValueError) -> PictureError:
    return PictureError(
        f"Frame {frame_no} of video {video_id} is not a JPEG: {error}.",
        "The shard changed after it was written: restore it, or ingest the video again.",
    )


def as_image(picture: np.ndarray) -> tv_tensors.Image:
    """u8 [h, w, 3] as u8 [3, h, w], a view of the same bytes."""
    # What Image(...) does, without its inspection of the argument.
    image: tv_tensors.Image = torch.from_numpy(picture.transpose(2, 0, 1)).as_subclass(tv_tensors.Image)
    return image
