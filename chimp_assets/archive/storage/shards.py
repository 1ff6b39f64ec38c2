"""Pictures packed into uncompressed tar files that any tar or WebDataset tool opens.

Belongs here: the bytes of a shard and its name. The same pictures give the same bytes, whenever and wherever written.
Does not belong here: making pictures (`decode`), reading them back through SQL (`pictures`), rows (`ingest`).
"""

from __future__ import annotations

import errno
import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from chimp_assets.archive.storage.store import BlobStore, StoreError
from chimp_assets.errors import ChimpError, FullDiskError

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
class ShardPlace:
    """Where a picture's JPEG lies: byte_offset and byte_length inside the part-th shard of its video."""

    part: int
    byte_offset: int
    byte_length: int


def shard_uri(bundle_key: str, video_id: int, part: int, content_hash: str) -> str:
    """Key of a shard in the store: names bundle, video and content, so that a second run replaces it by itself."""
    return f"shards/{bundle_key}/{video_id:08d}-{part:04d}-{content_hash[:12]}.tar"


class ShardWriter:
    """Collects JPEGs of one video and puts a shard into the store whenever shard_bytes are reached.

    Memory: one picture; the shard waits in an unnamed file of the temporary folder, of which a killed process leaves
    nothing. Nothing is visible in the store before a shard is complete. Use as a context manager.
    """

    def __init__(self, store: BlobStore, bundle_key: str, video_id: int, shard_bytes: int) -> None:
        self._store = store
        self._bundle_key = bundle_key
        self._video_id = video_id
        self._shard_bytes = shard_bytes
        self._file: IO[bytes] | None = None
        self._length = 0
        self._digest = _new_digest()
        self._shards: list[Shard] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, frame_no: int, jpeg: bytes) -> ShardPlace:
        """Append one picture. Raises FullDiskError or StoreError when a shard cannot be kept or put."""
        name = f"{frame_no:08d}.jpg"
        member = tarfile.TarInfo(name)
        member.size = len(jpeg)
        member.mode = 0o644
        # mtime, owner and group stay 0: the bytes depend on the pictures alone.
        self._append(member.tobuf(tarfile.USTAR_FORMAT))
        place = ShardPlace(len(self._shards), self._length, len(jpeg))
        self._append(jpeg)
        self._append(bytes(-len(jpeg) % _BLOCK))
        if self._length >= self._shard_bytes:
            self._flush()
        return place

    def close(self) -> list[Shard]:
        """Put what is left; returns all shards of the video, part by part. Empty if no picture was added."""
        if self._length:
            self._flush()
        return self._shards

    def _append(self, content: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the writer
            self._file.write(content)
        except OSError as error:
            raise refused_by_scratch(error) from error
        self._digest.update(content)
        self._length += len(content)

    def _flush(self) -> None:
        part = len(self._shards)
        self._append(_END)
        assert self._file is not None
        content_hash = self._digest.hexdigest()
        uri = shard_uri(self._bundle_key, self._video_id, part, content_hash)
        try:
            self._file.flush()
            self._file.seek(0)
        except OSError as error:
            raise refused_by_scratch(error) from error
        self._store.put(uri, cast("BinaryIO", self._file))
        self._shards.append(Shard(part, uri, self._length, content_hash))
        self._file.close()
        self._file, self._length, self._digest = None, 0, _new_digest()


def _new_digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=32)


def refused_by_scratch(error: OSError) -> ChimpError:
    """The error for a fault of the temporary folder."""
    where = tempfile.gettempdir()
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FullDiskError(
            f"There is no room left in {where}, where pictures wait until a shard is complete.",
            "Free some space, or set TMPDIR to a larger disk, and run this again; what was stored before is safe.",
        )
    return StoreError(
        f"The temporary folder {where} cannot be written: {error.strerror or error}.",
        "Set TMPDIR to a writable folder, and run this again.",
    )
