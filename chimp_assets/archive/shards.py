"""Pictures packed into uncompressed tar files that any tar or WebDataset tool opens.

Belongs here: the bytes of a shard and its name. The same pictures give the same bytes, whenever and wherever written.
Does not belong here: making pictures (`decode`), reading them back through SQL (`pictures`), rows (`ingest`).
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass

from chimp_assets.archive.store import BlobStore
from chimp_assets.errors import ChimpError

_BLOCK = 512
_END = bytes(2 * _BLOCK)


class ShardError(ChimpError):
    """A video does not fit into the shards it may have."""


@dataclass(frozen=True)
class Shard:
    """One shard that lies in the store. part counts from 0; bytes is its length; content_hash is blake2b-256 in hex."""

    part: int
    uri: str
    bytes: int
    content_hash: str


@dataclass(frozen=True)
class Place:
    """Where a picture's JPEG lies: byte_offset and byte_length inside the part-th shard of its video."""

    part: int
    byte_offset: int
    byte_length: int


def shard_uri(bundle_key: str, video_id: int, part: int, content_hash: str) -> str:
    """Key of a shard in the store: names bundle, video and content, so that a second run replaces it by itself."""
    return f"shards/{bundle_key}/{video_id:08d}-{part:04d}-{content_hash[:12]}.tar"


class ShardWriter:
    """Collects JPEGs of one video and puts a shard into the store whenever shard_bytes are reached.

    Memory: one shard. Nothing is visible in the store before a shard is complete.
    """

    def __init__(self, store: BlobStore, bundle_key: str, video_id: int, shard_bytes: int) -> None:
        self._store = store
        self._bundle_key = bundle_key
        self._video_id = video_id
        self._shard_bytes = shard_bytes
        self._buffer = bytearray()
        self._shards: list[Shard] = []

    def add(self, frame_no: int, jpeg: bytes) -> Place:
        """Append one picture. Raises FullDiskError or StoreError when a full shard cannot be put."""
        name = f"{frame_no:08d}.jpg"
        member = tarfile.TarInfo(name)
        member.size = len(jpeg)
        member.mode = 0o644
        # mtime, owner and group stay 0: the bytes depend on the pictures alone.
        self._buffer += member.tobuf(tarfile.USTAR_FORMAT)
        place = Place(len(self._shards), len(self._buffer), len(jpeg))
        self._buffer += jpeg
        self._buffer += bytes(-len(jpeg) % _BLOCK)
        if len(self._buffer) >= self._shard_bytes:
            self._flush()
        return place

    def close(self) -> list[Shard]:
        """Put what is left; returns all shards of the video, part by part. Empty if no picture was added."""
        if self._buffer:
            self._flush()
        return self._shards

    def _flush(self) -> None:
        part = len(self._shards)
        self._buffer += _END
        content_hash = hashlib.blake2b(self._buffer, digest_size=32).hexdigest()
        uri = shard_uri(self._bundle_key, self._video_id, part, content_hash)
        self._store.put(uri, memoryview(self._buffer))
        self._shards.append(Shard(part, uri, len(self._buffer), content_hash))
        self._buffer = bytearray()  # not cleared: the store may still hold the old one
