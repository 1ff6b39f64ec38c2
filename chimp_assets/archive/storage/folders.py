"""A folder of the file system as a store.

Belongs here: atomic writes that reach the disk, sorted walks, and telling a missing file from a disk that was removed.
Does not belong here: keys and addresses (`blobs`, `store`).

Folders are read through the file system itself, because obstore's LocalStore lists in no order, refuses names such as
`clip#1`, does not reach the disk before it returns (a row could then outlive its bytes) and hides the error number of a
full disk.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from chimp_assets import private_files
from chimp_assets.archive.storage.blobs import (
    READ_BLOCK,
    BlobInfo,
    OnUnreadable,
    Source,
    StoreError,
    Walk,
    checked_key,
    coalesced,
    missing,
)
from chimp_assets.errors import ChimpError, FullDiskError

PARTIAL_PREFIX = ".part-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
# What the operating system's words for a broken link mean.
_LINK_WORDS = {errno.ENOENT: "a link to nothing", errno.ELOOP: "a link that leads to itself"}
# No path of the database is longer, and a walk must end.
_DEEPEST = 800
_FORBIDDEN = {errno.EACCES, errno.EPERM}

Identity = tuple[int, int]


class Folder:
    """A store below `root`. identity: which folder lay there when the store was first opened; None: whatever does now.

    An empty mount point looks like a folder without files. By the identity, a disk that was taken away is an error and
    not a thousand vanished videos, also in a child process that opens the same store later.
    """

    def __init__(self, root: Path, create: bool = False, identity: Identity | None = None) -> None:
        self.root = root
        try:
            if create:
                private_files.make_folder(root)
            with os.scandir(root):
                pass
            self.identity = identity or _identity(root)
        except OSError as error:
            if identity is not None:
                raise self._removed() from None
            if isinstance(error, FileNotFoundError):
                raise StoreError(f"The folder {root} does not exist.", "Create it, or correct the address.") from None
            raise of_os_error(error, str(root), "", "opened") from error
        self.require_root()

    def put(self, key: str, source: Source) -> None:
        path = self.root / key
        partial = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
        # Making the folders of the key must not recreate the root, on the disk below a removed one.
        self.require_root()
        try:
            private_files.make_folder(path.parent)
            try:
                with open(partial, "wb", opener=private_files.opener) as file:
                    _copy(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
                _sync_folder(path.parent)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise self.failed(error, key, "written") from error

    def get_range(self, key: str, start: int, length: int) -> bytes:
        try:
            with (self.root / key).open("rb", buffering=0) as file:
                return _read_at(file, start, length)
        except OSError as error:
            raise self.failed(error, key, "read") from error

    def get_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        found: list[bytes] = [b""] * len(starts)
        try:
            with (self.root / key).open("rb", buffering=0) as file:
                for first, last, members in coalesced(starts, lengths):
                    block = memoryview(_read_at(file, first, last - first))
                    for i in members:
                        begin = starts[i] - first
                        found[i] = bytes(block[begin : begin + lengths[i]])
        except OSError as error:
            raise self.failed(error, key, "read") from error
        return found

    def download(self, key: str, path: Path, on_block: Callable[[], None]) -> str:
        digest = hashlib.blake2b(digest_size=32)
        try:
            source = (self.root / key).open("rb", buffering=0)
        except OSError as error:
            raise self.failed(error, key, "read") from error
        with source, new_file(path, key) as target:
            while True:
                try:
                    block = source.read(READ_BLOCK)
                except OSError as error:
                    raise self.failed(error, key, "read") from error
                if not block:
                    return digest.hexdigest()
                digest.update(block)
                target.write(block)
                on_block()

    def head(self, key: str) -> BlobInfo | None:
        try:
            facts = (self.root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            self.require_root()  # else the whole disk is gone, not this file
            return None
        except OSError as error:
            raise self.failed(error, key, "read") from error
        return _blob_info(key, facts) if stat.S_ISREG(facts.st_mode) else None

    def list(self, prefix: str, after: str | None, on_unreadable: OnUnreadable | None) -> Iterator[BlobInfo]:
        self.require_root()
        top = self.root / prefix if prefix else self.root
        if not prefix or top.is_dir():
            yield from _FolderWalk(self, after, on_unreadable).below(top, f"{prefix}/" if prefix else "", ())
        # A disk that went while it was read looked like files that vanished one by one.
        self.require_root()

    def delete(self, key: str) -> None:
        try:
            (self.root / key).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise self.failed(error, key, "deleted") from error

    def failed(self, error: OSError, key: str, verb: str) -> ChimpError:
        """The error to raise where the file system refused something."""
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self.require_root()
        return of_os_error(error, str(self.root), key, verb)

    def require_root(self) -> None:
        """Raises StoreError if the folder that was opened is no longer there."""
        try:
            if _identity(self.root) == self.identity:
                return
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise of_os_error(error, str(self.root), "", "read") from error
        raise self._removed()

    def _removed(self) -> StoreError:
        return StoreError(
            f"The folder {self.root} is no longer there: its disk was removed, or it was moved or recreated.",
            "Connect or mount the disk and run the same command again; what was stored before is safe.",
        )


class _FolderWalk:
    """One listing of a folder, with the names of everything that it cannot or may not list."""

    def __init__(self, folder: Folder, after: str | None, on_unreadable: OnUnreadable | None) -> None:
        self._folder = folder
        self._after = after
        self._on_unreadable = on_unreadable
        self._rules = on_unreadable if isinstance(on_unreadable, Walk) else None

    def below(self, folder: Path, base: str, above: tuple[Identity, ...]) -> Iterator[BlobInfo]:
        """Blobs below one folder, sorted by key. base: its key with a slash; above: the folders that it lies in."""
        try:
            here = folder.stat()
            identity = (here.st_dev, here.st_ino)
            if self._is_passed_over(base, identity, above):
                return
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            self._unreadable(base.rstrip("/"), error)
            return
        if self._rules is not None and base and self._rules.is_own(base, frozenset(e.name for e in found)):
            self._rules.passed_over(base.rstrip("/"), "own", "a home or a store of Chimp Assets", False)
            return
        for name, entry in self._sorted(base, found):
            key = base + name
            if name.startswith(PARTIAL_PREFIX) or not self._may_be_listed(key, entry):
                continue
            if name.endswith("/"):
                if self._after is None or key > self._after or self._after.startswith(key):
                    yield from self.below(Path(entry.path), key, (*above, identity))
            elif self._after is None or key > self._after:
                yield from self._file(key, entry)

    def _is_passed_over(self, base: str, identity: Identity, above: tuple[Identity, ...]) -> bool:
        if identity in above:  # a link that leads back up
            if self._rules is not None:
                self._rules.passed_over(base.rstrip("/"), "link", "a link to a folder that it lies in", False)
            return True
        if self._rules is not None and base and identity in self._rules.never:
            self._rules.passed_over(base.rstrip("/"), "own", "the home or the store of Chimp Assets", False)
            return True
        return False

    def _sorted(self, base: str, entries: Sequence[os.DirEntry[str]]) -> list[tuple[str, os.DirEntry[str]]]:
        names = []
        for entry in entries:
            try:
                # A folder sorts as its keys do: with its slash.
                names.append((entry.name + "/", entry) if entry.is_dir() else (entry.name, entry))
            except OSError as error:  # a link that leads to itself
                self._unreadable(base + entry.name, error, "link")
        return sorted(names, key=lambda one: one[0])

    def _may_be_listed(self, key: str, entry: os.DirEntry[str]) -> bool:
        try:
            checked_key(key.rstrip("/"))
            if self._rules is not None and key.endswith("/") and len(key) > _DEEPEST:
                raise StoreError(f"{key}: it is longer than {_DEEPEST} letters", "Move it further up.")
        except StoreError as error:
            self._unreadable(key.rstrip("/"), error, "name")
            return False
        return self._rules is None or self._is_followed(entry, key.rstrip("/"), self._rules)

    def _file(self, key: str, entry: os.DirEntry[str]) -> Iterator[BlobInfo]:
        try:
            facts = entry.stat()
        except FileNotFoundError as error:  # gone since the folder was read, or a link to nothing
            self._folder.require_root()
            if self._rules is not None and _is_link(entry):
                self._unreadable(key, error, "link")
            return
        except OSError as error:
            self._unreadable(key, error)
            return
        if stat.S_ISREG(facts.st_mode):
            yield _blob_info(key, facts)
        elif self._rules is not None:
            self._rules.passed_over(key, "not_file", "a pipe, a socket or a device", False)

    def _is_followed(self, entry: os.DirEntry[str], key: str, rules: Walk) -> bool:
        """Whether an entry is no symbolic link, or one that the settings allow."""
        if not _is_link(entry) or rules.follow_links == "all":
            return True
        if rules.follow_links == "none":
            rules.passed_over(key, "link", "a symbolic link; archive.follow_links is none", True)
            return False
        try:
            inside = Path(entry.path).resolve().is_relative_to(self._folder.root.resolve())
        except (OSError, RuntimeError):
            return True  # a link to nothing or to itself says so when it is read
        if not inside and Path(entry.path).exists():
            rules.passed_over(key, "link", "a symbolic link out of the archive; archive.follow_links is inside", True)
            return False
        return True

    def _unreadable(self, key: str, error: OSError | StoreError, reason: str = "unreadable") -> None:
        self._folder.require_root()
        detail = error.sentence if isinstance(error, StoreError) else (error.strerror or str(error))
        if self._rules is not None:
            why = f"its name {detail.rpartition(': it ')[2].rstrip('.')}" if reason == "name" else detail
            self._rules.passed_over(key, reason, _LINK_WORDS.get(getattr(error, "errno", None) or 0, why), True)
        elif self._on_unreadable is not None:
            self._on_unreadable(key, detail)
        elif isinstance(error, StoreError):
            raise error
        else:
            raise of_os_error(error, str(self._folder.root), key, "read") from error


def of_os_error(error: OSError, where: str, key: str, verb: str) -> ChimpError:
    """The refusal of the operating system as an error with a remedy. verb: what failed (`read`, `written`)."""
    if error.errno in _FULL:
        return FullDiskError(
            f"There is no room left in {where}: {key} could not be written.",
            "Free some space and run this again; what was stored before is safe.",
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing(where, key)
    sentence = f"{key or 'The folder'} in {where} could not be {verb}: {error.strerror or error}."
    if error.errno == errno.EROFS:
        return StoreError(sentence, "Mount the disk so that it can be written, or name another place in the settings.")
    if error.errno in _FORBIDDEN:
        return StoreError(sentence, "Give your user the right to do so, then run the same command again.")
    return StoreError(sentence, "Check that the disk is mounted and that you may use it.")


@contextmanager
def new_file(path: Path, key: str) -> Iterator[IO[bytes]]:
    """A new local file to write a copy of key into; removed again if anything fails.

    Raises FullDiskError if there is no room, StoreError if it cannot be written.
    """
    try:
        with path.open("wb") as file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):  # the pipe is the caller's
            raise
        if error.errno in _FULL:
            raise FullDiskError(
                f"There is no room left in {path.parent}: {key} could not be fetched.",
                "Free some space, or set TMPDIR to a larger disk, and run this again.",
            ) from error
        raise StoreError(
            f"{key} could not be copied to {path.parent}: {error.strerror or error}.",
            "Set TMPDIR to a folder that you may write to, and run this again.",
        ) from error


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False


def _identity(folder: Path) -> Identity:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


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
