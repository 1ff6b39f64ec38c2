"""Named bytes in a folder or in Azure Blob storage: the archive that is read and the store that is written.

Belongs here: what users of a store call, and opening one by its address.
Does not belong here: how each kind does it (`folders`, `objects`, `azure`), what the bytes mean (`shards`, `pictures`),
and which rows must agree with them (`ingest`).
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from chimp_assets.addresses import redacted
from chimp_assets.archive.storage.blobs import (
    READ_BLOCK,
    Backend,
    BlobInfo,
    MissingBlobError,
    OnUnreadable,
    ReplacedBlobError,
    Source,
    StoreError,
    checked_key,
    missing,
)
from chimp_assets.archive.storage.folders import PARTIAL_PREFIX, Folder

if TYPE_CHECKING:
    from chimp_assets.archive.storage.objects import Objects

__all__ = [
    "READ_BLOCK",
    "BlobInfo",
    "BlobStore",
    "MissingBlobError",
    "ReplacedBlobError",
    "StoreError",
    "checked_key",
]

# Asked for when a container is opened: any answer but a refusal says that it can be read.
_NO_SUCH_BLOB = "chimp-assets-is-this-here"
# 3 to 63 small letters, digits and hyphens; `$root` and `$web` are Azure's own.
_CONTAINER = re.compile(r"\$?[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class BlobStore:
    """Bytes under keys such as `shards/cam-0001/00000001-0000-0a1b2c3d4e5f.tar`.

    Keys are relative paths with forward slashes. Picklable: only the address travels, and is opened there.
    """

    def __init__(self, url: str, backend: Backend, root: Path | None) -> None:
        self.url = url
        self._backend = backend
        self._root = root

    @classmethod
    def open(cls, url: str, create: bool = False) -> BlobStore:
        """The store at `file:///folder`, a plain path, `az://container/prefix` or `memory://name` (this process only).

        create makes a missing folder. Account and credential of Azure are read from the environment (`azure`), and one
        request shows whether they are good. Raises StoreError if the address is not one of these, or if what it names
        is missing or cannot be read.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # brackets that are no address of the net
            parts = SplitResult("file" if url.startswith("file:") else "", "", url, "", "")
        # A single letter is a Windows drive, not a scheme.
        scheme = parts.scheme if len(parts.scheme) > 1 else ""
        if scheme in ("", "file"):
            root = _root_of(url)
            return cls(root.as_uri(), Folder(root, create), root)
        if scheme == "az":
            from chimp_assets.archive.storage.azure import FIRST_RETRY

            _azure(url, FIRST_RETRY).head(_NO_SUCH_BLOB)
            return cls(url, _azure(url), None)
        if scheme == "memory":
            from obstore.store import MemoryStore

            from chimp_assets.archive.storage.objects import Objects, explain_memory

            return cls(url, Objects(MemoryStore(), url, explain_memory(url)), None)
        raise StoreError(
            f"{url} is not the address of a store.",
            "Use file:///folder, a path, or az://container/prefix.",
        )

    @property
    def is_shareable(self) -> bool:
        """Whether another process can open it too."""
        return not self.url.startswith("memory:")

    def as_message(self) -> dict[str, Any]:
        """This store for another process, in plain values without secrets: `of_message` opens it there."""
        if not self.is_shareable:
            raise StoreError("A memory store cannot be sent to another process.", "Use a folder.")
        return {"url": self.url, "folder": list(self._backend.identity) if isinstance(self._backend, Folder) else None}

    @classmethod
    def of_message(cls, message: dict[str, Any]) -> BlobStore:
        """The store that another process had opened: the very same folder, or a new connection.

        Unlike `open` it asks the service nothing, so that a pause of the service is waited out by the first read.
        Raises StoreError if another folder lies there now.
        """
        url: str = message["url"]
        if url.startswith("az:"):
            return cls(url, _azure(url), None)
        root = _root_of(url)
        device, number = message["folder"]
        return cls(url, Folder(root, identity=(device, number)), root)

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        return BlobStore.of_message, (self.as_message(),)

    def __repr__(self) -> str:
        return f"BlobStore({redacted(self.url)!r})"

    def put(self, key: str, source: Source) -> None:
        """Write a blob whole or not at all; an existing one is replaced. Once this returns, a crash cannot lose it.

        Raises FullDiskError if there is no room, StoreError otherwise.
        """
        self._backend.put(checked_key(key), source)

    def get(self, key: str) -> bytes:
        """All bytes of a blob. Raises MissingBlobError."""
        found = self.head(key)
        if found is None:
            raise missing(self.url, key)
        return self.get_range(key, 0, found.size)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """length bytes from start; fewer where the blob ends before. Raises MissingBlobError."""
        if start < 0 or length < 0:
            raise ValueError(f"range {start}+{length} of {key} is negative")
        return self._backend.get_range(checked_key(key), start, length) if length else b""

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """The ranges, in the order asked; neighbours are fetched together. Raises MissingBlobError, and StoreError if
        the blob ends inside a range.
        """
        if len(starts) != len(lengths):
            raise ValueError(f"{len(starts)} starts but {len(lengths)} lengths")
        asked = [i for i, length in enumerate(lengths) if length]
        found = [b""] * len(starts)
        if asked:
            pieces = self._backend.get_ranges(checked_key(key), [starts[i] for i in asked], [lengths[i] for i in asked])
            for i, piece in zip(asked, pieces, strict=True):
                found[i] = piece
        for piece, start, length in zip(found, starts, lengths, strict=True):
            if len(piece) != length:
                raise StoreError(
                    f"{key} in {self.url} ends before byte {start + length}: it was cut after it was written.",
                    "Restore it from a backup, or ingest its video again.",
                )
        return found

    def download(self, key: str, path: Path, on_block: Callable[[], None]) -> str:
        """Fetch a blob into a new local file; returns blake2b-256 of its bytes, hexadecimal. Memory: at most 64 MiB.

        on_block is called for every block, and every second while none comes. Raises MissingBlobError (also if the blob
        is replaced meanwhile), FullDiskError if path has no room, StoreError; the file is removed then.
        """
        return self._backend.download(checked_key(key), path, on_block)

    def head(self, key: str) -> BlobInfo | None:
        """This blob as in a listing; None if there is none."""
        return self._backend.head(checked_key(key))

    def list(
        self, prefix: str = "", after: str | None = None, on_unreadable: OnUnreadable | None = None
    ) -> Iterator[BlobInfo]:
        """Blobs below a folder (`""`: all), sorted by key, those after a key only. Memory: the names of one folder.

        on_unreadable(path, reason) is called for folders and names that cannot be read; without it, StoreError.
        A `Walk` lists by the rules of an archive. Containers have neither links nor folders, so that the caller still
        looks at each name.
        """
        return self._backend.list(checked_key(prefix) if prefix else "", after, on_unreadable)

    def delete(self, key: str) -> None:
        """Remove a blob; nothing happens if there is none."""
        self._backend.delete(checked_key(key))

    def local_path(self, key: str) -> Path | None:
        """Where this blob lies or would lie in the file system; None if the store is not a folder."""
        key = checked_key(key)
        return None if self._root is None else self._root / key

    def open_reader(self, key: str) -> BinaryIO:
        """The blob as a seekable binary file. Raises MissingBlobError."""
        path = self.local_path(key)
        if path is not None:
            try:
                return path.open("rb")
            except OSError as error:
                assert isinstance(self._backend, Folder)
                raise self._backend.failed(error, key, "read") from error
        found = self.head(key)
        if found is None:
            raise missing(self.url, key)
        return io.BufferedReader(_BlobReader(self, key, found.size), buffer_size=256 * 1024)

    def content_hash(self, key: str) -> str:
        """blake2b-256 of the bytes, hexadecimal; reads in blocks."""
        digest = hashlib.blake2b(digest_size=32)
        with self.open_reader(key) as file:
            while block := file.read(READ_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def sweep_partial(self, prefix: str, older_than_s: float) -> int:
        """Remove what killed writers left half-written below a folder; returns how many files. Folders only."""
        if self._root is None:
            return 0
        swept = 0
        oldest = time.time() - older_than_s
        for path in (self._root / checked_key(prefix)).rglob(f"{PARTIAL_PREFIX}*"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    swept += 1
            except FileNotFoundError:
                continue
        return swept


def _root_of(url: str) -> Path:
    if not url.startswith("file:"):
        return Path(url).expanduser().absolute()
    try:
        parts = urlsplit(url)
    except ValueError:
        raise StoreError(f"{url} is not the address of a folder.", "Write file:///folder, or a plain path.") from None
    if parts.query or parts.fragment:
        # Cut there it would be another folder.
        raise StoreError(
            f"{url} has a ? or a # that is not escaped.",
            "Write %3F for ? and %23 for #, or a plain path without file://.",
        )
    if parts.netloc not in ("", "localhost"):
        raise StoreError(f"{url} names a host, {parts.netloc}.", "A local folder has three slashes: file:///folder.")
    path = unquote(parts.path)
    if sys.platform == "win32":
        path = path.lstrip("/")
    if not Path(path).is_absolute():
        raise StoreError(f"{url} names no folder.", "Write file:///folder.")
    return Path(path)


def _azure(url: str, retry: Mapping[str, Any] | None = None) -> Objects:
    from chimp_assets.archive.storage.azure import RETRY, account_of, explained, open_container
    from chimp_assets.archive.storage.objects import Objects

    container, prefix = _container_and_prefix(url)
    account = account_of()
    store = open_container(account, container, prefix, retry or RETRY)
    return Objects(store, url, partial(explained, account, container, url))


def _container_and_prefix(url: str) -> tuple[str, str]:
    # Not by urlsplit: a prefix may hold `#` and `?`, and is no URL.
    container, _, prefix = url.removeprefix("az://").partition("/")
    if not container:
        raise StoreError(f"The address {url} names no container.", "Write az://container/prefix.")
    if not _CONTAINER.fullmatch(container):
        raise StoreError(
            f"{container} cannot be the name of an Azure container.",
            "Write az://container/prefix; the account is named by AZURE_STORAGE_ACCOUNT_NAME.",
        )
    return container, prefix.strip("/")


class _BlobReader(io.RawIOBase):
    """A blob as a raw seekable file: each read is a range request, so wrap it in a buffer."""

    def __init__(self, store: BlobStore, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        piece = self._store.get_range(self._key, self._at, wanted)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
