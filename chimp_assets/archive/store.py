"""Named bytes in a folder or in Azure Blob storage: the archive that is read and the store that is written.

Belongs here: opening a store by its address, atomic writes, range reads, sorted listings, and one error type for all.
Does not belong here: what the bytes mean (`shards`, `pictures`), and which rows must agree with them (`ingest`).

Folders are read through the file system itself, because obstore's LocalStore lists in no order, refuses names such as
`clip#1`, does not reach the disk before it returns (a row could then outlive its bytes) and hides the error number of a
full disk. Everything else goes through obstore.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from chimp_assets.errors import ChimpError, FullDiskError

# Ranges that lie closer than this are read as one: a gap costs less than a second request (or a second seek).
COALESCE_GAP = 64 * 1024
# One read never takes more than this at once, whatever was asked.
READ_BLOCK = 8 * 1024 * 1024
PARTIAL_PREFIX = ".part-"
_FULL = {errno.ENOSPC, errno.EDQUOT}

Source = bytes | bytearray | memoryview | Path | BinaryIO
OnUnreadable = Callable[[str, str], None]


class StoreError(ChimpError):
    """A store cannot be opened, read or written, or a key is not one."""


class MissingBlobError(StoreError):
    """There is nothing under this key, though the store itself can be read."""


@dataclass(frozen=True)
class BlobInfo:
    """What a listing says of one blob. size in bytes; etag changes when the content may have; modified is UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


class _Backend(Protocol):
    def put(self, key: str, source: Source) -> None: ...
    def get_range(self, key: str, start: int, length: int) -> bytes: ...
    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]: ...
    def head(self, key: str) -> BlobInfo | None: ...
    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]: ...
    def delete(self, key: str) -> None: ...


class BlobStore:
    """Bytes under keys such as `shards/cam-0001/00000001-0000-0a1b2c3d4e5f.tar`.

    Keys are relative paths with forward slashes. Picklable: the address travels, the connection is made anew.
    """

    def __init__(self, url: str, backend: _Backend, root: Path | None) -> None:
        self.url = url
        self._backend = backend
        self._root = root

    @classmethod
    def open(cls, url: str, create: bool = False) -> BlobStore:
        """The store at `file:///folder`, a plain path, `az://container/prefix` or `memory://name` (this process only).

        create makes a missing folder. Azure credentials and endpoints are read from the environment (AZURE_*).
        Raises StoreError if the address is not one of these, or if the folder is missing or cannot be read.
        """
        parts = urlsplit(url)
        # A single letter is a Windows drive, not a scheme.
        scheme = parts.scheme if len(parts.scheme) > 1 else ""
        if scheme in ("", "file"):
            root = _root_of(url)
            backend: _Backend = _Folder(root, create)
            return cls(root.as_uri(), backend, root)
        if scheme == "az":
            return cls(url, _Objects(_azure(parts.netloc, parts.path.strip("/")), url), None)
        if scheme == "memory":
            from obstore.store import MemoryStore

            return cls(url, _Objects(MemoryStore(), url), None)
        raise StoreError(
            f"{url} is not the address of a store.",
            "Use file:///folder, a path, or az://container/prefix.",
        )

    @property
    def is_shareable(self) -> bool:
        """Whether another process can open it too."""
        return not self.url.startswith("memory:")

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        if not self.is_shareable:
            raise StoreError("A memory store cannot be sent to another process.", "Use a folder.")
        return BlobStore.open, (self.url,)

    def __repr__(self) -> str:
        return f"BlobStore({self.url!r})"

    def put(self, key: str, source: Source) -> None:
        """Write a blob whole or not at all; an existing one is replaced. Once this returns, a crash cannot lose it.

        Raises FullDiskError if there is no room, StoreError otherwise.
        """
        self._backend.put(checked_key(key), source)

    def get(self, key: str) -> bytes:
        """All bytes of a blob. Raises MissingBlobError."""
        found = self.head(key)
        if found is None:
            raise _missing(self.url, key)
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

    def head(self, key: str) -> BlobInfo | None:
        """What a listing would say of this blob, or None if there is none."""
        return self._backend.head(checked_key(key))

    def list(
        self, prefix: str = "", after: str | None = None, on_unreadable: OnUnreadable | None = None
    ) -> Iterator[BlobInfo]:
        """Blobs below a folder (`""`: all), sorted by key, those after a key only. Memory: the names of one folder.

        on_unreadable(path, reason) is told of folders and names that cannot be read; without it they raise StoreError.
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
                raise _of_os_error(error, self.url, key, "read") from error
        found = self.head(key)
        if found is None:
            raise _missing(self.url, key)
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


def checked_key(key: str) -> str:
    """The key itself. Raises StoreError if it could leave the store or cannot be written down."""
    reason = ""
    if not key or key.startswith("/") or key.endswith("/"):
        reason = "is empty or begins or ends with a slash"
    elif any(part in ("", ".", "..") for part in key.split("/")):
        reason = "has an empty, '.' or '..' part"
    elif any(ord(c) < 32 or ord(c) == 127 for c in key):
        reason = "has a control character"
    elif sys.platform == "win32" and ("\\" in key or ":" in key):
        reason = "has a backslash or a colon"
    else:
        try:
            key.encode()
        except UnicodeEncodeError:
            reason = "is not valid text"
    if reason:
        raise StoreError(f"{key!r} cannot be used inside a store: it {reason}.", "Rename the file or folder.")
    return key


def _root_of(url: str) -> Path:
    if not url.startswith("file:"):
        return Path(url).expanduser().absolute()
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise StoreError(f"{url} names a host, {parts.netloc}.", "A local folder has three slashes: file:///folder.")
    path = unquote(parts.path)
    if sys.platform == "win32":
        path = path.lstrip("/")
    if not Path(path).is_absolute():
        raise StoreError(f"{url} names no folder.", "Write file:///folder.")
    return Path(path)


def _missing(where: str, key: str) -> MissingBlobError:
    return MissingBlobError(f"{key} is missing from {where}.", "Restore it, or list the archive again.")


def _of_os_error(error: OSError, where: str, key: str, verb: str) -> ChimpError:
    if error.errno in _FULL:
        return FullDiskError(
            f"There is no room left in {where}: {key} could not be written.",
            "Free some space and run this again; what was stored before is safe.",
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _missing(where, key)
    return StoreError(
        f"{key or 'The folder'} in {where} could not be {verb}: {error.strerror or error}.",
        "Check that the disk is mounted and that you may use it.",
    )


class _Folder:
    """A folder of the file system as a store."""

    def __init__(self, root: Path, create: bool) -> None:
        self._root = root
        try:
            if create:
                root.mkdir(parents=True, exist_ok=True)
            with os.scandir(root):
                pass
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise StoreError(f"The folder {root} does not exist.", "Create it, or mend the address.") from None
            raise _of_os_error(error, str(root), "", "opened") from error

    def put(self, key: str, source: Source) -> None:
        path = self._root / key
        partial = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    _copy(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
                _sync_folder(path.parent)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise _of_os_error(error, str(self._root), key, "written") from error

    def get_range(self, key: str, start: int, length: int) -> bytes:
        try:
            with (self._root / key).open("rb", buffering=0) as file:
                return _read_at(file, start, length)
        except OSError as error:
            raise _of_os_error(error, str(self._root), key, "read") from error

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        found: list[bytes] = [b""] * len(starts)
        try:
            with (self._root / key).open("rb", buffering=0) as file:
                for first, last, members in _coalesced(starts, lengths):
                    block = memoryview(_read_at(file, first, last - first))
                    for i in members:
                        begin = starts[i] - first
                        found[i] = bytes(block[begin : begin + lengths[i]])
        except OSError as error:
            raise _of_os_error(error, str(self._root), key, "read") from error
        return found

    def head(self, key: str) -> BlobInfo | None:
        try:
            facts = (self._root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            if not self._root.is_dir():  # the whole disk is gone, not this file
                raise StoreError(
                    f"The folder {self._root} does not exist.", "Check that its disk is mounted."
                ) from None
            return None
        except OSError as error:
            raise _of_os_error(error, str(self._root), key, "read") from error
        return _blob_info(key, facts) if _is_file(facts) else None

    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]:
        top = self._root / prefix if prefix else self._root
        if prefix and not top.is_dir():
            return
        yield from self._walk(top, f"{prefix}/" if prefix else "", after, on_unreadable, ())

    def _walk(
        self,
        folder: Path,
        base: str,
        after: str | None,
        on_unreadable: OnUnreadable | None,
        above: tuple[tuple[int, int], ...],
    ) -> Iterator[BlobInfo]:
        def unreadable(key: str, error: OSError | StoreError) -> None:
            if on_unreadable is None:
                if isinstance(error, StoreError):
                    raise error
                raise _of_os_error(error, str(self._root), key, "read") from error
            on_unreadable(key, error.sentence if isinstance(error, StoreError) else (error.strerror or str(error)))

        try:
            here = folder.stat()
            identity = (here.st_dev, here.st_ino)
            if identity in above:  # a link that leads back up
                return
            with os.scandir(folder) as entries:
                # A folder sorts as its keys do: with its slash.
                names = sorted((e.name + "/", e) if e.is_dir() else (e.name, e) for e in entries)
        except OSError as error:
            unreadable(base.rstrip("/"), error)
            return
        for name, entry in names:
            key = base + name
            if name.startswith(PARTIAL_PREFIX):
                continue
            try:
                checked_key(key.rstrip("/"))
            except StoreError as error:
                unreadable(key.rstrip("/"), error)
                continue
            if name.endswith("/"):
                if after is None or key > after or after.startswith(key):
                    yield from self._walk(Path(entry.path), key, after, on_unreadable, (*above, identity))
            elif after is None or key > after:
                try:
                    facts = entry.stat()
                except FileNotFoundError:  # gone since the folder was read, or a link to nothing
                    continue
                except OSError as error:
                    unreadable(key, error)
                    continue
                if _is_file(facts):
                    yield _blob_info(key, facts)

    def delete(self, key: str) -> None:
        try:
            (self._root / key).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise _of_os_error(error, str(self._root), key, "deleted") from error


def _is_file(facts: os.stat_result) -> bool:
    import stat

    return stat.S_ISREG(facts.st_mode)


def _blob_info(key: str, facts: os.stat_result) -> BlobInfo:
    # No inode: a file that a backup brought back with its time is the same file.
    etag = f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
    return BlobInfo(key, facts.st_size, etag, datetime.fromtimestamp(facts.st_mtime, UTC))


def _copy(source: Source, target: IO[bytes]) -> None:
    if isinstance(source, bytes | bytearray | memoryview):
        target.write(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            _copy(file, target)
    else:
        while block := source.read(READ_BLOCK):
            target.write(block)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_at(file: io.FileIO, start: int, length: int) -> bytes:
    file.seek(start)
    pieces = []
    while length > 0 and (piece := file.read(min(length, READ_BLOCK))):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _coalesced(starts: Sequence[int], lengths: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
    """(first byte, end, indices of the ranges inside), in the order of the bytes; none longer than needed."""
    first, end = 0, 0
    members: list[int] = []
    for i in sorted(range(len(starts)), key=lambda i: starts[i]):
        stop = starts[i] + lengths[i]
        if members and starts[i] <= end + COALESCE_GAP and max(end, stop) - first <= READ_BLOCK:
            end = max(end, stop)
        else:
            if members:
                yield first, end, members
            first, end, members = starts[i], stop, []
        members.append(i)
    if members:
        yield first, end, members


def _azure(container: str, prefix: str) -> Any:
    from obstore.store import AzureStore

    if not container:
        raise StoreError("The address az:// names no container.", "Write az://container/prefix.")
    try:
        return AzureStore(container, prefix=prefix or None)
    except Exception as error:
        raise StoreError(
            f"The Azure container {container} cannot be opened: {_first_line(error)}.",
            "Set AZURE_STORAGE_ACCOUNT_NAME and one of AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or a login.",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


class _Objects:
    """A store that obstore speaks to."""

    def __init__(self, store: Any, url: str) -> None:
        self._store = store
        self._url = url

    def _failed(self, error: Exception, key: str, verb: str) -> ChimpError:
        if isinstance(error, FileNotFoundError):
            return _missing(self._url, key)
        return StoreError(
            f"{key or 'The container'} in {self._url} could not be {verb}: {_first_line(error)}.",
            "Check the network, the container's name and the AZURE_* credentials.",
        )

    def put(self, key: str, source: Source) -> None:
        import obstore

        try:
            obstore.put(self._store, key, source)
        except Exception as error:
            raise self._failed(error, key, "written") from error

    def get_range(self, key: str, start: int, length: int) -> bytes:
        import obstore

        try:
            return bytes(obstore.get_range(self._store, key, start=start, length=length))
        except Exception as error:
            found = self.head(key)
            if found is not None and start >= found.size:  # services answer 416 where a file answers nothing
                return b""
            raise self._failed(error, key, "read") from error

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        import obstore

        try:
            found = obstore.get_ranges(
                self._store, key, starts=[int(s) for s in starts], lengths=[int(n) for n in lengths]
            )
            return [bytes(piece) for piece in found]
        except Exception as error:
            raise self._failed(error, key, "read") from error

    def head(self, key: str) -> BlobInfo | None:
        import obstore

        try:
            return self._info(obstore.head(self._store, key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._failed(error, key, "read") from error

    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]:
        import obstore

        try:
            for page in obstore.list(self._store, prefix or None, offset=after, chunk_size=1000):
                for meta in page:
                    # obstore drops a slash at the end of the offset, and with it comes before more keys.
                    if after is None or meta["path"] > after:
                        yield self._info(meta)
        except ChimpError:
            raise
        except Exception as error:
            raise self._failed(error, prefix, "listed") from error

    def delete(self, key: str) -> None:
        import obstore

        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._failed(error, key, "deleted") from error

    @staticmethod
    def _info(meta: Any) -> BlobInfo:
        etag = (meta["e_tag"] or "").strip('"') or f"{meta['last_modified'].timestamp():.6f}-{meta['size']:x}"
        return BlobInfo(meta["path"], meta["size"], etag, meta["last_modified"].astimezone(UTC))


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
