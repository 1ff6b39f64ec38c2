"""What the child process does that makes pieces and strips: reads stored pictures, decodes, encodes.

Belongs here: the two functions that `archive.video.workers` calls. Does not belong here: which pictures (`stored`),
how many children there are and who waits for them (`web.playing`).

Encoding a minute takes a second of a processor, and stored pictures may be damaged: both are a reason for a process of
its own, which gives way to all others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import simplejpeg

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.archive.video.workers import Beat
from chimp_assets.vision.playing.pieces import encode_piece, fitted
from chimp_assets.vision.playing.strips import HEIGHT, WIDTH, strip_of

_NICE = 10
_HELD_BYTES = 8 * 1024 * 1024


def make_piece(message: dict[str, Any], _beat: Beat) -> dict[str, Any]:
    """{content: u8 [n], unreadable}: an MP4 of the pictures of a message of `Stored.piece_message`."""
    _give_way()
    pictures = (_decoded(jpeg) for jpeg in _jpegs(message))
    content, unreadable = encode_piece(pictures, message["time_s"].tolist(), message["until_s"])
    return {"content": np.frombuffer(content, np.uint8), "unreadable": unreadable}


def make_strip(message: dict[str, Any], _beat: Beat) -> dict[str, Any]:
    """{content: u8 [n], unreadable}: a JPEG of the pictures of a message of `Stored.strip_message`."""
    _give_way()
    pictures = [_decoded(jpeg, (WIDTH, HEIGHT)) for jpeg in _jpegs(message)]
    content = strip_of(pictures)
    return {"content": np.frombuffer(content, np.uint8), "unreadable": sum(one is None for one in pictures)}


def _jpegs(message: dict[str, Any]) -> Iterator[bytes]:
    """The stored pictures in their order; holds about 8 MiB of them. Raises MissingBlobError and StoreError."""
    store = BlobStore.of_message(message["store"])
    shard, offset, length = message["shard"], message["offset"], message["length"]
    at = 0
    while at < len(shard):
        last, held = at + 1, int(length[at])
        while last < len(shard) and shard[last] == shard[at] and held + int(length[last]) <= _HELD_BYTES:
            held += int(length[last])
            last += 1
        yield from store.get_ranges(message["uris"][int(shard[at])], offset[at:last].tolist(), length[at:last].tolist())
        at = last


def _decoded(jpeg: bytes, cell: tuple[int, int] | None = None) -> np.ndarray | None:
    """u8 [h, w, 3] RGB, decoded no larger than needed for a cell of (width, height), or for a piece; None if it is no
    JPEG."""
    try:
        full_height, full_width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        width, height = cell or fitted(full_width, full_height)
        return np.asarray(
            simplejpeg.decode_jpeg(
                jpeg, "RGB", fastdct=True, min_height=min(height, full_height), min_width=min(width, full_width)
            )
        )
    except ValueError:
        return None


def _give_way() -> None:
    if hasattr(os, "nice") and (more := _NICE - os.nice(0)) > 0:
        os.nice(more)
